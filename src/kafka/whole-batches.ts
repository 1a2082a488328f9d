/**
 * Where the whole record batches of a fetch answer end. Kafka cuts the last batch wherever the byte limit falls, so the
 * tail of the bytes may be a piece of one; the piece is fetched again from its own start.
 */

import { BatchError } from '../batch/batch-error.ts'
import {
  batchBytesAt,
  crcAt,
  crcOf,
  lastOffsetAt,
  magicAt,
  RECORD_BATCH_HEADER_BYTES,
  RECORD_BATCH_MAGIC,
  RECORD_BATCH_PREFIX_BYTES,
} from '../batch/record-batch.ts'

export interface WholeBatches {
  /** Index after the last whole batch. */
  readonly end: number
  /** One past the last offset of the whole batches; the fetch offset when there is none. */
  readonly nextOffset: number
  /** The size that the cut batch at the end declares, as far as its bytes say; 0 when nothing was cut. */
  readonly cutBatchBytes: number
}

/** Where the CRC's range begins: everything from the attributes on. */
const CRC_RANGE_AT = 21

/**
 * Reads the batches' headers, and their CRCs when `checkCrcs`. Throws GS_BATCH_INVALID on bytes that are not batches of
 * format 2, GS_BATCH_CORRUPT on a wrong CRC. Counts are not judged: a compacted topic has batches with gaps and without
 * records.
 */
export function findWholeBatches(
  bytes: Buffer,
  { fetchOffset, checkCrcs }: { readonly fetchOffset: number; readonly checkCrcs: boolean },
): WholeBatches {
  let at = 0
  let nextOffset = fetchOffset
  while (bytes.length - at >= RECORD_BATCH_HEADER_BYTES) {
    const batchBytes = batchBytesAt(bytes, at)
    const magic = magicAt(bytes, at)
    if (magic !== RECORD_BATCH_MAGIC || batchBytes < RECORD_BATCH_HEADER_BYTES) {
      throw new BatchError(
        'GS_BATCH_INVALID',
        `expected record batches of format ${RECORD_BATCH_MAGIC}, found format ${magic} in ${batchBytes} bytes`,
        { facts: { magic, batchBytes } },
      )
    }
    if (batchBytes > bytes.length - at) break
    if (checkCrcs) checkCrc(bytes, at, batchBytes)
    nextOffset = Math.max(nextOffset, lastOffsetAt(bytes, at) + 1)
    at += batchBytes
  }
  return { end: at, nextOffset, cutBatchBytes: cutBatchBytes(bytes, at) }
}

function checkCrc(bytes: Buffer, at: number, batchBytes: number): void {
  const stated = crcAt(bytes, at)
  const found = crcOf(bytes, at + CRC_RANGE_AT, at + batchBytes)
  if (stated === found) return
  const baseOffset = Number(bytes.readBigInt64BE(at))
  throw new BatchError(
    'GS_BATCH_CORRUPT',
    `the batch at offset ${baseOffset} states CRC ${stated}, its bytes give ${found}`,
    {
      facts: { baseOffset, crcStated: stated, crc: found },
    },
  )
}

function cutBatchBytes(bytes: Buffer, at: number): number {
  const cutBytes = bytes.length - at
  return cutBytes >= RECORD_BATCH_PREFIX_BYTES ? batchBytesAt(bytes, at) : cutBytes
}
