/**
 * The segments of a log in offset order, the last being the one that is written to, and the damage that no segment is left
 * to carry. One owner: `PartitionLog` changes it, the reader looks things up in it.
 */

import type { Loss } from './checkpoint.ts'
import type { Segment } from './segment.ts'

/** Handles of sealed segments kept open per log between reads. */
const SEALED_OPEN_MAX = 4

export class SegmentList {
  #segments: readonly Segment[]
  #losses: readonly Loss[]
  /** When each segment was read last, counted in reads; nothing for one that only a compaction has read. */
  readonly #lastReads = new WeakMap<Segment, number>()
  #readCount = 0

  constructor(segments: readonly Segment[], losses: readonly Loss[]) {
    this.#segments = segments
    this.#losses = losses
  }

  get all(): readonly Segment[] {
    return this.#segments
  }

  get losses(): readonly Loss[] {
    return this.#losses
  }

  /** The segment that is written to; undefined only in a log that could not be opened for writing. */
  get last(): Segment | undefined {
    return this.#segments.at(-1)
  }

  get bytes(): number {
    let bytes = 0
    for (const segment of this.#segments) bytes += segment.bytes
    return bytes
  }

  /** The segment that holds `offset`, or the next one when a gap does; null behind the last. */
  find(offset: number): Segment | null {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#segments[middle]?.endOffset ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return this.#segments[low] ?? null
  }

  push(segment: Segment): void {
    this.#segments = [...this.#segments, segment]
  }

  /** Takes all of it over from a changed state, or back from a change that failed. */
  set(segments: readonly Segment[], losses: readonly Loss[]): void {
    this.#segments = segments
    this.#losses = losses
  }

  /** Lets go of a segment whose file is gone, and remembers what went with it. */
  drop(segment: Segment, loss: Loss): void {
    this.set(
      this.#segments.filter((other) => other !== segment),
      [...this.#losses, loss],
    )
  }

  /** Keeps few sealed segments open: those that were read last, and `readLast` is the latest of them. */
  async closeUnused(readLast?: Segment): Promise<void> {
    this.#readCount += 1
    if (readLast !== undefined) this.#lastReads.set(readLast, this.#readCount)
    const open = this.#segments.slice(0, -1).filter((segment) => segment.isOpen)
    const excess = open.length - SEALED_OPEN_MAX
    if (excess <= 0) return
    const lastRead = (segment: Segment) => this.#lastReads.get(segment) ?? 0
    open.sort((one, other) => lastRead(one) - lastRead(other))
    for (const segment of open.slice(0, excess)) {
      if (!segment.isInUse) await segment.release()
    }
  }
}
