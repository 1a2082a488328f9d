/**
 * What the cleaner's rewrite decides, batch by batch, in the order of the offsets: Kafka's `checkBatchRetention` and
 * `shouldRetainRecord`. One object serves a whole pass; `begin` turns it to the next batch, and nothing is made per record.
 */

import { decodeControlRecord } from '../batch/control-batch.ts'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  baseOffsetAt,
  deleteHorizonAt,
  lastOffsetAt,
  producerEpochAt,
  producerIdAt,
  recordCountAt,
} from '../batch/record-batch.ts'
import type { RecordCursor } from '../batch/record-cursor.ts'
import type { CompactionRules } from './compacted-batch.ts'
import type { KeyHash, KeyOffsets } from './key-offsets.ts'
import type { TransactionOutcome, TransactionSurvey } from './transaction-survey.ts'
import { TransactionTrail } from './transaction-survey.ts'

/** What a producer last did in the log, so that its sequence and epoch survive in it. */
export interface LastOfProducer {
  /** Base offset of its last data batch, or -1 when only a marker is left. */
  readonly baseOffset: number
  readonly epoch: number
}

export interface BatchRulesOptions {
  readonly nowMs: number
  readonly deleteRetentionMs: number
  readonly keyHash: KeyHash
  readonly map: KeyOffsets
  /** The map covers what is below; records at or above it stay. */
  readonly mapEnd: number
  /**
   * Below it everything is covered and decided, which may be less: the time of a tombstone must not run while an older value waits for its
   * transaction. 1. v is written in a transaction. 2. A tombstone follows. 3. The tombstone's time passes, and it goes. 4. The
   * transaction commits, and v is back.
   */
  readonly decidedEnd: number
  /** False while older values may lie where nobody can remove them: then no tombstone or marker goes. */
  readonly mayExpire: boolean
  readonly survey: TransactionSurvey
  lastOfProducer(producerId: number): LastOfProducer | undefined
}

export class BatchRules implements CompactionRules {
  /** Offsets of abort markers that no data of their transaction was met before. */
  readonly emptyAborts: number[] = []
  isMarker = false
  isKeptEmpty = false
  newHorizonMs: number | null = null
  /** Records of the present batch that go for want of a key. */
  keylessCount = 0
  readonly #options: BatchRulesOptions
  readonly #trail = new TransactionTrail()
  #isAborted = false
  #isExpired = false

  constructor(options: BatchRulesOptions) {
    this.#options = options
  }

  /** Turns to the next batch; false when it stays as it is. The cursor is only borrowed. */
  begin(cursor: RecordCursor, bytes: Buffer, at: number): boolean {
    const { survey, mapEnd, decidedEnd, mayExpire, nowMs, deleteRetentionMs } = this.#options
    const isEmptyMarker = this.pass(cursor, bytes, at)
    if (baseOffsetAt(bytes, at) >= mapEnd) return false
    const horizonMs = deleteHorizonAt(bytes, at)
    const isCovered = mayExpire && lastOffsetAt(bytes, at) < decidedEnd
    this.newHorizonMs = isCovered ? nowMs + deleteRetentionMs : null
    this.#isExpired = isCovered && horizonMs !== null && horizonMs <= nowMs
    this.isMarker = isControlAt(bytes, at)
    this.isKeptEmpty = this.#isLastOfProducer(bytes, at)
    this.keylessCount = 0
    this.#isAborted = false
    if (this.isMarker) return isEmptyMarker && isCovered
    const outcome = outcomeAt(survey, bytes, at)
    this.#isAborted = outcome === 'aborted'
    return outcome !== 'undecided'
  }

  /** Notes a batch that stays, whatever it is. True for a marker without anything left of its transaction. */
  pass(cursor: RecordCursor, bytes: Buffer, at: number): boolean {
    if (!isTransactionalAt(bytes, at)) return false
    const producerId = producerIdAt(bytes, at)
    if (!isControlAt(bytes, at)) {
      this.#trail.data(producerId)
      return false
    }
    // An earlier pass has emptied it, and keeps it for its producer's sake only.
    if (recordCountAt(bytes, at) === 0) return true
    const type = markerTypeAt(cursor, bytes, at)
    if (type === 'other') return false
    const isLast = this.#trail.isLastAtMarker(producerId)
    if (isLast && type === 'abort') this.emptyAborts.push(baseOffsetAt(bytes, at))
    return isLast
  }

  keeps(cursor: RecordCursor): boolean {
    if (this.#isAborted) return false
    if (this.isMarker) return !this.#isExpired
    const { map, mapEnd, keyHash } = this.#options
    if (cursor.offset >= mapEnd) return true
    if (cursor.keyStart === -1) {
      this.keylessCount += 1
      return false
    }
    keyHash.hash(cursor.bytes, cursor.keyStart, cursor.keyEnd)
    if (map.get(keyHash) > cursor.offset) return false
    return cursor.valueStart !== -1 || !this.#isExpired
  }

  /** Sequence numbers and epochs are rebuilt from the log: the last batch that tells them stays, if only as a header. */
  #isLastOfProducer(bytes: Buffer, at: number): boolean {
    const producerId = producerIdAt(bytes, at)
    if (producerId < 0) return false
    const last = this.#options.lastOfProducer(producerId)
    if (last === undefined) return false
    if (this.isMarker) return last.baseOffset === -1 && last.epoch === producerEpochAt(bytes, at)
    return last.baseOffset === baseOffsetAt(bytes, at)
  }
}

/** What became of the batch at `at`; one that belongs to no transaction counts as committed. */
export function outcomeAt(survey: TransactionSurvey, bytes: Buffer, at: number): TransactionOutcome {
  if (!isTransactionalAt(bytes, at) || isControlAt(bytes, at)) return 'committed'
  return survey.outcomeOf(producerIdAt(bytes, at), baseOffsetAt(bytes, at))
}

/** Which marker a control batch holds; `other` for one of a newer Kafka, or one that cannot be decoded. */
export function markerTypeAt(cursor: RecordCursor, bytes: Buffer, at: number): 'commit' | 'abort' | 'other' {
  try {
    cursor.open(bytes, at)
    if (!cursor.next()) return 'other'
    const { type } = decodeControlRecord(cursor.keyBytes(), cursor.valueBytes())
    return type === 'unknown' ? 'other' : type
  } catch {
    return 'other'
  }
}

export function isControlAt(bytes: Buffer, at: number): boolean {
  return (attributesAt(bytes, at) & BATCH_ATTRIBUTE.control) !== 0
}

export function isTransactionalAt(bytes: Buffer, at: number): boolean {
  return (attributesAt(bytes, at) & BATCH_ATTRIBUTE.transactional) !== 0
}
