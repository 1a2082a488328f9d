/**
 * Zstandard (RFC 8878), one or several frames. Each frame is walked block by block first, which costs next to nothing:
 * its header gives the window and often the size, its block headers bound the size from both sides. So a bomb is
 * refused before anything is allocated wherever the format declares it, and the output is allocated once.
 *
 * The decoder gets all frames in one call: a call costs as much as many kilobytes, and a frame can be ten bytes.
 */

import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { batchTooLarge, corruptBatch } from '../batch-error.ts'

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const BLOCK_BYTES_MAX = 131_072
/**
 * The largest window accepted, as a power of two: 128 MiB, what level 22 of the reference encoder writes and what its
 * decoder accepts by default. The decoder reserves the window but touches only what is inflated.
 */
const WINDOW_LOG_MAX = 27
const WINDOW_BYTES_MAX = 2 ** WINDOW_LOG_MAX
const CHUNK_BYTES_MIN = 64
/** A frame that holds one byte. */
const SMALLEST_FRAME = Buffer.from('28b52ffd200109000000', 'hex')
/** Node's decoder used to stop behind the first frame. */
const DECODES_ALL_FRAMES = zstdDecompressSync(Buffer.concat([SMALLEST_FRAME, SMALLEST_FRAME])).length === 2

/** Compresses into one frame, at the default level as Kafka does. */
export function compressZstd(plain: Buffer): Buffer {
  return zstdCompressSync(plain)
}

/** Compresses into one frame that finds repetitions anywhere in a batch: slower, and denser where they lie far apart. */
export function compressZstdFarBack(plain: Buffer): Buffer {
  const { ZSTD_c_windowLog, ZSTD_c_enableLongDistanceMatching } = constants
  return zstdCompressSync(plain, {
    params: { [ZSTD_c_windowLog]: WINDOW_LOG_MAX, [ZSTD_c_enableLongDistanceMatching]: 1 },
  })
}

/**
 * Inflates every frame. What the headers declare is added up over all frames before the first is inflated. Throws
 * `GS_BATCH_TOO_LARGE` over `inflatedBytesMax`, `GS_BATCH_CORRUPT` when damaged.
 */
export function inflateZstd(packed: Buffer, inflatedBytesMax: number): Buffer {
  const runs: FrameExtent[] = []
  let declaredBytes = 0
  let at = 0
  do {
    const frame = walkFrame(packed, at)
    at = frame.end
    declaredBytes += frame.bytesMin
    if (declaredBytes > inflatedBytesMax) throw tooLarge(declaredBytes, inflatedBytesMax)
    if (frame.bytesMax === 0) continue
    const run = DECODES_ALL_FRAMES ? runs.at(-1) : undefined
    if (run === undefined) runs.push(frame)
    else extend(run, frame)
  } while (at < packed.length)

  const parts: Buffer[] = []
  let bytesLeft = inflatedBytesMax
  for (const run of runs) {
    const part = inflateRun(packed, run, bytesLeft, inflatedBytesMax)
    bytesLeft -= part.length
    parts.push(part)
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts)
}

function inflateRun(packed: Buffer, run: FrameExtent, bytesLeft: number, inflatedBytesMax: number): Buffer {
  const { start, end, bytesMin, bytesMax } = run
  const outputBytesMax = Math.min(bytesMax, bytesLeft)
  let part: Buffer
  try {
    part = zstdDecompressSync(packed.subarray(start, end), {
      maxOutputLength: Math.max(outputBytesMax, 1),
      // One byte more than the most that may come: the output is then one chunk, allocated once.
      chunkSize: Math.max(outputBytesMax + 1, CHUNK_BYTES_MIN),
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
    })
  } catch (error) {
    if (error instanceof RangeError && bytesMax > bytesLeft)
      throw tooLarge(inflatedBytesMax + 1, inflatedBytesMax)
    throw corruptBatch(
      'The zstd stream is damaged: a frame does not inflate.',
      { frameBytes: end - start },
      error,
    )
  }
  if (part.length > bytesLeft) throw tooLarge(inflatedBytesMax + 1, inflatedBytesMax)
  if (part.length < bytesMin) throw damaged('its frames hold less than they state', start)
  return part
}

/** A frame, or several in a row. */
interface FrameExtent {
  readonly start: number
  end: number
  /** It inflates to at least and at most so many bytes, by its headers; both 0 for a skippable frame. */
  bytesMin: number
  bytesMax: number
}

function extend(run: FrameExtent, next: FrameExtent): void {
  run.end = next.end
  run.bytesMin += next.bytesMin
  run.bytesMax += next.bytesMax
}

