import { describe, expect, test } from 'vitest'
import type { Random } from '../../src/core/random.ts'
import { seededRandom } from '../../src/core/random.ts'
import { KeyHash, KeyOffsets } from '../../src/storage/key-offsets.ts'

describe('the hash', () => {
  /** Both halves with the reference implementation's key, 00 01 … 07. */
  const referenceKeys: Random = {
    ...seededRandom(1),
    bytes: () => Buffer.from('00010203040506070001020304050607', 'hex'),
  }

  // The first vectors of HalfSipHash's reference implementation (64 bits of output): the input is 00 01 02 …
  test.each([
    [0, '218d1f59b9b83cc8'],
    [1, 'be552412f8387315'],
  ])('of %i bytes is the reference one', (length, wanted) => {
    const hash = new KeyHash(referenceKeys)
    hash.hash(Buffer.from(Array.from({ length }, (_, index) => index)), 0, length)
    const bytes = Buffer.alloc(16)
    for (const [index, word] of hash.words.entries()) bytes.writeInt32LE(word, index * 4)
    expect(bytes.toString('hex')).toBe(wanted + wanted)
  })

  test('depends on each byte, on the length, and on both keys', () => {
    const hash = new KeyHash(seededRandom(3))
    const other = new KeyHash(seededRandom(4))
    const seen = new Set<string>()
    for (let length = 0; length < 40; length += 1) {
      for (let at = 0; at < Math.max(length, 1); at += 1) {
        const bytes = Buffer.alloc(length)
        if (length > 0) bytes[at] = 1
        hash.hash(bytes, 0, length)
        other.hash(bytes, 0, length)
        expect(hash.words).not.toEqual(other.words)
        expect(hash.words.subarray(0, 2)).not.toEqual(hash.words.subarray(2))
        seen.add(hash.words.join())
      }
    }
    expect(seen.size).toBe(1 + (39 * 40) / 2)
  })

  test('reads the range that it is given, whatever lies around it', () => {
    const hash = new KeyHash(seededRandom(3))
    hash.hash(Buffer.from('key'), 0, 3)
    const alone = [...hash.words]
    hash.hash(Buffer.from('...key...'), 3, 6)
    expect([...hash.words]).toEqual(alone)
  })
})

describe('the table', () => {
  test('gives the latest offset of each key, as a map of whole keys would', () => {
    const random = seededRandom(9)
    const hash = new KeyHash(seededRandom(2))
    const table = new KeyOffsets({ bytesMax: 1024 * 1024 })
    const model = new Map<string, number>()
    for (let round = 0; round < 50_000; round += 1) {
      const key = `key-${random.below(20_000)}`
      const offset = random.below(1_000_000_000_000)
      hash.hash(Buffer.from(key), 0, key.length)
      table.put(hash, offset)
      model.set(key, Math.max(offset, model.get(key) ?? -1))
    }
    expect(table.count).toBe(model.size)
    const wrong = [...model].filter(([key, offset]) => {
      hash.hash(Buffer.from(key), 0, key.length)
      return table.get(hash) !== offset
    })
    expect(wrong).toEqual([])
    hash.hash(Buffer.from('another'), 0, 7)
    expect(table.get(hash)).toBe(-1)
  })

  test('says when it is full, within its bytes, and still takes later offsets of keys that it has', () => {
    const hash = new KeyHash(seededRandom(2))
    const table = new KeyOffsets({ bytesMax: 24 * 64 })
    let taken = 0
    for (let index = 0; index < 100; index += 1) {
      const key = Buffer.from(`k${index}`)
      hash.hash(key, 0, key.length)
      if (table.put(hash, index)) taken += 1
    }
    expect(taken).toBe(48)
    hash.hash(Buffer.from('k7'), 0, 2)
    expect(table.put(hash, 500)).toBe(true)
    expect(table.get(hash)).toBe(500)
  })
})
