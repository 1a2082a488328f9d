/**
 * What one vault partition owes since it was assigned here: the debt that grows at the processor's position. Only the newest
 * entry ever changes; older ones are written once and left to the compactor. The ledger need not be read for it, because an
 * entry begun by another owner is never extended: the partition's first debt here begins an entry of its own.
 *
 * A booking is provisional until the transaction that holds it commits: `take` gives what is to be written, then `commit` or
 * `revert` says how that went.
 */

import { strict as assert } from 'node:assert'
import type { DebtEntry, DebtPartition, DebtReason, DebtTier } from '../ledger/debt-entry.ts'
import { canJoin, joinEntries } from '../ledger/debt-entry.ts'
import { type DebtRecord, encodeDebtKey, encodeDebtValue } from '../ledger/debt-record.ts'
import { rangeOf } from '../ledger/offset-range.ts'

/** What was not enriched fully, one batch or a few, in offset order. */
export interface Shortfall {
  readonly first: number
  /** Inclusive; offsets without a record belong to the range around them. */
  readonly last: number
  readonly tier: DebtTier
  readonly reason: DebtReason
  readonly recordCount: number
  readonly bytes: number
  /** Of the records, ms; -1 when not known. */
  readonly timestampMinMs: number
  readonly timestampMaxMs: number
  /** Wall clock, ms. */
  readonly bookedMs: number
}

export class DebtTail {
  readonly #partition: DebtPartition
  #committed: DebtEntry | null = null
  #newest: DebtEntry | null = null
  /** The entries changed since the last `take`, by first offset. */
  #changed = new Map<number, DebtEntry>()

  constructor({ topology, topic, partition }: DebtPartition) {
    this.#partition = { topology, topic, partition }
  }

  /** True when something was booked that was not taken. */
  get isChanged(): boolean {
    return this.#changed.size > 0
  }

  /** Books a range as owed, behind everything booked before. */
  book(shortfall: Shortfall): void {
    this.#append(this.#entryOf(shortfall, { state: 'open', closedMs: null }))
  }

  /** Books a range whose bytes were gone before they could be processed. */
  bookLost(shortfall: Shortfall): void {
    this.#append(this.#entryOf(shortfall, { state: 'lost', closedMs: shortfall.bookedMs }))
  }

  /**
   * Lets the newest entry reach to `last` when it ends right before `first`: offsets that hold nothing to enrich, such as a
   * marker, go with the debt in front of them.
   */
  extendOver(first: number, last: number): void {
    const newest = this.#newest
    if (newest === null || newest.state !== 'open' || newest.last !== first - 1 || last < first) return
    this.#change({ ...newest, ...rangeOf(newest.first, last) })
  }

  /** The log was cut below us: what comes next is about other records, and begins an entry of its own. */
  breakOff(): void {
    this.#newest = null
  }

  /** The records to write now. What is booked later comes with the next `take`. */
  take(): { readonly records: readonly DebtRecord[]; readonly newest: DebtEntry | null } {
    const records = [...this.#changed.values()].map((entry) => ({
      key: encodeDebtKey({ ...entry, account: 'owed' }),
      value: encodeDebtValue(entry),
    }))
    this.#changed = new Map()
    return { records, newest: this.#newest }
  }

  /** What was taken is in the ledger. */
  commit({ newest }: { readonly newest: DebtEntry | null }): void {
    this.#committed = newest
  }

  /** Nothing booked since the last `commit` happened. */
  revert(): void {
    this.#newest = this.#committed
    this.#changed = new Map()
  }

  #append(entry: DebtEntry): void {
    const newest = this.#newest
    assert(
      newest === null || newest.last < entry.first,
      `expected debt behind ${newest?.last}, found ${entry.first}`,
    )
    this.#change(newest !== null && canJoin(newest, entry) ? joinEntries(newest, entry) : entry)
  }

  #change(entry: DebtEntry): void {
    this.#newest = entry
    this.#changed.set(entry.first, entry)
  }

  #entryOf(shortfall: Shortfall, state: Pick<DebtEntry, 'state' | 'closedMs'>): DebtEntry {
    const { first, last, bookedMs, ...facts } = shortfall
    return { ...this.#partition, ...rangeOf(first, last), ...facts, openedMs: bookedMs, ...state }
  }
}
