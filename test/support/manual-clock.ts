/** A clock that stands still until it is moved. Timers run when they are told to, in the order in which they come due. */

import type { Clock } from '../../src/core/clock.ts'

export interface ManualClock extends Clock {
  /** Moves both clocks forward and runs no timer: what is due by then is late. */
  advance(ms: number): void
  /** Runs every timer that is due, once. */
  runDue(): void
}

interface Pending {
  readonly dueMs: number
  readonly run: () => void
}

export function manualClock(wallStartMs = Date.UTC(2026, 0, 1)): ManualClock {
  let elapsedMs = 0
  let pending: Pending[] = []
  const clock: ManualClock = {
    advance(ms) {
      elapsedMs += ms
    },
    runDue() {
      const due = pending.filter(({ dueMs }) => dueMs <= elapsedMs).sort((a, b) => a.dueMs - b.dueMs)
      pending = pending.filter((timer) => !due.includes(timer))
      for (const { run } of due) run()
    },
    wallMs: () => wallStartMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    after(delayMs, run) {
      const timer = { dueMs: elapsedMs + delayMs, run }
      pending.push(timer)
      return {
        cancel: () => {
          pending = pending.filter((other) => other !== timer)
        },
      }
    },
    sleep: (delayMs) => new Promise((resolve) => clock.after(delayMs, resolve)),
  }
  return clock
}