/** Reads the header of the frame at `at` and steps over its blocks. */
function walkFrame(packed: Buffer, start: number): FrameExtent {
  let at = start
  need(packed, at, 5)
  const magic = packed.readUInt32LE(at)
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    need(packed, at, 8)
    const skippedBytes = packed.readUInt32LE(at + 4)
    need(packed, at + 8, skippedBytes)
    return { start, end: at + 8 + skippedBytes, bytesMin: 0, bytesMax: 0 }
  }
  if (magic !== FRAME_MAGIC) throw damaged('it does not start with the frame magic', at)
  const descriptor = packed[at + 4]
  const singleSegment = (descriptor & 0x20) !== 0
  if ((descriptor & 0x08) !== 0) throw damaged('a reserved bit is set', at)
  at += 5
  let windowBytes = 0
  if (!singleSegment) {
    need(packed, at, 1)
    const base = 2 ** (10 + (packed[at] >>> 3))
    windowBytes = base + (base / 8) * (packed[at] & 7)
    at += 1
  }
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]
  need(packed, at, dictionaryBytes)
  for (let index = 0; index < dictionaryBytes; index += 1) {
    if (packed[at + index] !== 0) throw damaged('it needs a dictionary, which Kafka never uses', at)
  }
  at += dictionaryBytes
  const contentField = descriptor >>> 6
  const contentFieldBytes = contentField === 0 ? (singleSegment ? 1 : 0) : 1 << contentField
  need(packed, at, contentFieldBytes)
  const contentBytes = readContentSize(packed, at, contentFieldBytes)
  at += contentFieldBytes
  if (singleSegment) windowBytes = contentBytes ?? 0
  else if (windowBytes > WINDOW_BYTES_MAX) {
    throw batchTooLarge(
      `The zstd frame asks for a window of ${windowBytes} bytes, the limit is ${WINDOW_BYTES_MAX}; ` +
        'compress at level 22 or below, without long-distance windows.',
      { windowBytes, windowBytesMax: WINDOW_BYTES_MAX },
    )
  }
  const blockBytesMax = Math.min(windowBytes, BLOCK_BYTES_MAX)

  let bytesMin = 0
  let bytesMax = 0
  for (let last = false; !last; ) {
    need(packed, at, 3)
    const blockHeader = packed.readUIntLE(at, 3)
    at += 3
    last = (blockHeader & 1) !== 0
    const type = (blockHeader >>> 1) & 3
    const size = blockHeader >>> 3
    if (type === 3) throw damaged('a block has a reserved type', at)
    if (size > blockBytesMax) throw damaged('a block is larger than the frame allows', at)
    const storedBytes = type === 1 ? 1 : size
    need(packed, at, storedBytes)
    at += storedBytes
    if (type !== 2) bytesMin += size
    bytesMax += type === 2 ? blockBytesMax : size
  }
  if ((descriptor & 0x04) !== 0) {
    need(packed, at, 4)
    at += 4
  }
  if (contentBytes === null) return { start, end: at, bytesMin, bytesMax }
  // A claim that the blocks cannot keep is damage, but one over the limit is first of all over the limit: the claim goes
  // into the lower bound, and the decoder finds the rest.
  if (contentBytes > bytesMax)
    return { start, end: at, bytesMin: contentBytes, bytesMax: Math.max(bytesMax, 1) }
  if (contentBytes < bytesMin) throw damaged('its blocks hold more than its stated size', at)
  return { start, end: at, bytesMin: contentBytes, bytesMax: contentBytes }
}

function readContentSize(packed: Buffer, at: number, fieldBytes: number): number | null {
  if (fieldBytes === 0) return null
  if (fieldBytes === 1) return packed[at]
  if (fieldBytes === 2) return packed.readUInt16LE(at) + 256
  if (fieldBytes === 4) return packed.readUInt32LE(at)
  return packed.readUInt32LE(at) + packed.readUInt32LE(at + 4) * 4_294_967_296
}

function need(packed: Buffer, at: number, count: number): void {
  if (count > packed.length - at) throw damaged(`it ends where ${count} more bytes were expected`, at)
}

function damaged(why: string, position: number) {
  return corruptBatch(`The zstd stream is damaged: ${why}.`, { position })
}

function tooLarge(inflatedBytes: number, inflatedBytesMax: number) {
  return batchTooLarge(
    `The zstd stream inflates to at least ${inflatedBytes} bytes, the limit is ${inflatedBytesMax}; send smaller batches.`,
    { inflatedBytes, inflatedBytesMax },
  )
}
