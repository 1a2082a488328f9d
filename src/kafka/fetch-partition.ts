/** One assigned partition of a fetcher: its positions, what was fetched ahead, and what is wrong with it. */

import type { Offset, PartitionId } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'

/** Whole batches of one partition, as they stand in the log. */
export interface FetchedPartition {
  readonly topic: string
  readonly partition: PartitionId
  /** Where the reading was to begin: records before it, in the first batch, were seen before. */
  readonly fetchOffset: Offset
  /** Where the next poll goes on: one past the last record of what was fetched, left out or not. */
  readonly nextOffset: Offset
  /**
   * Whole record batches, a view that stays valid as long as it is held. With `read_committed` committed data only: no control
   * batches, nothing of aborted transactions, and so possibly nothing at all.
   */
  readonly records: Buffer
  readonly highWatermark: Offset
  readonly lastStableOffset: Offset
  readonly logStartOffset: Offset
}

/** The partition's ends as the last answer told them; -1 before the first. */
export interface PartitionEnds {
  readonly highWatermark: Offset
  readonly lastStableOffset: Offset
  readonly logStartOffset: Offset
}

/** Answers kept ahead per partition: one being worked on, one to go on with. */
const CHUNKS_AHEAD_MAX = 2

export class FetchPartition {
  readonly topic: string
  readonly partition: PartitionId
  /** Where the next poll begins. */
  position: Offset
  /** Where the next fetch begins; ahead of `position` by what is buffered. */
  fetchOffset: Offset
  ends: PartitionEnds = {
    highWatermark: asOffset(-1),
    lastStableOffset: asOffset(-1),
    logStartOffset: asOffset(-1),
  }
  isPaused = false
  /** Part of a fetch that is under way. */
  isFetching = false
  /** Waiting out a failure, looking for its leader, or for a valid offset. */
  isRecovering = false
  /** Failures since the last good answer. */
  failureCount = 0
  /** Why it cannot go on; told by `poll`, cleared by `seek`. */
  error: Error | null = null
  isErrorTold = false
  /** Raised when one batch is larger than the configured limit. */
  bytesMax: number
  /** When it was last part of a fetch, in fetches; the longest waiting goes first. */
  lastFetchSerial = 0
  #chunks: FetchedPartition[] = []

  constructor(topic: string, partition: PartitionId, offset: Offset, bytesMax: number) {
    this.topic = topic
    this.partition = partition
    this.position = offset
    this.fetchOffset = offset
    this.bytesMax = bytesMax
  }

  get hasChunks(): boolean {
    return this.#chunks.length > 0
  }

  /** True when nothing but the consumer's pace keeps it from being fetched. */
  get isFull(): boolean {
    return this.#chunks.length >= CHUNKS_AHEAD_MAX
  }

  get canFetch(): boolean {
    return !this.isPaused && !this.isFetching && !this.isRecovering && this.error === null && !this.isFull
  }

  push(chunk: FetchedPartition): void {
    this.#chunks.push(chunk)
    this.fetchOffset = chunk.nextOffset
  }

  /** The oldest answer; the position moves past it. */
  shift(): FetchedPartition | null {
    const chunk = this.#chunks.shift() ?? null
    if (chunk !== null) this.position = chunk.nextOffset
    return chunk
  }

  /** Goes to an offset, forgetting what was fetched ahead; returns how many bytes that was. */
  moveTo(offset: Offset): number {
    const droppedBytes = this.#chunks.reduce((bytes, chunk) => bytes + chunk.records.length, 0)
    this.#chunks = []
    this.position = offset
    this.fetchOffset = offset
    this.error = null
    this.isErrorTold = false
    this.failureCount = 0
    return droppedBytes
  }
}
