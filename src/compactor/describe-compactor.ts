/** A compactor's status, from what it knows. Pure. */

import type { DebtEntry } from '../ledger/debt-entry.ts'
import { totalsOf } from '../ledger/debt-order.ts'
import type { DebtBooks } from '../ledger/debt-ranges.ts'
import type { CompactorState, CompactorStatus, OldestDebt } from './compactor-status.ts'
import type { FailingPartition, QueuedDebt } from './debt-queue.ts'
import type { PayPermit } from './pay-permit.ts'
import { remainingMs } from './pay-progress.ts'
import { problemsOf } from './problems.ts'

export interface CompactorFacts {
  readonly isMember: boolean
  /** Which partitions are ours is settled. */
  readonly isAssigned: boolean
  readonly isPaused: boolean
  /** Of each partition that is ours. */
  readonly books: readonly DebtBooks[]
  /** As of the last look. */
  readonly queue: readonly QueuedDebt[]
  readonly permit: PayPermit
  /** What is being paid, and how far; null while nothing is. */
  readonly current: { readonly entry: DebtEntry; readonly position: number } | null
  readonly recordsPerSecond: number | null
  readonly settledRecordCount: number
  readonly failing: readonly FailingPartition[]
  readonly foreignTopologies: readonly string[]
  readonly unreadableCount: number
}

export function describeCompactor(facts: CompactorFacts): CompactorStatus {
  const { books, queue, permit, failing, recordsPerSecond, settledRecordCount } = facts
  const { isMember, current, foreignTopologies, unreadableCount } = facts
  const entries = books.flat()
  const [open, lost] = [totalsOf(entries, 'open'), totalsOf(entries, 'lost')]
  const urgentEntries = queue.filter(({ isUrgent }) => isUrgent).map(({ entry }) => entry)
  const urgent = totalsOf(urgentEntries, 'open')
  const state = stateOf(facts, open.entryCount)
  const deadlineMs = queue[0]?.deadlineMs ?? Number.POSITIVE_INFINITY
  const { reason } = permit
  return {
    state,
    ...why(state, permit),
    isMember,
    partitionCount: books.length,
    open,
    urgent,
    lost,
    oldest: books.flatMap(oldestOf),
    recordsPerSecond,
    remainingMs: remainingMs(open.recordCount, recordsPerSecond),
    current: current === null ? null : describeCurrent(current),
    deadlineMs: Number.isFinite(deadlineMs) ? deadlineMs : null,
    settledRecordCount,
    failing,
    problems: problemsOf({
      lost,
      urgent,
      reason,
      mayPayUrgent: permit.urgent,
      failing,
      foreignTopologies,
      unreadableCount,
    }),
  }
}

function stateOf({ isAssigned, isPaused, current }: CompactorFacts, openEntryCount: number): CompactorState {
  if (!isAssigned) return 'starting'
  if (isPaused) return 'paused'
  if (openEntryCount === 0) return 'idle'
  return current === null ? 'waiting' : 'paying'
}

function why(
  state: CompactorState,
  { reason, explanation, endsMs }: PayPermit,
): Pick<CompactorStatus, 'reason' | 'explanation' | 'endsMs'> {
  if (state === 'idle' || state === 'starting') return { reason: 'none', explanation: '', endsMs: null }
  if (state === 'waiting' && reason === 'none') {
    return { reason: 'failing', explanation: 'what is owed could not be paid and is tried again', endsMs }
  }
  return { reason, explanation, endsMs }
}

function describeCurrent({ entry, position }: NonNullable<CompactorFacts['current']>) {
  const { topic, partition, first, last, tier } = entry
  return { topic, partition, first, last, position: Math.min(last + 1, Math.max(first, position)), tier }
}

function oldestOf(books: DebtBooks): OldestDebt[] {
  const open = books.find(({ state }) => state === 'open')
  return open === undefined ? [] : [{ topic: open.topic, partition: open.partition, first: open.first }]
}
