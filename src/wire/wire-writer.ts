/**
 * Writes the primitive types of the Kafka protocol into a list of buffers for `socket.writev`. Small things are written
 * into a growing buffer of our own; large byte fields are spliced into the list without copying, so they must not be
 * changed until the list has been sent.
 */

import { strict as assert } from 'node:assert'
import { WireError } from './wire-error.ts'
import { STRING_BYTES_MAX } from './wire-reader.ts'

/** Byte fields shorter than this are copied: one more buffer in a `writev` costs more than such a copy. */
export const SPLICE_BYTES_MIN = 1024

const TWO_32 = 4_294_967_296
const TWO_63 = 2 ** 63
const INITIAL_BYTES = 512

export class WireWriter {
  private buffer: Buffer
  /** Where in `buffer` the part that is not in `parts` yet begins. */
  private sealed = 0
  private position = 0
  private parts: Buffer[] = []
  private partsBytes = 0

  constructor(bytesInitial: number = INITIAL_BYTES) {
    this.buffer = Buffer.allocUnsafe(bytesInitial)
  }

  /** Bytes written so far, spliced ones included. */
  get byteLength(): number {
    return this.partsBytes + this.position - this.sealed
  }

  bool(value: boolean): void {
    this.uint8(value ? 1 : 0)
  }

  int8(value: number): void {
    if (value !== (value << 24) >> 24) failRange('an int8', value)
    this.uint8(value & 0xff)
  }

  int16(value: number): void {
    if (value !== (value << 16) >> 16) failRange('an int16', value)
    this.ensure(2)
    this.buffer[this.position++] = value >>> 8
    this.buffer[this.position++] = value
  }

  int32(value: number): void {
    if (value !== (value | 0)) failRange('an int32', value)
    this.ensure(4)
    this.rawInt32(value)
  }

  /** An integer double as a signed 64-bit number; what rounding pushed to 2^63 is written as 2^63 - 1. */
  int64(value: number): void {
    if (!Number.isInteger(value) || value > TWO_63 || value < -TWO_63) failRange('an int64', value)
    this.ensure(8)
    if (value === TWO_63) {
      this.rawInt32(0x7fffffff)
      this.rawInt32(-1)
      return
    }
    this.rawInt32(Math.floor(value / TWO_32))
    this.rawInt32(value >>> 0)
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(value: number): void {
    this.ensure(5)
    let rest = value >>> 0
    while (rest > 0x7f) {
      this.buffer[this.position++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.buffer[this.position++] = rest
  }

  string(value: string | null, compact: boolean): void {
    if (value === null) {
      this.nullLength(compact, 2)
      return
    }
    const bytes = Buffer.byteLength(value)
    if (bytes > STRING_BYTES_MAX) failRange(`a string of at most ${STRING_BYTES_MAX} bytes`, bytes)
    if (compact) this.uvarint(bytes + 1)
    else this.int16(bytes)
    this.ensure(bytes)
    this.position += this.buffer.write(value, this.position, bytes, 'utf8')
  }

  /** A byte field with its 32-bit or compact length; a list is written as one field, end to end. */
  bytes(value: Buffer | readonly Buffer[] | null, compact: boolean): void {
    if (value === null) {
      this.nullLength(compact, 4)
      return
    }
    if (Buffer.isBuffer(value)) {
      this.byteCount(value.length, compact)
      this.raw(value)
      return
    }
    let total = 0
    for (const part of value) total += part.length
    this.byteCount(total, compact)
    for (const part of value) this.raw(part)
  }

  /** An array's count; null is -1, or 0 in the compact form. */
  count(value: number, compact: boolean): void {
    this.byteCount(value, compact)
  }

  /** Bytes as they are, without a length; spliced when long. */
  raw(value: Buffer): void {
    if (value.length < SPLICE_BYTES_MIN) {
      this.ensure(value.length)
      value.copy(this.buffer, this.position)
      this.position += value.length
      return
    }
    this.seal()
    this.parts.push(value)
    this.partsBytes += value.length
  }

  /**
   * Writes a tagged field: its tag, then its size, then what `write` writes. The size is known only afterwards, so one
   * byte is kept for it, and the rare longer field is moved up. Nothing in a tagged field may be spliced.
   */
  tagged<Value>(tag: number, write: (writer: WireWriter, value: Value) => void, value: Value): void {
    this.uvarint(tag)
    this.ensure(1)
    const partsBefore = this.parts.length
    const startBytes = this.position - this.sealed
    this.position++
    write(this, value)
    assert(this.parts.length === partsBefore, 'a tagged field may not hold spliced bytes')
    const sizeAt = this.sealed + startBytes
    const size = this.position - sizeAt - 1
    if (size > 0x7f) {
      const extra = uvarintBytes(size) - 1
      this.ensure(extra)
      const from = this.sealed + startBytes + 1
      this.buffer.copyWithin(from + extra, from, this.position)
      this.position = this.sealed + startBytes
      this.uvarint(size)
      this.position += size
      return
    }
    this.buffer[sizeAt] = size
  }

  /** The message as buffers in order. The writer is spent: write no more with it. */
  finish(): Buffer[] {
    this.seal()
    return this.parts
  }

  private uint8(value: number): void {
    this.ensure(1)
    this.buffer[this.position++] = value
  }

  private rawInt32(value: number): void {
    const at = this.position
    this.buffer[at] = value >>> 24
    this.buffer[at + 1] = value >>> 16
    this.buffer[at + 2] = value >>> 8
    this.buffer[at + 3] = value
    this.position = at + 4
  }

  private byteCount(value: number, compact: boolean): void {
    if (compact) this.uvarint(value + 1)
    else this.int32(value)
  }

  private nullLength(compact: boolean, classicBytes: 2 | 4): void {
    if (compact) this.uint8(0)
    else if (classicBytes === 2) this.int16(-1)
    else this.int32(-1)
  }

  private seal(): void {
    if (this.position === this.sealed) return
    const part = this.buffer.subarray(this.sealed, this.position)
    this.parts.push(part)
    this.partsBytes += part.length
    this.sealed = this.position
  }

  /** Makes room for `bytes` more. What is sealed stays where it is; only the open part moves to the larger buffer. */
  private ensure(bytes: number): void {
    if (this.position + bytes <= this.buffer.length) return
    const open = this.position - this.sealed
    const larger = Buffer.allocUnsafe(Math.max(open + bytes, this.buffer.length) * 2)
    this.buffer.copy(larger, 0, this.sealed, this.position)
    this.buffer = larger
    this.sealed = 0
    this.position = open
  }
}

function uvarintBytes(value: number): number {
  let bytes = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++
  return bytes
}

function failRange(expected: string, found: number): never {
  throw new WireError('GS_WIRE_MALFORMED', `cannot encode ${found}: expected ${expected}`, { found })
}
