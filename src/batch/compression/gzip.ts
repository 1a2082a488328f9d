/**
 * gzip (RFC 1952), one or several members. The format states a member's size only behind it, modulo 2^32: that is used
 * to refuse an honest bomb unopened and to allocate once, never trusted further. What inflates is bounded by the limit.
 */

import { constants, gunzipSync, gzipSync } from 'node:zlib'
import { batchTooLarge, corruptBatch } from '../batch-error.ts'

/** Deflate makes at most 258 bytes from 2 bits: what states more than this is damaged or was cut. */
const RATIO_MAX = 1032
const CHUNK_BYTES_MIN = 16_384

/** Compresses into one member, at zlib's default level as Kafka does. */
export function compressGzip(plain: Buffer): Buffer {
  return gzipSync(plain, { level: constants.Z_DEFAULT_COMPRESSION })
}

/**
 * Inflates every member into one buffer. Throws `GS_BATCH_TOO_LARGE` over `inflatedBytesMax`, `GS_BATCH_CORRUPT` when
 * damaged. (A stream that was cut off may by chance end in bytes that state an excessive size: it is refused as too
 * large instead of corrupt.)
 */
export function inflateGzip(packed: Buffer, inflatedBytesMax: number): Buffer {
  const possibleBytes = packed.length * RATIO_MAX
  const statedBytes = packed.length < 18 ? 0 : packed.readUInt32LE(packed.length - 4)
  const plausible = statedBytes <= possibleBytes
  if (plausible && statedBytes > inflatedBytesMax) throw tooLarge(statedBytes, inflatedBytesMax)
  // One byte more than stated: with its last byte full, zlib would ask for another chunk to find that it is done.
  const chunkBytes = plausible ? statedBytes + 1 : Math.min(possibleBytes, inflatedBytesMax) + 1
  try {
    return gunzipSync(packed, {
      maxOutputLength: Math.max(inflatedBytesMax, 1),
      chunkSize: Math.max(chunkBytes, CHUNK_BYTES_MIN),
    })
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(inflatedBytesMax + 1, inflatedBytesMax)
    throw corruptBatch(
      'The gzip stream is damaged: it does not inflate.',
      { packedBytes: packed.length },
      error,
    )
  }
}

function tooLarge(inflatedBytes: number, inflatedBytesMax: number) {
  return batchTooLarge(
    `The gzip stream inflates to at least ${inflatedBytes} bytes, the limit is ${inflatedBytesMax}; send smaller batches.`,
    { inflatedBytes, inflatedBytesMax },
  )
}
