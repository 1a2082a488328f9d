/** A role's worker thread as the app runs it: supervised, its crashes printed and counted. */

import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import { ThreadHandle } from '../core/thread-link.ts'
import { ThreadSupervisor } from '../core/thread-supervisor.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { Counter } from '../telemetry/metrics.ts'

export interface SupervisedThreadOptions {
  readonly name: string
  readonly module: URL
  /** The role's options for a run; `ready` is what the run before announced, null for the first. */
  readonly optionsOf: (ready: unknown) => unknown
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  readonly restartCounter: Counter<'thread'>
  /** Largest JavaScript heap; over it the thread crashes and is restarted, and the process lives on. */
  readonly heapMibMax: number
}

/**
 * V8's young generation would by default let each thread hold tens of MiB of garbage before it looks. Data-path buffers
 * live outside the heap, so looking sooner costs little, and all threads together stay within 200 MiB when idle.
 */
const YOUNG_GENERATION_MIB_MAX = 8

export function superviseThread(options: SupervisedThreadOptions): ThreadSupervisor {
  const { name, module, optionsOf, clock, random, diagnostics, restartCounter, heapMibMax } = options
  // There from the start, so that an alert on its rate sees the first restart as a rise.
  restartCounter.inc({ thread: name }, 0)
  return new ThreadSupervisor({
    name,
    clock,
    random,
    open: ({ ready, onCrash }) =>
      new ThreadHandle({
        name,
        module,
        options: optionsOf(ready),
        clock,
        onCrash,
        resourceLimits: {
          maxOldGenerationSizeMb: heapMibMax,
          maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB_MAX,
        },
      }),
    onCrash: ({ failure, restartDelayMs }) => {
      diagnostics.error(
        { thread: name, error: failure, restartDelayMs },
        'a thread stopped; it will be restarted',
      )
    },
    onRestarted: () => {
      restartCounter.inc({ thread: name })
      diagnostics.info({ thread: name }, 'a thread was restarted')
    },
  })
}
