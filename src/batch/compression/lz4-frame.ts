/**
 * LZ4 as Kafka uses it: the frame format. Written: one frame, independent blocks of 64 KiB, no content checksum, the
 * header checksum over the descriptor only (KIP-57), which is what Kafka's Java client writes and the strictest reader
 * wants. Read: any version 1 frame, also several in a row and skippable ones, with blocks up to 4 MiB, dependent blocks
 * and either checksum. Source: lz4_Frame_format.md of the LZ4 project.
 *
 * The frame is taken apart here and not by the library, whose frame reader cannot be bounded.
 */

import { strict as assert } from 'node:assert'
import { compressSync } from 'lz4-napi'
import { batchTooLarge, corruptBatch } from '../batch-error.ts'
import { inflateLz4Block, lz4BlockInflatedBytes } from './lz4-block.ts'
import { xxHash32 } from './xxhash32.ts'

const FRAME_MAGIC = 0x184d2204
const SKIPPABLE_MAGIC = 0x184d2a50
const BLOCK_BYTES = 65_536
const UNCOMPRESSED_BLOCK = 0x80000000
/** Bytes the library puts before a block to say its inflated size; a frame has no place for them. */
const LIBRARY_PREFIX_BYTES = 4
/** Magic; version 1 with independent blocks; 64 KiB blocks; the checksum of those two bytes. */
const FRAME_HEADER = Buffer.from('04224d18604082', 'hex')

const FLAG_DICTIONARY = 0x01
const FLAG_RESERVED = 0x02
const FLAG_CONTENT_CHECKSUM = 0x04
const FLAG_CONTENT_SIZE = 0x08
const FLAG_BLOCK_CHECKSUMS = 0x10
const FLAG_INDEPENDENT_BLOCKS = 0x20

/** Compresses into one frame. */
export function compressLz4(plain: Buffer): Buffer {
  const parts: Buffer[] = [FRAME_HEADER]
  for (let at = 0; at < plain.length; at += BLOCK_BYTES) {
    const block = plain.subarray(at, at + BLOCK_BYTES)
    const packed = compressSync(block).subarray(LIBRARY_PREFIX_BYTES)
    const size = Buffer.allocUnsafe(4)
    if (packed.length < block.length) {
      size.writeUInt32LE(packed.length)
      parts.push(size, packed)
    } else {
      size.writeUInt32LE((block.length | UNCOMPRESSED_BLOCK) >>> 0)
      parts.push(size, block)
    }
  }
  parts.push(Buffer.alloc(4))
  return Buffer.concat(parts)
}

interface Frame {
  readonly flags: number
  readonly blockBytesMax: number
  readonly contentBytes: number | null
  readonly blocksStart: number
}

/**
 * Inflates all frames of `packed`. What they inflate to is added up, block by block, before anything is allocated for
 * it. Throws `GS_BATCH_TOO_LARGE` over `inflatedBytesMax`, `GS_BATCH_CORRUPT` when damaged.
 */
export function inflateLz4(packed: Buffer, inflatedBytesMax: number): Buffer {
  const inflatedBytes = walkFrames(packed, inflatedBytesMax, null)
  const output = Buffer.allocUnsafeSlow(inflatedBytes)
  const writtenBytes = walkFrames(packed, inflatedBytesMax, output)
  // The buffer was not cleared: no byte of it may be given out that was not written.
  assert.equal(writtenBytes, inflatedBytes, 'LZ4 blocks inflate to what was measured')
  return output
}

/**
 * Whether Kafka's Java consumer reads the same from `packed` as we do: it reads one frame of independent blocks, and takes
 * a block of nothing for the end. Any bytes give an answer; damaged ones may give either.
 */
export function isLz4ReadableByJava(packed: Buffer): boolean {
  if (packed.length < 7 || packed.readUInt32LE(0) !== FRAME_MAGIC) return false
  const flags = packed[4]
  if ((flags & FLAG_INDEPENDENT_BLOCKS) === 0) return false
  const checksumBytes = (flags & FLAG_BLOCK_CHECKSUMS) !== 0 ? 4 : 0
  let at = (flags & FLAG_CONTENT_SIZE) !== 0 ? 15 : 7
  for (;;) {
    if (packed.length - at < 4) return false
    const sizeField = packed.readUInt32LE(at)
    at += 4
    if (sizeField === 0) break
    const blockBytes = sizeField & 0x7fffffff
    // One packed byte is a token without literals.
    if (blockBytes <= ((sizeField & UNCOMPRESSED_BLOCK) !== 0 ? 0 : 1)) return false
    at += blockBytes + checksumBytes
  }
  if ((flags & FLAG_CONTENT_CHECKSUM) !== 0) at += 4
  while (packed.length - at >= 8 && isSkippable(packed.readUInt32LE(at)))
    at += 8 + packed.readUInt32LE(at + 4)
  return at >= packed.length
}

