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

export class CleanedSegmentWriter {
  readonly path: string
  readonly #file: DiskFile
  readonly #baseOffset: Offset
  readonly #indexes: IndexBuilder
  readonly #buffer = Buffer.allocUnsafeSlow(WRITE_BYTES)
  #buffered = 0
  #written = 0
  #nextOffset: Offset

  private constructor(path: string, file: DiskFile, of: { baseOffset: Offset; indexIntervalBytes: number }) {
    this.path = path
    this.#file = file
    this.#baseOffset = of.baseOffset
    this.#nextOffset = of.baseOffset
    this.#indexes = IndexBuilder.empty(of.baseOffset, of.indexIntervalBytes)
  }

  /** Begins the file, replacing a leftover of an earlier attempt. */
  static async create(context: SegmentContext, baseOffset: Offset): Promise<CleanedSegmentWriter> {
    const { disk, directory, indexIntervalBytes } = context
    const path = join(directory, cleanedFileName(baseOffset))
    return new CleanedSegmentWriter(path, await createAnew(disk, path), { baseOffset, indexIntervalBytes })
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
    await this.#file.close()
    return {
      baseOffset: this.#baseOffset,
      endOffset,
      bytes: this.#written,
      indexes: this.#indexes,
    }
  }

  /** Lets go of the file, which the caller removes. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {})
  }

  async #put(batch: Buffer): Promise<void> {
    const lastOffset = lastOffsetAt(batch, 0)
    const position = this.#written + this.#buffered
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
    // It lies outside the CRC, so damage to it passed every check; there is only one epoch.
    patchPartitionLeaderEpoch(this.#buffer, this.#buffered, 0)
    this.#buffered += batch.length
  }

  async #flush(): Promise<void> {
    if (this.#buffered === 0) return
    await this.#file.write(this.#buffer.subarray(0, this.#buffered), this.#written)
    this.#written += this.#buffered
    this.#buffered = 0
  }
}
