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
import { booksOf, type DebtAccounts, forgetBefore, repay, writeOff } from '../ledger/debt-accounts.ts'
import { changesBetween } from '../ledger/debt-changes.ts'
import type { DebtEntry, DebtPartition } from '../ledger/debt-entry.ts'
import { coalesce, type DebtBooks, debtWithin, type Settlement } from '../ledger/debt-ranges.ts'
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
export type OwedSource = Pick<LedgerView, 'accountsOf' | 'version'>

export class OwnedPartition {
  readonly partition: DebtPartition
  /** The generation of the consumer group in which it was assigned: its settlements are committed in that one or not at all. */
  readonly generationId: number
  readonly stream: string
  /** The end of what was settled last, as committed in the consumer group; -1 before the first. */
  progress: Offset
  readonly #ledger: OwedSource
  #repaid: DebtBooks
  /** Keys of `owed` that were forgotten; the ledger's reader may not know yet. */
  readonly #forgotten = new Set<number>()
  #seen: { readonly version: number; readonly repaid: DebtBooks; readonly accounts: DebtAccounts } | null =
    null
  #books: DebtBooks | null = null

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
    this.#repaid = options.ledger.accountsOf(options.partition).repaid
  }

  /** Everything booked, as of now. The same object until something changes. */
  books(): DebtBooks {
    const { owed, repaid } = this.#accounts()
    this.#books ??= booksOf({ owed: coalesce(owed), repaid })
    return this.#books
  }

  /** Books a range as enriched fully. Throws `GS_LEDGER_CONFLICT` unless all of it is open. */
  settle(range: OffsetRange, settlement: Settlement): Booking {
    const { owed, repaid } = this.#accounts()
    return this.#booking(repay({ owed: coalesce(owed), repaid }, range, settlement))
  }

  /** What is open within a range whose bytes are gone. */
  openWithin(range: OffsetRange): DebtEntry[] {
    return debtWithin(this.books(), range).filter(({ state }) => state === 'open')
  }

  /** Books what is open within a range as lost. */
  lose(range: OffsetRange, lostMs: number): Booking {
    const { owed, repaid } = this.#accounts()
    return this.#booking(writeOff({ owed: coalesce(owed), repaid }, range, { lostMs }))
  }

  /**
   * Forgets what is settled below the vault's first remaining offset, with the entries that were owed; null when there is
   * nothing to forget. The newest entry owed is left, because its writer may still extend it.
   */
  forget(logStartOffset: Offset): Booking | null {
    const accounts = this.#accounts()
    const after = forgetBefore(accounts, logStartOffset)
    if (after === accounts) return null
    const kept = new Set(after.owed)
    const gone = accounts.owed.filter((entry) => !kept.has(entry))
    // First what was owed, then what covered it: in the other order, a reader in between would see it open.
    const tombstones = gone.map((entry) => ({
      key: encodeDebtKey({ ...entry, account: 'owed' }),
      value: null,
    }))
    const booking = this.#booking(after)
    return {
      records: [...tombstones, ...booking.records],
      commit: () => {
        for (const { first } of gone) this.#forgotten.add(first)
        booking.commit()
      },
    }
  }

  #booking({ repaid }: DebtAccounts): Booking {
    return {
      records: changesBetween(this.#repaid, repaid, 'repaid'),
      commit: () => {
        this.#repaid = repaid
      },
    }
  }

  #accounts(): DebtAccounts {
    const { version } = this.#ledger
    if (this.#seen?.version === version && this.#seen.repaid === this.#repaid) return this.#seen.accounts
    const recorded = this.#ledger.accountsOf(this.partition).owed
    const firsts = new Set<number>(recorded.map(({ first }) => first))
    for (const first of this.#forgotten) if (!firsts.has(first)) this.#forgotten.delete(first)
    const owed = recorded.filter(({ first }) => !this.#forgotten.has(first))
    this.#books = null
    this.#seen = { version, repaid: this.#repaid, accounts: { owed, repaid: this.#repaid } }
    return this.#seen.accounts
  }
}
