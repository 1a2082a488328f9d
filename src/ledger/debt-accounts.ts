/**
 * The two accounts of a vault partition's books, and the bookings that look at both.
 *
 * `owed` is written by the processor that has the partition, `repaid` by the compactor that has it, each in its own
 * transactions. With one account, the two would overwrite each other:
 *   1. The processor books [0, 99] open. 2. The compactor reads it, pays [0, 49], and writes [0, 49] settled, [50, 99] open.
 *   3. The processor, whose burst goes on, writes what it knows: [0, 199] open. 4. [0, 49] is owed, and paid, again.
 * With two, step 3 changes the account in which [0, 49] was never settled, and the books are the one laid over the other.
 */

import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { type DebtEntry, splitEntry } from './debt-entry.ts'
import {
  addDebt,
  coalesce,
  type DebtBooks,
  debtWithin,
  loseDebt,
  NO_DEBT,
  overlay,
  type Settlement,
  settleDebt,
  subtractDebt,
} from './debt-ranges.ts'
import { type OffsetRange, rangeOf } from './offset-range.ts'

export interface DebtAccounts {
  readonly owed: DebtBooks
  readonly repaid: DebtBooks
}

export const NO_ACCOUNTS: DebtAccounts = { owed: NO_DEBT, repaid: NO_DEBT }

/** The books that the accounts amount to: what was repaid counts, the rest is as it was booked. One pass over both. */
export function booksOf({ owed, repaid }: DebtAccounts): DebtBooks {
  if (repaid.length === 0) return owed
  const rest: DebtEntry[] = []
  let from = 0
  for (const entry of owed) {
    while ((repaid[from]?.last ?? Number.POSITIVE_INFINITY) < entry.first) from += 1
    let left: DebtEntry | null = entry
    for (let at = from; left !== null; at += 1) {
      const paid = repaid[at]
      if (paid === undefined || paid.first > left.last) break
      if (paid.first > left.first) {
        const [before, after]: [DebtEntry, DebtEntry] = splitEntry(left, paid.first)
        rest.push(before)
        left = after
      }
      left = paid.last >= left.last ? null : splitEntry(left, asOffset(paid.last + 1))[1]
    }
    if (left !== null) rest.push(left)
  }
  return coalesce([...rest, ...repaid].sort((a, b) => a.first - b.first))
}

/**
 * Marks a range as enriched fully, in the account `repaid`. Throws `GS_LEDGER_CONFLICT` unless every offset of it is open
 * debt by the books of both accounts.
 */
export function repay(accounts: DebtAccounts, range: OffsetRange, settlement: Settlement): DebtAccounts {
  const settled = settleDebt(booksOf(accounts), range, settlement)
  return { ...accounts, repaid: withParts(accounts.repaid, debtWithin(settled, range)) }
}

/** Marks what is open within a range as lost, in the account `repaid`: its bytes are gone. */
export function writeOff(
  accounts: DebtAccounts,
  range: OffsetRange,
  { lostMs }: { lostMs: number },
): DebtAccounts {
  const open = debtWithin(booksOf(accounts), range).filter(({ state }) => state === 'open')
  const lost = open.flatMap((entry) => loseDebt([entry], entry, { lostMs }))
  return { ...accounts, repaid: withParts(accounts.repaid, lost) }
}

/**
 * Forgets what is settled below the vault's first remaining offset: nothing refers to those records any more. Of the account
 * `owed` only entries that lie below it as a whole and are settled as a whole go, and never the last, which may still grow.
 * What is open or lost stays in the books, because it is never forgotten silently.
 *
 * @param accounts `owed` with an entry for each key, in the order of their records; they may overlap.
 * @param entriesMax ends it when so many entries of `owed` are forgotten: the oldest go first.
 */
export function forgetBefore(
  accounts: { readonly owed: readonly DebtEntry[]; readonly repaid: DebtBooks },
  logStartOffset: Offset,
  { entriesMax = Number.POSITIVE_INFINITY }: { readonly entriesMax?: number } = {},
): typeof accounts {
  const { owed } = accounts
  const books = booksOf({ owed: overlay(owed), repaid: accounts.repaid })
  const gone = new Set<DebtEntry>()
  let { repaid } = accounts
  for (const { range, entries } of overlapping(owed).slice(0, -1)) {
    if (range.last >= logStartOffset || gone.size >= entriesMax) break
    if (!debtWithin(books, range).every(({ state }) => state === 'settled')) continue
    repaid = subtractDebt(repaid, range)
    for (const entry of entries) gone.add(entry)
  }
  return gone.size === 0 ? accounts : { owed: owed.filter((entry) => !gone.has(entry)), repaid }
}

/**
 * Entries in groups, by offset: those of one overlap and can only be forgotten together. Say [0, 99] was recorded first and
 * [50, 149] then; without the second, the first would say again what it said of [50, 99].
 */
function overlapping(
  entries: readonly DebtEntry[],
): { readonly range: OffsetRange; readonly entries: readonly DebtEntry[] }[] {
  const groups: { range: OffsetRange; entries: DebtEntry[] }[] = []
  for (const entry of entries.toSorted((a, b) => a.first - b.first)) {
    const group = groups.at(-1)
    if (group === undefined || group.range.last < entry.first) {
      groups.push({ range: rangeOf(entry.first, entry.last), entries: [entry] })
    } else {
      group.range = rangeOf(group.range.first, Math.max(group.range.last, entry.last))
      group.entries.push(entry)
    }
  }
  return groups
}

function withParts(repaid: DebtBooks, parts: readonly DebtEntry[]): DebtBooks {
  let books = repaid
  for (const part of parts) books = addDebt(books, part)
  return books
}
