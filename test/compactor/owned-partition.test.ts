import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Booking, OwnedPartition } from '../../src/compactor/owned-partition.ts'
import { asOffset } from '../../src/core/brands.ts'
import type { DebtEntry } from '../../src/ledger/debt-entry.ts'
import {
  type DebtRecord,
  decodeDebtKey,
  encodeDebtKey,
  encodeDebtValue,
} from '../../src/ledger/debt-record.ts'
import { LedgerFold } from '../../src/ledger/ledger-fold.ts'
import { rangeOf } from '../../src/ledger/offset-range.ts'
import { debt, PARTITION, shorts } from '../ledger/support.ts'
import { checkProperty } from '../support/seeded-property.ts'

const SETTLED = { settledMs: 9_000 }

/** The ledger's topic and a view of it that is told when to look: what is committed comes late. */
class LateLedger {
  readonly records: DebtRecord[] = []
  #version = 0
  #seenCount = 0

  write(records: readonly DebtRecord[]): void {
    this.records.push(...records)
  }

  owe(...entries: DebtEntry[]): void {
    this.write(
      entries.map((entry) => ({
        key: encodeDebtKey({ ...entry, account: 'owed' }),
        value: encodeDebtValue(entry),
      })),
    )
  }

  catchUp(): void {
    this.#seenCount = this.records.length
    this.#version++
  }

  owedVersionOf(): number {
    return this.#version
  }

  recordedOf() {
    const seen = this.records.slice(0, this.#seenCount)
    const owed = new Map<number, DebtEntry>()
    for (const { key, value } of seen) {
      const { account, first } = decodeDebtKey(key)
      if (account !== 'owed') continue
      // Deleted first, because a map keeps the place of a key that it has.
      owed.delete(first)
      if (value !== null) owed.set(first, { ...foldOf([{ key, value }]).booksOf(PARTITION)[0] } as DebtEntry)
    }
    return {
      owed: [...owed.values()],
      repaid: foldOf(seen).accountsOf(PARTITION).repaid,
    }
  }

  /** The books as whoever reads the topic to its end has them. */
  get books() {
    return foldOf(this.records).booksOf(PARTITION)
  }

  take(booking: Booking | null): void {
    if (booking === null) return
    this.write(booking.records)
    booking.commit()
  }
}

function foldOf(records: readonly DebtRecord[]): LedgerFold {
  const fold = new LedgerFold()
  for (const { key, value } of records) fold.apply(key, value)
  return fold
}

function own(ledger: LateLedger): OwnedPartition {
  return new OwnedPartition({
    partition: PARTITION,
    generationId: 1,
    stream: 'orders',
    progress: asOffset(-1),
    ledger,
  })
}

describe('settling', () => {
  test('what was settled stays settled while the ledger is read late', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 99))
    ledger.catchUp()
    const owned = own(ledger)

    ledger.take(owned.settle(rangeOf(0, 49), SETTLED))

    expect(shorts(owned.books())).toEqual(['settled passthrough 0-49', 'open passthrough 50-99'])
    expect(() => owned.settle(rangeOf(0, 49), SETTLED)).toThrow('not owed')
    // An older record of its own arrives while a newer one is on its way.
    ledger.catchUp()
    ledger.take(owned.settle(rangeOf(50, 79), SETTLED))
    expect(shorts(owned.books())).toEqual(['settled passthrough 0-79', 'open passthrough 80-99'])
  })

  test('a booking that is not committed changes nothing', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 99))
    ledger.catchUp()
    const owned = own(ledger)

    owned.settle(rangeOf(0, 49), SETTLED)

    expect(shorts(owned.books())).toEqual(['open passthrough 0-99'])
  })

  test('pieces that touch are one record, however many', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 99))
    ledger.catchUp()
    const owned = own(ledger)
    for (let first = 0; first < 100; first += 10) {
      ledger.take(owned.settle(rangeOf(first, first + 9), SETTLED))
      ledger.catchUp()
    }

    const live = new Map(ledger.records.map(({ key, value }) => [key.toString(), value]))
    expect(live.size).toBe(2)
    expect(shorts(ledger.books)).toEqual(['settled passthrough 0-99'])
  })

  test('its writer may extend an entry of which a part is settled', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 49))
    ledger.catchUp()
    const owned = own(ledger)
    ledger.take(owned.settle(rangeOf(0, 49), SETTLED))
    ledger.owe(debt(0, 199))
    ledger.catchUp()

    expect(shorts(owned.books())).toEqual(['settled passthrough 0-49', 'open passthrough 50-199'])
  })

  test('what is owed meanwhile is neither lost nor taken for settled', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 49))
    ledger.catchUp()
    const owned = own(ledger)
    const booking = owned.settle(rangeOf(0, 49), SETTLED)
    ledger.owe(debt(0, 99))
    ledger.catchUp()
    expect(shorts(owned.books())).toEqual(['open passthrough 0-99'])
    ledger.take(booking)

    expect(shorts(owned.books())).toEqual(['settled passthrough 0-49', 'open passthrough 50-99'])
  })

  test('a successor has the books that the records amount to', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 99), debt(100, 149, { tier: 'partial' }))
    ledger.catchUp()
    const owned = own(ledger)
    ledger.take(owned.settle(rangeOf(20, 119), SETTLED))
    ledger.catchUp()

    expect(shorts(own(ledger).books())).toEqual(shorts(owned.books()))
  })
})

