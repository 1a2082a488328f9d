/**
 * A set of offsets of one partition: bitmaps in chunks, made when first needed and given up again when full. A partition of
 * a hundred million records that are all there costs a few thousand entries of a map; one with a gap in each chunk, a bit
 * for each offset.
 *
 * Where the audit asks "which of these are also those", it combines whole sets, a word at a time. The answer comes out as
 * ranges, because that is what people and the ledger speak of.
 */

import { strict as assert } from 'node:assert'
import { type OffsetRange, rangeOf } from '../ledger/offset-range.ts'

const CHUNK_BITS = 15
const CHUNK_OFFSETS = 2 ** CHUNK_BITS
const CHUNK_WORDS = CHUNK_OFFSETS / 32
const ALL = 0xffff_ffff

/** Words are null once every offset of the chunk is in the set. */
interface Chunk {
  words: Uint32Array | null
  count: number
}

const FULL_WORDS = new Uint32Array(CHUNK_WORDS).fill(ALL)
const EMPTY_WORDS = new Uint32Array(CHUNK_WORDS)

export class OffsetSet {
  readonly #chunks = new Map<number, Chunk>()
  #count = 0
  // Outputs come in the order of the vault, so nearly every call is about the chunk of the call before.
  #lastIndex = -1
  #lastChunk: Chunk | null = null

  /** The set of a run of offsets; empty when `end` is not above `first`. */
  static of(first: number, end: number): OffsetSet {
    const set = new OffsetSet()
    if (end > first) set.addRange(first, end - 1)
    return set
  }

  /** How many offsets are in it. */
  get size(): number {
    return this.#count
  }

  /** Adds an offset; false when it was there already. */
  add(offset: number): boolean {
    const chunk = this.#chunkOf(Math.floor(offset / CHUNK_OFFSETS))
    const { words } = chunk
    if (words === null) return false
    const bit = offset % CHUNK_OFFSETS
    const mask = 1 << (bit & 31)
    const word = words[bit >>> 5] as number
    if ((word & mask) !== 0) return false
    words[bit >>> 5] = word | mask
    chunk.count += 1
    this.#count += 1
    if (chunk.count === CHUNK_OFFSETS) chunk.words = null
    return true
  }

  /** Adds every offset from `first` to `last`, both included. */
  addRange(first: number, last: number): void {
    assert(first >= 0 && last >= first, `expected a range of offsets, found ${first} to ${last}`)
    let at = first
    while (at <= last) {
      const index = Math.floor(at / CHUNK_OFFSETS)
      const chunkStart = index * CHUNK_OFFSETS
      const to = Math.min(last, chunkStart + CHUNK_OFFSETS - 1)
      if (at === chunkStart && to === chunkStart + CHUNK_OFFSETS - 1) this.#fill(index)
      else this.#addWithin(this.#chunkOf(index), at - chunkStart, to - chunkStart)
      at = to + 1
    }
  }

  has(offset: number): boolean {
    const chunk = this.#chunks.get(Math.floor(offset / CHUNK_OFFSETS))
    if (chunk === undefined) return false
    const bit = offset % CHUNK_OFFSETS
    return chunk.words === null || ((chunk.words[bit >>> 5] as number) & (1 << (bit & 31))) !== 0
  }

  /** The maximal runs, in order. */
  *ranges(): Generator<OffsetRange> {
    let first = -1
    let next = -1
    for (const index of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(index) as Chunk
      const chunkStart = index * CHUNK_OFFSETS
      if (first >= 0 && next !== chunkStart) {
        yield rangeOf(first, next - 1)
        first = -1
      }
      if (chunk.words === null) {
        if (first < 0) first = chunkStart
        next = chunkStart + CHUNK_OFFSETS
        continue
      }
      for (let wordIndex = 0; wordIndex < CHUNK_WORDS; wordIndex += 1) {
        const word = chunk.words[wordIndex] as number
        const wordStart = chunkStart + wordIndex * 32
        if (word === 0) {
          if (first >= 0) yield rangeOf(first, next - 1)
          first = -1
        } else if (word === ALL) {
          if (first < 0) first = wordStart
          next = wordStart + 32
        } else {
          for (let bit = 0; bit < 32; bit += 1) {
            const isIn = (word & (1 << bit)) !== 0
            if (isIn && first < 0) first = wordStart + bit
            if (isIn) next = wordStart + bit + 1
            else if (first >= 0) {
              yield rangeOf(first, next - 1)
              first = -1
            }
          }
        }
      }
    }
    if (first >= 0) yield rangeOf(first, next - 1)
  }

  union(other: OffsetSet): OffsetSet {
    return this.#combined(other, (a, b) => a | b)
  }

  intersection(other: OffsetSet): OffsetSet {
    return this.#combined(other, (a, b) => a & b)
  }

  /** What is in this set and not in the other. */
  difference(other: OffsetSet): OffsetSet {
    return this.#combined(other, (a, b) => a & ~b)
  }

  #combined(other: OffsetSet, combine: (a: number, b: number) => number): OffsetSet {
    const result = new OffsetSet()
    for (const index of new Set([...this.#chunks.keys(), ...other.#chunks.keys()])) {
      const a = wordsOf(this.#chunks.get(index))
      const b = wordsOf(other.#chunks.get(index))
      const words = new Uint32Array(CHUNK_WORDS)
      let count = 0
      for (let at = 0; at < CHUNK_WORDS; at += 1) {
        const word = combine(a[at] as number, b[at] as number)
        words[at] = word
        count += bitCount(word)
      }
      if (count === 0) continue
      result.#chunks.set(index, { words: count === CHUNK_OFFSETS ? null : words, count })
      result.#count += count
    }
    return result
  }

  #chunkOf(index: number): Chunk {
    if (index === this.#lastIndex && this.#lastChunk !== null) return this.#lastChunk
    let chunk = this.#chunks.get(index)
    if (chunk === undefined) {
      chunk = { words: new Uint32Array(CHUNK_WORDS), count: 0 }
      this.#chunks.set(index, chunk)
    }
    this.#lastIndex = index
    this.#lastChunk = chunk
    return chunk
  }

  #fill(index: number): void {
    const known = this.#chunks.get(index)
    if (known !== undefined) {
      this.#count += CHUNK_OFFSETS - known.count
      known.words = null
      known.count = CHUNK_OFFSETS
      return
    }
    this.#count += CHUNK_OFFSETS
    this.#chunks.set(index, { words: null, count: CHUNK_OFFSETS })
  }

  #addWithin(chunk: Chunk, fromBit: number, toBit: number): void {
    const { words } = chunk
    if (words === null) return
    for (let bit = fromBit; bit <= toBit; ) {
      const wordIndex = bit >>> 5
      const wordEnd = (wordIndex + 1) * 32
      const from = bit & 31
      const width = Math.min(toBit + 1, wordEnd) - bit
      const mask = width === 32 ? ALL : ((2 ** width - 1) << from) >>> 0
      const before = words[wordIndex] as number
      words[wordIndex] = before | mask
      const added = bitCount(mask & ~before)
      chunk.count += added
      this.#count += added
      bit += width
    }
    if (chunk.count === CHUNK_OFFSETS) chunk.words = null
  }
}

function wordsOf(chunk: Chunk | undefined): Uint32Array {
  return chunk === undefined ? EMPTY_WORDS : (chunk.words ?? FULL_WORDS)
}

function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555)
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333)
  return (((bits + (bits >>> 4)) & 0x0f0f_0f0f) * 0x0101_0101) >>> 24
}
