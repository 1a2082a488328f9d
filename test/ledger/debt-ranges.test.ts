import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { isFailure } from '../../src/core/errors.ts'
import { totalsOf } from '../../src/ledger/debt-order.ts'
import type { DebtBooks } from '../../src/ledger/debt-ranges.ts'
import {
  addDebt,
  debtAt,
  debtWithin,
  forgetSettledBefore,
  loseDebt,
  NO_DEBT,
  settleDebt,
  subtractDebt,
} from '../../src/ledger/debt-ranges.ts'
import { rangeOf } from '../../src/ledger/offset-range.ts'
import { checkProperty } from '../support/seeded-property.ts'
import type { Action } from './support.ts'
import { anyAction, BitmapModel, debt, RECORD_BYTES, short, shorts } from './support.ts'

const FILE = 'test/ledger/debt-ranges.test.ts'

/** Books after an action, or null where they refused it. */
function took(books: DebtBooks, action: Action): DebtBooks | null {
  const range = rangeOf(action.first, action.last)
  try {
    switch (action.kind) {
      case 'add':
        return addDebt(books, debt(action.first, action.last, { tier: action.tier }))
      case 'settle':
        return settleDebt(books, range, { settledMs: 9_000 })
      case 'lose':
        return loseDebt(books, range, { lostMs: 9_000 })
      case 'subtract':
        return subtractDebt(books, range)
      default:
        return forgetSettledBefore(books, asOffset(action.first))
    }
  } catch (error) {
    if (isFailure(error, 'GS_LEDGER_CONFLICT')) return null
    throw error
  }
}

describe('the books against a bitmap', () => {
  it('hold after any bookings exactly the runs of equal offsets, and refuse what the bitmap refuses', () => {
    let refusedCount = 0
    let takenCount = 0
    checkProperty(
      FILE,
      400,
      fc.property(fc.array(anyAction, { maxLength: 40, size: 'max' }), (actions) => {
        const model = new BitmapModel()
        let books = NO_DEBT
        for (const action of actions) {
          const isTaken = model.take(action)
          const after = took(books, action)
          assert.equal(after !== null, isTaken, `${JSON.stringify(action)} on ${shorts(books)}`)
          if (isTaken) takenCount += 1
          else refusedCount += 1
          books = after ?? books
          assert.deepEqual(shorts(books), model.runs())
        }
      }),
    )
    expect(refusedCount).toBeGreaterThan(1_000)
    expect(takenCount).toBeGreaterThan(1_000)
  })

  it('keep the sums of records and bytes through every cut and join', () => {
    checkProperty(
      FILE,
      300,
      fc.property(fc.array(anyAction, { maxLength: 40, size: 'max' }), (actions) => {
        let books = NO_DEBT
        for (const action of actions) books = took(books, action) ?? books
        for (const entry of books) {
          assert.equal(entry.recordCount, entry.last - entry.first + 1, short(entry))
          assert.equal(entry.bytes, entry.recordCount * RECORD_BYTES, short(entry))
        }
      }),
    )
  })

  it('share uneven counts so that nothing is gained or lost, and no part has more records than offsets', () => {
    const anyCase = fc.record({
      span: fc.integer({ min: 1, max: 1_000 }),
      fill: fc.double({ min: 0, max: 1, noNaN: true }),
      bytes: fc.nat(),
      cuts: fc.array(fc.tuple(fc.nat({ max: 999 }), fc.nat({ max: 999 }), fc.nat({ max: 999 }))),
    })
    checkProperty(
      FILE,
      300,
      fc.property(anyCase, ({ span, fill, bytes, cuts }) => {
        const recordCount = Math.floor(span * fill)
        let books = addDebt(NO_DEBT, debt(0, span - 1, { recordCount, bytes }))
        for (const [a, b, counted] of cuts) {
          const range = rangeOf(Math.min(a, b) % span, Math.min(Math.max(a, b), span - 1))
          const [part] = debtWithin(books, range)
          if (range.last < range.first || part?.last !== range.last || part.state !== 'open') continue
          if (part.first !== range.first) continue
          books = settleDebt(books, range, {
            settledMs: 9_000,
            ...(counted % 2 === 0 ? { counts: { recordCount: counted, bytes: counted * 7 } } : {}),
          })
        }
        const sums = [totalsOf(books, 'open'), totalsOf(books, 'settled')]
        expect(sums.reduce((sum, totals) => sum + totals.recordCount, 0)).toBe(recordCount)
        expect(sums.reduce((sum, totals) => sum + totals.bytes, 0)).toBe(bytes)
        for (const entry of books) expect(entry.recordCount).toBeLessThanOrEqual(entry.last - entry.first + 1)
      }),
    )
  })

  it('answer for an offset, and for a range, as the bitmap does', () => {
    checkProperty(
      FILE,
      100,
      fc.property(fc.array(anyAction, { maxLength: 20, size: 'max' }), (actions) => {
        const model = new BitmapModel()
        let books = NO_DEBT
        for (const action of actions) if (model.take(action)) books = took(books, action) ?? books
        model.cells.forEach((cell, offset) => {
          const entry = debtAt(books, asOffset(offset))
          assert.equal(entry && `${entry.state} ${entry.tier}`, cell && `${cell.state} ${cell.tier}`)
          const [part] = debtWithin(books, rangeOf(offset, offset))
          const expected = cell === null ? undefined : `${cell.state} ${cell.tier} ${offset}-${offset}`
          assert.equal(part && short(part), expected)
        })
      }),
    )
  })
})

