import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asOffset, asPartitionId } from '../../src/core/brands.ts'
import { isFailure } from '../../src/core/errors.ts'
import { changesBetween } from '../../src/ledger/debt-changes.ts'
import type { DebtBooks } from '../../src/ledger/debt-ranges.ts'
import {
  addDebt,
  debtAt,
  forgetSettledBefore,
  loseDebt,
  NO_DEBT,
  settleDebt,
  subtractDebt,
} from '../../src/ledger/debt-ranges.ts'
import type { DebtRecord } from '../../src/ledger/debt-record.ts'
import { LedgerFold } from '../../src/ledger/ledger-fold.ts'
import { rangeOf } from '../../src/ledger/offset-range.ts'
import { checkProperty } from '../support/seeded-property.ts'
import type { Action } from './support.ts'
import { anyAction, debt, OFFSET_COUNT, PARTITION, shorts } from './support.ts'

const FILE = 'test/ledger/ledger-fold.test.ts'

function take(books: DebtBooks, action: Action): DebtBooks {
  const range = rangeOf(action.first, action.last)
  try {
    if (action.kind === 'add') {
      return addDebt(books, debt(action.first, action.last, { tier: action.tier }))
    }
    if (action.kind === 'settle') return settleDebt(books, range, { settledMs: 9_000 })
    if (action.kind === 'lose') return loseDebt(books, range, { lostMs: 9_000 })
    if (action.kind === 'subtract') return subtractDebt(books, range)
    return forgetSettledBefore(books, asOffset(action.first))
  } catch (error) {
    if (isFailure(error, 'GS_LEDGER_CONFLICT')) return books
    throw error
  }
}

function folded(records: readonly DebtRecord[]): LedgerFold {
  const fold = new LedgerFold()
  for (const { key, value } of records) fold.apply(key, value)
  return fold
}

/** What the books say of each offset. */
const statuses = (books: DebtBooks): string[] =>
  Array.from({ length: OFFSET_COUNT }, (_, offset) => {
    const entry = debtAt(books, asOffset(offset))
    return entry === null ? 'none' : `${entry.state} ${entry.tier}`
  })

/** What compaction may leave of a log: older values of a key gone, up to a point, and tombstones too if they may go. */
function compacted(records: readonly DebtRecord[], upTo: number, dropsTombstones: boolean): DebtRecord[] {
  const newest = new Map<string, number>()
  records.slice(0, upTo).forEach(({ key }, index) => {
    newest.set(key.toString(), index)
  })
  return records.filter(({ key, value }, index) => {
    if (index >= upTo) return true
    return newest.get(key.toString()) === index && !(dropsTombstones && value === null)
  })
}

const anyActions = fc.array(anyAction, { minLength: 1, maxLength: 30, size: 'max' })

