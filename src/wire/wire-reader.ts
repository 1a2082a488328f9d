/**
 * Reads the primitive types of the Kafka protocol from a buffer. Every read is checked against the bytes that remain
 * before anything is allocated for it, so that hostile lengths cost nothing. What is read as bytes is a view of the
 * buffer, never a copy.
 *
 * Source of the formats: the Kafka protocol guide, "Protocol Primitive Types", and KIP-482 for the compact ones.
 */

import { REQUEST_ELEMENTS_MAX } from '../core/limits.ts'
import { WireError } from './wire-error.ts'

/** Longest string on the wire: the non-compact length is a signed 16-bit number, and Kafka keeps that bound for both. */
export const STRING_BYTES_MAX = 0x7fff
const TWO_32 = 4_294_967_296

export class WireReader {
  readonly buffer: Buffer
  /** Index of the next byte to read. */
  position: number
  /** Index after the last byte that may be read; narrowed while a tagged field is read. */
  end: number
  /** What is being read, for messages: "Produce v9 request". */
  readonly subject: string
  private readonly elementsMax: number
  private elementsLeft: number

  /** Reads `buffer` from index `at` to its end; all arrays together may have at most `elementsMax` elements. */
  constructor(buffer: Buffer, at: number, subject: string, elementsMax: number = REQUEST_ELEMENTS_MAX) {
    this.buffer = buffer
    this.position = at
    this.end = buffer.length
    this.subject = subject
    this.elementsMax = elementsMax
    this.elementsLeft = elementsMax
    if (at > buffer.length) this.failShort(at - buffer.length)
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.end - this.position
  }

  /** Throws unless `bytes` more can be read. */
  need(bytes: number): void {
    if (bytes > this.end - this.position) this.failShort(bytes)
  }

  bool(): boolean {
    return this.uint8() !== 0
  }

  uint8(): number {
    const at = this.position
    if (at >= this.end) this.failShort(1)
    this.position = at + 1
    return this.buffer[at] as number // in range: checked above
  }

  int8(): number {
    return (this.uint8() << 24) >> 24
  }

  int16(): number {
    const at = this.position
    this.need(2)
    this.position = at + 2
    const bytes = this.buffer
    return (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number)
  }

  int32(): number {
    const at = this.position
    this.need(4)
    this.position = at + 4
    const bytes = this.buffer
    return (
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
    )
  }

  /** A signed 64-bit number as a double: exact up to 2^53 either way, rounded beyond, never a failure. */
  int64(): number {
    this.need(8)
    const high = this.int32()
    const low = this.int32()
    return high * TWO_32 + (low >>> 0)
  }

  /**
   * An unsigned varint of at most 32 bits. As in Kafka, padding within five bytes is accepted; a sixth byte, or bits
   * above the 32nd, are not.
   */
  uvarint(): number {
    const first = this.uint8()
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let shift = 7; shift < 28; shift += 7) {
      const byte = this.uint8()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    const last = this.uint8()
    if (last > 0x0f) this.fail('a varint of more than 32 bits')
    return (value | (last << 28)) >>> 0
  }

  /** A string's or byte field's length in the classic form of 16 bits; -1 stands for null. */
  length16(): number {
    const length = this.int16()
    return this.checkLength(length)
  }

  /** A byte field's length in the classic form of 32 bits; -1 stands for null. */
  length32(): number {
    const length = this.int32()
    return this.checkLength(length)
  }

  /** A compact length: an unsigned varint of length + 1, where 0 stands for null (returned as -1). */
  lengthCompact(): number {
    return this.checkLength(this.uvarint() - 1)
  }

  /** An array's count; -1 stands for null. Checked: the array can be pre-sized without fear. */
  count(compact: boolean, elementBytesMin: number): number {
    const count = compact ? this.uvarint() - 1 : this.int32()
    if (count < -1) this.fail(`an array of ${count} elements`)
    if (count * elementBytesMin > this.remaining) {
      this.fail(
        `an array of ${count} elements of at least ${elementBytesMin} bytes, where ${this.remaining} bytes remain`,
      )
    }
    if (count > 0) {
      this.elementsLeft -= count
      if (this.elementsLeft < 0)
        this.fail(`more array elements than the ${this.elementsMax} a message may hold`)
    }
    return count
  }

  /** Decodes `length` bytes of UTF-8; what is not UTF-8 becomes U+FFFD, as in Kafka. */
  string(length: number): string {
    if (length > STRING_BYTES_MAX) {
      this.fail(`a string of ${length} bytes, where ${STRING_BYTES_MAX} is the most`)
    }
    const at = this.position
    this.position = at + length
    return length === 0 ? '' : this.buffer.toString('utf8', at, at + length)
  }

  /** A view of the next `length` bytes, which a length method has already checked. */
  view(length: number): Buffer {
    const at = this.position
    this.position = at + length
    return this.buffer.subarray(at, at + length)
  }

  /** A 16-byte view: a UUID as it stands on the wire. */
  uuid(): Buffer {
    this.need(16)
    return this.view(16)
  }

  /** Steps over a whole section of tagged fields, known or not. */
  skipTags(): void {
    for (let left = this.tagCount(); left > 0; left--) {
      this.uvarint()
      this.skip(this.uvarint())
    }
  }

  /** The number of tagged fields that follow; each takes two bytes at the very least. */
  tagCount(): number {
    const count = this.uvarint()
    if (count * 2 > this.remaining) this.fail(`${count} tagged fields, where ${this.remaining} bytes remain`)
    return count
  }

  skip(bytes: number): void {
    this.need(bytes)
    this.position += bytes
  }

  /** Throws when bytes are left over: a peer that sends them speaks another schema than it says. */
  finish(): void {
    if (this.position !== this.end) this.fail(`${this.remaining} bytes left over after the last field`)
  }

  /** Throws `GS_WIRE_MALFORMED`, naming the subject, what was found, and where. */
  fail(found: string): never {
    throw new WireError(
      'GS_WIRE_MALFORMED',
      `${this.subject}: found ${found}, at byte ${this.position} of ${this.buffer.length}`,
      { subject: this.subject, position: this.position, bytes: this.buffer.length },
    )
  }

  private checkLength(length: number): number {
    if (length < -1) this.fail(`a length of ${length}`)
    if (length > this.remaining) this.fail(`a length of ${length}, where ${this.remaining} bytes remain`)
    return length
  }

  private failShort(bytes: number): never {
    this.fail(`the end of the message, where ${bytes} more bytes were expected`)
  }
}
