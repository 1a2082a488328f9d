import { describe, expect, it } from 'vitest'
import { asPartitionId } from '../../src/core/brands.ts'
import { LedgerFold } from '../../src/ledger/ledger-fold.ts'
import { DebtTail, type Shortfall } from '../../src/processor/debt-tail.ts'
import { shorts } from '../ledger/support.ts'

const PARTITION = { topology: 'density-tier', topic: 'raw-vault.web', partition: asPartitionId(0) }

const short = (first: number, last: number, changes: Partial<Shortfall> = {}): Shortfall => ({
  first,
  last,
  tier: 'passthrough',
  reason: { zone: 'red', driver: 'lagSeconds' },
  recordCount: last - first + 1,
  bytes: 10,
  timestampMinMs: first,
  timestampMaxMs: last,
  bookedMs: 1_000,
  ...changes,
})

/** Writes what the tail has to write, as a transaction that commits. */
function commit(tail: DebtTail, fold: LedgerFold): number {
  const taken = tail.take()
  for (const { key, value } of taken.records) fold.apply(key, value)
  tail.commit(taken)
  return taken.records.length
}

describe('the debt that grows at a processor’s position', () => {
  it('is one entry for a burst of batches, rewritten once per commit', () => {
    const [tail, fold] = [new DebtTail(PARTITION), new LedgerFold()]

    for (let first = 0; first < 10_000; first += 100) {
      tail.book(short(first, first + 99))
      if (first % 1_000 === 900) expect(commit(tail, fold)).toBe(1)
    }

    expect(shorts(fold.booksOf(PARTITION))).toEqual(['open passthrough 0-9999'])
    expect(fold.booksOf(PARTITION)[0]).toMatchObject({ recordCount: 10_000, bytes: 1_000 })
    expect(commit(tail, fold)).toBe(0)
  })

  it('begins an entry where the tier changes, and where full density lay between', () => {
    const [tail, fold] = [new DebtTail(PARTITION), new LedgerFold()]

    tail.book(short(0, 9))
    tail.book(short(10, 19, { tier: 'partial' }))
    tail.book(short(20, 29))
    tail.book(short(40, 49))
    commit(tail, fold)

    expect(shorts(fold.booksOf(PARTITION))).toEqual([
      'open passthrough 0-9',
      'open partial 10-19',
      'open passthrough 20-29',
      'open passthrough 40-49',
    ])
  })

  it('books again what was taken and not committed, and nothing else', () => {
    const [tail, fold] = [new DebtTail(PARTITION), new LedgerFold()]
    tail.book(short(0, 9))
    commit(tail, fold)

    tail.book(short(10, 19))
    tail.book(short(20, 29, { tier: 'partial' }))
    tail.take()
    tail.revert()
    tail.book(short(10, 14))
    commit(tail, fold)

    expect(shorts(fold.booksOf(PARTITION))).toEqual(['open passthrough 0-14'])
  })

  it('reaches over offsets that hold nothing only right behind itself', () => {
    const [tail, fold] = [new DebtTail(PARTITION), new LedgerFold()]

    tail.book(short(0, 9))
    tail.extendOver(10, 10)
    tail.extendOver(20, 29)
    tail.extendOver(11, 10)
    commit(tail, fold)

    expect(shorts(fold.booksOf(PARTITION))).toEqual(['open passthrough 0-10'])
  })

  it('names what was deleted before it could be processed as lost', () => {
    const [tail, fold] = [new DebtTail(PARTITION), new LedgerFold()]

    tail.book(short(0, 9, { tier: 'deferred' }))
    tail.bookLost(short(10, 99, { tier: 'deferred', bytes: 0, timestampMinMs: -1, timestampMaxMs: -1 }))
    tail.book(short(100, 109, { tier: 'deferred' }))
    commit(tail, fold)

    expect(shorts(fold.booksOf(PARTITION))).toEqual([
      'open deferred 0-9',
      'lost deferred 10-99',
      'open deferred 100-109',
    ])
  })
})
