/**
 * The books of one vault partition, and every booking that can be made in them. Books are values: an operation returns new
 * ones and shares the entries that did not change, so that a caller can give up a transaction by dropping its copy.
 *
 * Promised of all books that come out of here: entries are in offset order, never overlap, and no two that touch could be
 * joined. The number of entries is thus the number of changes of tier and state along the partition, however many batches
 * were booked; the minimum dwell of a tier bounds it by time.
 *
 * A booking that contradicts the books throws `GS_LEDGER_CONFLICT` and names the ranges: debt booked twice would be paid
 * twice, and settling what is not owed would hide a second output.
 */

import { strict as assert } from 'node:assert'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import {
  canJoin,
  type DebtEntry,
  faultOf,
  formatEntry,
  joinEntries,
  type PartCounts,
  partitionKey,
  splitEntry,
} from './debt-entry.ts'
import { LedgerError } from './ledger-error.ts'
import { formatRange, isRange, type OffsetRange, rangeOf } from './offset-range.ts'

/** In offset order, disjoint, joined wherever possible. */
export type DebtBooks = readonly DebtEntry[]

export const NO_DEBT: DebtBooks = []

/** Books a new range. Throws `GS_LEDGER_CONFLICT` when any of its offsets is in the books already, in whatever state. */
export function addDebt(books: DebtBooks, entry: DebtEntry): DebtBooks {
  assertWellFormed(entry)
  const [from, to] = touching(books, entry)
  const present = books.slice(from, to)
  if (present.length > 0)
    throw conflict('book', entry, present.map(formatEntry), 'it is in the ledger already')
  const neighbour = books[from - 1] ?? books[to]
  assert(
    neighbour === undefined || partitionKey(neighbour) === partitionKey(entry),
    'an entry belongs to the books of its own partition',
  )
  return spliced(books, from, to, [entry])
}

/** What settling needs to know. */
export interface Settlement {
  readonly settledMs: number
  /** What was read of the range, when it lies within one entry; without it the range gets its share of the entry's counts. */
  readonly counts?: PartCounts
}

/**
 * Marks a range as enriched fully. Throws `GS_LEDGER_CONFLICT` unless every offset of it is open debt: a range settled twice
 * has been enriched twice.
 */
export function settleDebt(
  books: DebtBooks,
  range: OffsetRange,
  { settledMs, counts }: Settlement,
): DebtBooks {
  const missing = notOpen(books, range)
  if (missing.length > 0) throw conflict('settle', range, missing, 'it is not owed')
  return replaced(books, range, (part) => ({ ...part, state: 'settled', closedMs: settledMs }), counts)
}

/**
 * Marks what is open within a range as lost, because its bytes are gone. What is settled stays settled, and what is not in
 * the books stays out of them.
 */
export function loseDebt(books: DebtBooks, range: OffsetRange, { lostMs }: { lostMs: number }): DebtBooks {
  return replaced(books, range, (part) =>
    part.state === 'open' ? { ...part, state: 'lost', closedMs: lostMs } : part,
  )
}

/** Takes a range off the books, whatever its state: its records are being processed anew, from the vault. */
export function subtractDebt(books: DebtBooks, range: OffsetRange): DebtBooks {
  return replaced(books, range, () => null)
}

/**
 * Forgets what is settled below the vault's first remaining offset: nothing refers to those records any more. What is open
 * or lost there stays, because it is never forgotten silently.
 */
export function forgetSettledBefore(books: DebtBooks, offset: Offset): DebtBooks {
  if (offset <= 0) return books
  return replaced(books, rangeOf(0, offset - 1), (part) => (part.state === 'settled' ? null : part))
}

/** The entry that holds an offset, or null. */
export function debtAt(books: DebtBooks, offset: Offset): DebtEntry | null {
  const [from, to] = touching(books, { first: offset, last: offset })
  return to > from ? (books[from] ?? null) : null
}

/** The parts of a range that are in the books, cut to the range, in order. */
export function debtWithin(books: DebtBooks, range: OffsetRange): DebtBooks {
  const [from, to] = touching(books, range)
  return books.slice(from, to).map((entry) => cutTo(entry, range).inside)
}

/** Books from entries in offset order that do not overlap: joins what can be joined. */
export function coalesce(entries: readonly DebtEntry[]): DebtBooks {
  return joinedRun(entries)
}

