/**
 * Reads a segment from front to back and tells what is whole: for recovery, for rebuilding indexes, and when a read met
 * damage. Never throws for any bytes, only when the disk refuses.
 *
 * A batch belongs here when its CRC holds *and* its base offset is the one that must come next: the base offset lies
 * outside the CRC, so only the sequence can tell that it is damaged, or that a stale copy of an older batch came back. And it
 * carries the log's tag (`log-tag.ts`): a batch within a record's value, or in a block of a file that is gone, does not.
 *
 * After damage the scan looks for the next batch where the damaged header says that its batch ends, then byte by byte. Only batches with offsets at or above the expected one count. What was stepped over is a hole;
 * what follows the last whole batch is the caller's to judge, as a torn tail or as damage.
 */

import {
  baseOffsetAt,
  batchBytesAt,
  isBatchIntact,
  lastOffsetDeltaAt,
  partitionLeaderEpochAt,
  RECORD_BATCH_HEADER_BYTES,
  RECORD_BATCH_MAGIC,
  RECORD_BATCH_PREFIX_BYTES,
} from '../batch/record-batch.ts'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import type { DiskFile } from '../core/disk.ts'
import { FileWindow } from './file-window.ts'
import { IndexBuilder, indexedTimestampAt } from './index-builder.ts'
import { isTagOf } from './log-tag.ts'
import { RELATIVE_OFFSET_MAX, STORED_BATCH_BYTES_MAX } from './segment-format.ts'

/** Where the magic byte is in a batch; the search for the next batch starts from it. */
const MAGIC_AT = 16
/**
 * Bytes put through the CRC in one scan's searches. Bytes made to look like many overlapping batches could otherwise
 * hold up a start for hours; at the limit the rest of the segment counts as damaged (and stays where it is).
 */
const SEARCH_CRC_BYTES_MAX = 4 * 1024 * 1024 * 1024

/** A run of bytes without whole batches, with whole batches after it. */
export interface ScannedHole {
  readonly position: number
  readonly bytes: number
  readonly fromOffset: Offset
  readonly toOffset: Offset
}

export interface SegmentScan {
  /** One past the last byte of the last whole batch; 0 when there is none. */
  readonly endPosition: number
  /** One past the last offset of the last whole batch; the base offset when there is none. */
  readonly endOffset: Offset
  readonly batchCount: number
  readonly holes: readonly ScannedHole[]
  readonly indexes: IndexBuilder
}

export interface ScanOptions {
  readonly baseOffset: Offset
  /** Bytes from here on are not looked at. */
  readonly endPosition: number
  readonly indexIntervalBytes: number
  /** What the log's batches carry (`log-tag.ts`). */
  readonly tag: number
}

/** Scans `file` from its first byte. */
export function scanSegment(file: DiskFile, options: ScanOptions): Promise<SegmentScan> {
  return new SegmentScanner(file, options).run()
}

class SegmentScanner {
  readonly #options: ScanOptions
  readonly #window: FileWindow
  readonly #indexes: IndexBuilder
  readonly #holes: ScannedHole[] = []
  #searchBytesLeft = SEARCH_CRC_BYTES_MAX

  constructor(file: DiskFile, options: ScanOptions) {
    this.#options = options
    this.#window = new FileWindow(file, options.endPosition)
    this.#indexes = IndexBuilder.empty(options.baseOffset, options.indexIntervalBytes)
  }

