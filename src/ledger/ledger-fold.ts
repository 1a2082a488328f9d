/**
 * The ledger as its topic tells it: give it every record in order, and it has the books of every partition. Compaction of
 * the topic changes nothing, because only the latest record of a key counts.
 *
 * Where entries overlap, the newest record wins, offset by offset. In a complete log there are no overlaps; they are what a
 * writer leaves that died in the middle of a change without a transaction, or what a reader sees who stopped there. See
 * `debt-changes.ts` for why the books are right even then. `repairs` are the records that remove such leftovers.
 */

import { booksOf, type DebtAccounts, NO_ACCOUNTS } from './debt-accounts.ts'
import { changesBetween } from './debt-changes.ts'
import { type DebtEntry, type DebtPartition, partitionKey } from './debt-entry.ts'
import { type DebtBooks, overlay } from './debt-ranges.ts'
import { type DebtAccount, type DebtRecord, decodeDebtEntry, decodeDebtKey } from './debt-record.ts'

/** The latest entries of one partition's accounts by first offset; a map's order is the order of their records. */
interface Recorded {
  readonly partition: DebtPartition
  readonly entries: Readonly<Record<DebtAccount, Map<number, DebtEntry>>>
  /** What they amount to, until the next record. */
  accounts: DebtAccounts | null
  books: DebtBooks | null
}

export class LedgerFold {
  readonly #partitions = new Map<string, Recorded>()

  /**
   * Takes the next record of the topic; a null value removes the key. Throws `GS_LEDGER_CORRUPT` or `GS_LEDGER_VERSION` and
   * changes nothing: the caller says it loudly, and may go on.
   */
  apply(key: Buffer, value: Buffer | null): void {
    const { first, account, ...partition } = decodeDebtKey(key)
    const name = partitionKey(partition)
    const recorded = this.#partitions.get(name) ?? newlyRecorded(partition)
    const entries = recorded.entries[account]
    if (value === null) {
      if (entries.delete(first)) forgetSums(recorded)
      if (Object.values(recorded.entries).every(({ size }) => size === 0)) this.#partitions.delete(name)
      return
    }
    const entry = decodeDebtEntry(key, value)
    this.#partitions.set(name, recorded)
    // Deleted first, because a map keeps the place of a key that it has: this record is the newest.
    entries.delete(first)
    entries.set(first, entry)
    forgetSums(recorded)
  }

  /** The partitions that have entries, in the order in which they came up. */
  partitions(): DebtPartition[] {
    return [...this.#partitions.values()].map(({ partition }) => partition)
  }

  /** The accounts of a partition as of the last record: what a writer starts from. */
  accountsOf(partition: DebtPartition): DebtAccounts {
    const recorded = this.#partitions.get(partitionKey(partition))
    if (recorded === undefined) return NO_ACCOUNTS
    recorded.accounts ??= {
      owed: overlay(recorded.entries.owed.values()),
      repaid: overlay(recorded.entries.repaid.values()),
    }
    return recorded.accounts
  }

  /** The books of a partition as of the last record: both accounts, one laid over the other. */
  booksOf(partition: DebtPartition): DebtBooks {
    const recorded = this.#partitions.get(partitionKey(partition))
    if (recorded !== undefined) recorded.books ??= booksOf(this.accountsOf(partition))
    return recorded?.books ?? booksOf(NO_ACCOUNTS)
  }

  /**
   * What to write so that an account of the topic says no more and no less than it amounts to; empty after a complete log
   * of a writer that coalesces as it books.
   */
  repairs(account: DebtAccount): DebtRecord[] {
    return [...this.#partitions.values()].flatMap((recorded) =>
      changesBetween(
        [...recorded.entries[account].values()],
        this.accountsOf(recorded.partition)[account],
        account,
      ),
    )
  }
}

function newlyRecorded(partition: DebtPartition): Recorded {
  const entries = { owed: new Map<number, DebtEntry>(), repaid: new Map<number, DebtEntry>() }
  return { partition, entries, accounts: null, books: null }
}

function forgetSums(recorded: Recorded): void {
  recorded.accounts = null
  recorded.books = null
}
