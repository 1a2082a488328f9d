/** Waiting that has an end: what is waited for goes on, and may settle later. */

import type { Clock } from './clock.ts'

/** Resolves when the work has, or after `msMax`. Rejects as the work does, if that comes first. */
export async function upTo(clock: Clock, msMax: number, work: Promise<void>): Promise<void> {
  const { promise: isLate, resolve } = Promise.withResolvers<void>()
  const timer = clock.after(msMax, resolve)
  try {
    await Promise.race([work, isLate])
  } finally {
    timer.cancel()
  }
}
