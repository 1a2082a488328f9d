/**
 * One transactional id: who holds it, in which state its transaction is, and which partitions take part. What may follow
 * what is here, without I/O; when it counts and what is written is the coordinator's. The states are Kafka's
 * (`TransactionState`), with the numbers that its topic uses.
 */

export const TRANSACTION_STATUS = {
  empty: 0,
  ongoing: 1,
  prepareCommit: 2,
  prepareAbort: 3,
  completeCommit: 4,
  completeAbort: 5,
  dead: 6,
} as const

export type TransactionStatus = keyof typeof TRANSACTION_STATUS

/** Kafka's names, as tools print them. */
export const TRANSACTION_STATUS_NAME: Readonly<Record<TransactionStatus, string>> = {
  empty: 'Empty',
  ongoing: 'Ongoing',
  prepareCommit: 'PrepareCommit',
  prepareAbort: 'PrepareAbort',
  completeCommit: 'CompleteCommit',
  completeAbort: 'CompleteAbort',
  dead: 'Dead',
}

/** Producers get epochs up to this; the one behind it is left for fencing the last of them. */
const EPOCH_MAX = 32_766
export const FENCING_EPOCH_MAX = EPOCH_MAX + 1
export const NO_EPOCH = -1

/** Partition indexes by topic. */
export type TransactionPartitions = Map<string, Set<number>>

/** What is kept of a transactional id in `__transaction_state`. */
export interface SavedTransaction {
  readonly transactionalId: string
  producerId: number
  producerEpoch: number
  /** A transaction that takes longer is aborted. */
  timeoutMs: number
  status: TransactionStatus
  partitions: TransactionPartitions
  /** Wall-clock time of the latest change. */
  updatedMs: number
  /** Wall-clock time at which the present transaction began, -1 when none did. */
  startedMs: number
}

export interface ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: number
}

/** A transactional id in memory. */
export interface Transaction extends SavedTransaction {
  /** What the producer was before the latest bump that it asked for itself: a retry of that request is recognised by it. */
  previous: ProducerIdentity | null
  /** The present epoch fences the producer before it, and no producer has it. */
  isFencingOnly: boolean
  /** The latest connection of the producer, by what it is used for. */
  readonly connectionIds: { coordinator: number; group: number }
  /** When the present transaction is aborted, on the monotonic clock; infinite without one. */
  deadlineMs: number
  /** Settles when the present decision is durable, or could not be made so. */
  decided: Promise<void>
  /** Settles when the transaction that is being ended has its markers; null when none is. */
  completion: Promise<void> | null
  /** Settles when the latest record of this id is durable, or could not be made so. */
  written: Promise<void>
}

const RESOLVED = Promise.resolve()

export function newTransaction(saved: SavedTransaction): Transaction {
  return {
    ...saved,
    previous: null,
    isFencingOnly: false,
    connectionIds: { coordinator: 0, group: 0 },
    deadlineMs: Number.POSITIVE_INFINITY,
    decided: RESOLVED,
    completion: null,
    written: RESOLVED,
  }
}

/** True while the outcome is decided and the markers are being written. */
export function isEnding({ status }: SavedTransaction): boolean {
  return status === 'prepareCommit' || status === 'prepareAbort'
}

/** True when the id's epochs are used up, so that its next producer needs another producer id. */
export function isEpochExhausted(producerEpoch: number): boolean {
  return producerEpoch >= EPOCH_MAX
}

export function hasPartition({ partitions }: SavedTransaction, topic: string, index: number): boolean {
  return partitions.get(topic)?.has(index) === true
}

export function addPartition({ partitions }: SavedTransaction, topic: string, index: number): void {
  const indexes = partitions.get(topic)
  if (indexes === undefined) partitions.set(topic, new Set([index]))
  else indexes.add(index)
}
