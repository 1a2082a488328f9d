/** One vault partition that this worker processes: how far it is, what it owes, what it has counted. */

import type { Offset, PartitionId } from '../core/brands.ts'
import type { PartitionEnricher } from '../enrichment/partition-enricher.ts'
import type { DebtTail } from './debt-tail.ts'

/** What a status shows of a partition. */
export interface PartitionProgress {
  readonly topic: string
  readonly partition: number
  /** The next offset to be processed. */
  readonly position: number
  /** One past the last record of the partition, as last heard; -1 before that. */
  readonly highWatermark: number
  /** Timestamp of the newest record processed; -1 before the first. */
  readonly reachedTimestampMs: number
  readonly lagRecords: number
  /** Age of the records being processed while there is lag; null when it is not known. */
  readonly lagSeconds: number | null
  readonly recordCount: number
  readonly eventCount: number
  readonly deadLetterCount: number
  /** Records that were not enriched fully, now owed or repaid since. */
  readonly debtRecordCount: number
}

/** What was made of a partition's records by this worker since it started. */
export interface PartitionCounts {
  readonly recordCount: number
  readonly eventCount: number
  readonly deadLetterCount: number
  readonly debtRecordCount: number
  /** Timestamp of the newest record processed; -1 before the first. */
  readonly reachedTimestampMs: number
}

export const NOTHING_COUNTED: PartitionCounts = {
  recordCount: 0,
  eventCount: 0,
  deadLetterCount: 0,
  debtRecordCount: 0,
  reachedTimestampMs: -1,
}

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
  readonly debt: DebtTail
  /** Grows each time the partition goes back to what is committed. */
  generation = 0
  /** The offset last committed: everything before it is accounted for, for ever. */
  committed: Offset
  /** The next offset to be processed. */
  position: Offset
  /** Set when the partition is being given up: nothing more is begun. */
  isLeaving = false
  /** Set between going back and fetching anew from there. */
  isRewinding = false
  /** A chunk of it is being processed right now. */
  isBusy = false
  /** Attempts in a row that failed because of an output of this partition. */
  failureCount = 0
  counts: PartitionCounts
  /** As of the last commit: going back undoes what was counted. */
  #committedCounts: PartitionCounts

  constructor(options: {
    topic: string
    partition: PartitionId
    stream: string
    enricher: PartitionEnricher
    debt: DebtTail
    start: Offset
    counts: PartitionCounts
  }) {
    this.topic = options.topic
    this.partition = options.partition
    this.stream = options.stream
    this.enricher = options.enricher
    this.debt = options.debt
    this.counts = options.counts
    this.#committedCounts = options.counts
    this.committed = options.start
    this.position = options.start
  }

  /** Something was processed that is not committed. */
  get hasProgress(): boolean {
    return this.position !== this.committed
  }

  /**
   * To be taken when a chunk arrives, and asked before it is worked on. A chunk from before a rewind would be lost records:
   *   1. Chunk B, which follows A, is handed out by the fetcher. 2. A's output fails; the partition goes back to before A.
   *   3. B is processed and committed. 4. Nobody ever processes A.
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
  count(made: Omit<PartitionCounts, 'reachedTimestampMs'>, reachedTimestampMs: number): void {
    const { counts } = this
    this.counts = {
      recordCount: counts.recordCount + made.recordCount,
      eventCount: counts.eventCount + made.eventCount,
      deadLetterCount: counts.deadLetterCount + made.deadLetterCount,
      debtRecordCount: counts.debtRecordCount + made.debtRecordCount,
      reachedTimestampMs,
    }
  }

  /**
   * What a commit of this moment stands for: to be called when all output of the records before the position was handed
   * over. `committed` is to be called when it has committed.
   */
  checkpoint() {
    const { position, counts } = this
    const { records, newest } = this.debt.take()
    const committed = () => {
      this.committed = position
      this.#committedCounts = counts
      this.debt.commit({ newest })
      this.failureCount = 0
    }
    return { position, records, committed }
  }

  /** Goes back to what is committed: nothing since then has happened. */
  rewind(): void {
    this.generation++
    this.position = this.committed
    this.counts = this.#committedCounts
    this.debt.revert()
    this.enricher.discard()
  }

  /** @param highWatermark as last heard, -1 when never. */
  progress(highWatermark: number, nowMs: number): PartitionProgress {
    const lagRecords = Math.max(0, highWatermark - this.position)
    const { reachedTimestampMs } = this.counts
    const isAgeKnown = reachedTimestampMs >= 0
    const ageSeconds = Math.max(0, nowMs - reachedTimestampMs) / 1_000
    return {
      topic: this.topic,
      partition: this.partition,
      position: this.position,
      highWatermark,
      lagRecords,
      lagSeconds: lagRecords === 0 ? 0 : isAgeKnown ? ageSeconds : null,
      ...this.counts,
    }
  }
}
