/**
 * Zigzag varints, as record batches use them (the Protocol Buffers encoding): 7 bits a byte, low bits first, the top
 * bit set on every byte but the last. Lengths and counts are 32 bits wide (5 bytes at most), timestamp deltas 64 (10 at
 * most). Padded encodings are read, as Kafka does; bits beyond the width are dropped, as Kafka does.
 *
 * A decoder returns the value and leaves the position after it in `varintEnd`: two results without an object. The
 * callers on the fast path read one-byte varints themselves and come here for longer ones.
 */

import { invalidBatch } from './batch-error.ts'

/** Where the last decoded varint ended. Read it at once: the next decode overwrites it. */
export let varintEnd = 0

/** Decodes an unsigned 32-bit varint (still zigzag) in [at, end). Throws `GS_BATCH_INVALID` when it does not end there. */
export function readRawVarint(bytes: Buffer, at: number, end: number): number {
  let value = 0
  for (let shift = 0; shift < 35; shift += 7) {
    if (at >= end) throw cutShort(at)
    const byte = bytes[at]
    at += 1
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      varintEnd = at
      return value >>> 0
    }
  }
  throw invalidBatch('A varint takes at most 5 bytes, this one goes on; the record is malformed.', {
    position: at,
  })
}

/** Decodes a signed 32-bit varint in [at, end). Throws `GS_BATCH_INVALID`. */
export function readVarint(bytes: Buffer, at: number, end: number): number {
  const raw = readRawVarint(bytes, at, end)
  return (raw >>> 1) ^ -(raw & 1)
}

/**
 * Decodes a signed 64-bit varint in [at, end) as a number: exact up to 2^53 either way, the nearest double beyond.
 * Throws `GS_BATCH_INVALID` when it does not end there, or after 10 bytes.
 */
export function readVarlong(bytes: Buffer, at: number, end: number): number {
  let low = 0 // bits 0-27
  let middle = 0 // bits 28-55
  let high = 0 // bits 56-63
  for (let index = 0; index < 10; index += 1) {
    if (at >= end) throw cutShort(at)
    const byte = bytes[at]
    at += 1
    const bits = byte & 0x7f
    if (index < 4) low |= bits << (7 * index)
    else if (index < 8) middle |= bits << (7 * (index - 4))
    else if (index === 8) high = bits
    else high |= (bits & 1) << 7
    if (byte < 0x80) {
      varintEnd = at
      const half = (low >>> 1) + middle * 134_217_728 + high * 36_028_797_018_963_968
      return (low & 1) === 0 ? half : -half - 1
    }
  }
  throw invalidBatch('A 64-bit varint takes at most 10 bytes, this one goes on; the record is malformed.', {
    position: at,
  })
}

function cutShort(position: number) {
  return invalidBatch('A varint was expected to end inside its record, but the bytes ran out.', { position })
}

/** The raw (zigzag, unsigned 32-bit) form of a signed 32-bit integer. */
export function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0
}

/** Bytes that a raw (unsigned 32-bit) varint takes: 1 to 5. Seven bits a byte, found without a branch. */
export function rawVarintBytes(raw: number): number {
  return ((32 - Math.clz32(raw | 1)) * 9 + 64) >>> 6
}

/** Writes a raw (unsigned 32-bit) varint at `at` and returns the position after it. The caller made room for 5 bytes. */
export function writeRawVarint(bytes: Buffer, at: number, raw: number): number {
  while (raw >= 0x80) {
    bytes[at] = (raw & 0x7f) | 0x80
    at += 1
    raw >>>= 7
  }
  bytes[at] = raw
  return at + 1
}

const TWO_31 = 2_147_483_648
/** The largest double below 2^63: a delta beyond 64 bits is held here. */
const VARLONG_MAX = 2 ** 63 - 1024

/** Bytes that the signed 64-bit varint of an integer takes: 1 to 10. */
export function varlongBytes(value: number): number {
  if (value === (value | 0)) return rawVarintBytes(zigzag(value))
  let size = 5
  for (let rest = Math.floor(magnitudeOf(value) / 17_179_869_184); rest >= 1; rest = Math.floor(rest / 128))
    size += 1
  return size
}

/** Writes the signed 64-bit varint of an integer and returns the position after it. Room for 10 bytes is the caller's. */
export function writeVarlong(bytes: Buffer, at: number, value: number): number {
  if (value === (value | 0)) return writeRawVarint(bytes, at, zigzag(value))
  const magnitude = magnitudeOf(value)
  let high = Math.floor(magnitude / TWO_31)
  let low = ((magnitude - high * TWO_31) * 2 + (value < 0 ? 1 : 0)) >>> 0
  while (high !== 0 || low >= 0x80) {
    bytes[at] = (low & 0x7f) | 0x80
    at += 1
    low = ((low >>> 7) | (high << 25)) >>> 0
    high >>>= 7
  }
  bytes[at] = low
  return at + 1
}

function magnitudeOf(value: number): number {
  return Math.min(value < 0 ? -value - 1 : value, VARLONG_MAX)
}
