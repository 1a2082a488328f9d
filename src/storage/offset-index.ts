/**
 * A segment's sparse offset index, in Kafka's `.index` layout. Derived data: whatever is wrong with it, it can be
 * rebuilt from the segment, so it is checked when loaded and again whenever an entry is used.
 *
 *     0                4               8
 *     | offset - base  | position      |   one entry, big endian
 *
 * An entry says: the batch at `position` ends with `offset`. Entries rise strictly in both.
 */

import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'

const ENTRY_BYTES = 8
const ENTRIES_INITIAL = 64

export class OffsetIndex {
  readonly #baseOffset: Offset
  #bytes: Buffer
  #count = 0

  constructor(baseOffset: Offset) {
    this.#baseOffset = baseOffset
    this.#bytes = Buffer.alloc(ENTRIES_INITIAL * ENTRY_BYTES)
  }

  /** Takes a file's bytes over; null when they cannot be the index of a segment of this size and end. */
  static decode(
    bytes: Buffer,
    segment: { baseOffset: Offset; bytes: number; endOffset: Offset },
  ): OffsetIndex | null {
    if (bytes.length % ENTRY_BYTES !== 0) return null
    const index = new OffsetIndex(segment.baseOffset)
    index.#bytes = bytes
    index.#count = bytes.length / ENTRY_BYTES
    let offsetBefore = -1
    let positionBefore = -1
    for (let entry = 0; entry < index.#count; entry += 1) {
      const relative = bytes.readInt32BE(entry * ENTRY_BYTES)
      const position = bytes.readInt32BE(entry * ENTRY_BYTES + 4)
      if (relative <= offsetBefore || position <= positionBefore) return null
      offsetBefore = relative
      positionBefore = position
    }
    if (segment.baseOffset + offsetBefore >= segment.endOffset || positionBefore >= segment.bytes) {
      return index.#count === 0 ? index : null
    }
    return index
  }

  get count(): number {
    return this.#count
  }

  /** Adds an entry; both values are above the last ones. */
  append(lastOffset: number, position: number): void {
    if ((this.#count + 1) * ENTRY_BYTES > this.#bytes.length) this.#grow()
    this.#bytes.writeInt32BE(lastOffset - this.#baseOffset, this.#count * ENTRY_BYTES)
    this.#bytes.writeInt32BE(position, this.#count * ENTRY_BYTES + 4)
    this.#count += 1
  }

  /** The last entry whose offset is at or below `offset`, or -1 when there is none. */
  entryAtOrBelow(offset: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.offsetOf(middle) <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  offsetOf(entry: number): Offset {
    return asOffset(this.#baseOffset + this.#bytes.readInt32BE(entry * ENTRY_BYTES))
  }

  positionOf(entry: number): number {
    return this.#bytes.readInt32BE(entry * ENTRY_BYTES + 4)
  }

  /** The file's bytes: a view, valid until the next `append`. */
  encode(): Buffer {
    return this.#bytes.subarray(0, this.#count * ENTRY_BYTES)
  }

  #grow(): void {
    const larger = Buffer.alloc(Math.max(ENTRIES_INITIAL * ENTRY_BYTES, this.#bytes.length * 2))
    this.#bytes.copy(larger)
    this.#bytes = larger
  }
}
