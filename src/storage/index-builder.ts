/**
 * Both indexes of one segment while batches are added to it, with Kafka's spacing: an entry once more than
 * `indexIntervalBytes` lie behind the last one. Allocates nothing per batch.
 */

import { maxTimestampAt, recordCountAt } from '../batch/record-batch.ts'
import type { Offset } from '../core/brands.ts'
import { OffsetIndex } from './offset-index.ts'
import { TimeIndex } from './time-index.ts'

/** One batch as the indexes see it. */
export interface IndexedBatch {
  readonly lastOffset: number
  readonly position: number
  readonly bytes: number
  readonly maxTimestamp: number
}

/** A batch's latest timestamp as the indexes take it: one that compaction has emptied has nothing to find by time. */
export function indexedTimestampAt(bytes: Buffer, at: number): number {
  return recordCountAt(bytes, at) === 0 ? -1 : maxTimestampAt(bytes, at)
}

/** The indexes of one segment, complete up to its end. */
export interface SegmentIndexes {
  readonly offsetIndex: OffsetIndex
  readonly timeIndex: TimeIndex
}

export class IndexBuilder implements SegmentIndexes {
  readonly offsetIndex: OffsetIndex
  readonly timeIndex: TimeIndex
  /** The latest timestamp added, -1 when there is none. */
  maxTimestamp = -1
  /** The last offset of the first batch that has it, -1 when there is none. */
  maxTimestampOffset = -1
  readonly #intervalBytes: number
  #bytesSinceEntry = 0

  constructor(indexes: SegmentIndexes, intervalBytes: number) {
    this.offsetIndex = indexes.offsetIndex
    this.timeIndex = indexes.timeIndex
    this.#intervalBytes = intervalBytes
  }

  /** The indexes of a segment that is still empty. */
  static empty(baseOffset: Offset, intervalBytes: number): IndexBuilder {
    return new IndexBuilder(
      { offsetIndex: new OffsetIndex(baseOffset), timeIndex: new TimeIndex(baseOffset) },
      intervalBytes,
    )
  }

  add(batch: IndexedBatch): void {
    if (batch.maxTimestamp > this.maxTimestamp) {
      this.maxTimestamp = batch.maxTimestamp
      this.maxTimestampOffset = batch.lastOffset
    }
    if (this.#bytesSinceEntry > this.#intervalBytes) {
      this.offsetIndex.append(batch.lastOffset, batch.position)
      this.#appendTime()
      this.#bytesSinceEntry = 0
    }
    this.#bytesSinceEntry += batch.bytes
  }

  /** Goes on with indexes that were loaded from files. */
  static resume(
    indexes: SegmentIndexes,
    state: { intervalBytes: number; segmentBytes: number; maxTimestamp: number; maxTimestampOffset: number },
  ): IndexBuilder {
    const builder = new IndexBuilder(indexes, state.intervalBytes)
    const last = indexes.offsetIndex.count - 1
    builder.maxTimestamp = state.maxTimestamp
    builder.maxTimestampOffset = state.maxTimestampOffset
    builder.#bytesSinceEntry = state.segmentBytes - (last === -1 ? 0 : indexes.offsetIndex.positionOf(last))
    return builder
  }

  /** Adds what `newer` holds from `position` on: batches that came while this one was being rebuilt. */
  adoptFrom(newer: IndexBuilder, position: number): void {
    let firstOffset = Number.POSITIVE_INFINITY
    for (let entry = 0; entry < newer.offsetIndex.count; entry += 1) {
      if (newer.offsetIndex.positionOf(entry) < position) continue
      firstOffset = Math.min(firstOffset, newer.offsetIndex.offsetOf(entry))
      this.offsetIndex.append(newer.offsetIndex.offsetOf(entry), newer.offsetIndex.positionOf(entry))
    }
    for (let entry = 0; entry < newer.timeIndex.count; entry += 1) {
      if (newer.timeIndex.offsetOf(entry) < firstOffset) continue
      this.timeIndex.append(newer.timeIndex.timestampOf(entry), newer.timeIndex.offsetOf(entry))
    }
    if (newer.maxTimestamp > this.maxTimestamp) {
      this.maxTimestamp = newer.maxTimestamp
      this.maxTimestampOffset = newer.maxTimestampOffset
    }
  }

  /** Adds the closing entry of the time index, as Kafka does when a segment is sealed or its log closed. */
  seal(): void {
    this.#appendTime()
  }

  #appendTime(): void {
    if (this.maxTimestampOffset !== -1) this.timeIndex.append(this.maxTimestamp, this.maxTimestampOffset)
  }
}
