/**
 * Writes the segment that takes the place of one or several others: kept batches in order, gaps written down between them,
 * both indexes in memory. The file is whole and durable, under the name `<segment>.cleaned`, when `finish` resolves; it
 * means nothing until `PartitionLog` swaps it in.
 */

import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { baseOffsetAt, batchBytesAt, lastOffsetAt, patchPartitionLeaderEpoch } from '../batch/record-batch.ts'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import type { DiskFile } from '../core/disk.ts'
import { encodeGapBatch } from './gap-batch.ts'
import { IndexBuilder, indexedTimestampAt } from './index-builder.ts'
import type { SegmentContext } from './segment.ts'
import { cleanedFileName, SEGMENT_BYTES_MAX } from './segment-format.ts'
import { createAnew } from './snapshot-file.ts'

const WRITE_BYTES = 1024 * 1024

/** A written segment, ready to be swapped in. */
export interface CleanedSegment {
  readonly baseOffset: Offset
  readonly endOffset: Offset
  readonly bytes: number
  readonly indexes: IndexBuilder
}

interface SegmentStart {
  readonly baseOffset: Offset
  readonly indexIntervalBytes: number
  readonly tag: number
}

export class CleanedSegmentWriter {
  readonly path: string
  readonly #file: DiskFile
  readonly #baseOffset: Offset
  readonly #tag: number
  readonly #indexes: IndexBuilder
  readonly #buffer = Buffer.allocUnsafeSlow(WRITE_BYTES)
  #buffered = 0
  #written = 0
  #nextOffset: Offset
  #isClosed = false

  private constructor(path: string, file: DiskFile, of: SegmentStart) {
    this.path = path
    this.#file = file
    this.#baseOffset = of.baseOffset
    this.#tag = of.tag
    this.#nextOffset = of.baseOffset
    this.#indexes = IndexBuilder.empty(of.baseOffset, of.indexIntervalBytes)
  }

  /** Begins the file, replacing a leftover of an earlier attempt. */
  static async create(context: SegmentContext, baseOffset: Offset): Promise<CleanedSegmentWriter> {
    const { disk, directory, indexIntervalBytes, tag } = context
    const path = join(directory, cleanedFileName(baseOffset))
    const start = { baseOffset, indexIntervalBytes, tag }
    return new CleanedSegmentWriter(path, await createAnew(disk, path), start)
  }

  /** Adds one whole batch, whose bytes are free again when it resolves. Offsets rise; what lies between becomes a gap. */
  async add(batch: Buffer): Promise<void> {
    const baseOffset = baseOffsetAt(batch, 0)
    assert(baseOffset >= this.#nextOffset, 'offsets rise')
    assert(batchBytesAt(batch, 0) === batch.length, 'one whole batch is added')
    if (baseOffset > this.#nextOffset) await this.#put(encodeGapBatch(this.#nextOffset, baseOffset))
    await this.#put(batch)
  }

  /** Ends the file at `endOffset`, and makes its bytes durable (its name is the caller's to sync). */
  async finish(endOffset: Offset): Promise<CleanedSegment> {
    if (this.#nextOffset < endOffset) await this.#put(encodeGapBatch(this.#nextOffset, endOffset))
    assert(this.#nextOffset === endOffset, 'the segment ends where the ones it replaces end')
    await this.#flush()
    this.#indexes.seal()
    await this.#file.datasync()
    await this.#close()
    return {
      baseOffset: this.#baseOffset,
      endOffset,
      bytes: this.#written,
      indexes: this.#indexes,
    }
  }

  /** Lets go of the file, which the caller removes; a finished one has been let go of already. */
  async abandon(): Promise<void> {
    await this.#close().catch(() => {})
  }

  /** Once, even when it fails: the file's number is free from then on, and may be another file's. */
  async #close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#file.close()
  }

  async #put(batch: Buffer): Promise<void> {
    const lastOffset = lastOffsetAt(batch, 0)
    const position = this.#written + this.#buffered
    // It lies outside the CRC, so what was read may have it damaged.
    patchPartitionLeaderEpoch(batch, 0, this.#tag)
    assert(position + batch.length <= SEGMENT_BYTES_MAX, 'positions fit the index')
    this.#indexes.add({
      lastOffset,
      position,
      bytes: batch.length,
      maxTimestamp: indexedTimestampAt(batch, 0),
    })
    this.#nextOffset = asOffset(lastOffset + 1)
    if (this.#buffered + batch.length > this.#buffer.length) await this.#flush()
    if (batch.length > this.#buffer.length) {
      await this.#file.write(batch, this.#written)
      this.#written += batch.length
      return
    }
    batch.copy(this.#buffer, this.#buffered)
    this.#buffered += batch.length
  }

  async #flush(): Promise<void> {
    if (this.#buffered === 0) return
    await this.#file.write(this.#buffer.subarray(0, this.#buffered), this.#written)
    this.#written += this.#buffered
    this.#buffered = 0
  }
}
