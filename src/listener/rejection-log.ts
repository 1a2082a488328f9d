/**
 * Prints why connections were refused, without letting a hostile or broken client fill the disk: so many lines per
 * window, then one line that says how many were left out. Counting is the caller's; this only prints.
 */

import type { Clock } from '../core/clock.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { RejectionFacts, RejectionReason } from './listener-types.ts'

const WINDOW_MS = 10_000
const LINES_PER_WINDOW_MAX = 10

export class RejectionLog {
  readonly #clock: Clock
  readonly #diagnostics: Diagnostics
  #windowStartMs = Number.NEGATIVE_INFINITY
  #lineCount = 0
  #leftOutCount = 0

  constructor(clock: Clock, diagnostics: Diagnostics) {
    this.#clock = clock
    this.#diagnostics = diagnostics
  }

  /** Prints the rejection, or counts it among those left out of this window. Idle closes are not worth a warning. */
  note(reason: RejectionReason, facts: RejectionFacts): void {
    if (reason === 'idle') {
      this.#diagnostics.debug({ reason, ...facts }, 'connection closed after being idle')
      return
    }
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#windowStartMs >= WINDOW_MS) {
      if (this.#leftOutCount > 0) {
        this.#diagnostics.warn(
          { leftOutCount: this.#leftOutCount },
          'more connections were closed than were printed',
        )
      }
      this.#windowStartMs = nowMs
      this.#lineCount = 0
      this.#leftOutCount = 0
    }
    if (this.#lineCount >= LINES_PER_WINDOW_MAX) {
      this.#leftOutCount += 1
      return
    }
    this.#lineCount += 1
    this.#diagnostics.warn({ reason, ...facts }, 'connection closed')
  }
}
