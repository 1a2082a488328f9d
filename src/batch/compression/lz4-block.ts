/**
 * The LZ4 block format, read: sequences of a token (literal count in the high four bits, match length less 4 in the low
 * four), more length bytes, the literals, a 2-byte little-endian match offset, more length bytes. The last sequence is
 * literals only. A block does not declare its size, but adding up its lengths gives it exactly, so that nothing is
 * allocated for what a block merely claims. Source: lz4_Block_format.md of the LZ4 project.
 */

import { corruptBatch } from '../batch-error.ts'

const MATCH_BYTES_MIN = 4
/** Below this a byte loop beats a call into the runtime's copy. */
const SHORT_COPY_BYTES = 24

/**
 * Bytes that block [at, end) inflates to, found by adding up its lengths; stops counting past `limit` (the result is
 * then over it). Throws `GS_BATCH_CORRUPT` when its sequences do not end with it.
 */
export function lz4BlockInflatedBytes(bytes: Buffer, at: number, end: number, limit: number): number {
  let size = 0
  while (at < end) {
    const token = bytes[at]
    at += 1
    let length = token >>> 4
    if (length === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = bytes[at]
        at += 1
        length += more
      }
    }
    at += length
    size += length
    if (at > end) throw damaged(at)
    if (size > limit || at === end) return size
    at += 2
    if (at > end) throw damaged(at)
    length = token & 15
    if (length === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = bytes[at]
        at += 1
        length += more
      }
    }
    size += length + MATCH_BYTES_MIN
    if (size > limit) return size
  }
  throw damaged(at) // It ended in a match, or was empty: the last sequence must be literals.
}

/**
 * Inflates block [at, end) into `output` from `outputAt` and returns the position after it. Matches may reach back to
 * `windowStart`. The caller has checked with `lz4BlockInflatedBytes` that the block is whole and that it fits; what is
 * left to check are the match offsets. Throws `GS_BATCH_CORRUPT`.
 */
export function inflateLz4Block(
  bytes: Buffer,
  at: number,
  end: number,
  output: Buffer,
  outputAt: number,
  windowStart: number,
): number {
  for (;;) {
    const token = bytes[at]
    at += 1
    let length = token >>> 4
    if (length === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = bytes[at]
        at += 1
        length += more
      }
    }
    if (length <= SHORT_COPY_BYTES) {
      for (const stop = at + length; at < stop; at += 1, outputAt += 1) output[outputAt] = bytes[at]
    } else {
      bytes.copy(output, outputAt, at, at + length)
      at += length
      outputAt += length
    }
    if (at >= end) return outputAt
    const offset = bytes[at] | (bytes[at + 1] << 8)
    at += 2
    length = token & 15
    if (length === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = bytes[at]
        at += 1
        length += more
      }
    }
    length += MATCH_BYTES_MIN
    let from = outputAt - offset
    if (offset === 0 || from < windowStart) throw damaged(at)
    if (length <= SHORT_COPY_BYTES) {
      for (const stop = outputAt + length; outputAt < stop; outputAt += 1, from += 1)
        output[outputAt] = output[from]
    } else {
      outputAt = copyMatch(output, from, outputAt, length)
    }
  }
}

/** Copies `length` bytes from `from` to `to`, where source and target may overlap and then repeat a pattern. */
function copyMatch(output: Buffer, from: number, to: number, length: number): number {
  const stop = to + length
  // What is written so far is itself the source of what follows: the copied run doubles each time.
  for (let run = to - from; to < stop; run = to - from) {
    const part = Math.min(run, stop - to)
    output.copyWithin(to, from, from + part)
    to += part
  }
  return stop
}

function damaged(position: number) {
  return corruptBatch('An LZ4 block is damaged: its lengths or offsets lead outside it.', { position })
}