describe('booking', () => {
  it('keeps a burst of any number of batches and driving sensors in one entry', () => {
    let books = NO_DEBT
    for (let batch = 0; batch < 5_000; batch += 1) {
      const driver = ['lagSeconds', 'eventLoopDelayMs', 'bytesInFlight'][batch % 3] ?? ''
      const entry = debt(batch * 100, batch * 100 + 99, {
        reason: { zone: batch % 2 === 0 ? 'red' : 'yellow', driver },
        openedMs: 5_000 + batch,
      })
      books = addDebt(books, entry)
    }

    expect(books).toEqual([debt(0, 499_999, { openedMs: 5_000 })])
  })

  it('makes as many entries as there were changes of tier', () => {
    let books = NO_DEBT
    for (let batch = 0; batch < 1_000; batch += 1) {
      const tier = Math.floor(batch / 100) % 2 === 0 ? 'partial' : 'passthrough'
      books = addDebt(books, debt(batch * 10, batch * 10 + 9, { tier }))
    }

    expect(books.length).toBe(10)
  })

  it('refuses a range that is owed already, and names both', () => {
    const books = addDebt(NO_DEBT, debt(10, 19))

    expect(() => addDebt(books, debt(15, 30))).toThrow(
      'cannot book [15, 30]: it is in the ledger already (found open passthrough [10, 19])',
    )
  })

  it('takes a malformed entry for a bug', () => {
    expect(() => addDebt(NO_DEBT, debt(7, 3))).toThrow(/malformed: first and last/)
    expect(() => addDebt(NO_DEBT, debt(0, 3, { recordCount: 5 }))).toThrow(/malformed: recordCount/)
    expect(() => addDebt(NO_DEBT, debt(0, 3, { closedMs: 1 }))).toThrow(/malformed: closedMs/)
    expect(() => addDebt(NO_DEBT, debt(0, 3, { timestampMinMs: 9, timestampMaxMs: 8 }))).toThrow(/after/)
  })

  it('takes an entry of another partition for a bug', () => {
    const books = addDebt(NO_DEBT, debt(0, 3))

    expect(() => addDebt(books, debt(9, 9, { topic: 'raw-vault' }))).toThrow(/its own partition/)
  })

  it('leaves the books it was given as they were', () => {
    const before = addDebt(NO_DEBT, debt(0, 99))
    const copy = structuredClone(before)

    settleDebt(before, rangeOf(40, 59), { settledMs: 9_000 })

    expect(before).toEqual(copy)
  })
})

