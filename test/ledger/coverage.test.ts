import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClaimedRange } from '../../src/ledger/coverage.ts'
import { checkCoverage, describeCoverage } from '../../src/ledger/coverage.ts'
import { rangeOf } from '../../src/ledger/offset-range.ts'
import { checkProperty } from '../support/seeded-property.ts'

const claim = (kind: string, first: number, last: number): ClaimedRange => ({
  kind,
  ...rangeOf(first, last),
})

describe('checkCoverage', () => {
  it('is content with a disjoint union of all kinds, in any order', () => {
    const report = checkCoverage({ first: 10, end: 50 }, [
      claim('open', 30, 49),
      claim('enriched', 10, 19),
      claim('dead-lettered', 20, 20),
      claim('settled', 21, 29),
    ])

    expect(report.isExact).toBe(true)
    expect(Object.fromEntries(report.offsetCounts)).toEqual({
      open: 20,
      enriched: 10,
      'dead-lettered': 1,
      settled: 9,
    })
  })

  it('names holes, overlaps and strays by range and kind', () => {
    const report = checkCoverage({ first: 10, end: 50 }, [
      claim('enriched', 5, 19),
      claim('open', 18, 29),
      claim('enriched', 40, 44),
      claim('enriched', 44, 54),
    ])

    expect(report.isExact).toBe(false)
    expect(describeCoverage(report)).toEqual([
      'hole [30, 39], 10 offsets',
      'overlap [18, 19], 2 offsets: enriched and open',
      'overlap [44, 44], 1 offset: enriched and enriched',
      'outside [5, 9], 5 offsets: enriched',
      'outside [50, 54], 5 offsets: enriched',
    ])
  })

  it('finds nothing to cover in an empty span', () => {
    expect(checkCoverage({ first: 7, end: 7 }, []).isExact).toBe(true)
    expect(checkCoverage({ first: 7, end: 7 }, [claim('open', 7, 7)]).isExact).toBe(false)
  })

  it('reports one overlap where two claims of one kind meet inside a third', () => {
    const report = checkCoverage({ first: 0, end: 10 }, [
      claim('enriched', 0, 9),
      claim('open', 2, 4),
      claim('open', 5, 7),
    ])

    expect(describeCoverage(report)).toEqual(['overlap [2, 7], 6 offsets: enriched and open'])
  })

  it('says of every offset what counting by hand says', () => {
    const anyClaim = fc
      .tuple(
        fc.constantFrom('enriched', 'open', 'settled'),
        fc.nat({ max: 40 }),
        fc.integer({ min: 1, max: 9 }),
      )
      .map(([kind, first, span]) => claim(kind, first, first + span - 1))
    checkProperty(
      'test/ledger/coverage.test.ts',
      400,
      fc.property(fc.array(anyClaim, { maxLength: 12 }), fc.nat({ max: 20 }), (claims, first) => {
        const end = first + 20
        const report = checkCoverage({ first, end }, claims)
        for (let offset = 0; offset < 60; offset += 1) {
          const covers = (range: { first: number; last: number }) =>
            range.first <= offset && offset <= range.last
          const kinds = claims
            .filter(covers)
            .map(({ kind }) => kind)
            .sort()
          const isInside = offset >= first && offset < end
          assert.equal(report.holes.filter(covers).length, isInside && kinds.length === 0 ? 1 : 0)
          const overlapping = report.overlaps.filter(covers).map((overlap) => overlap.kinds)
          assert.deepEqual(overlapping, isInside && kinds.length > 1 ? [kinds] : [])
          assert.equal(report.strays.filter(covers).length, isInside ? 0 : kinds.length)
        }
        assert.equal(report.isExact, describeCoverage(report).length === 0)
      }),
    )
  })
})
