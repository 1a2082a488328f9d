/**
 * The four codecs of a record batch by number. What is compressed is the records alone, never the header. Inflating is
 * bounded: no more than the limit is ever allocated, and where the format declares a size it is checked first.
 */

import { BatchError } from '../batch-error.ts'
import type { Compression } from '../record-batch.ts'
import { COMPRESSION } from '../record-batch.ts'
import { compressGzip, inflateGzip } from './gzip.ts'
import { compressLz4, inflateLz4 } from './lz4-frame.ts'
import { compressSnappy, inflateSnappy } from './snappy.ts'
import { compressZstd, inflateZstd } from './zstd.ts'

/** Compresses records; `none` gives the very same buffer back. */
export function compress(compression: Compression, plain: Buffer): Buffer {
  switch (compression) {
    case COMPRESSION.none:
      return plain
    case COMPRESSION.gzip:
      return compressGzip(plain)
    case COMPRESSION.snappy:
      return compressSnappy(plain)
    case COMPRESSION.lz4:
      return compressLz4(plain)
    case COMPRESSION.zstd:
      return compressZstd(plain)
    default:
      throw unsupported(compression)
  }
}

/**
 * Inflates records into a buffer of their own; `none` gives the very same buffer back. Throws `GS_BATCH_TOO_LARGE` over
 * `inflatedBytesMax`, `GS_BATCH_CORRUPT` when the stream is damaged, `GS_BATCH_UNSUPPORTED_COMPRESSION` for codec 5 to 7.
 */
export function inflate(compression: Compression, packed: Buffer, inflatedBytesMax: number): Buffer {
  switch (compression) {
    case COMPRESSION.none:
      return packed
    case COMPRESSION.gzip:
      return inflateGzip(packed, inflatedBytesMax)
    case COMPRESSION.snappy:
      return inflateSnappy(packed, inflatedBytesMax)
    case COMPRESSION.lz4:
      return inflateLz4(packed, inflatedBytesMax)
    case COMPRESSION.zstd:
      return inflateZstd(packed, inflatedBytesMax)
    default:
      throw unsupported(compression)
  }
}

function unsupported(compression: number): BatchError {
  return new BatchError(
    'GS_BATCH_UNSUPPORTED_COMPRESSION',
    `Compression codec ${compression} does not exist; 0 (none), 1 (gzip), 2 (snappy), 3 (lz4) and 4 (zstd) do.`,
    { facts: { compression } },
  )
}