/** Goes over every frame: with no output it measures and checks the structure, with one it fills it. */
function walkFrames(packed: Buffer, inflatedBytesMax: number, output: Buffer | null): number {
  let at = 0
  let outputAt = 0
  do {
    need(packed, at, 4)
    const magic = packed.readUInt32LE(at)
    if (isSkippable(magic)) {
      need(packed, at, 8)
      const skippedBytes = packed.readUInt32LE(at + 4)
      need(packed, at + 8, skippedBytes)
      at += 8 + skippedBytes
      continue
    }
    const frame = readFrameHeader(packed, at, magic)
    if (frame.contentBytes !== null && frame.contentBytes > inflatedBytesMax - outputAt) {
      throw tooLarge(outputAt + frame.contentBytes, inflatedBytesMax)
    }
    at = frame.blocksStart
    const frameOutputStart = outputAt
    for (;;) {
      need(packed, at, 4)
      const sizeField = packed.readUInt32LE(at)
      at += 4
      if (sizeField === 0) break
      const stored = (sizeField & UNCOMPRESSED_BLOCK) !== 0
      const blockBytes = sizeField & 0x7fffffff
      if (blockBytes > frame.blockBytesMax) throw damaged('a block is larger than the frame allows', at)
      need(packed, at, blockBytes)
      const blockEnd = at + blockBytes
      if (output === null) {
        const inflated = stored
          ? blockBytes
          : lz4BlockInflatedBytes(packed, at, blockEnd, frame.blockBytesMax)
        if (inflated > frame.blockBytesMax)
          throw damaged('a block inflates to more than the frame allows', at)
        outputAt += inflated
        if (outputAt > inflatedBytesMax) throw tooLarge(outputAt, inflatedBytesMax)
      } else if (stored) {
        outputAt += packed.copy(output, outputAt, at, blockEnd)
      } else {
        const windowStart = (frame.flags & FLAG_INDEPENDENT_BLOCKS) !== 0 ? outputAt : frameOutputStart
        outputAt = inflateLz4Block(packed, at, blockEnd, output, outputAt, windowStart)
      }
      at = blockEnd
      if ((frame.flags & FLAG_BLOCK_CHECKSUMS) !== 0) {
        need(packed, at, 4)
        if (
          output === null &&
          xxHash32(packed, blockEnd - blockBytes, blockEnd) !== packed.readUInt32LE(at)
        ) {
          throw damaged('a block checksum does not match', at)
        }
        at += 4
      }
    }
    if (frame.contentBytes !== null && outputAt - frameOutputStart !== frame.contentBytes) {
      throw damaged('the content size does not match', at)
    }
    if ((frame.flags & FLAG_CONTENT_CHECKSUM) !== 0) {
      need(packed, at, 4)
      if (output !== null && xxHash32(output, frameOutputStart, outputAt) !== packed.readUInt32LE(at)) {
        throw damaged('the content checksum does not match', at)
      }
      at += 4
    }
  } while (at < packed.length)
  return outputAt
}

function isSkippable(magic: number): boolean {
  return (magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC
}

function readFrameHeader(packed: Buffer, at: number, magic: number): Frame {
  if (magic !== FRAME_MAGIC) throw damaged('it does not start with the frame magic', at)
  need(packed, at, 7)
  const flags = packed[at + 4]
  const blockSizeId = (packed[at + 5] >>> 4) & 7
  if (flags >>> 6 !== 1) throw damaged('the frame version is not 1', at)
  if ((flags & FLAG_RESERVED) !== 0 || (packed[at + 5] & 0x8f) !== 0)
    throw damaged('reserved bits are set', at)
  if ((flags & FLAG_DICTIONARY) !== 0) throw damaged('it needs a dictionary, which Kafka never uses', at)
  if (blockSizeId < 4) throw damaged('the block size is not one of 64 KiB to 4 MiB', at)
  const descriptorEnd = at + 6 + ((flags & FLAG_CONTENT_SIZE) !== 0 ? 8 : 0)
  need(packed, descriptorEnd, 1)
  if (((xxHash32(packed, at + 4, descriptorEnd) >>> 8) & 0xff) !== packed[descriptorEnd]) {
    throw damaged('the header checksum does not match', at)
  }
  return {
    flags,
    blockBytesMax: 1 << (8 + 2 * blockSizeId),
    contentBytes:
      (flags & FLAG_CONTENT_SIZE) !== 0
        ? packed.readUInt32LE(at + 6) + packed.readUInt32LE(at + 10) * 4_294_967_296
        : null,
    blocksStart: descriptorEnd + 1,
  }
}

function need(packed: Buffer, at: number, count: number): void {
  if (count > packed.length - at) throw damaged(`it ends where ${count} more bytes were expected`, at)
}

function damaged(why: string, position: number) {
  return corruptBatch(`The LZ4 stream is damaged: ${why}.`, { position })
}

function tooLarge(inflatedBytes: number, inflatedBytesMax: number) {
  return batchTooLarge(
    `The LZ4 stream inflates to at least ${inflatedBytes} bytes, the limit is ${inflatedBytesMax}; send smaller batches.`,
    { inflatedBytes, inflatedBytesMax },
  )
}
