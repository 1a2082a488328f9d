/**
 * The reading side of a `PartitionLog`: finds the segment, goes on where an earlier read ended, and deals with what it
 * meets on the way: a segment that retention took meanwhile, one that somebody deleted, and damage, which is looked into by
 * a rescan, copied to the quarantine, written down, and stepped over.
 */

import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { errnoOf } from '../core/disk.ts'
import { isFailure } from '../core/errors.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { quarantineHole } from './log-recovery.ts'
import type { Quarantine } from './quarantine.ts'
import type { Segment } from './segment.ts'
import type { SegmentList } from './segment-list.ts'
import { StorageError } from './storage-error.ts'
import type { FoundTimestamp } from './timestamp-search.ts'
import { findTimestampInBatches, latestInBatches } from './timestamp-search.ts'

/** Ends of recent reads that are remembered, so that a consumer's next read starts at its byte. */
const READ_HINTS_MAX = 8
/** Bytes read at a time while looking for a timestamp. */
const TIMESTAMP_READ_BYTES = 256 * 1024
/** A read that keeps meeting damage after this many rescans is refused: the disk does not give the same bytes twice. */
const RESCANS_PER_READ_MAX = 3

/** What the reader needs of the log around it. */
export interface ReadableLog {
  readonly logStartOffset: Offset
  readonly durableEndOffset: Offset
  /** Throws `GS_STOPPED` when the log is closed. */
  assertOpen(): void
  /** Throws `GS_STORAGE_OFFSET_OUT_OF_RANGE`. */
  assertInRange(offset: Offset): void
  /** Writes newly found damage down, so that the next start knows it. Does not reject. */
  noteDamage(): Promise<void>
}

export interface LogRead {
  readonly fromOffset: number
  readonly endOffset: number
  readonly bytesMax: number
  readonly isFirstAlwaysPicked: boolean
}

interface ReadHint {
  readonly offset: number
  readonly segment: Segment
  readonly position: number
}

export class LogReader {
  readonly #log: ReadableLog
  readonly #segments: SegmentList
  readonly #context: { quarantine: Quarantine; diagnostics: Diagnostics; directory: string }
  #hints: ReadHint[] = []

  constructor(
    log: ReadableLog,
    segments: SegmentList,
    context: { quarantine: Quarantine; diagnostics: Diagnostics; directory: string },
  ) {
    this.#log = log
    this.#segments = segments
    this.#context = context
  }

