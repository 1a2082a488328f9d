/**
 * What must be written to the ledger's topic so that it says the same as one account of a partition's books. The order of the records is
 * part of the promise: a reader who has seen only some of them finds each offset as it was or as it is to be.
 *
 * A change may write several records, because an entry's key is its first offset. Say [0, 99] is open, and [40, 59] is
 * settled:
 *
 *   1. [60, 99] open     the newest record wins where entries overlap, so nothing changes yet
 *   2. [40, 59] settled  now these are settled
 *   3. [0, 39] open      the old record of key 0 is replaced; all it said is said by others already
 *
 * In the other order: 1. [0, 39] is written. 2. The process dies. 3. The successor reads no debt from 40 on, and offsets
 * that were never enriched are owed by nobody. Hence the rule: entries from the highest offset down, then the tombstones of
 * keys that were joined to others. Inside a transaction a reader never sees the middle; the rule holds without one too.
 */

import type { DebtBooks } from './debt-ranges.ts'
import { type DebtAccount, type DebtRecord, encodeDebtKey, encodeDebtValue } from './debt-record.ts'

/**
 * The records that turn `before` into `after`; empty when they are the same. Entries that an operation on the books shared
 * are told by their identity.
 *
 * @param before entries of the account as the topic has them, in any order, one for each first offset.
 */
export function changesBetween(before: DebtBooks, after: DebtBooks, account: DebtAccount): DebtRecord[] {
  const old = new Map(before.map((entry) => [entry.first, entry]))
  const records: DebtRecord[] = []
  for (const entry of after.toReversed()) {
    const previous = old.get(entry.first)
    old.delete(entry.first)
    if (previous === entry) continue
    const value = encodeDebtValue(entry)
    if (previous !== undefined && encodeDebtValue(previous).equals(value)) continue
    records.push({ key: encodeDebtKey({ ...entry, account }), value })
  }
  for (const entry of old.values()) records.push({ key: encodeDebtKey({ ...entry, account }), value: null })
  return records
}
