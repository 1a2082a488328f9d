/**
 * The latest offset of each key, in bounded memory: 24 bytes a key, whatever its length. Kafka's `SkimpyOffsetMap`, with
 * another hash.
 *
 * Keys are known by 128 bits of a keyed hash (two HalfSipHash-2-4 with keys of their own) and not kept, so two keys that
 * hash alike would be taken for one, and the older one's value be lost. By chance that has odds of one in 10^20 for a
 * billion keys; on purpose it would take the hash's keys, which are random and never leave the process.
 */

import { strict as assert } from 'node:assert'
import type { Random } from '../core/random.ts'

const HASH_WORDS = 4
const SLOT_BYTES = HASH_WORDS * 4 + 8
const SLOTS_MIN = 8
/** Slots in use before the table counts as full: beyond three quarters, runs of taken slots grow long. */
const LOAD_MAX = 0.75
const FREE = -1

/** Hashes byte ranges to four words, in `words`, until the next call. */
export class KeyHash {
  readonly words = new Int32Array(HASH_WORDS)
  readonly #keys: Int32Array

  /** The keys are drawn once; every table that is asked with this hash must have been filled with it. */
  constructor(random: Random) {
    const bytes = random.bytes(16)
    this.#keys = Int32Array.from({ length: 4 }, (_, index) => bytes.readInt32LE(index * 4))
  }

  /** Hashes `bytes` in [start, end) into `words`: HalfSipHash-2-4 with 64 bits of output, twice, side by side. */
  hash(bytes: Buffer, start: number, end: number): void {
    const [key0 = 0, key1 = 0, key2 = 0, key3 = 0] = this.#keys
    this.#half(bytes, { start, end, key0, key1, into: 0 })
    this.#half(bytes, { start, end, key0: key2, key1: key3, into: 2 })
  }

  #half(bytes: Buffer, of: { start: number; end: number; key0: number; key1: number; into: number }): void {
    const { start, end, key0, key1, into } = of
    let v0 = key0
    let v1 = key1 ^ 0xee
    let v2 = key0 ^ 0x6c796765
    let v3 = key1 ^ 0x74656462
    const length = end - start
    const wholeEnd = end - (length & 3)
    for (let at = start; at <= wholeEnd; at += 4) {
      // The last word holds the bytes that are left over and the length, as the algorithm asks.
      const word =
        at < wholeEnd
          ? (bytes[at] as number) |
            ((bytes[at + 1] as number) << 8) |
            ((bytes[at + 2] as number) << 16) |
            ((bytes[at + 3] as number) << 24)
          : lastWord(bytes, at, end, length)
      v3 ^= word
      for (let round = 0; round < 2; round += 1) {
        v0 = (v0 + v1) | 0
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
        v0 = (v0 << 16) | (v0 >>> 16)
        v2 = (v2 + v3) | 0
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
        v0 = (v0 + v3) | 0
        v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
        v2 = (v2 + v1) | 0
        v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
        v2 = (v2 << 16) | (v2 >>> 16)
      }
      v0 ^= word
    }
    v2 ^= 0xee
    for (let round = 0; round < 8; round += 1) {
      if (round === 4) {
        this.words[into] = v1 ^ v3
        v1 ^= 0xdd
      }
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    this.words[into + 1] = v1 ^ v3
  }
}

/** An open-addressed table from key hashes to offsets. It grows by doubling up to `bytesMax`, and then is full. */
export class KeyOffsets {
  readonly #slotsMax: number
  #hashes: Int32Array
  #offsets: Float64Array
  #mask: number
  #count = 0

  constructor(options: { readonly bytesMax: number }) {
    const slots = 2 ** Math.floor(Math.log2(options.bytesMax / SLOT_BYTES))
    assert(slots >= SLOTS_MIN, `the table of keys needs at least ${SLOTS_MIN * SLOT_BYTES} bytes`)
    this.#slotsMax = slots
    this.#hashes = new Int32Array(SLOTS_MIN * HASH_WORDS)
    this.#offsets = new Float64Array(SLOTS_MIN).fill(FREE)
    this.#mask = SLOTS_MIN - 1
  }

  /** Keys held. */
  get count(): number {
    return this.#count
  }

  /** Notes that the key last hashed is at `offset`, when that is later than what is known. False when there is no room. */
  put(hash: KeyHash, offset: number): boolean {
    let slot = this.#slotOf(hash.words)
    if (this.#offsets[slot] === FREE) {
      if (this.#count + 1 > (this.#mask + 1) * LOAD_MAX) {
        if (this.#mask + 1 >= this.#slotsMax) return false
        this.#grow()
        slot = this.#slotOf(hash.words)
      }
      this.#hashes.set(hash.words, slot * HASH_WORDS)
      this.#count += 1
    } else if ((this.#offsets[slot] as number) >= offset) {
      return true
    }
    this.#offsets[slot] = offset
    return true
  }

  /** The latest offset of the key last hashed, or -1 when it is not held. */
  get(hash: KeyHash): number {
    return this.#offsets[this.#slotOf(hash.words)] as number
  }

  /** The slot that holds the hash, or the free one where it belongs. */
  #slotOf(words: Int32Array, from = 0): number {
    const w0 = words[from] as number
    const w1 = words[from + 1] as number
    const w2 = words[from + 2] as number
    const w3 = words[from + 3] as number
    const hashes = this.#hashes
    for (let slot = w0 & this.#mask; ; slot = (slot + 1) & this.#mask) {
      if (this.#offsets[slot] === FREE) return slot
      const at = slot * HASH_WORDS
      if (hashes[at] === w0 && hashes[at + 1] === w1 && hashes[at + 2] === w2 && hashes[at + 3] === w3) {
        return slot
      }
    }
  }

  #grow(): void {
    const hashes = this.#hashes
    const offsets = this.#offsets
    const slots = (this.#mask + 1) * 2
    this.#hashes = new Int32Array(slots * HASH_WORDS)
    this.#offsets = new Float64Array(slots).fill(FREE)
    this.#mask = slots - 1
    for (let old = 0; old < offsets.length; old += 1) {
      if (offsets[old] === FREE) continue
      const slot = this.#slotOf(hashes, old * HASH_WORDS)
      for (let word = 0; word < HASH_WORDS; word += 1) {
        this.#hashes[slot * HASH_WORDS + word] = hashes[old * HASH_WORDS + word] as number
      }
      this.#offsets[slot] = offsets[old] as number
    }
  }
}

function lastWord(bytes: Buffer, at: number, end: number, length: number): number {
  let word = (length & 0xff) << 24
  for (let index = at; index < end; index += 1) word |= (bytes[index] as number) << (8 * (index - at))
  return word
}
