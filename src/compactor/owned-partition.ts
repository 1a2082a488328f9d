/**
 * One vault partition whose debt this compactor may pay: its books, from the account `owed` as the ledger tells it and the
 * account `repaid` as this compactor wrote it.
 *
 * `repaid` is kept here and not read back, because nobody else writes it while the partition is ours, and what is read back
 * comes late:
 *   1. [0, 49] is settled and committed. 2. The ledger's reader has not come to that record. 3. [0, 49] looks open, and is
 *   paid again.
 */

import type { Offset } from '../core/brands.ts'
import { booksOf, forgetBefore } from '../ledger/debt-accounts.ts'
import { changesBetween } from '../ledger/debt-changes.ts'
import type { DebtEntry, DebtPartition } from '../ledger/debt-entry.ts'
import {
  addDebt,
  type DebtBooks,
  debtWithin,
  loseDebt,
  overlay,
  type Settlement,
  settleDebt,
} from '../ledger/debt-ranges.ts'
import { type DebtRecord, encodeDebtKey } from '../ledger/debt-record.ts'
import type { OffsetRange } from '../ledger/offset-range.ts'
import type { LedgerView } from './ledger-view.ts'

/** A change of the account `repaid` that counts once its records are committed. */
export interface Booking {
  readonly records: readonly DebtRecord[]
  /** To be called when the transaction with the records is committed. */
  commit(): void
}

/** The ledger's part that is needed here. */
export type OwedSource = Pick<LedgerView, 'recordedOf' | 'owedVersionOf'>

/** Both accounts, and what they amount to. */
interface Standing {
  /** One entry for each key, in the order of their records. */
  readonly owed: readonly DebtEntry[]
  readonly repaid: DebtBooks
  readonly books: DebtBooks
}

export class OwnedPartition {
  readonly partition: DebtPartition
  /** The generation of the consumer group in which it was assigned: its settlements are committed in that one or not at all. */
  readonly generationId: number
  readonly stream: string
  /** The end of what was settled last, as committed in the consumer group; -1 before the first. */
  progress: Offset
  readonly #ledger: OwedSource
  /** Keys of `owed` that were forgotten; the ledger's reader may not know yet. */
  readonly #forgotten = new Set<number>()
  #standing: Standing
  #owedVersion: number

  /** To be made when the ledger was read to its end, after the partition was assigned. */
  constructor(options: {
    readonly partition: DebtPartition
    readonly generationId: number
    readonly stream: string
    readonly progress: Offset
    readonly ledger: OwedSource
  }) {
    const { topology, topic, partition } = options.partition
    this.partition = { topology, topic, partition }
    this.generationId = options.generationId
    this.stream = options.stream
    this.progress = options.progress
    this.#ledger = options.ledger
    this.#owedVersion = this.#ledger.owedVersionOf(this.partition)
    this.#standing = this.#lookUp(this.#ledger.recordedOf(this.partition).repaid)
  }

  /** Everything booked, as of now. The same object until something changes. */
  books(): DebtBooks {
    return this.#now().books
  }

  /** Books a range as enriched fully. Throws `GS_LEDGER_CONFLICT` unless all of it is open. */
  settle(range: OffsetRange, settlement: Settlement): Booking {
    const now = this.#now()
    const books = settleDebt(now.books, range, settlement)
    return this.#booking({ ...now, repaid: withParts(now.repaid, debtWithin(books, range)), books })
  }

  /** What is open within a range whose bytes are gone. */
  openWithin(range: OffsetRange): DebtEntry[] {
    return debtWithin(this.books(), range).filter(({ state }) => state === 'open')
  }

  /** Books what is open within a range as lost. */
  lose(range: OffsetRange, lostMs: number): Booking {
    const now = this.#now()
    const lost = this.openWithin(range).flatMap((entry) => loseDebt([entry], entry, { lostMs }))
    const books = loseDebt(now.books, range, { lostMs })
    return this.#booking({ ...now, repaid: withParts(now.repaid, lost), books })
  }

  /**
   * Forgets what is settled below the vault's first remaining offset, with the entries that were owed; null when there is
   * nothing to forget. The newest entry owed is left, because its writer may still extend it. The oldest go first, and no more
   * than `entriesMax` (but those that overlap, together).
   */
  forget(logStartOffset: Offset, limit: { readonly entriesMax?: number } = {}): Booking | null {
    const { owed, repaid } = this.#now()
    const accounts = { owed, repaid }
    const after = forgetBefore(accounts, logStartOffset, limit)
    if (after === accounts) return null
    const kept = new Set(after.owed)
    const gone = owed.filter((entry) => !kept.has(entry))
    // First what was owed, then what covered it: in the other order, a reader in between would see it open.
    const tombstones = gone.map((entry) => ({
      key: encodeDebtKey({ ...entry, account: 'owed' }),
      value: null,
    }))
    const booking = this.#booking({ ...after, books: laidOver(after) })
    return {
      records: [...tombstones, ...booking.records],
      commit: () => {
        for (const { first } of gone) this.#forgotten.add(first)
        booking.commit()
      },
    }
  }

  /** One booking at a time. What is owed may change until it is committed; then its books are no longer those of now. */
  #booking(after: Standing): Booking {
    const version = this.#owedVersion
    return {
      records: changesBetween(this.#standing.repaid, after.repaid, 'repaid'),
      commit: () => {
        this.#standing = this.#owedVersion === version ? after : this.#lookUp(after.repaid)
      },
    }
  }

  /** As of now: looked up anew only when something was booked as owed, because long books take their time. */
  #now(): Standing {
    const version = this.#ledger.owedVersionOf(this.partition)
    if (version !== this.#owedVersion) {
      this.#owedVersion = version
      this.#standing = this.#lookUp(this.#standing.repaid)
    }
    return this.#standing
  }

  #lookUp(repaid: DebtBooks): Standing {
    const recorded = this.#ledger.recordedOf(this.partition).owed
    const firsts = new Set<number>(recorded.map(({ first }) => first))
    for (const first of this.#forgotten) if (!firsts.has(first)) this.#forgotten.delete(first)
    const owed = recorded.filter(({ first }) => !this.#forgotten.has(first))
    return { owed, repaid, books: laidOver({ owed, repaid }) }
  }
}

const laidOver = ({ owed, repaid }: Pick<Standing, 'owed' | 'repaid'>): DebtBooks =>
  booksOf({ owed: overlay(owed), repaid })

const withParts = (repaid: DebtBooks, parts: readonly DebtEntry[]): DebtBooks =>
  parts.reduce<DebtBooks>((books, part) => addDebt(books, part), repaid)
