/**
 * One timer for many deadlines: it is set for the earliest that was named. Deadlines that move later need no call, which
 * is what makes a heartbeat cheap; whoever is woken looks at what is really due and names the next.
 */

import type { Clock, Timer } from '../../core/clock.ts'

export class DeadlineTimer {
  readonly #clock: Clock
  readonly #run: () => void
  #timer: Timer | null = null
  #atMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, run: () => void) {
    this.#clock = clock
    this.#run = run
  }

  /** Runs no later than `atMs` on the monotonic clock, or soon when that has passed. */
  wakeBy(atMs: number): void {
    if (this.#timer !== null && this.#atMs <= atMs) return
    this.#timer?.cancel()
    this.#atMs = atMs
    const delayMs = Math.max(1, atMs - this.#clock.monotonicMs())
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = null
      this.#run()
    })
  }

  cancel(): void {
    this.#timer?.cancel()
    this.#timer = null
  }
}
