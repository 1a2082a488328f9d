/**
 * A vault batch as a replay hands it on: the very bytes when all of it is taken, else a batch of those records that are. A
 * record's bytes (key, value, headers, times, offset) are never written anew, only left out around.
 */

import { BatchEncoder } from '../batch/batch-encoder.ts'
import { compress } from '../batch/compression/codecs.ts'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  baseOffsetAt,
  batchBytesAt,
  COMPRESSION,
  compressionAt,
  lastOffsetAt,
  lastOffsetDeltaAt,
  patchBaseOffset,
  patchCompacted,
  patchPartitionLeaderEpoch,
  RECORD_BATCH_HEADER_BYTES,
  recordCountAt,
} from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import { DERIVED_BATCH_BYTES_MAX } from '../core/limits.ts'
import type { RecordFilter } from './record-filter.ts'

/** One whole batch whose records have their vault offsets. */
export interface CutBatch {
  readonly bytes: Buffer
  readonly recordCount: number
  /** False when records were left out. */
  readonly isVerbatim: boolean
}

export class BatchCutter {
  readonly #cursor = new RecordCursor()
  readonly #filter: RecordFilter | null

  constructor(filter: RecordFilter | null) {
    this.#filter = filter
  }

  /** What is taken of the batch at `at` of offsets in [from, end); null when that is nothing. */
  cut(
    records: Buffer,
    at: number,
    { from, end }: { readonly from: number; readonly end: number },
  ): CutBatch | null {
    const whole = records.subarray(at, at + batchBytesAt(records, at))
    const recordCount = recordCountAt(whole, 0)
    if (recordCount === 0) return null
    const isInside = baseOffsetAt(whole, 0) >= from && lastOffsetAt(whole, 0) < end
    if (isInside && this.#filter === null) return { bytes: whole, recordCount, isVerbatim: true }
    const cursor = this.#cursor
    const header = cursor.open(whole, 0)
    const isCompressed = header.compression !== COMPRESSION.none
    let recordStart = isCompressed ? 0 : RECORD_BATCH_HEADER_BYTES
    let keptCount = 0
    let maxTimestamp = -1
    const kept: Buffer[] = []
    while (cursor.next()) {
      const recordEnd = cursor.headersEnd
      const isIn = cursor.offset >= from && cursor.offset < end
      if (isIn && (this.#filter === null || this.#filter(cursor))) {
        kept.push(cursor.bytes.subarray(recordStart, recordEnd))
        keptCount += 1
        maxTimestamp = Math.max(maxTimestamp, cursor.timestamp)
      }
      recordStart = recordEnd
    }
    cursor.close()
    if (keptCount === 0) return null
    if (keptCount === recordCount) return { bytes: whole, recordCount, isVerbatim: true }
    const packed = compress(header.compression, Buffer.concat(kept))
    const bytes = Buffer.concat([whole.subarray(0, RECORD_BATCH_HEADER_BYTES), packed])
    patchCompacted(bytes, 0, {
      batchBytes: bytes.length,
      attributes: header.attributes,
      baseTimestamp: null,
      maxTimestamp: header.isLogAppendTime ? null : maxTimestamp,
      recordCount: keptCount,
    })
    return { bytes, recordCount: keptCount, isVerbatim: false }
  }
}

/** Bits by which a log says how its timestamps are to be read: in another log the records would change their times. */
const TIMES_OF_THE_LOG = BATCH_ATTRIBUTE.logAppendTime | BATCH_ATTRIBUTE.deleteHorizon

/** Makes batches that another log takes: it gives the offsets, so there may be no gaps between them. */
export class LogBatchMaker {
  readonly #cursor = new RecordCursor()
  readonly #encoder = new BatchEncoder({ bytesMax: DERIVED_BATCH_BYTES_MAX })

  /** Changes the header of `batch` in place where that is enough, and else encodes its records anew. */
  make(batch: Buffer): Buffer {
    const isDense = lastOffsetDeltaAt(batch, 0) === recordCountAt(batch, 0) - 1
    if (!isDense || (attributesAt(batch, 0) & TIMES_OF_THE_LOG) !== 0) return this.#encodeAnew(batch)
    patchBaseOffset(batch, 0, 0)
    patchPartitionLeaderEpoch(batch, 0, -1)
    return batch
  }

  #encodeAnew(batch: Buffer): Buffer {
    const cursor = this.#cursor
    const encoder = this.#encoder
    encoder.start({ compression: compressionAt(batch, 0) })
    cursor.open(batch, 0)
    while (cursor.next()) {
      const { timestamp, bytes, keyStart, keyEnd, valueStart, valueEnd } = cursor
      encoder.appendRange(timestamp, bytes, keyStart, keyEnd, valueStart, valueEnd, cursor.headersBytes())
    }
    cursor.close()
    return Buffer.from(encoder.finish())
  }
}