  async run(): Promise<SegmentScan> {
    let position = 0
    let expected: number = this.#options.baseOffset
    let batchCount = 0
    while (position < this.#options.endPosition) {
      const batchBytes = await this.#intactBytesAt(position)
      if (batchBytes > 0 && this.#baseOffsetAt(position) === expected) {
        expected = this.#take(position, batchBytes)
        position += batchBytes
        batchCount += 1
        continue
      }
      const next = await this.#findNext(position, expected)
      if (next === -1) break
      await this.#intactBytesAt(next)
      const toOffset = asOffset(this.#baseOffsetAt(next))
      this.#holes.push({ position, bytes: next - position, fromOffset: asOffset(expected), toOffset })
      position = next
      expected = toOffset
    }
    return {
      endPosition: position,
      endOffset: asOffset(expected),
      batchCount,
      holes: this.#holes,
      indexes: this.#indexes,
    }
  }

  /** Notes the whole batch at `position`, which is in the window; returns the offset that must come next. */
  #take(position: number, batchBytes: number): number {
    const at = position - this.#window.start
    const lastOffset = this.#baseOffsetAt(position) + lastOffsetDeltaAt(this.#window.bytes, at)
    this.#indexes.add({
      lastOffset,
      position,
      bytes: batchBytes,
      maxTimestamp: indexedTimestampAt(this.#window.bytes, at),
    })
    return lastOffset + 1
  }

  #baseOffsetAt(position: number): number {
    return baseOffsetAt(this.#window.bytes, position - this.#window.start)
  }

  /** The length of the whole batch at `position`, now in the window, or 0 when none is there. */
  async #intactBytesAt(position: number): Promise<number> {
    if ((await this.#window.load(position, RECORD_BATCH_PREFIX_BYTES)) < RECORD_BATCH_PREFIX_BYTES) return 0
    const batchBytes = batchBytesAt(this.#window.bytes, position - this.#window.start)
    const bytesMax = Math.min(STORED_BATCH_BYTES_MAX, this.#options.endPosition - position)
    if (batchBytes < RECORD_BATCH_HEADER_BYTES || batchBytes > bytesMax) return 0
    if ((await this.#window.load(position, batchBytes)) < batchBytes) return 0
    const at = position - this.#window.start
    if (!isTagOf(this.#options.tag, partitionLeaderEpochAt(this.#window.bytes, at))) return 0
    if (!isBatchIntact(this.#window.bytes, at, at + batchBytes)) return 0
    const relativeLast =
      this.#baseOffsetAt(position) - this.#options.baseOffset + lastOffsetDeltaAt(this.#window.bytes, at)
    return relativeLast <= RELATIVE_OFFSET_MAX ? batchBytes : 0
  }

  /** The position of the first whole batch after the damage at `position`, or -1. */
  async #findNext(position: number, expected: number): Promise<number> {
    const followed = await this.#followDamagedHeader(position, expected)
    return followed === -1 ? this.#search(position + 1, expected) : followed
  }

  /**
   * Most damage leaves the length alone. Trusting it first, when a whole batch is really there, keeps the search from
   * finding a batch *inside* the damaged one: a record's value may well be a batch.
   */
  async #followDamagedHeader(position: number, expected: number): Promise<number> {
    if ((await this.#window.load(position, RECORD_BATCH_PREFIX_BYTES)) < RECORD_BATCH_PREFIX_BYTES) return -1
    const batchBytes = batchBytesAt(this.#window.bytes, position - this.#window.start)
    const bytesMax = Math.min(STORED_BATCH_BYTES_MAX, this.#options.endPosition - position)
    if (batchBytes < RECORD_BATCH_HEADER_BYTES || batchBytes >= bytesMax) return -1
    const next = position + batchBytes
    if ((await this.#intactBytesAt(next)) === 0) return -1
    return this.#baseOffsetAt(next) >= expected ? next : -1
  }

  async #search(from: number, expected: number): Promise<number> {
    const lastStart = this.#options.endPosition - RECORD_BATCH_HEADER_BYTES
    let position = from
    while (position <= lastStart) {
      if ((await this.#window.load(position, RECORD_BATCH_HEADER_BYTES)) < RECORD_BATCH_HEADER_BYTES)
        return -1
      const magicAt = this.#window.bytes.indexOf(RECORD_BATCH_MAGIC, position - this.#window.start + MAGIC_AT)
      if (magicAt === -1) {
        // The window's last bytes may be the front of a batch whose magic byte lies beyond the window.
        position = this.#window.start + this.#window.bytes.length - MAGIC_AT
        continue
      }
      position = this.#window.start + magicAt - MAGIC_AT
      if (this.#isPlausible(magicAt - MAGIC_AT, position, expected)) {
        const batchBytes = batchBytesAt(this.#window.bytes, magicAt - MAGIC_AT)
        if (batchBytes > this.#searchBytesLeft) return -1
        this.#searchBytesLeft -= batchBytes
        if ((await this.#intactBytesAt(position)) > 0) return position
      }
      position += 1
    }
    return -1
  }

  /** The cheap part of the check, so that the CRC runs only over what could be a batch of this segment. */
  #isPlausible(at: number, position: number, expected: number): boolean {
    const batchBytes = batchBytesAt(this.#window.bytes, at)
    if (batchBytes < RECORD_BATCH_HEADER_BYTES || batchBytes > STORED_BATCH_BYTES_MAX) return false
    if (position + batchBytes > this.#options.endPosition) return false
    if (!isTagOf(this.#options.tag, partitionLeaderEpochAt(this.#window.bytes, at))) return false
    const baseOffset = baseOffsetAt(this.#window.bytes, at)
    return baseOffset >= expected && baseOffset - this.#options.baseOffset <= RELATIVE_OFFSET_MAX
  }
}
