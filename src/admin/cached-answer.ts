/** One answer shared by all who ask within a short time; an answer under way is shared too. */

import type { Clock } from '../core/clock.ts'

export interface CachedAnswerOptions<Value> {
  readonly clock: Clock
  /** How long an answer counts as fresh, from when it was complete. */
  readonly freshMs: (answer: Value) => number
  readonly read: () => Promise<Value>
}

export class CachedAnswer<Value> {
  readonly #options: CachedAnswerOptions<Value>
  #answer: Promise<Value> | null = null
  /** When the answer stops being fresh; infinite while it is under way. */
  #staleAtMs = 0

  constructor(options: CachedAnswerOptions<Value>) {
    this.#options = options
  }

  /** The next who asks gets a new answer: something was changed. */
  forget(): void {
    this.#answer = null
  }

  /** The fresh answer, or a new one. A failure is not kept: the next who asks tries again. */
  get(): Promise<Value> {
    const { clock, freshMs, read } = this.#options
    if (this.#answer !== null && clock.monotonicMs() < this.#staleAtMs) return this.#answer
    this.#staleAtMs = Number.POSITIVE_INFINITY
    const answer = read()
    this.#answer = answer
    answer.then(
      (value) => {
        if (this.#answer !== answer) return
        this.#staleAtMs = clock.monotonicMs() + freshMs(value)
      },
      () => {
        if (this.#answer === answer) this.#answer = null
      },
    )
    return answer
  }
}
