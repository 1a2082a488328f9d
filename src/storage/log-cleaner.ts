/**
 * Compacts a log, by the rules of Kafka's `Cleaner`: of each key the latest record stays, at its offset.
 *
 * One pass, over what is below the bound (the last stable offset, the segment that is written to, the minimum lag):
 * 1. Survey: the headers of the dirty part tell which transactions were aborted, and which are not decided below the bound.
 * 2. Map: the latest offset of each key of the dirty part, committed records only. When the map is full, the pass reaches
 *    only up to the record that found no room, and another one follows.
 * 3. Rewrite: all segments below the end of the map, in groups, oldest first. A record stays when the map knows no later
 *    one of its key; a tombstone, until its delete horizon; records of aborted transactions go at once. Each group is
 *    written beside the log and swapped in when it is whole.
 *
 * Why the oldest go first: a tombstone gets its horizon in a pass that has removed, durably, every older value of its
 * key. So however the process dies, no value comes back that a tombstone had removed.
 *
 * Departures from Kafka: a horizon is set, and passes, only below what the map covers and every undecided transaction (Kafka
 * may start the time of a tombstone whose older values are still there); a transaction is only compacted once its marker lies below the bound too; a log with
 * damage in it keeps its tombstones and markers, since an older value may be among what cannot be read, or not rewritten.
 */

import {
  attributesAt,
  BATCH_ATTRIBUTE,
  baseOffsetAt,
  batchBytesAt,
  lastOffsetAt,
  producerIdAt,
  recordCountAt,
} from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { isFailure } from '../core/errors.ts'
import type { LastOfProducer } from './batch-rules.ts'
import { BatchRules, markerTypeAt, outcomeAt } from './batch-rules.ts'
import type { Loss } from './checkpoint.ts'
import type { CleanBounds } from './clean-plan.ts'
import { cleanlinessOf, groupSegments } from './clean-plan.ts'
import type { CleanedSegment } from './cleaned-segment.ts'
import { CleanedSegmentWriter } from './cleaned-segment.ts'
import type { Compacted } from './compacted-batch.ts'
import { compactBatch } from './compacted-batch.ts'
import type { KeyHash } from './key-offsets.ts'
import { KeyOffsets } from './key-offsets.ts'
import type { Pace } from './pace.ts'
import { RECORDS_PER_QUESTION } from './pace.ts'
import type { Segment, SegmentContext } from './segment.ts'
import { walkSegment } from './segment-walk.ts'
import { TransactionSurvey } from './transaction-survey.ts'

export type { LastOfProducer } from './batch-rules.ts'

export interface CleanRequest extends Omit<CleanBounds, 'cleanedOffset'> {
  /** How long tombstones, and markers of vanished transactions, stay (`delete.retention.ms`). */
  readonly deleteRetentionMs: number
  /** Memory for the map of keys. */
  readonly keyBytesMax: number
  readonly keyHash: KeyHash
  /** Undefined for a producer that is not remembered any more. */
  lastOfProducer(producerId: number): LastOfProducer | undefined
  readonly pace: Pace
}

export interface CleanReport {
  readonly passCount: number
  readonly readBytes: number
  /** Bytes of segments that were replaced, and of those that took their place. */
  readonly replacedBytes: number
  readonly writtenBytes: number
  readonly removedRecords: number
  /** Records without a key, which a compacted topic cannot keep; a topic may get them before it is compacted. */
  readonly keylessRecords: number
  /** Batches that could not be decoded, and were kept as they are. */
  readonly unreadableBatches: number
  /** Offsets of abort markers that no record of their transaction is left before: nothing there is to be filtered. */
  readonly emptyAborts: readonly number[]
  /** Everything below is compacted now. */
  readonly cleanedOffset: Offset
}

/** What the cleaner needs of the log around it. */
export interface CleanableLog {
  readonly context: SegmentContext
  readonly segments: readonly Segment[]
  readonly losses: readonly Loss[]
  readonly cleanedOffset: Offset
  readonly segmentBytesMax: number
  /** Throws `GS_STOPPED` or `GS_STORAGE_FAILED` when the log cannot be changed any more. */
  assertWritable(): void
  /** Puts a written segment in the place of others; false when these have changed meanwhile. */
  swap(replaced: readonly Segment[], cleaned: CleanedSegment): Promise<boolean>
  /** Notes, durably, up to where the log is compacted. */
  noteCleaned(offset: Offset): Promise<void>
  /** Looks into a segment that was found damaged. */
  rescan(segment: Segment): Promise<void>
  /** Closes segments that no consumer reads, but for a few: a pass goes over all of them, and there may be thousands. */
  closeUnused(): Promise<void>
}

/** Compacts until all below the bound is clean, or nothing more can be done now. */
export async function cleanLog(log: CleanableLog, request: CleanRequest): Promise<CleanReport> {
  return new LogCleaner(log, request).run()
}

