import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OffsetSet } from '../../src/audit/offset-set.ts'
import { formatRange } from '../../src/ledger/offset-range.ts'
import { checkProperty } from '../support/seeded-property.ts'

const FILE = 'test/audit/offset-set.test.ts'

const setOf = (offsets: Iterable<number>): OffsetSet => {
  const set = new OffsetSet()
  for (const offset of offsets) set.add(offset)
  return set
}
const offsetsOf = (set: OffsetSet): number[] =>
  [...set.ranges()].flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index),
  )

describe('a set of offsets', () => {
  it('says of an offset that comes again that it was there', () => {
    const set = new OffsetSet()

    expect([set.add(7), set.add(7), set.add(40_000), set.size]).toEqual([true, false, true, 2])
  })

  it('gives a chunk that is full back, and still knows its offsets', () => {
    const set = new OffsetSet()
    for (let offset = 0; offset < 100_000; offset += 1) set.add(offset)

    expect([...set.ranges()].map(formatRange)).toEqual(['[0, 99999]'])
    expect([set.has(0), set.has(65_535), set.has(99_999), set.has(100_000)]).toEqual([
      true,
      true,
      true,
      false,
    ])
    expect(set.add(32_768)).toBe(false)
  })

  it('takes a range of a thousand million offsets as quickly as it is said', () => {
    const set = OffsetSet.of(5, 1_000_000_005)

    expect(set.size).toBe(1_000_000_000)
    expect([...set.ranges()].map(formatRange)).toEqual(['[5, 1000000004]'])
  })

  it('reaches offsets beyond 32 bits', () => {
    const set = setOf([2 ** 40, 2 ** 40 + 1, 2 ** 52])

    expect([...set.ranges()].map(formatRange)).toEqual([
      '[1099511627776, 1099511627777]',
      '[4503599627370496, 4503599627370496]',
    ])
  })

  it('agrees with a plain set of numbers, whatever is added, combined and asked', () => {
    const places = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 32_700, max: 32_900 }))
    const steps = fc.array(fc.tuple(places, fc.integer({ min: 0, max: 120 })), { maxLength: 12 })
    checkProperty(
      FILE,
      300,
      fc.property(steps, steps, (left, right) => {
        const model = (list: typeof left) =>
          new Set(list.flatMap(([first, more]) => Array.from({ length: more + 1 }, (_, at) => first + at)))
        const built = (list: typeof left) => {
          const set = new OffsetSet()
          for (const [first, more] of list) set.addRange(first, first + more)
          return set
        }
        const [a, b] = [built(left), built(right)]
        const [modelA, modelB] = [model(left), model(right)]
        const sorted = (offsets: Iterable<number>) => [...new Set(offsets)].sort((x, y) => x - y)
        const onlyInA = sorted([...modelA].filter((offset) => !modelB.has(offset)))

        expect(offsetsOf(a)).toEqual(sorted(modelA))
        expect(a.size).toBe(modelA.size)
        expect(offsetsOf(a.union(b))).toEqual(sorted([...modelA, ...modelB]))
        expect(offsetsOf(a.intersection(b))).toEqual(
          sorted([...modelA].filter((offset) => modelB.has(offset))),
        )
        expect(offsetsOf(a.difference(b))).toEqual(onlyInA)
        expect(a.difference(b).size).toBe(onlyInA.length)
      }),
    )
  })

  it('fills chunks that were begun, and begins chunks behind full ones', () => {
    const set = setOf([1, 32_769])
    set.addRange(0, 65_535)
    set.addRange(65_536, 65_540)

    expect([set.size, ...[...set.ranges()].map(formatRange)]).toEqual([65_541, '[0, 65540]'])
  })
})
