/**
 * The ledger as its topic tells it: give it every record in order, and it has the books of every partition. Compaction of
 * the topic changes nothing, because only the latest record of a key counts.
 *
 * Where entries overlap, the newest record wins, offset by offset. In a complete log there are no overlaps; they are what a
 * writer leaves that died in the middle of a change without a transaction, or what a reader sees who stopped there. See
 * `debt-changes.ts` for why the books are right even then. `repairs` are the records that remove such leftovers.
 */

import { changesBetween } from './debt-changes.ts'
import { type DebtEntry, type DebtPartition, partitionKey } from './debt-entry.ts'
import { coalesce, type DebtBooks, NO_DEBT, subtractDebt } from './debt-ranges.ts'
import { type DebtRecord, decodeDebtEntry, decodeDebtKey } from './debt-record.ts'

/** The latest entries of one partition by first offset, as recorded; the map's order is the order of their records. */
interface Recorded {
  readonly partition: DebtPartition
  readonly entries: Map<number, DebtEntry>
  /** What they amount to, until the next record. */
  books: DebtBooks | null
}

export class LedgerFold {
  readonly #partitions = new Map<string, Recorded>()

  /**
   * Takes the next record of the topic; a null value removes the key. Throws `GS_LEDGER_CORRUPT` or `GS_LEDGER_VERSION` and
   * changes nothing: the caller says it loudly, and may go on.
   */
  apply(key: Buffer, value: Buffer | null): void {
    if (value === null) {
      const { first, ...partition } = decodeDebtKey(key)
      const recorded = this.#partitions.get(partitionKey(partition))
      if (recorded?.entries.delete(first)) recorded.books = null
      if (recorded?.entries.size === 0) this.#partitions.delete(partitionKey(partition))
      return
    }
    const entry = decodeDebtEntry(key, value)
    const name = partitionKey(entry)
    const recorded = this.#partitions.get(name) ?? { partition: entry, entries: new Map(), books: null }
    this.#partitions.set(name, recorded)
    // Deleted first, because a map keeps the place of a key that it has: this record is the newest.
    recorded.entries.delete(entry.first)
    recorded.entries.set(entry.first, entry)
    recorded.books = null
  }

  /** The partitions that have entries, in the order in which they came up. */
  partitions(): DebtPartition[] {
    return [...this.#partitions.values()].map(({ partition: { topology, topic, partition } }) => ({
      topology,
      topic,
      partition,
    }))
  }

  /** The books of a partition as of the last record. */
  booksOf(partition: DebtPartition): DebtBooks {
    const recorded = this.#partitions.get(partitionKey(partition))
    if (recorded === undefined) return NO_DEBT
    recorded.books ??= overlaid(recorded.entries.values())
    return recorded.books
  }

  /** What to write so that the topic says no more and no less than the books; empty after a complete log. */
  repairs(): DebtRecord[] {
    return [...this.#partitions.values()].flatMap(({ partition, entries }) =>
      changesBetween([...entries.values()], this.booksOf(partition)),
    )
  }
}

/** Disjoint books from entries in the order of their records: a newer one takes its range from the older ones. */
function overlaid(entries: Iterable<DebtEntry>): DebtBooks {
  const list = [...entries]
  const ordered = list.toSorted((a, b) => a.first - b.first)
  const isDisjoint = ordered.every((entry, index) => entry.last < (ordered[index + 1]?.first ?? Infinity))
  if (isDisjoint) return coalesce(ordered)
  let books: readonly DebtEntry[] = []
  for (const entry of list) {
    books = [...subtractDebt(books, entry), entry].toSorted((a, b) => a.first - b.first)
  }
  return coalesce(books)
}
