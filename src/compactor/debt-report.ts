/** The books as a list for people: what is owed, how old it is, why, until when, and when it will be paid. Pure. */

import type { DebtEntry, DebtState } from '../ledger/debt-entry.ts'
import { type DebtTotals, totalsOf } from '../ledger/debt-order.ts'
import type { VaultRetention } from './debt-deadline.ts'
import { deadlineFor, KEEP_EVERYTHING } from './debt-deadline.ts'

/** One range of the books. Times are wall-clock ms. */
export interface DebtRow {
  readonly topology: string
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly last: number
  readonly recordCount: number
  readonly bytes: number
  readonly tier: string
  readonly zone: string
  readonly driver: string
  readonly state: DebtState
  readonly openedMs: number
  readonly closedMs: number | null
  readonly ageMs: number
  /** When its bytes may be deleted; null for what is not open, and where everything is kept. */
  readonly deadlineMs: number | null
  /** Near its deadline, or past it. */
  readonly isUrgent: boolean
  /** When it will be paid at the rate of now; null when nothing is being paid. */
  readonly paidByMs: number | null
}

/** How fast debt is being paid, and from when on. */
export interface PayPace {
  readonly recordsPerSecond: number
  readonly startsMs: number
}

export interface DebtReport {
  /** What is open in the order in which it will be paid, then the rest as it lies in the vault. */
  readonly rows: readonly DebtRow[]
  readonly totals: Readonly<Record<DebtState, DebtTotals>>
}

export interface DebtReportOptions {
  readonly nowMs: number
  /** By vault topic. */
  readonly retention: ReadonlyMap<string, VaultRetention>
  /** First offset behind the vault's last, by topic and partition, for retention by size. */
  readonly endOf: (topic: string, partition: number) => number | null
  readonly urgentShare: number
  readonly pace: PayPace | null
}

/** Lists entries of all states, of any number of partitions. */
export function reportDebt(entries: readonly DebtEntry[], options: DebtReportOptions): DebtReport {
  const rows = entries.map((entry) => rowOf(entry, options)).sort(compareRows)
  const totals = {
    open: totalsOf(entries, 'open'),
    settled: totalsOf(entries, 'settled'),
    lost: totalsOf(entries, 'lost'),
  }
  return { rows: withPayments(rows, options.pace), totals }
}

function rowOf(entry: DebtEntry, { nowMs, retention, endOf, urgentShare }: DebtReportOptions): DebtRow {
  const { topology, topic, partition, first, last, recordCount, bytes, tier, reason, state } = entry
  const { openedMs, closedMs } = entry
  const endOffset = endOf(topic, partition)
  const { deadlineMs, isUrgent } = deadlineFor(entry, {
    retention: retention.get(topic) ?? KEEP_EVERYTHING,
    growth: endOffset === null ? null : { endOffset, recordsPerSecond: 0 },
    urgentShare,
    nowMs,
  })
  const isOpen = state === 'open'
  return {
    topology,
    topic,
    partition,
    first,
    last,
    recordCount,
    bytes,
    tier,
    zone: reason.zone,
    driver: reason.driver,
    state,
    openedMs,
    closedMs,
    ageMs: Math.max(0, nowMs - openedMs),
    deadlineMs: isOpen && Number.isFinite(deadlineMs) ? deadlineMs : null,
    isUrgent: isOpen && isUrgent,
    paidByMs: null,
  }
}

/** Adds up what is paid before each range: the compactor pays in the order of the rows. */
function withPayments(rows: readonly DebtRow[], pace: PayPace | null): DebtRow[] {
  let recordCount = 0
  return rows.map((row) => {
    if (pace === null || pace.recordsPerSecond <= 0 || row.state !== 'open') return row
    recordCount += row.recordCount
    return { ...row, paidByMs: pace.startsMs + Math.ceil((recordCount * 1_000) / pace.recordsPerSecond) }
  })
}

/** As `orderByDeadline` has the open ones. */
function compareRows(a: DebtRow, b: DebtRow): number {
  const isOpen = (row: DebtRow) => (row.state === 'open' ? 0 : 1)
  const deadline = (row: DebtRow) => row.deadlineMs ?? Number.POSITIVE_INFINITY
  return (
    isOpen(a) - isOpen(b) ||
    (a.state === 'open' ? compare(deadline(a), deadline(b)) || a.openedMs - b.openedMs : 0) ||
    compare(a.topology, b.topology) ||
    compare(a.topic, b.topic) ||
    a.partition - b.partition ||
    a.first - b.first
  )
}

const compare = <Value extends string | number>(a: Value, b: Value): number => (a < b ? -1 : a > b ? 1 : 0)
