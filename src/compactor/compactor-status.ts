/** What a compactor says of itself: plain data, for the status document and for people. */

import type { DebtTotals } from '../ledger/debt-order.ts'
import type { FailingPartition } from './debt-queue.ts'
import type { HoldReason } from './pay-permit.ts'

/** `starting`: which partitions are its own is not settled. `idle`: nothing is owed here. `waiting`: something is, and `reason` says why it is not being paid. */
export type CompactorState = 'starting' | 'idle' | 'paying' | 'paused' | 'waiting'

/** The piece being paid. */
export interface CurrentDebt {
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly last: number
  /** Next offset to be paid. */
  readonly position: number
  readonly tier: string
}

/** Of one vault partition, for whoever holds its retention back. */
export interface OldestDebt {
  readonly topic: string
  readonly partition: number
  /** First offset that is owed. */
  readonly first: number
}

export interface CompactorStatus {
  readonly state: CompactorState
  /** Why not everything is being paid; `failing` when every partition that owes could not be paid and rests. */
  readonly reason: HoldReason | 'failing'
  /** The reason as half a sentence; empty when there is none. */
  readonly explanation: string
  /** When the reason is expected to end, wall-clock ms. */
  readonly endsMs: number | null
  readonly isMember: boolean
  /** Vault partitions whose debt this instance pays. */
  readonly partitionCount: number
  readonly open: DebtTotals
  readonly urgent: DebtTotals
  readonly lost: DebtTotals
  /** First open offset of each partition that owes. */
  readonly oldest: readonly OldestDebt[]
  /** Records per second; null while nothing is paid. */
  readonly recordsPerSecond: number | null
  /** Until all of `open` is paid at that rate, ms; null when that cannot be told. */
  readonly remainingMs: number | null
  readonly current: CurrentDebt | null
  /** The nearest deadline, wall-clock ms; null without one. */
  readonly deadlineMs: number | null
  /** Settled by this thread since it started. */
  readonly settledRecordCount: number
  readonly failing: readonly FailingPartition[]
  /** What a person should look at, a sentence each; empty when it is well. */
  readonly problems: readonly string[]
}