/** Books from entries in the order of their records: where they overlap, a newer one takes its range from the older ones. */
export function overlay(entries: Iterable<DebtEntry>): DebtBooks {
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

/** What of a range is not open debt, in words; empty when all of it is. */
function notOpen(books: DebtBooks, range: OffsetRange): string[] {
  assert(isRange(range), `expected a range of offsets, found ${formatRange(range)}`)
  const problems: string[] = []
  let next: number = range.first
  for (const entry of debtWithin(books, range)) {
    if (entry.first > next) problems.push(`no debt ${formatRange(rangeOf(next, entry.first - 1))}`)
    if (entry.state !== 'open') problems.push(formatEntry(entry))
    next = entry.last + 1
  }
  if (next <= range.last) problems.push(`no debt ${formatRange(rangeOf(next, range.last))}`)
  return problems
}

/** Replaces each part of an entry within the range; null removes it. Entries outside keep their identity. */
function replaced(
  books: DebtBooks,
  range: OffsetRange,
  change: (part: DebtEntry) => DebtEntry | null,
  counts?: PartCounts,
): DebtBooks {
  assert(isRange(range), `expected a range of offsets, found ${formatRange(range)}`)
  const [from, to] = touching(books, range)
  const isWithinOne = to - from === 1
  const parts = books.slice(from, to).flatMap((entry) => {
    const { before, inside, after } = cutTo(entry, range, isWithinOne ? counts : undefined)
    const changed = change(inside)
    if (changed === inside) return [entry]
    return [before, changed, after].filter((part) => part !== null)
  })
  const isSame = parts.length === to - from && parts.every((part, index) => part === books[from + index])
  return isSame ? books : spliced(books, from, to, parts)
}

/** An entry's part within a range, and what of it is left on either side. */
function cutTo(
  entry: DebtEntry,
  { first, last }: OffsetRange,
  counts?: PartCounts,
): { before: DebtEntry | null; inside: DebtEntry; after: DebtEntry | null } {
  let before: DebtEntry | null = null
  let inside = entry
  let after: DebtEntry | null = null
  if (inside.first < first) {
    // With counts of the part in the middle, the two outer parts share the rest in proportion to their offsets.
    const outerShare = (first - entry.first) / (first - entry.first + Math.max(0, entry.last - last))
    const outer = (total: number, part: number) => Math.round(Math.max(0, total - part) * outerShare)
    const beforeCounts = counts && {
      recordCount: outer(entry.recordCount, counts.recordCount),
      bytes: outer(entry.bytes, counts.bytes),
    }
    ;[before, inside] = splitEntry(inside, first, beforeCounts)
  }
  if (inside.last > last) [inside, after] = splitEntry(inside, asOffset(last + 1), counts)
  return { before, inside, after }
}

/** Books with `[from, to)` replaced by the parts, joined within and to both neighbours. */
function spliced(books: DebtBooks, from: number, to: number, parts: readonly DebtEntry[]): DebtBooks {
  const windowFrom = Math.max(0, from - 1)
  const windowTo = Math.min(books.length, to + 1)
  const window = [...books.slice(windowFrom, from), ...parts, ...books.slice(to, windowTo)]
  return [...books.slice(0, windowFrom), ...joinedRun(window), ...books.slice(windowTo)]
}

function joinedRun(entries: readonly DebtEntry[]): DebtEntry[] {
  const joined: DebtEntry[] = []
  for (const entry of entries) {
    const previous = joined.at(-1)
    assert(previous === undefined || previous.last < entry.first, 'entries must be in order and disjoint')
    if (previous !== undefined && canJoin(previous, entry)) {
      joined[joined.length - 1] = joinEntries(previous, entry)
    } else joined.push(entry)
  }
  return joined
}

/** The indexes of the entries that share an offset with a range, as [from, to). */
function touching(books: DebtBooks, { first, last }: OffsetRange): [from: number, to: number] {
  const from = firstIndex(books, (entry) => entry.last >= first)
  let to = from
  while ((books[to]?.first ?? Number.POSITIVE_INFINITY) <= last) to += 1
  return [from, to]
}

/** Binary search for the first entry from which on `test` holds. */
function firstIndex(books: DebtBooks, test: (entry: DebtEntry) => boolean): number {
  let low = 0
  let high = books.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const entry = books[middle]
    if (entry !== undefined && test(entry)) high = middle
    else low = middle + 1
  }
  return low
}

function assertWellFormed(entry: DebtEntry): void {
  const fault = faultOf(entry)
  assert(fault === null, `a debt entry is malformed: ${fault}`)
}

/** Ranges named in one message; the rest are counted. */
const RANGES_NAMED_MAX = 5

function conflict(verb: string, range: OffsetRange, found: readonly string[], why: string): LedgerError {
  const named = found.slice(0, RANGES_NAMED_MAX).join(', ')
  const more = found.length > RANGES_NAMED_MAX ? ` and ${found.length - RANGES_NAMED_MAX} more` : ''
  const message = `cannot ${verb} ${formatRange(range)}: ${why} (found ${named}${more})`
  return new LedgerError('GS_LEDGER_CONFLICT', message, {
    facts: { first: range.first, last: range.last, found: `${named}${more}` },
  })
}