class LogCleaner {
  readonly #log: CleanableLog
  readonly #request: CleanRequest
  readonly #cursor = new RecordCursor()
  readonly #emptyAborts = new Set<number>()
  readonly #counts = {
    passCount: 0,
    readBytes: 0,
    replacedBytes: 0,
    writtenBytes: 0,
    removedRecords: 0,
    keylessRecords: 0,
    unreadableBatches: 0,
  }

  constructor(log: CleanableLog, request: CleanRequest) {
    this.#log = log
    this.#request = request
  }

  async run(): Promise<CleanReport> {
    // Each pass but the last one ends where the map was full; one that gets no further is the last.
    while (await this.#pass()) this.#log.assertWritable()
    return {
      ...this.#counts,
      emptyAborts: [...this.#emptyAborts].sort((left, right) => left - right),
      cleanedOffset: this.#log.cleanedOffset,
    }
  }

  /** One pass; true when another one can get further. */
  async #pass(): Promise<boolean> {
    const { cleanedOffset } = this.#log
    const segments = this.#log.segments.slice(0, -1)
    const bounds = { ...this.#request, cleanedOffset }
    const { firstDirtyOffset, endOffset } = cleanlinessOf(this.#log.segments, bounds)
    if (endOffset <= firstDirtyOffset) return false
    this.#counts.passCount += 1
    const survey = new TransactionSurvey()
    const dirty = segments.filter(
      (segment) => segment.endOffset > firstDirtyOffset && segment.baseOffset < endOffset,
    )
    if (!(await this.#survey(dirty, survey, { firstDirtyOffset, endOffset }))) return false
    const map = new KeyOffsets({ bytesMax: this.#request.keyBytesMax })
    const mapEnd = await this.#map(dirty, { survey, map, firstDirtyOffset, endOffset })
    if (mapEnd === null) return false
    const covered = segments.filter((segment) => segment.baseOffset < mapEnd)
    const decidedEnd = asOffset(Math.min(mapEnd, survey.firstUndecidedOffset))
    const mayExpire = this.#isUndamaged(covered)
    const rules = new BatchRules({ ...this.#request, survey, map, mapEnd, decidedEnd, mayExpire })
    if (!(await this.#rewrite(covered, rules))) return false
    if (decidedEnd > cleanedOffset) await this.#log.noteCleaned(decidedEnd)
    return mapEnd < endOffset && decidedEnd > firstDirtyOffset
  }

  #isUndamaged(segments: readonly Segment[]): boolean {
    const end = segments.at(-1)?.endOffset ?? 0
    const isLost = this.#log.losses.some((loss) => loss.toOffset > loss.fromOffset && loss.fromOffset < end)
    return !isLost && segments.every((segment) => segment.holes.length === 0)
  }

  async #survey(
    dirty: readonly Segment[],
    survey: TransactionSurvey,
    range: { firstDirtyOffset: number; endOffset: number },
  ): Promise<boolean> {
    let endBefore = dirty[0]?.baseOffset ?? 0
    for (const segment of dirty) {
      if (segment.baseOffset > endBefore) survey.damage(segment.baseOffset)
      endBefore = segment.endOffset
      const isWhole = await this.#walk(segment, {
        visit: (bytes, at) => {
          if (lastOffsetAt(bytes, at) < range.firstDirtyOffset) return true
          if (baseOffsetAt(bytes, at) >= range.endOffset) return false
          const attributes = attributesAt(bytes, at)
          if ((attributes & BATCH_ATTRIBUTE.transactional) === 0) return true
          const producerId = producerIdAt(bytes, at)
          if ((attributes & BATCH_ATTRIBUTE.control) === 0) {
            survey.data(producerId, baseOffsetAt(bytes, at))
          } else {
            const type = markerTypeAt(this.#cursor, bytes, at)
            if (type !== 'other')
              survey.marker(producerId, { isCommit: type === 'commit', offset: baseOffsetAt(bytes, at) })
          }
          return true
        },
        skipHole: (hole) => survey.damage(hole.toOffset),
      })
      if (!isWhole) return false
    }
    return true
  }

  /** Fills the map; resolves with the offset up to which it covers the log, or null when damage was met. */
  async #map(
    dirty: readonly Segment[],
    work: { survey: TransactionSurvey; map: KeyOffsets; firstDirtyOffset: number; endOffset: Offset },
  ): Promise<Offset | null> {
    const { survey, map, firstDirtyOffset } = work
    const cursor = this.#cursor
    let mapEnd = work.endOffset
    for (const segment of dirty) {
      const isWhole = await this.#walk(segment, {
        visit: async (bytes, at) => {
          if (lastOffsetAt(bytes, at) < firstDirtyOffset) return true
          if (baseOffsetAt(bytes, at) >= mapEnd) return false
          if (outcomeAt(survey, bytes, at) !== 'committed') return true
          if (!this.#open(bytes, at)) return true
          while (this.#next()) {
            if (cursor.recordIndex % RECORDS_PER_QUESTION === 0 && this.#request.pace.isDue())
              await this.#request.pace.pause()
            if (cursor.keyStart === -1 || cursor.offset < firstDirtyOffset) continue
            if (cursor.offset >= mapEnd) return false
            this.#request.keyHash.hash(cursor.bytes, cursor.keyStart, cursor.keyEnd)
            if (map.put(this.#request.keyHash, cursor.offset)) continue
            mapEnd = cursor.offset
            return false
          }
          return true
        },
        skipHole: () => {},
      })
      if (!isWhole) return null
      if (segment.endOffset >= mapEnd) break
    }
    return mapEnd
  }

  /** Rewrites the groups in order; false when it had to stop. */
  async #rewrite(covered: readonly Segment[], rules: BatchRules): Promise<boolean> {
    const groups = groupSegments(covered, { segmentBytesMax: this.#log.segmentBytesMax })
    const groupOf = new Map(groups.map((group) => [group[0], group]))
    for (const segment of covered) {
      const group = groupOf.get(segment)
      if (group !== undefined && !(await this.#rewriteGroup(group, rules))) return false
      // Damaged segments stay as they are; what they hold of transactions still counts.
      if (segment.holes.length > 0) {
        const isWhole = await this.#walk(segment, {
          visit: (bytes, at) => {
            rules.pass(this.#cursor, bytes, at)
            return true
          },
          skipHole: () => {},
        })
        if (!isWhole) return false
      }
    }
    for (const offset of rules.emptyAborts) this.#emptyAborts.add(offset)
    return true
  }

  async #rewriteGroup(group: readonly Segment[], rules: BatchRules): Promise<boolean> {
    const first = group[0] as Segment
    const last = group.at(-1) as Segment
    const { disk } = this.#log.context
    const writer = await CleanedSegmentWriter.create(this.#log.context, first.baseOffset)
    const removedBefore = this.#counts.removedRecords
    let isChanged = group.length > 1
    let isSwapped = false
    try {
      for (const segment of group) {
        const isWhole = await this.#walk(segment, {
          visit: async (bytes, at) => {
            const kept = await this.#compact(bytes, at, rules)
            if (kept.isChanged) isChanged = true
            if (kept.bytes !== null) await writer.add(kept.bytes)
            return true
          },
          skipHole: () => {},
        })
        if (!isWhole) return false
      }
      if (!isChanged) return true
      const cleaned = await writer.finish(last.endOffset)
      this.#log.assertWritable()
      isSwapped = await this.#log.swap(group, cleaned)
      if (!isSwapped) return false
      this.#counts.writtenBytes += cleaned.bytes
      for (const segment of group) this.#counts.replacedBytes += segment.bytes
      return true
    } finally {
      if (!isSwapped) {
        this.#counts.removedRecords = removedBefore
        await writer.abandon()
        // Not needed for anything; and the next start removes what is left.
        await disk.unlink(writer.path).catch(() => {})
      }
    }
  }

  async #compact(bytes: Buffer, at: number, rules: BatchRules): Promise<Compacted> {
    const recordCount = recordCountAt(bytes, at)
    const asItIs = {
      bytes: bytes.subarray(at, at + batchBytesAt(bytes, at)),
      keptCount: recordCount,
      isChanged: false,
    }
    if (!rules.begin(this.#cursor, bytes, at)) return asItIs
    try {
      const tools = { cursor: this.#cursor, pace: this.#request.pace }
      const compacted = await compactBatch(bytes, at, rules, tools)
      this.#counts.removedRecords += recordCount - compacted.keptCount
      this.#counts.keylessRecords += rules.keylessCount
      return compacted
    } catch (error) {
      if (!isUndecodable(error)) throw error
      this.#counts.unreadableBatches += 1
      return asItIs
    }
  }

  /** Goes through a segment; false when it is damaged, or gone. */
  async #walk(segment: Segment, walk: Omit<Parameters<typeof walkSegment>[2], 'pace'>): Promise<boolean> {
    try {
      const isWhole = await segment.use((file) =>
        walkSegment(file, segment, {
          pace: this.#request.pace,
          visit: (bytes, at) => {
            this.#log.assertWritable()
            this.#counts.readBytes += batchBytesAt(bytes, at)
            return walk.visit(bytes, at)
          },
          skipHole: walk.skipHole,
        }),
      )
      if (!isWhole && !segment.isRemoved) await this.#log.rescan(segment)
      return isWhole
    } catch (error) {
      // Retention took it meanwhile: then this pass is over, and the next one begins behind it.
      if (segment.isRemoved && isFailure(error, 'GS_STORAGE_FAILED')) return false
      throw error
    } finally {
      await this.#log.closeUnused()
    }
  }

  /** Stored as it came, and not to be decoded: such a batch stays. */
  #open(bytes: Buffer, at: number): boolean {
    try {
      this.#cursor.open(bytes, at)
      return true
    } catch (error) {
      if (isUndecodable(error)) return false
      throw error
    }
  }

  #next(): boolean {
    try {
      return this.#cursor.next()
    } catch (error) {
      if (isUndecodable(error)) return false
      throw error
    }
  }
}

/** A batch whose records cannot be decoded, as opposed to a disk that refuses. */
function isUndecodable(error: unknown): boolean {
  return isFailure(error) && error.code.startsWith('GS_BATCH_')
}