describe('entries that overlap, as a processor without transactions leaves them when it does work again', () => {
  test('are read as everybody reads them: the newer one counts', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 99), debt(50, 149, { tier: 'partial' }), debt(20, 69))
    ledger.catchUp()
    const owned = own(ledger)

    expect(shorts(owned.books())).toEqual(['open passthrough 0-69', 'open partial 70-149'])
    expect(shorts(owned.books())).toEqual(shorts(ledger.books))
    ledger.take(owned.settle(rangeOf(0, 149), SETTLED))
    expect(shorts(ledger.books)).toEqual(['settled passthrough 0-69', 'settled partial 70-149'])
  })

  test('are forgotten together, for one would bring back what another had taken from it', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(50, 149), debt(0, 99), debt(200, 209))
    ledger.catchUp()
    const owned = own(ledger)
    ledger.take(owned.settle(rangeOf(0, 149), SETTLED))

    ledger.take(owned.forget(asOffset(120)))
    expect(shorts(ledger.books)).toEqual(['settled passthrough 0-149', 'open passthrough 200-209'])

    ledger.take(owned.forget(asOffset(150)))
    expect(shorts(ledger.books)).toEqual(['open passthrough 200-209'])
    expect(shorts(owned.books())).toEqual(['open passthrough 200-209'])
  })
})

describe('loss', () => {
  test('only what is open is lost', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 99))
    ledger.catchUp()
    const owned = own(ledger)
    ledger.take(owned.settle(rangeOf(10, 19), SETTLED))

    ledger.take(owned.lose(rangeOf(0, 39), 9_000))

    expect(shorts(ledger.books)).toEqual([
      'lost passthrough 0-9',
      'settled passthrough 10-19',
      'lost passthrough 20-39',
      'open passthrough 40-99',
    ])
  })
})

