/**
 * How fast debt may be paid: records and bytes of the vault per second, either without a limit when 0. What was paid is
 * entered afterwards, because a chunk ends where a batch ends; the budget may thus go below nothing, and the next chunk
 * waits until it has come back. What is not used is not saved up beyond a second.
 */

import type { Clock } from '../core/clock.ts'

export interface RateLimits {
  /** Records in a second; 0 sets no limit. */
  readonly recordCount: number
  /** Bytes in a second; 0 sets no limit. */
  readonly bytes: number
}

/** What was, or may be, paid in one go. */
export interface Amount {
  readonly recordCount: number
  readonly bytes: number
}

const NO_LIMIT = Number.POSITIVE_INFINITY

export class RateBudget {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #records: Bucket
  readonly #bytes: Bucket

  constructor(limits: RateLimits, clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
    const nowMs = clock.monotonicMs()
    this.#records = new Bucket(limits.recordCount, nowMs)
    this.#bytes = new Bucket(limits.bytes, nowMs)
  }

  /** Enters what was paid. */
  spend({ recordCount, bytes }: Amount): void {
    const nowMs = this.#clock.monotonicMs()
    this.#records.spend(recordCount, nowMs)
    this.#bytes.spend(bytes, nowMs)
  }

  /** What may be paid in one go at this moment; infinite without a limit, nothing while the budget is overdrawn. */
  available(): Amount {
    const nowMs = this.#clock.monotonicMs()
    return { recordCount: this.#records.available(nowMs), bytes: this.#bytes.available(nowMs) }
  }

  /** Until something may be paid again: 0 when it may now. */
  waitMs(): number {
    const nowMs = this.#clock.monotonicMs()
    return Math.max(this.#records.waitMs(nowMs), this.#bytes.waitMs(nowMs))
  }
}

/** One quantity that comes back at a steady rate. */
class Bucket {
  readonly #perSecond: number
  #left: number
  #asOfMs: number

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#left = perSecond
    this.#asOfMs = nowMs
  }

  spend(amount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#left -= amount
  }

  available(nowMs: number): number {
    if (this.#perSecond === 0) return NO_LIMIT
    this.#refill(nowMs)
    return Math.max(0, Math.floor(this.#left))
  }

  /** Until a tenth of a second's worth is there, so that chunks do not shrink to single batches. */
  waitMs(nowMs: number): number {
    if (this.#perSecond === 0) return 0
    this.#refill(nowMs)
    const missing = Math.min(this.#perSecond, Math.max(1, this.#perSecond / 10)) - this.#left
    return missing <= 0 ? 0 : Math.ceil((missing * 1_000) / this.#perSecond)
  }

  #refill(nowMs: number): void {
    const gained = ((nowMs - this.#asOfMs) * this.#perSecond) / 1_000
    this.#left = Math.min(this.#perSecond, this.#left + gained)
    this.#asOfMs = nowMs
  }
}
