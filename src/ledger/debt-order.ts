/** In which order debt is paid, and what there is of it in sum. */

import type { DebtEntry } from './debt-entry.ts'

/** Open debt with the moment from which its bytes may be deleted. */
export interface DueDebt {
  readonly entry: DebtEntry
  /** Wall-clock ms; infinite when the vault keeps everything. */
  readonly deadlineMs: number
}

/**
 * The earliest moment at which retention by time may delete an entry's oldest record. Kafka deletes a segment when its
 * newest timestamp is older than the retention, so no record goes before its own timestamp says so. Records whose timestamps
 * are not known, or lie after the booking (a producer's clock that runs ahead), count from when the debt was booked: earlier
 * than needed, never later.
 *
 * @param retentionMs the vault topic's `retention.ms`; negative for "keep everything".
 */
export function deadlineOf(entry: DebtEntry, retentionMs: number): number {
  if (retentionMs < 0) return Number.POSITIVE_INFINITY
  const oldestMs = entry.timestampMinMs < 0 ? entry.openedMs : Math.min(entry.timestampMinMs, entry.openedMs)
  return oldestMs + retentionMs
}

/**
 * The open entries, the one nearest to its deadline first; those without a deadline last, oldest first. The order is total
 * and depends on nothing but the entries, so that a restarted compactor goes on where the last one stopped.
 *
 * @param deadline for example `deadlineOf` with the retention of the entry's topic. A caller who expects retention by size to
 *   strike earlier returns that moment.
 */
export function orderByDeadline(
  entries: Iterable<DebtEntry>,
  deadline: (entry: DebtEntry) => number,
): DueDebt[] {
  const due: DueDebt[] = []
  for (const entry of entries) {
    if (entry.state === 'open') due.push({ entry, deadlineMs: deadline(entry) })
  }
  return due.sort(
    (a, b) =>
      compare(a.deadlineMs, b.deadlineMs) ||
      compare(a.entry.openedMs, b.entry.openedMs) ||
      compare(a.entry.topology, b.entry.topology) ||
      compare(a.entry.topic, b.entry.topic) ||
      compare(a.entry.partition, b.entry.partition) ||
      compare(a.entry.first, b.entry.first),
  )
}

export interface DebtTotals {
  readonly entryCount: number
  readonly recordCount: number
  readonly bytes: number
  /** When the oldest of it was booked, wall-clock ms; null when there is none. */
  readonly openedMs: number | null
}

/** Sums over the entries of one state. */
export function totalsOf(entries: Iterable<DebtEntry>, state: DebtEntry['state']): DebtTotals {
  let entryCount = 0
  let recordCount = 0
  let bytes = 0
  let openedMs: number | null = null
  for (const entry of entries) {
    if (entry.state !== state) continue
    entryCount += 1
    recordCount += entry.recordCount
    bytes += entry.bytes
    openedMs = Math.min(openedMs ?? entry.openedMs, entry.openedMs)
  }
  return { entryCount, recordCount, bytes, openedMs }
}

/** Infinities are equal to themselves here, which subtraction would make NaN; text compares by code unit in every locale. */
function compare<Value extends number | string>(a: Value, b: Value): number {
  return a < b ? -1 : a > b ? 1 : 0
}
