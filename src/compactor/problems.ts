/** What a person should look at, as sentences. */

import type { DebtTotals } from '../ledger/debt-order.ts'
import type { FailingPartition } from './debt-queue.ts'
import type { HoldReason } from './pay-permit.ts'

export interface ProblemFacts {
  readonly lost: DebtTotals
  readonly urgent: DebtTotals
  /** What keeps debt from being paid. */
  readonly reason: HoldReason
  readonly mayPayUrgent: boolean
  readonly failing: readonly FailingPartition[]
  /** Topologies with open debt in our partitions that this instance does not run. */
  readonly foreignTopologies: readonly string[]
  readonly unreadableCount: number
}

/** Failures that pass by themselves are no problem yet. */
const FAILURES_UNTIL_TOLD = 3
const NAMED_MAX = 5

export function problemsOf(facts: ProblemFacts): string[] {
  const { lost, urgent, reason, mayPayUrgent, failing, foreignTopologies, unreadableCount } = facts
  const problems: string[] = []
  if (lost.recordCount > 0) {
    problems.push(
      `${lost.recordCount} records of debt are lost: their bytes were deleted before they were paid (gophership debt --state lost)`,
    )
  }
  if (urgent.entryCount > 0 && !mayPayUrgent) {
    problems.push(
      `${urgent.recordCount} records of debt are near their retention and cannot be paid: ${reason}`,
    )
  }
  const stuck = failing.filter(({ failureCount }) => failureCount >= FAILURES_UNTIL_TOLD)
  for (const { topic, partition, message } of stuck.slice(0, NAMED_MAX)) {
    problems.push(`the debt of ${topic}-${partition} cannot be paid: ${message}`)
  }
  if (stuck.length > NAMED_MAX) problems.push(`and the debt of ${stuck.length - NAMED_MAX} more partitions`)
  if (foreignTopologies.length > 0) {
    problems.push(
      `debt of topologies that do not run here is left to whoever runs them: ${foreignTopologies.slice(0, NAMED_MAX).join(', ')}`,
    )
  }
  if (unreadableCount > 0) problems.push(`${unreadableCount} records of the ledger cannot be read`)
  return problems
}
