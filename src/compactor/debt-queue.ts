/** Which debt is paid next. Pure but for remembering which partitions failed and until when they are left alone. */

import type { Clock } from '../core/clock.ts'
import type { DebtEntry, DebtPartition } from '../ledger/debt-entry.ts'
import { partitionKey } from '../ledger/debt-entry.ts'
import { orderByDeadline } from '../ledger/debt-order.ts'
import type { DebtBooks } from '../ledger/debt-ranges.ts'
import type { Deadline } from './debt-deadline.ts'
import type { NowOrder } from './now-order.ts'
import type { PayPermit } from './pay-permit.ts'

/** Open debt with what bears on its turn. */
export interface QueuedDebt {
  readonly entry: DebtEntry
  readonly deadlineMs: number
  readonly isUrgent: boolean
  readonly isOrdered: boolean
}

/** The open debt, nearest to its deadline first, as `orderByDeadline` has it. */
export function queueDebt(
  books: Iterable<DebtBooks>,
  deadlineFor: (entry: DebtEntry) => Deadline,
  order: Pick<NowOrder, 'covers'>,
): QueuedDebt[] {
  const deadlines = new Map<DebtEntry, Deadline>()
  for (const entry of [...books].flat()) {
    if (entry.state === 'open') deadlines.set(entry, deadlineFor(entry))
  }
  const deadlineMsOf = (entry: DebtEntry) => deadlines.get(entry)?.deadlineMs ?? Number.POSITIVE_INFINITY
  return orderByDeadline(deadlines.keys(), deadlineMsOf).map(({ entry, deadlineMs }) => ({
    entry,
    deadlineMs,
    isUrgent: deadlines.get(entry)?.isUrgent ?? false,
    isOrdered: order.covers(entry),
  }))
}

/** The first that the permit allows and that is not being left alone. */
export function pickDebt(
  queue: readonly QueuedDebt[],
  permit: PayPermit,
  failing: Pick<FailingPartitions, 'isResting'>,
): QueuedDebt | null {
  const isAllowed = ({ isUrgent, isOrdered }: QueuedDebt) =>
    permit.all || (permit.urgent && isUrgent) || (permit.ordered && isOrdered)
  return queue.find((debt) => isAllowed(debt) && !failing.isResting(debt.entry)) ?? null
}

/** A partition whose debt could not be paid at the last try. */
export interface FailingPartition extends DebtPartition {
  readonly failureCount: number
  readonly message: string
  /** Wall-clock ms of the first failure in a row. */
  readonly sinceMs: number
}

const REST_MS = { first: 1_000, max: 60_000 } as const

/** Partitions that failed rest for ever longer, while the others go on. */
export class FailingPartitions {
  readonly #clock: Clock
  readonly #failing = new Map<string, FailingPartition & { readonly restsUntilMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Its debt could not be paid; it is left alone for a while, twice as long as the last time. Returns for how long. */
  add({ topology, topic, partition }: DebtPartition, error: unknown): number {
    const key = partitionKey({ topology, topic, partition })
    const before = this.#failing.get(key)
    const failureCount = (before?.failureCount ?? 0) + 1
    const restMs = Math.min(REST_MS.max, REST_MS.first * 2 ** Math.min(failureCount - 1, 16))
    this.#failing.set(key, {
      topology,
      topic,
      partition,
      failureCount,
      message: error instanceof Error ? error.message : String(error),
      sinceMs: before?.sinceMs ?? this.#clock.wallMs(),
      restsUntilMs: this.#clock.monotonicMs() + restMs,
    })
    return restMs
  }

  /** It was paid, or is another's now. */
  clear(partition: DebtPartition): void {
    this.#failing.delete(partitionKey(partition))
  }

  isResting(partition: DebtPartition): boolean {
    const failing = this.#failing.get(partitionKey(partition))
    return failing !== undefined && this.#clock.monotonicMs() < failing.restsUntilMs
  }

  list(): FailingPartition[] {
    return [...this.#failing.values()].map(({ restsUntilMs: _, ...failing }) => failing)
  }
}
