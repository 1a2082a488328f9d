/**
 * What a start leaves behind: loading modules and reading schemas makes garbage that V8 would keep until the heap fills up
 * again, which an idle process never does. Collected once, each thread gives back about 10 MiB.
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock } from './clock.ts'

/** By then the start is over, and so is what it was used for. */
const AFTER_MS = 3_000

/** Collects the garbage of this thread's start, once, soon. It takes some 50 ms, in which the thread does nothing else. */
export function collectStartGarbageSoon(clock: Clock): void {
  clock.after(AFTER_MS, () => {
    // The function is there only for contexts that are made after the flag was set.
    setFlagsFromString('--expose-gc')
    const collect: NonNullable<typeof globalThis.gc> = runInNewContext('gc')
    // The flavour of collection that gives free pages back to the system.
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  })
}
