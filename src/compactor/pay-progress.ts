/** How fast debt is being paid, and how long the rest will take. */

/** The rate is that of the last so many ms of paying: long enough to even out chunks, short enough to follow a change. */
const SPAN_MS = 30_000
/** What is paid within this time is one sample, which bounds their number. */
const SAMPLE_MS = 1_000

interface Sample {
  readonly atMs: number
  recordCount: number
}

/** Counts what is paid, by the monotonic clock. */
export class PayProgress {
  #samples: Sample[] = []
  #startedMs: number | null = null

  /** Paying begins, or goes on after a hold: the time of the hold is no part of the rate. */
  begin(monotonicMs: number): void {
    if (this.#startedMs !== null) return
    this.#startedMs = monotonicMs
    this.#samples = []
  }

  /** Paying stops for now. */
  end(): void {
    this.#startedMs = null
  }

  /** Enters what was paid up to this moment. */
  add(recordCount: number, monotonicMs: number): void {
    this.begin(monotonicMs)
    const last = this.#samples.at(-1)
    if (last !== undefined && monotonicMs - last.atMs < SAMPLE_MS) last.recordCount += recordCount
    else this.#samples.push({ atMs: monotonicMs, recordCount })
    this.#forgetBefore(monotonicMs - SPAN_MS)
  }

  /** Records per second over the last half minute of paying; null while nothing is paid and in the first second. */
  ratePerSecond(monotonicMs: number): number | null {
    if (this.#startedMs === null) return null
    this.#forgetBefore(monotonicMs - SPAN_MS)
    const spanMs = Math.min(SPAN_MS, monotonicMs - this.#startedMs)
    if (spanMs < SAMPLE_MS) return null
    const recordCount = this.#samples.reduce((sum, sample) => sum + sample.recordCount, 0)
    return (recordCount * 1_000) / spanMs
  }

  #forgetBefore(oldestMs: number): void {
    const from = this.#samples.findIndex(({ atMs }) => atMs > oldestMs)
    this.#samples.splice(0, from < 0 ? this.#samples.length : from)
  }
}

/** How long so many records take at a rate, in ms; null when that cannot be told, as nothing is being paid. */
export function remainingMs(recordCount: number, ratePerSecond: number | null): number | null {
  if (recordCount === 0) return 0
  const isPaying = ratePerSecond !== null && ratePerSecond > 0
  return isPaying ? Math.ceil((recordCount * 1_000) / ratePerSecond) : null
}