describe('settling', () => {
  it('splits an entry, and joins it again when the rest is settled', () => {
    const owed = addDebt(NO_DEBT, debt(0, 99))

    const middle = settleDebt(owed, rangeOf(40, 59), { settledMs: 9_000 })
    const front = settleDebt(middle, rangeOf(0, 39), { settledMs: 9_100 })
    const all = settleDebt(front, rangeOf(60, 99), { settledMs: 9_200 })

    expect(shorts(middle)).toEqual([
      'open passthrough 0-39',
      'settled passthrough 40-59',
      'open passthrough 60-99',
    ])
    expect(all).toEqual([debt(0, 99, { state: 'settled', closedMs: 9_200 })])
  })

  it('refuses to settle twice, and names what is not owed', () => {
    const books = settleDebt(addDebt(NO_DEBT, debt(0, 99)), rangeOf(40, 59), { settledMs: 9_000 })

    expect(() => settleDebt(books, rangeOf(50, 104), { settledMs: 9_000 })).toThrow(
      'cannot settle [50, 104]: it is not owed (found settled passthrough [50, 59], no debt [100, 104])',
    )
  })

  it('books what was read of the settled part, and leaves the rest with the remainder', () => {
    const owed = addDebt(NO_DEBT, debt(0, 99, { recordCount: 90, bytes: 1_000 }))

    const books = settleDebt(owed, rangeOf(0, 9), {
      settledMs: 9_000,
      counts: { recordCount: 4, bytes: 700 },
    })

    expect(books.map(({ recordCount, bytes }) => [recordCount, bytes])).toEqual([
      [4, 700],
      [86, 300],
    ])
  })

  it('counts a settled part in the middle exactly as it was read', () => {
    const owed = addDebt(NO_DEBT, debt(0, 99, { bytes: 1_000 }))

    const books = settleDebt(owed, rangeOf(40, 59), {
      settledMs: 9_000,
      counts: { recordCount: 20, bytes: 500 },
    })

    expect(books.map(({ bytes }) => bytes)).toEqual([250, 500, 250])
  })

  it('keeps each tier of a range that spans several', () => {
    const owed = addDebt(addDebt(NO_DEBT, debt(0, 9)), debt(10, 19, { tier: 'partial' }))

    const books = settleDebt(owed, rangeOf(5, 14), { settledMs: 9_000 })

    expect(shorts(books)).toEqual([
      'open passthrough 0-4',
      'settled passthrough 5-9',
      'settled partial 10-14',
      'open partial 15-19',
    ])
  })
})

describe('what is gone', () => {
  it('is lost only where it was still owed', () => {
    const owed = settleDebt(addDebt(NO_DEBT, debt(0, 99)), rangeOf(0, 9), { settledMs: 9_000 })

    const books = loseDebt(owed, rangeOf(0, 29), { lostMs: 9_500 })

    expect(shorts(books)).toEqual([
      'settled passthrough 0-9',
      'lost passthrough 10-29',
      'open passthrough 30-99',
    ])
    expect(books[1]?.closedMs).toBe(9_500)
  })

  it('is forgotten only when it was settled', () => {
    const owed = addDebt(addDebt(NO_DEBT, debt(0, 29)), debt(40, 59))
    const settled = settleDebt(owed, rangeOf(10, 29), { settledMs: 9_000 })

    const books = forgetSettledBefore(loseDebt(settled, rangeOf(0, 4), { lostMs: 9_500 }), asOffset(20))

    expect(shorts(books)).toEqual([
      'lost passthrough 0-4',
      'open passthrough 5-9',
      'settled passthrough 20-29',
      'open passthrough 40-59',
    ])
  })
})
