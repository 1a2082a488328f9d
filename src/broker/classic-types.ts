/** Kafka's classic (not compact) types, in which it keeps the records of its own topics. */

/** Appends Kafka's classic (not compact) types to a growing buffer. */
export class Packer {
  #buffer = Buffer.alloc(256)
  #at = 0

  int8(value: number): void {
    this.#room(1)
    this.#at = this.#buffer.writeInt8(value, this.#at)
  }
  int16(value: number): void {
    this.#room(2)
    this.#at = this.#buffer.writeInt16BE(value, this.#at)
  }
  int32(value: number): void {
    this.#room(4)
    this.#at = this.#buffer.writeInt32BE(value, this.#at)
  }
  int64(value: number): void {
    this.#room(8)
    this.#at = this.#buffer.writeBigInt64BE(BigInt(value), this.#at)
  }
  string(value: string): void {
    const bytes = Buffer.byteLength(value)
    this.int16(bytes)
    this.#room(bytes)
    this.#at += this.#buffer.write(value, this.#at)
  }
  nullableString(value: string | null): void {
    if (value === null) this.int16(-1)
    else this.string(value)
  }
  bytes(value: Buffer): void {
    this.int32(value.length)
    this.#room(value.length)
    this.#at += value.copy(this.#buffer, this.#at)
  }
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }
  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = Buffer.alloc(Math.max(this.#buffer.length * 2, this.#at + bytes))
    this.#buffer.copy(larger)
    this.#buffer = larger
  }
}

/** Reads what `Packer` writes; a RangeError says that the bytes end too early. */
export class Unpacker {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  int8(): number {
    this.#at += 1
    return this.#bytes.readInt8(this.#at - 1)
  }
  int16(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }
  int32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }
  int64(): number {
    this.#at += 8
    return Number(this.#bytes.readBigInt64BE(this.#at - 8))
  }
  string(): string {
    return this.nullableString() ?? ''
  }
  nullableString(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.#take(length).toString('utf8')
  }
  bytes(): Buffer {
    const length = this.int32()
    // Copied, so that a small value does not keep the whole read alive.
    return length < 0 ? Buffer.alloc(0) : Buffer.from(this.#take(length))
  }
  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new RangeError('the record ends too early')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