describe('forgetting', () => {
  test('every key that an entry was recorded under goes, not only the first of those that were joined', () => {
    const ledger = new LateLedger()
    // Two entries that touch, as two processors leave them, and a newest one behind.
    ledger.owe(debt(0, 49), debt(50, 99), debt(200, 209))
    ledger.catchUp()
    const owned = own(ledger)
    ledger.take(owned.settle(rangeOf(0, 99), SETTLED))

    ledger.take(owned.forget(asOffset(150)))

    expect(shorts(ledger.books)).toEqual(['open passthrough 200-209'])
    const live = new Map(ledger.records.map(({ key, value }) => [key.toString(), value]))
    expect([...live.values()].filter((value) => value !== null)).toHaveLength(1)
  })

  test('what was forgotten does not come back while the ledger is read late', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 49), debt(200, 209))
    ledger.catchUp()
    const owned = own(ledger)
    ledger.take(owned.settle(rangeOf(0, 49), SETTLED))
    ledger.take(owned.forget(asOffset(150)))

    expect(shorts(owned.books())).toEqual(['open passthrough 200-209'])
    ledger.catchUp()
    expect(shorts(owned.books())).toEqual(['open passthrough 200-209'])
    expect(owned.forget(asOffset(150))).toBeNull()
  })

  test('the newest entry stays, because it may still grow, and so does what is open or lost', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 9), debt(20, 29), debt(40, 49))
    ledger.catchUp()
    const owned = own(ledger)
    ledger.take(owned.settle(rangeOf(0, 9), SETTLED))
    ledger.take(owned.lose(rangeOf(20, 24), 9_000))
    ledger.take(owned.settle(rangeOf(40, 49), SETTLED))

    ledger.take(owned.forget(asOffset(1_000)))

    expect(shorts(ledger.books)).toEqual([
      'lost passthrough 20-24',
      'open passthrough 25-29',
      'settled passthrough 40-49',
    ])
  })

  test('nothing is forgotten that the vault still has a part of', () => {
    const ledger = new LateLedger()
    ledger.owe(debt(0, 99), debt(200, 209))
    ledger.catchUp()
    const owned = own(ledger)
    ledger.take(owned.settle(rangeOf(0, 99), SETTLED))

    expect(owned.forget(asOffset(99))).toBeNull()
    expect(owned.forget(asOffset(100))).not.toBeNull()
  })

  test('the oldest go first, as many as are wanted, so that their records fit into a batch', () => {
    const ledger = new LateLedger()
    for (let first = 0; first < 1_000; first += 10) ledger.owe(debt(first, first + 4))
    ledger.catchUp()
    const owned = own(ledger)
    for (let first = 0; first < 1_000; first += 10) {
      ledger.take(owned.settle(rangeOf(first, first + 4), SETTLED))
    }

    const booking = owned.forget(asOffset(950), { entriesMax: 30 })
    expect(booking?.records).toHaveLength(60)
    ledger.take(booking)
    expect(ledger.books[0]).toMatchObject({ first: 300 })
    for (let more = 0; more < 4; more += 1) ledger.take(owned.forget(asOffset(950), { entriesMax: 30 }))
    expect(shorts(ledger.books)[0]).toBe('settled passthrough 950-954')
  })

  test('no reader who stops between two records sees an offset owed again', () => {
    const anyCuts = fc.uniqueArray(fc.integer({ min: 1, max: 59 }), { maxLength: 6 })
    checkProperty(
      'test/compactor/owned-partition.test.ts',
      100,
      fc.property(anyCuts, fc.nat(60), fc.nat(60), (cuts, settledTo, start) => {
        const ledger = new LateLedger()
        const edges = [0, ...cuts.sort((a, b) => a - b), 60]
        ledger.owe(...edges.slice(0, -1).map((first, index) => debt(first, (edges[index + 1] ?? 60) - 1)))
        ledger.catchUp()
        const owned = own(ledger)
        if (settledTo > 0) ledger.take(owned.settle(rangeOf(0, settledTo - 1), SETTLED))
        const before = ledger.records.length
        ledger.take(owned.forget(asOffset(start)))

        for (let count = before; count <= ledger.records.length; count += 1) {
          const open = foldOf(ledger.records.slice(0, count))
            .booksOf(PARTITION)
            .filter(({ state }) => state === 'open')
          expect(shorts(open)).toEqual(settledTo === 60 ? [] : [`open passthrough ${settledTo}-59`])
        }
      }),
    )
  })
})
