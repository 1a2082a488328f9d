/** One vault partition that this worker processes: how far it is, what is out and not yet durable, what it has counted. */

import type { Offset, PartitionId } from '../core/brands.ts'
import type { OutputBatch } from '../enrichment/output-batch.ts'
import type { PartitionEnricher } from '../enrichment/partition-enricher.ts'
import { OutputTracker } from './output-tracker.ts'

/** What a status shows of a partition. */
export interface PartitionProgress {
  readonly topic: string
  readonly partition: number
  /** The next offset to be enriched. */
  readonly position: number
  readonly lagRecords: number
  /** Age of the records being enriched while there is lag; null when it is not known. */
  readonly lagSeconds: number | null
  readonly recordCount: number
  readonly eventCount: number
  readonly deadLetterCount: number
}

/** What was made of a partition's records by this worker since it started. */
export interface PartitionCounts {
  readonly eventCount: number
  readonly deadLetterCount: number
  /** Timestamp of the newest record processed; -1 before the first. */
  readonly reachedTimestampMs: number
}

export const NOTHING_COUNTED: PartitionCounts = { eventCount: 0, deadLetterCount: 0, reachedTimestampMs: -1 }

/** The right to work on a chunk that was fetched for the partition as it was. */
export interface PartitionClaim {
  readonly assigned: AssignedPartition
  /** False once the partition has gone back or is being given up: then the chunk does not follow on from its position. */
  isCurrent(): boolean
}

export class AssignedPartition {
  readonly topic: string
  readonly partition: PartitionId
  readonly stream: string
  readonly enricher: PartitionEnricher
  /** Output batches made and not yet handed to the producer. */
  readonly outputs: OutputBatch[]
  /** Replaced, with a new generation, when the partition goes back to its last durable output. */
  tracker: OutputTracker
  generation = 0
  /** The offset last committed. */
  committed: Offset
  /** The next offset to be enriched. */
  position: Offset
  /** Set when the partition is being given up: nothing more is begun. */
  isLeaving = false
  /** Set between going back and fetching anew from there. */
  isRewinding = false
  /** A chunk of it is being enriched right now. */
  isBusy = false
  /** Output batches sent and not settled. */
  sendCount = 0
  rewindCount = 0
  counts: PartitionCounts

  constructor(options: {
    topic: string
    partition: PartitionId
    stream: string
    enricher: PartitionEnricher
    outputs: OutputBatch[]
    start: Offset
    counts: PartitionCounts
  }) {
    this.topic = options.topic
    this.partition = options.partition
    this.stream = options.stream
    this.enricher = options.enricher
    this.outputs = options.outputs
    this.counts = options.counts
    this.committed = options.start
    this.position = options.start
    this.tracker = new OutputTracker(options.start)
  }

  /**
   * To be taken when a chunk arrives, and asked before it is worked on. A chunk from before a rewind would be lost records:
   *   1. Chunk B, which follows A, is handed out by the fetcher. 2. A's output fails; the partition goes back to before A.
   *   3. B is enriched and durable, so B's end may be committed. 4. The process dies; the successor starts behind A.
   */
  claim(): PartitionClaim {
    const { generation } = this
    const isStale = this.isRewinding
    return {
      assigned: this,
      isCurrent: () => !isStale && this.generation === generation && !this.isLeaving,
    }
  }

  /** Adds what was made of one more batch, whose newest record has the given timestamp. */
  count(made: { eventCount: number; deadLetterCount: number }, reachedTimestampMs: number): void {
    this.counts = {
      eventCount: this.counts.eventCount + made.eventCount,
      deadLetterCount: this.counts.deadLetterCount + made.deadLetterCount,
      reachedTimestampMs,
    }
  }

  /** Begins anew at an offset: what is out from before no longer counts towards what may be committed. */
  restartAt(offset: Offset): void {
    this.generation++
    this.tracker = new OutputTracker(offset)
    this.position = offset
    this.enricher.discard()
  }

  /** @param highWatermark as last heard, -1 when never. */
  progress(highWatermark: number, nowMs: number): PartitionProgress {
    const lagRecords = Math.max(0, highWatermark - this.position)
    const { eventCount, deadLetterCount, reachedTimestampMs } = this.counts
    const isAgeKnown = reachedTimestampMs >= 0
    const ageSeconds = Math.max(0, nowMs - reachedTimestampMs) / 1_000
    return {
      topic: this.topic,
      partition: this.partition,
      position: this.position,
      lagRecords,
      lagSeconds: lagRecords === 0 ? 0 : isAgeKnown ? ageSeconds : null,
      recordCount: eventCount + deadLetterCount,
      eventCount,
      deadLetterCount,
    }
  }
}
