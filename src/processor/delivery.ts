/**
 * How a processor's work becomes durable: outputs are added as they are made, and `commit` makes them, the ledger's records and
 * the consumer offsets count, in this order or all at once. Two ways: `transactional-delivery.ts` and `at-least-once-delivery.ts`.
 */

import type { OutputBatch } from '../enrichment/output-batch.ts'
import type { GroupGeneration } from '../kafka/group-member.ts'
import type { DebtRecord } from '../ledger/debt-record.ts'

/** How often a result may appear: once for readers with read_committed, or once and perhaps again after a failure. */
export const GUARANTEES = ['exactly-once', 'at-least-once'] as const
export type Guarantee = (typeof GUARANTEES)[number]

/** A vault partition: what an output was made from, and whom to blame when it cannot be written. */
export interface OutputOrigin {
  readonly topic: string
  readonly partition: number
}

/** How far the partitions have come, and what they owe up to there. */
export interface Progress {
  readonly offsets: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[]
  readonly ledger: readonly DebtRecord[]
  /** The membership under which the work was done: a later one may not commit it. Null commits nothing. */
  readonly generation: GroupGeneration | null
}

export interface Delivery {
  /** Makes it ready; what a predecessor of the same name left undecided is decided first. Rejects only when aborted, or for good. */
  open(signal: AbortSignal): Promise<void>
  /** Takes an output; its memory is released when it has settled. What is added after `commit` was called belongs to the next. */
  add(output: OutputBatch, origin: OutputOrigin): void
  /** Null, or why the work since the last commit cannot be committed any more: `abandon` is due. */
  readonly failure: DeliveryFailure | null
  /** Bytes that were added and have not settled. */
  readonly bytesHeld: number
  /** Resolves when `bytesHeld` has fallen below the limit, or something failed. */
  waitForRoom(): Promise<void>
  /**
   * Commits what was added so far together with the progress it stands for. Rejects with `DeliveryFailure`; then nothing of it
   * counts (or, at least once, it may come again), and `abandon` is due. One at a time.
   */
  commit(progress: Progress): Promise<void>
  /** Gives up everything since the last commit. Resolves when new work may be added; rejects with a fatal `DeliveryFailure`. */
  abandon(): Promise<void>
  /** What was not committed is given up. */
  stop(): Promise<void>
}

/** Output that is made and not settled, at most, besides one batch; more is not made until there is room. */
export const OUTPUT_BYTES_HELD_MAX = 16 * 1024 * 1024

/** There is no membership to commit in. */
export class NotInGroup extends Error {
  constructor() {
    super('the worker is not in the consumer group any more')
    this.name = 'NotInGroup'
  }
}

export class DeliveryFailure extends Error {
  /** The vault partition whose output failed; null when it was none's in particular. */
  readonly origin: OutputOrigin | null
  /** True when a new attempt by this worker cannot help, because another has its name. */
  readonly isFatal: boolean

  constructor(
    cause: unknown,
    { origin = null, isFatal = false }: { origin?: OutputOrigin | null; isFatal?: boolean } = {},
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.name = 'DeliveryFailure'
    this.origin = origin
    this.isFatal = isFatal
  }
}