describe('the ledger as its topic tells it', () => {
  it('is the writer’s books, entry by entry, after any bookings', () => {
    checkProperty(
      FILE,
      300,
      fc.property(anyActions, (actions) => {
        const fold = new LedgerFold()
        let books = NO_DEBT
        for (const action of actions) {
          const after = take(books, action)
          for (const { key, value } of changesBetween(books, after, 'owed')) fold.apply(key, value)
          books = after
          assert.deepEqual(fold.booksOf(PARTITION), books)
          assert.deepEqual(fold.repairs('owed'), [])
        }
      }),
    )
  })

  it('shows, wherever a reader stops, each offset as it was or as it is to be', () => {
    let middleCount = 0
    checkProperty(
      FILE,
      300,
      fc.property(anyActions, (actions) => {
        const fold = new LedgerFold()
        let books = NO_DEBT
        for (const action of actions) {
          const after = take(books, action)
          const [was, willBe] = [statuses(books), statuses(after)]
          const changes = changesBetween(books, after, 'owed')
          for (const [index, { key, value }] of changes.entries()) {
            fold.apply(key, value)
            if (index < changes.length - 1) middleCount += 1
            const wrong = statuses(fold.booksOf(PARTITION)).findIndex(
              (status, offset) => status !== was[offset] && status !== willBe[offset],
            )
            assert.equal(wrong, -1, `offset ${wrong} is neither as it was nor as it is to be`)
          }
          books = after
        }
      }),
    )
    expect(middleCount).toBeGreaterThan(500)
  })

  it('is the same from a compacted log, however far compaction came and wherever the writer stopped', () => {
    checkProperty(
      FILE,
      300,
      fc.property(anyActions, fc.nat(), fc.nat(), fc.boolean(), (actions, stop, reach, dropsTombstones) => {
        const records: DebtRecord[] = []
        let books = NO_DEBT
        for (const action of actions) {
          const after = take(books, action)
          records.push(...changesBetween(books, after, 'owed'))
          books = after
        }
        const whole = compacted(records, reach % (records.length + 1), dropsTombstones)
        assert.deepEqual(folded(whole).booksOf(PARTITION), books)

        const cut = records.slice(0, stop % (records.length + 1))
        const kept = compacted(cut, reach % (cut.length + 1), dropsTombstones)
        assert.deepEqual(folded(kept).booksOf(PARTITION), folded(cut).booksOf(PARTITION))
      }),
    )
  })

  it('recovers from a writer that died at any record, and goes on from there', () => {
    let deathCount = 0
    checkProperty(
      FILE,
      200,
      fc.property(anyActions, fc.infiniteStream(fc.nat({ max: 3 })), (actions, deaths) => {
        const records: DebtRecord[] = []
        for (const action of actions) {
          const fold = folded(records)
          // What a successor does before anything else.
          records.push(...fold.repairs('owed'))
          const books = fold.booksOf(PARTITION)
          assert.deepEqual(shorts(folded(records).booksOf(PARTITION)), shorts(books))
          assert.deepEqual(folded(records).repairs('owed'), [])
          const changes = changesBetween(books, take(books, action), 'owed')
          const survivors = changes.slice(0, deaths.next().value)
          if (survivors.length < changes.length) deathCount += 1
          records.push(...survivors)
        }
      }),
    )
    expect(deathCount).toBeGreaterThan(300)
  })

  it('believes the newest record where two overlap, also when its key is the older one', () => {
    const settled = debt(0, 9, { state: 'settled', closedMs: 1 })
    const joined = debt(0, 19, { state: 'settled', closedMs: 2 })
    const fold = folded(
      [settled, debt(10, 19), joined].flatMap((entry) => changesBetween(NO_DEBT, [entry], 'owed')),
    )

    expect(fold.booksOf(PARTITION)).toEqual([joined])
    expect(fold.repairs('owed').map(({ key, value }) => [key.toString(), value])).toEqual([
      ['["density-tier","raw-vault.orders",3,10,"owed"]', null],
    ])
  })

  it('keeps partitions and topologies apart', () => {
    const mine = debt(0, 9)
    const others = [debt(0, 9, { partition: asPartitionId(4) }), debt(0, 5, { topology: 'second' })]
    const fold = folded([mine, ...others].flatMap((entry) => changesBetween(NO_DEBT, [entry], 'owed')))

    for (const { key, value } of changesBetween([mine], NO_DEBT, 'owed')) fold.apply(key, value)

    expect(fold.booksOf(PARTITION)).toEqual([])
    expect(fold.partitions().map(({ topology, partition }) => [topology, partition])).toEqual([
      ['density-tier', 4],
      ['second', 3],
    ])
  })

  it('is not changed by a record that cannot be read', () => {
    const fold = folded(changesBetween(NO_DEBT, [debt(0, 9)], 'owed'))

    expect(() => fold.apply(Buffer.from('["a"]'), null)).toThrow(/cannot be read/)
    expect(() => fold.apply(Buffer.from('["a","b",0,0,"owed"]'), Buffer.from('{}'))).toThrow(/cannot be read/)

    expect(shorts(fold.booksOf(PARTITION))).toEqual(['open passthrough 0-9'])
  })

  it('takes the tombstone of a key it never had', () => {
    const fold = folded(changesBetween([debt(0, 9)], NO_DEBT, 'owed'))

    expect(fold.partitions()).toEqual([])
  })
})

describe('changesBetween', () => {
  const text = (records: readonly DebtRecord[]) =>
    records.map(({ key, value }) => {
      const [, , , first] = JSON.parse(key.toString())
      if (value === null) return `${first} removed`
      const { last, state } = JSON.parse(value.toString())
      return `${first}-${last} ${state}`
    })

  it('writes a cut from the highest offset down', () => {
    const before = addDebt(NO_DEBT, debt(0, 99))

    const records = changesBetween(before, settleDebt(before, rangeOf(40, 59), { settledMs: 9_000 }), 'owed')

    expect(text(records)).toEqual(['60-99 open', '40-59 settled', '0-39 open'])
  })

  it('writes a join first and the removal of the joined key after it', () => {
    const before = [debt(0, 9, { state: 'settled', closedMs: 1 }), debt(10, 19)]

    const records = changesBetween(before, settleDebt(before, rangeOf(10, 19), { settledMs: 9_000 }), 'owed')

    expect(text(records)).toEqual(['0-19 settled', '10 removed'])
  })

  it('writes one record for one more batch of a burst', () => {
    const before = addDebt(NO_DEBT, debt(0, 99))

    expect(text(changesBetween(before, addDebt(before, debt(100, 199)), 'owed'))).toEqual(['0-199 open'])
  })

  it('writes nothing where nothing changed', () => {
    const books = addDebt(NO_DEBT, debt(0, 99))

    expect(changesBetween(books, structuredClone(books) as DebtBooks, 'owed')).toEqual([])
  })
})