  /** Whole checked batches of one segment; empty when there are none in the wanted range. */
  async read(wanted: LogRead): Promise<Buffer> {
    let read = wanted
    let rescanCount = 0
    while (read.fromOffset < read.endOffset) {
      this.#log.assertOpen()
      const segment = this.#segments.find(read.fromOffset)
      if (segment === null) return EMPTY
      const fromOffset = Math.max(read.fromOffset, segment.baseOffset)
      const position = this.#takeHint(fromOffset, segment)
      const result = await this.#with(segment, () => segment.read({ ...read, fromOffset, position }))
      if (result === 'gone') {
        this.#log.assertInRange(asOffset(read.fromOffset))
        continue
      }
      if (result === 'damaged') {
        // It was replaced while it was read, and its name may be another file's by now.
        if (segment.isRemoved) {
          this.#log.assertInRange(asOffset(read.fromOffset))
          continue
        }
        rescanCount += 1
        if (rescanCount > RESCANS_PER_READ_MAX) throw unsteady(segment, read.fromOffset)
        await this.rescan(segment)
        continue
      }
      if (result.bytes.length > 0) {
        this.#hints.push({ offset: result.nextOffset, segment, position: result.nextPosition })
        if (this.#hints.length > READ_HINTS_MAX) this.#hints.shift()
        return result.bytes
      }
      // Nothing more in this segment: go on behind it, unless it is the last or the wanted range ended inside it.
      if (segment === this.#segments.last || result.nextOffset < segment.endOffset) return EMPTY
      if (segment.endOffset <= read.fromOffset) return EMPTY
      read = { ...read, fromOffset: segment.endOffset }
    }
    return EMPTY
  }

  /** The first visible record at or after `timestampMs`, or null when all are older. */
  async findTimestamp(timestampMs: number): Promise<FoundTimestamp | null> {
    let endBefore = -1
    // Each turn takes the next segment of the list as it is then: it changes while a segment is read.
    for (;;) {
      this.#log.assertOpen()
      const segment = this.#segments.all.find(
        ({ endOffset, maxTimestamp }) =>
          endOffset > Math.max(endBefore, this.#log.logStartOffset) && maxTimestamp >= timestampMs,
      )
      if (segment === undefined) return null
      const found = await this.#findTimestampIn(segment, timestampMs)
      if (found !== null) return found
      if (!segment.isRemoved) endBefore = segment.endOffset
    }
  }

  /** The first visible record that has the latest timestamp, or null when there is none; goes through segments if it must. */
  async findLatest(): Promise<FoundTimestamp | null> {
    let latest = -1
    const latestFirst = [...this.#segments.all].sort((one, other) => other.maxTimestamp - one.maxTimestamp)
    for (const segment of latestFirst) {
      if (segment.maxTimestamp <= latest) break
      const found = await this.#findTimestampIn(segment, segment.maxTimestamp)
      latest = found === null ? await this.#latestIn(segment, latest) : Math.max(latest, found.timestamp)
    }
    return latest < 0 ? null : this.findTimestamp(latest)
  }

  /** The latest timestamp of the segment's visible records, when it is later than `latestMs`; else that. */
  async #latestIn(segment: Segment, latestMs: number): Promise<number> {
    let latest = latestMs
    let offset = Math.max(segment.baseOffset, this.#log.logStartOffset)
    while (offset < segment.endOffset) {
      const batches = await this.#readForTime(offset)
      if (batches.length === 0) break
      const search = latestInBatches(batches, { latestMs: latest, fromOffset: offset })
      latest = search.latestMs
      offset = search.nextOffset
    }
    return latest
  }

  #readForTime(fromOffset: number): Promise<Buffer> {
    const endOffset = this.#log.durableEndOffset
    return this.read({ fromOffset, endOffset, bytesMax: TIMESTAMP_READ_BYTES, isFirstAlwaysPicked: true })
  }

  async #findTimestampIn(segment: Segment, timestampMs: number): Promise<FoundTimestamp | null> {
    let from = await this.#with(segment, () => segment.seekTimestamp(timestampMs))
    if (from === 'damaged') {
      await this.rescan(segment)
      from = await this.#with(segment, () => segment.seekTimestamp(timestampMs))
    }
    if (from === 'gone' || segment.isRemoved) return null
    // Still damaged: then the whole segment is read instead.
    if (from === 'damaged') from = segment.baseOffset
    let offset = Math.max(from, this.#log.logStartOffset)
    while (offset < segment.endOffset) {
      const batches = await this.#readForTime(offset)
      if (batches.length === 0) return null
      const search = findTimestampInBatches(batches, { timestampMs, fromOffset: offset })
      if (search.found !== null) return search.found
      offset = search.nextOffset
    }
    return null
  }

  /** Uses a segment whose file may be gone by now. */
  async #with<Value>(segment: Segment, run: () => Promise<Value>): Promise<Value | 'gone'> {
    try {
      return await run()
    } catch (error) {
      if (isFailure(error) && errnoOf(error.cause) === 'ENOENT') {
        // Retention took it between choosing and opening it, or somebody deleted the file behind our back.
        if (!segment.isRemoved) await this.#noteVanished(segment)
        return 'gone'
      }
      throw readFailure(segment, error)
    } finally {
      if (segment !== this.#segments.last) await this.#segments.closeUnused(segment)
    }
  }

  #takeHint(offset: number, segment: Segment): number | null {
    const index = this.#hints.findIndex((hint) => hint.offset === offset && hint.segment === segment)
    if (index === -1) return null
    const [hint] = this.#hints.splice(index, 1)
    return hint?.position ?? null
  }

  /** Finds out what is whole in a segment that was found damaged, keeps a copy of what is not, and writes it down. */
  async rescan(segment: Segment): Promise<void> {
    this.#hints = this.#hints.filter((hint) => hint.segment !== segment)
    const fresh = await segment.rescan()
    // What has been replaced was whole when it was: its name may be another file's by now.
    if (fresh.length === 0 || segment.isRemoved) return
    for (const hole of fresh) {
      const kept = await quarantineHole(this.#context, segment, hole)
      segment.holes = segment.holes.map((known) => (known.position === kept.position ? kept : known))
    }
    await this.#log.noteDamage()
  }

  async #noteVanished(segment: Segment): Promise<void> {
    const loss = {
      fromOffset: segment.baseOffset,
      toOffset: segment.endOffset,
      path: segment.path,
      bytes: segment.bytes,
      reason: 'missing segment file',
    }
    this.#segments.drop(segment, loss)
    const { diagnostics } = this.#context
    diagnostics.warn({ ...loss }, 'damage found: these offsets cannot be read, all others can')
    await this.#log.noteDamage()
  }
}

const EMPTY = Buffer.alloc(0)

function unsteady(segment: Segment, offset: number): StorageError {
  return new StorageError(
    'GS_STORAGE_CORRUPT',
    `${segment.path} gives other bytes each time it is read near offset ${offset}; check the disk.`,
    { facts: { path: segment.path, offset } },
  )
}

function readFailure(segment: Segment, error: unknown): unknown {
  // What carries no errno does not come from the disk: a failure of ours, or a bug.
  if (isFailure(error) || errnoOf(error) === null) return error
  return new StorageError(
    'GS_STORAGE_FAILED',
    `Reading ${segment.path} failed; it may succeed when tried again.`,
    {
      cause: error,
      retriable: true,
      facts: { path: segment.path },
    },
  )
}
