/**
 * The raw snappy format, read: the inflated size as a varint, then literals and copies. A tag's low two bits say which:
 * 0 a literal, its length less one in the other six bits or, from 60 on, in the 1 to 4 bytes that follow; 1 to 3 a copy whose
 * offset takes so many of 11, 16 and 32 bits. Source: format_description.txt of the snappy project.
 *
 * For small blocks: a call into the library costs more than they do.
 */

import { corruptBatch } from '../batch-error.ts'

const LITERAL = 0
const COPY_11 = 1
const COPY_16 = 2
/** Literals from this length on have it in bytes of its own. */
const LONG_LITERAL = 60

/**
 * Inflates block [at, end) into [outputAt, outputEnd), which must have the size that the block declares. Throws
 * `GS_BATCH_CORRUPT` when it does not fill it exactly.
 */
export function inflateSnappyBlock(
  bytes: Buffer,
  at: number,
  end: number,
  output: Buffer,
  outputAt: number,
  outputEnd: number,
): void {
  const windowStart = outputAt
  // The caller has read the declared size.
  while (bytes[at] >= 0x80) at += 1
  at += 1
  while (at < end) {
    const tag = bytes[at]
    const kind = tag & 3
    at += 1
    if (kind === LITERAL) {
      let length = tag >>> 2
      if (length >= LONG_LITERAL) {
        const lengthBytes = length - LONG_LITERAL + 1
        if (lengthBytes > end - at) throw damaged(at)
        length = bytes.readUIntLE(at, lengthBytes)
        at += lengthBytes
      }
      length += 1
      if (length > end - at || length > outputEnd - outputAt) throw damaged(at)
      for (const stop = at + length; at < stop; at += 1, outputAt += 1) output[outputAt] = bytes[at]
      continue
    }
    const offsetBytes = kind === COPY_11 ? 1 : kind === COPY_16 ? 2 : 4
    if (offsetBytes > end - at) throw damaged(at)
    let offset = bytes.readUIntLE(at, offsetBytes)
    let length = (tag >>> 2) + 1
    if (kind === COPY_11) {
      offset |= (tag >>> 5) << 8
      length = ((tag >>> 2) & 7) + 4
    }
    at += offsetBytes
    if (offset === 0 || offset > outputAt - windowStart || length > outputEnd - outputAt) throw damaged(at)
    // Byte by byte, since what is copied may reach into what is being written.
    for (const stop = outputAt + length; outputAt < stop; outputAt += 1)
      output[outputAt] = output[outputAt - offset]
  }
  if (outputAt !== outputEnd) throw damaged(at)
}

function damaged(position: number) {
  return corruptBatch('A snappy block is damaged: its lengths or offsets lead outside it.', { position })
}
