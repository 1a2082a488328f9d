/**
 * Snappy, in both shapes found in Kafka: raw (librdkafka; the whole is one snappy block) and the "xerial" framing of
 * snappy-java (a 16-byte header, then blocks, each behind its 4-byte big-endian length). Written is the framing, which
 * every client reads. A raw block starts with the size it inflates to, so that both are measured before anything is
 * allocated.
 *
 *     82 'SNAPPY' 00 | version int32 | compatible version int32 | { length int32 | raw block } …
 */

import { strict as assert } from 'node:assert'
import { compressSync, uncompressSync } from 'snappy'
import { batchTooLarge, corruptBatch } from '../batch-error.ts'
import { inflateSnappyBlock } from './snappy-block.ts'

/** Magic, version 1, compatible with version 1: as snappy-java writes it. */
const XERIAL_HEADER = Buffer.from('82534e41505059000000000100000001', 'hex')
const XERIAL_MAGIC_BYTES = 8
/** The first four bytes of the magic, where a length is expected: another stream was appended to this one. */
const XERIAL_RESTART = XERIAL_HEADER.readInt32BE(0)
/** Plain bytes in a block, as snappy-java writes them. */
const BLOCK_BYTES = 32_768
/** Up to here a packed block is inflated here: a call into the library costs as much as this. */
const SMALL_BLOCK_BYTES_MAX = 512

/** Compresses with the framing of snappy-java. */
export function compressSnappy(plain: Buffer): Buffer {
  const parts: Buffer[] = [XERIAL_HEADER]
  for (let at = 0; at < plain.length; at += BLOCK_BYTES) {
    const packed = compressSync(plain.subarray(at, at + BLOCK_BYTES))
    const size = Buffer.allocUnsafe(4)
    size.writeInt32BE(packed.length)
    parts.push(size, packed)
  }
  return Buffer.concat(parts)
}

/** Inflates either shape. Throws `GS_BATCH_TOO_LARGE` over `inflatedBytesMax`, `GS_BATCH_CORRUPT` when damaged. */
export function inflateSnappy(packed: Buffer, inflatedBytesMax: number): Buffer {
  const framed =
    packed.length >= XERIAL_HEADER.length &&
    packed.compare(XERIAL_HEADER, 0, XERIAL_MAGIC_BYTES, 0, XERIAL_MAGIC_BYTES) === 0
  if (!framed) {
    checkTotal(declaredBytes(packed, 0, packed.length), inflatedBytesMax)
    return inflateBlock(packed)
  }
  let total = 0
  let blockCount = 0
  let first = packed
  walkBlocks(packed, (at, end) => {
    total += declaredBytes(packed, at, end)
    checkTotal(total, inflatedBytesMax)
    blockCount += 1
    if (blockCount === 1) first = packed.subarray(at, end)
  })
  if (blockCount === 1) return inflateBlock(first)
  const output = Buffer.allocUnsafeSlow(total)
  let outputAt = 0
  walkBlocks(packed, (at, end) => {
    const outputEnd = outputAt + declaredBytes(packed, at, end)
    if (end - at <= SMALL_BLOCK_BYTES_MAX) {
      inflateSnappyBlock(packed, at, end, output, outputAt, outputEnd)
      outputAt = outputEnd
      return
    }
    outputAt += inflateBlock(packed.subarray(at, end)).copy(output, outputAt)
    // The buffer was not cleared: no byte of it may be given out that was not written.
    assert.equal(outputAt, outputEnd, 'a snappy block inflates to what it declares')
  })
  return output
}

/** Goes over the framed blocks; a block is at [at, end). */
function walkBlocks(packed: Buffer, visit: (at: number, end: number) => void): void {
  let at = XERIAL_HEADER.length
  while (at < packed.length) {
    if (packed.length - at < 4) throw damaged('it ends inside a block length', at)
    const blockBytes = packed.readInt32BE(at)
    if (blockBytes === XERIAL_RESTART && packed.length - at >= XERIAL_HEADER.length) {
      at += XERIAL_HEADER.length
      continue
    }
    at += 4
    if (blockBytes < 0 || blockBytes > packed.length - at)
      throw damaged('a block is longer than what follows', at)
    visit(at, at + blockBytes)
    at += blockBytes
  }
}

/** The size that the raw block [at, end) declares: an unsigned 32-bit varint. */
function declaredBytes(packed: Buffer, at: number, end: number): number {
  let declared = 0
  for (let index = 0; index < 5 && at + index < end; index += 1) {
    const byte = packed[at + index]
    declared += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return declared
  }
  throw damaged('a block does not start with its size', at)
}

function checkTotal(total: number, inflatedBytesMax: number): void {
  if (total > inflatedBytesMax) {
    throw batchTooLarge(
      `The snappy stream declares at least ${total} inflated bytes, the limit is ${inflatedBytesMax}; send smaller batches.`,
      { inflatedBytes: total, inflatedBytesMax },
    )
  }
}

function inflateBlock(block: Buffer): Buffer {
  try {
    return uncompressSync(block, { asBuffer: true }) as Buffer
  } catch (error) {
    throw corruptBatch(
      'The snappy stream is damaged: a block does not inflate.',
      { blockBytes: block.length },
      error,
    )
  }
}

function damaged(why: string, position: number) {
  return corruptBatch(`The snappy stream is damaged: ${why}.`, { position })
}
