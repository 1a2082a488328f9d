/**
 * `upstreamAckMs`: the 99th percentile of latencies over the last ten to twenty seconds, in constant memory. Latencies are
 * counted in buckets whose limits grow by a fifth, so that the result is at most that much too high, never too low.
 */

import type { Clock } from '../../core/clock.ts'

const GROWTH = 1.2
/** The last bucket holds all from about two and a half hours on. */
const BUCKET_COUNT = 90
const WINDOW_MS = 10_000
const SHARE = 0.99

export class LatencySensor {
  readonly #clock: Clock
  #counts = new Uint32Array(BUCKET_COUNT)
  #previous = new Uint32Array(BUCKET_COUNT)
  #openedMs: number

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
    this.#openedMs = clock.monotonicMs()
  }

  /** Counts one latency, milliseconds from 0. */
  observe(latencyMs: number): void {
    this.#turn()
    const bucket = Math.ceil(Math.log(Math.max(1, latencyMs)) / Math.log(GROWTH))
    const index = Math.min(BUCKET_COUNT - 1, bucket)
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
  }

  /** The upper limit of the bucket that 99 % stay within, ms; null when nothing was counted lately. */
  read(): number | null {
    this.#turn()
    let left = 0
    for (let index = 0; index < BUCKET_COUNT; index += 1) left += this.#countAt(index)
    if (left === 0) return null
    const allowedAbove = Math.floor(left * (1 - SHARE))
    for (let index = 0; index < BUCKET_COUNT; index += 1) {
      left -= this.#countAt(index)
      if (left <= allowedAbove) return GROWTH ** index
    }
    return GROWTH ** (BUCKET_COUNT - 1)
  }

  #countAt(index: number): number {
    return (this.#counts[index] ?? 0) + (this.#previous[index] ?? 0)
  }

  /** Begins a new window when the present one is over; after a long silence nothing of the old ones counts. */
  #turn(): void {
    const nowMs = this.#clock.monotonicMs()
    const elapsedMs = nowMs - this.#openedMs
    if (elapsedMs < WINDOW_MS) return
    const emptied = this.#previous.fill(0)
    this.#previous = this.#counts
    this.#counts = emptied
    if (elapsedMs >= 2 * WINDOW_MS) this.#previous.fill(0)
    this.#openedMs = nowMs
  }
}
