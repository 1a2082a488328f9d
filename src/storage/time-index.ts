/**
 * A segment's sparse time index, in Kafka's `.timeindex` layout. Derived data, as the offset index is.
 *
 *     0                8               12
 *     | timestamp      | offset - base |   one entry, big endian
 *
 * An entry says: up to and including the batch that ends with `offset` no batch has a later timestamp, and that batch
 * has exactly this one. Entries rise strictly in time and never fall in offset.
 */

import { readInt64, writeInt64 } from '../batch/int64.ts'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'

const ENTRY_BYTES = 12
const ENTRIES_INITIAL = 64

export class TimeIndex {
  readonly #baseOffset: Offset
  #bytes: Buffer
  #count = 0
  #timestampLast = Number.NEGATIVE_INFINITY

  constructor(baseOffset: Offset) {
    this.#baseOffset = baseOffset
    this.#bytes = Buffer.alloc(ENTRIES_INITIAL * ENTRY_BYTES)
  }

  /** Takes a file's bytes over; null when they cannot be the time index of a segment with this end. */
  static decode(bytes: Buffer, segment: { baseOffset: Offset; endOffset: Offset }): TimeIndex | null {
    if (bytes.length % ENTRY_BYTES !== 0) return null
    const index = new TimeIndex(segment.baseOffset)
    index.#bytes = bytes
    index.#count = bytes.length / ENTRY_BYTES
    let offsetBefore = -1
    for (let entry = 0; entry < index.#count; entry += 1) {
      const timestamp = index.timestampOf(entry)
      const relative = bytes.readInt32BE(entry * ENTRY_BYTES + 8)
      if (timestamp <= index.#timestampLast || relative < offsetBefore) return null
      index.#timestampLast = timestamp
      offsetBefore = relative
    }
    return segment.baseOffset + offsetBefore < segment.endOffset ? index : null
  }

  get count(): number {
    return this.#count
  }

  /** Adds an entry when `timestamp` is later than the last entry's; otherwise the last one already says it all. */
  append(timestamp: number, lastOffset: number): void {
    if (timestamp <= this.#timestampLast) return
    if ((this.#count + 1) * ENTRY_BYTES > this.#bytes.length) this.#grow()
    const at = this.#count * ENTRY_BYTES
    writeInt64(this.#bytes, at, timestamp)
    this.#bytes.writeInt32BE(lastOffset - this.#baseOffset, at + 8)
    this.#timestampLast = timestamp
    this.#count += 1
  }

  /** The last entry with a timestamp below `timestamp`, or -1 when there is none. */
  entryBelow(timestamp: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.timestampOf(middle) < timestamp) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  timestampOf(entry: number): number {
    return readInt64(this.#bytes, entry * ENTRY_BYTES)
  }

  offsetOf(entry: number): Offset {
    return asOffset(this.#baseOffset + this.#bytes.readInt32BE(entry * ENTRY_BYTES + 8))
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
