/**
 * An order to pay now (`gophership compact --now`): it covers the debt that was open when it was given, and nothing that is
 * booked later, so that it comes to an end while a burst goes on. An entry that was open and grows is covered up to where it
 * had got when the order was first seen here; after a restart that is a little further.
 */

import type { DebtEntry, DebtPartition } from '../ledger/debt-entry.ts'
import { partitionKey } from '../ledger/debt-entry.ts'
import type { DebtBooks } from '../ledger/debt-ranges.ts'

export class NowOrder {
  #requestedMs: number | null = null
  /** The last offset covered of each partition, by its key. */
  readonly #lasts = new Map<string, number>()

  /** Takes the standing order, null for none. The same order again changes nothing. */
  take(requestedMs: number | null): void {
    if (requestedMs === this.#requestedMs) return
    this.#requestedMs = requestedMs
    this.#lasts.clear()
  }

  /** Looks at the books of a partition: at the first look, what is open by then is covered. */
  look(partition: DebtPartition, books: DebtBooks): void {
    const key = partitionKey(partition)
    if (this.#requestedMs === null || this.#lasts.has(key)) return
    this.#lasts.set(key, books.findLast((entry) => this.#isOpenThen(entry))?.last ?? -1)
  }

  /** Forgets a partition that is another's now. */
  forget(partition: DebtPartition): void {
    this.#lasts.delete(partitionKey(partition))
  }

  /** True when some of the entry is to be paid now. */
  covers(entry: DebtEntry): boolean {
    return this.#isOpenThen(entry) && entry.first <= this.lastOf(entry)
  }

  /** Up to which offset an order covers a partition; -1 when it covers none of it. */
  lastOf(partition: DebtPartition): number {
    return this.#lasts.get(partitionKey(partition)) ?? -1
  }

  #isOpenThen({ state, openedMs }: DebtEntry): boolean {
    return state === 'open' && this.#requestedMs !== null && openedMs <= this.#requestedMs
  }
}
