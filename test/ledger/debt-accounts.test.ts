import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { isFailure } from '../../src/core/errors.ts'
import type { DebtAccounts } from '../../src/ledger/debt-accounts.ts'
import { booksOf, forgetBefore, NO_ACCOUNTS, repay, writeOff } from '../../src/ledger/debt-accounts.ts'
import { changesBetween } from '../../src/ledger/debt-changes.ts'
import { addDebt } from '../../src/ledger/debt-ranges.ts'
import type { DebtRecord } from '../../src/ledger/debt-record.ts'
import { LedgerFold } from '../../src/ledger/ledger-fold.ts'
import { rangeOf } from '../../src/ledger/offset-range.ts'
import { checkProperty } from '../support/seeded-property.ts'
import { BitmapModel, debt, OFFSET_COUNT, PARTITION, shorts } from './support.ts'

const FILE = 'test/ledger/debt-accounts.test.ts'

/** A processor that books at its position, and a compactor that repays or writes off, each knowing its own account only. */
type Step =
  | {
      readonly kind: 'book'
      readonly span: number
      readonly tier: 'partial' | 'passthrough'
      readonly skip: number
    }
  | { readonly kind: 'repay' | 'writeOff'; readonly first: number; readonly span: number }

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('book' as const),
      span: fc.integer({ min: 1, max: 8 }),
      tier: fc.constantFrom('partial' as const, 'passthrough' as const),
      skip: fc.constantFrom(0, 0, 0, 2),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('repay' as const, 'repay' as const, 'writeOff' as const),
      first: fc.nat({ max: OFFSET_COUNT - 1 }),
      span: fc.integer({ min: 1, max: 5 }),
    }),
  },
)

describe('the two accounts', () => {
  it('never overwrite each other, in whatever order their writers write', () => {
    let repaidCount = 0
    checkProperty(
      FILE,
      400,
      fc.property(fc.array(anyStep, { minLength: 5, maxLength: 40 }), (steps) => {
        const model = new BitmapModel()
        const fold = new LedgerFold()
        const write = (records: readonly DebtRecord[]) => {
          for (const { key, value } of records) fold.apply(key, value)
        }
        // What the processor remembers; it never reads the topic.
        let owed = NO_ACCOUNTS.owed
        let position = 0
        for (const step of steps) {
          if (step.kind === 'book') {
            const first = position + step.skip
            const last = first + step.span - 1
            if (last >= OFFSET_COUNT) continue
            const after = addDebt(owed, debt(first, last, { tier: step.tier }))
            write(changesBetween(owed, after, 'owed'))
            owed = after
            position = last + 1
            assert(model.take({ kind: 'add', first, last, tier: step.tier }))
          } else {
            const range = rangeOf(step.first, Math.min(OFFSET_COUNT - 1, step.first + step.span - 1))
            const before = fold.accountsOf(PARTITION)
            const after = compact(before, step.kind, range)
            const isTaken = model.take({ kind: step.kind === 'repay' ? 'settle' : 'lose', ...range })
            assert.equal(after !== null, isTaken)
            if (after === null) continue
            if (after.repaid.length > 0) repaidCount += 1
            assert.equal(after.owed, before.owed)
            write(changesBetween(before.repaid, after.repaid, 'repaid'))
          }
          assert.deepEqual(shorts(fold.booksOf(PARTITION)), model.runs())
        }
      }),
    )
    expect(repaidCount).toBeGreaterThan(400)
  })

  it('let an entry grow while its beginning is repaid', () => {
    const burst = { owed: [debt(0, 99)], repaid: [] }
    const repaid = repay(burst, rangeOf(0, 49), { settledMs: 9_000 })
    const grown = { ...repaid, owed: [debt(0, 199)] }

    expect(shorts(booksOf(grown))).toEqual(['settled passthrough 0-49', 'open passthrough 50-199'])
    expect(shorts(repay(grown, rangeOf(50, 199), { settledMs: 9_001 }).repaid)).toEqual([
      'settled passthrough 0-199',
    ])
  })

  it('refuse to repay what is settled already, and name it', () => {
    const repaid = repay({ owed: [debt(0, 99)], repaid: [] }, rangeOf(0, 49), { settledMs: 9_000 })

    expect(() => repay(repaid, rangeOf(40, 60), { settledMs: 9_001 })).toThrow(
      expect.objectContaining({
        code: 'GS_LEDGER_CONFLICT',
        message: expect.stringContaining('settled passthrough [40, 49]'),
      }),
    )
  })

  it('forget what lies settled below the log, and keep what is lost, open, or may still grow', () => {
    const owed = [
      debt(0, 9),
      debt(10, 19, { tier: 'partial' }),
      debt(20, 29),
      debt(30, 39, { tier: 'partial' }),
      debt(40, 49),
    ]
    let accounts: DebtAccounts = { owed, repaid: [] }
    accounts = repay(accounts, rangeOf(0, 9), { settledMs: 9_000 })
    accounts = writeOff(accounts, rangeOf(10, 14), { lostMs: 9_000 })
    accounts = repay(accounts, rangeOf(30, 49), { settledMs: 9_000 })

    const after = forgetBefore(accounts, asOffset(50))

    expect(shorts(after.owed)).toEqual([
      'open partial 10-19',
      'open passthrough 20-29',
      'open passthrough 40-49',
    ])
    expect(shorts(booksOf(after))).toEqual([
      'lost partial 10-14',
      'open partial 15-19',
      'open passthrough 20-29',
      'settled passthrough 40-49',
    ])
    expect(forgetBefore(accounts, asOffset(9))).toBe(accounts)
  })
})

function compact(
  accounts: DebtAccounts,
  kind: 'repay' | 'writeOff',
  range: ReturnType<typeof rangeOf>,
): DebtAccounts | null {
  try {
    if (kind === 'repay') return repay(accounts, range, { settledMs: 9_000 })
    return writeOff(accounts, range, { lostMs: 9_000 })
  } catch (error) {
    if (isFailure(error, 'GS_LEDGER_CONFLICT')) return null
    throw error
  }
}
