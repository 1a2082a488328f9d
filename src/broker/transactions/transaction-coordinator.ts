/**
 * All transactional ids of the broker: gives producers their identity, keeps which partitions take part in a transaction,
 * decides it once, and sees it through to the last marker (KIP-98, KIP-360, KIP-447, KIP-588).
 *
 * Promises:
 * - A transaction is all or nothing to read_committed readers, whatever crashes: the decision is durable in
 *   `__transaction_state` before the first marker is written, and a start completes what a crash left behind.
 * - One producer at a time: whoever asks for the id fences its predecessor, whose transaction is aborted.
 * - A transaction that is not ended in its time is aborted, so readers never wait longer than that.
 *
 * The decision in numbered steps: 1. The state becomes Prepare*, at once: no batch is taken any more. 2. Its record is
 * durable; the client is answered. 3. A marker is appended to every partition that holds data, all at once, so that each
 * partition needs one sync. 4. The state becomes Complete*. That record is written with the next one of any id (or soon),
 * without a sync of its own: were it lost, a start would find Prepare* and no partition with anything left to end.
 *
 * What Kafka answers CONCURRENT_TRANSACTIONS is waited for here, as it takes milliseconds.
 */

import type { Clock, Timer } from '../../core/clock.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { DeadlineTimer } from '../groups/deadline-timer.ts'
import type { OffsetStore } from '../groups/offset-store.ts'
import type { ProducerIds } from '../producer-ids.ts'
import type { Partition, TransactionMarker } from '../topics/partition.ts'
import { OFFSETS_TOPIC } from '../topics/topic-name.ts'
import type { TopicRegistry } from '../topics/topic-registry.ts'
import type { ProducerIdentity, SavedTransaction, Transaction } from './transaction.ts'
import {
  addPartition,
  FENCING_EPOCH_MAX,
  hasPartition,
  isEnding,
  isEpochExhausted,
  NO_EPOCH,
  newTransaction,
} from './transaction.ts'
import type { TransactionLog } from './transaction-log.ts'

export interface TransactionCoordinatorOptions {
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly log: TransactionLog
  readonly topics: TopicRegistry
  readonly offsets: OffsetStore
  readonly producerIds: ProducerIds
  /** The longest timeout that a producer may ask for. */
  readonly timeoutMsMax: number
  readonly transactionalIdsMax: number
  /** How long an id without a transaction is remembered. */
  readonly idExpiryMs: number
  /** Told of every transaction that has ended, and of those that took too long. */
  readonly onEnded?: (outcome: 'commit' | 'abort') => void
  readonly onTimedOut?: () => void
}

/** Who a producer says it is. */
export interface TransactionSender extends ProducerIdentity {
  readonly transactionalId: string
}

export interface InitProducer {
  readonly transactionalId: string
  readonly timeoutMs: number
  /** What the producer was before, when it asks for its next epoch (KIP-360); null for a new one. */
  readonly expected: ProducerIdentity | null
}

export interface InitializedProducer extends ProducerIdentity {
  readonly errorCode: number
}

export interface TransactionPartition {
  readonly topic: string
  readonly index: number
}

/** The partition of `__consumer_offsets` that takes part when a group's offsets do; there is only one. */
const OFFSETS_PARTITION: TransactionPartition = { topic: OFFSETS_TOPIC, index: 0 }
/** How long a request waits for the markers of the transaction before; beyond it the client is told to ask again. */
const SETTLE_MS_MAX = 2000
/** How long a start waits for disks that are slow to take markers; the rest goes on in the background. */
const RECOVERY_MS_MAX = 5000
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5000
/** A state that may be written late is written by then. */
const LATE_WRITE_MS = 500

export class TransactionCoordinator {
  readonly #deps: TransactionCoordinatorOptions
  readonly #transactions = new Map<string, Transaction>()
  /** Those whose present state is not in the topic. */
  readonly #unwritten = new Set<Transaction>()
  readonly #deadlines: DeadlineTimer
  readonly #stopping = new AbortController()
  #lateWriteTimer: Timer | null = null

  constructor(options: TransactionCoordinatorOptions) {
    this.#deps = options
    this.#deadlines = new DeadlineTimer(options.clock, () => this.#abortOverdue())
  }

  get transactions(): Iterable<Transaction> {
    return this.#transactions.values()
  }

  find(transactionalId: string): Transaction | undefined {
    return this.#transactions.get(transactionalId)
  }

  /** Transactions that have begun and not been decided. */
  get ongoingCount(): number {
    let count = 0
    for (const { status } of this.#transactions.values()) if (status === 'ongoing') count += 1
    return count
  }

  /**
   * Takes up what is in the log; call it before anyone is answered. It brings log and partitions together: what was decided
   * gets its markers, and no partition keeps a transaction open that nobody will end.
   */
  async load(): Promise<void> {
    const { clock, log } = this.#deps
    for (const saved of (await log.load()).values()) this.#add(saved)
    const orphans = this.#adoptOpenTransactions()
    for (const transaction of this.#transactions.values()) {
      if (isEnding(transaction)) this.#runToEnd(transaction, Promise.resolve())
      else if (transaction.status === 'ongoing') this.#startTimeout(transaction)
    }
    const completions = Array.from(this.#transactions.values(), ({ completion }) => completion)
    const late = Promise.withResolvers<void>()
    const timer = clock.after(RECOVERY_MS_MAX, late.resolve)
    await Promise.race([Promise.all([...completions, ...orphans]), late.promise])
    timer.cancel()
  }

  /** InitProducerId with a transactional id: the producer's identity, once it is durable and its predecessor fenced. */
  async initProducer(request: InitProducer): Promise<InitializedProducer> {
    const { timeoutMsMax, transactionalIdsMax, producerIds } = this.#deps
    const { transactionalId, timeoutMs, expected } = request
    if (transactionalId === '') return refused(KAFKA_ERROR.INVALID_REQUEST)
    if (timeoutMs <= 0 || timeoutMs > timeoutMsMax) return refused(KAFKA_ERROR.INVALID_TRANSACTION_TIMEOUT)
    if (!this.#transactions.has(transactionalId)) {
      const isFull = () => this.#transactions.size >= transactionalIdsMax
      if (isFull()) return refused(KAFKA_ERROR.POLICY_VIOLATION)
      const producerId = await producerIds.take()
      // Others may have come meanwhile, for the same id or for the last room.
      const isKnown = this.#transactions.has(transactionalId)
      if (!isKnown && isFull()) return refused(KAFKA_ERROR.POLICY_VIOLATION)
      if (!isKnown) this.#add(this.#unused(transactionalId, producerId))
    }
    const transaction = this.#transactions.get(transactionalId) as Transaction
    if (expected !== null && !mayBump(expected, transaction)) return refused(KAFKA_ERROR.PRODUCER_FENCED)
    if (transaction.status === 'ongoing') this.#abortFencing(transaction, expected)
    if (!(await this.#settled(transaction))) return refused(KAFKA_ERROR.CONCURRENT_TRANSACTIONS)
    const nextId = isEpochExhausted(transaction.producerEpoch) ? await producerIds.take() : null
    // Somebody else may have asked meanwhile: whoever is later has the id.
    if (transaction.status === 'ongoing' || transaction.status === 'dead' || isEnding(transaction)) {
      return refused(KAFKA_ERROR.CONCURRENT_TRANSACTIONS)
    }
    if (expected !== null) {
      if (!mayBump(expected, transaction)) return refused(KAFKA_ERROR.PRODUCER_FENCED)
      // The answer to this very request was lost: it is given again.
      const isAnswered = !transaction.isFencingOnly && isSame(expected, transaction.previous)
      if (isAnswered) return this.#answerIdentity(transaction)
    }
    transaction.previous = expected
    transaction.producerId = nextId ?? transaction.producerId
    transaction.producerEpoch = nextId === null ? transaction.producerEpoch + 1 : 0
    transaction.isFencingOnly = false
    transaction.timeoutMs = timeoutMs
    transaction.status = 'empty'
    transaction.partitions = new Map()
    transaction.startedMs = -1
    return this.#answerIdentity(transaction)
  }

  /** AddPartitionsToTxn: the error code for all of them, once it is durable. The caller has seen that they exist. */
  async addPartitions(
    sender: TransactionSender,
    partitions: readonly TransactionPartition[],
  ): Promise<number> {
    let transaction = this.#ofSender(sender)
    if (typeof transaction === 'number') return transaction
    if (!(await this.#settled(transaction))) return KAFKA_ERROR.CONCURRENT_TRANSACTIONS
    transaction = this.#ofSender(sender)
    if (typeof transaction === 'number') return transaction
    if (isEnding(transaction)) return KAFKA_ERROR.CONCURRENT_TRANSACTIONS
    const known = transaction
    const added = partitions.filter(({ topic, index }) => !hasPartition(known, topic, index))
    const isBeginning = transaction.status !== 'ongoing'
    if (isBeginning) {
      transaction.status = 'ongoing'
      transaction.partitions = new Map()
      transaction.startedMs = this.#deps.clock.wallMs()
      this.#startTimeout(transaction)
    }
    for (const { topic, index } of isBeginning ? partitions : added) addPartition(transaction, topic, index)
    const needsRecord = isBeginning || added.length > 0 || this.#unwritten.has(transaction)
    return this.#answerWhen(transaction, needsRecord ? this.#write([transaction]) : transaction.written)
  }

  /** AddOffsetsToTxn: the committed offsets of a group take part. */
  addOffsets(sender: TransactionSender): Promise<number> {
    return this.addPartitions(sender, [OFFSETS_PARTITION])
  }

  /** EndTxn: the error code, once the decision is durable. The markers follow by themselves. */
  async end(sender: TransactionSender, isCommit: boolean): Promise<number> {
    const transaction = this.#ofSender(sender)
    if (typeof transaction === 'number') return transaction
    const { status } = transaction
    if (status === 'ongoing') {
      this.#decide(transaction, isCommit)
    } else if (status !== (isCommit ? 'prepareCommit' : 'prepareAbort')) {
      // The answer to the first request was lost, or there is nothing to end.
      const isSameOutcome = status === (isCommit ? 'completeCommit' : 'completeAbort')
      return isSameOutcome ? KAFKA_ERROR.NONE : KAFKA_ERROR.INVALID_TXN_STATE
    }
    return this.#answerWhen(transaction, transaction.decided)
  }

  /** Whether a batch of this producer may go to a partition now: the error code. */
  checkWrite(sender: TransactionSender, topic: string, index: number): number {
    const transaction = this.#transactions.get(sender.transactionalId)
    if (transaction === undefined || transaction.producerId !== sender.producerId) {
      return KAFKA_ERROR.INVALID_PRODUCER_ID_MAPPING
    }
    if (transaction.producerEpoch !== sender.producerEpoch) return KAFKA_ERROR.INVALID_PRODUCER_EPOCH
    const takesPart = transaction.status === 'ongoing' && hasPartition(transaction, topic, index)
    return takesPart ? KAFKA_ERROR.NONE : KAFKA_ERROR.INVALID_TXN_STATE
  }

  /** `checkWrite` for offsets of a group. */
  checkOffsets(sender: TransactionSender): number {
    return this.checkWrite(sender, OFFSETS_PARTITION.topic, OFFSETS_PARTITION.index)
  }

  /** Forgets ids that have had no transaction for long. */
  async expire(nowMs: number): Promise<void> {
    const expired: Transaction[] = []
    for (const transaction of this.#transactions.values()) {
      const isIdle = transaction.status !== 'ongoing' && !isEnding(transaction)
      if (isIdle && nowMs - transaction.updatedMs >= this.#deps.idExpiryMs) expired.push(transaction)
    }
    if (expired.length === 0) return
    for (const transaction of expired) {
      transaction.status = 'dead'
      this.#transactions.delete(transaction.transactionalId)
      this.#unwritten.delete(transaction)
    }
    await this.#deps.log.remove(expired)
  }

  /** Nothing more is decided; what is under way is completed by the next start. */
  async stop(): Promise<void> {
    this.#deadlines.cancel()
    this.#lateWriteTimer?.cancel()
    this.#stopping.abort()
    await Promise.all(Array.from(this.#transactions.values(), ({ completion }) => completion))
    await this.#write([]).catch(() => {})
    await this.#deps.log.idle()
  }

  #add(saved: SavedTransaction): void {
    this.#transactions.set(saved.transactionalId, newTransaction(saved))
  }

  #unused(transactionalId: string, producerId: number): SavedTransaction {
    return {
      transactionalId,
      producerId,
      producerEpoch: NO_EPOCH,
      timeoutMs: 0,
      status: 'empty',
      partitions: new Map(),
      updatedMs: this.#deps.clock.wallMs(),
      startedMs: -1,
    }
  }

  /** The sender's transaction, or why it may not touch it. */
  #ofSender(sender: TransactionSender): Transaction | number {
    if (sender.transactionalId === '') return KAFKA_ERROR.INVALID_REQUEST
    const transaction = this.#transactions.get(sender.transactionalId)
    if (transaction === undefined || transaction.producerId !== sender.producerId) {
      return KAFKA_ERROR.INVALID_PRODUCER_ID_MAPPING
    }
    return transaction.producerEpoch === sender.producerEpoch ? transaction : KAFKA_ERROR.PRODUCER_FENCED
  }

  /** True once nothing is being ended; false when that takes too long. */
  async #settled(transaction: Transaction): Promise<boolean> {
    const { completion } = transaction
    if (completion === null) return true
    const late = Promise.withResolvers<void>()
    const timer = this.#deps.clock.after(SETTLE_MS_MAX, late.resolve)
    await Promise.race([completion, late.promise])
    timer.cancel()
    return transaction.completion === null
  }

  async #answerIdentity(transaction: Transaction): Promise<InitializedProducer> {
    const identity = identityOf(transaction)
    const errorCode = await this.#answerWhen(transaction, this.#write([transaction]))
    return errorCode === KAFKA_ERROR.NONE ? { errorCode, ...identity } : refused(errorCode)
  }

  /** The error code once `durable` has settled. */
  async #answerWhen({ transactionalId }: Transaction, durable: Promise<void>): Promise<number> {
    try {
      await durable
      return KAFKA_ERROR.NONE
    } catch (error) {
      this.#deps.diagnostics.error(
        { err: error, transactionalId },
        'the state of a transaction could not be made durable',
      )
      return KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE
    }
  }

  /**
   * Appends the present state of these ids, and of all that wait for the next record; resolves when it is durable. What is
   * in memory is ahead of the topic after a failure, and is written again with the next record.
   */
  async #write(changed: readonly Transaction[]): Promise<void> {
    const { clock, log } = this.#deps
    const nowMs = clock.wallMs()
    for (const transaction of changed) {
      transaction.updatedMs = nowMs
      this.#unwritten.add(transaction)
    }
    if (this.#unwritten.size === 0) return
    const written = [...this.#unwritten]
    this.#lateWriteTimer?.cancel()
    this.#lateWriteTimer = null
    const durable = log.write(written)
    durable.catch(() => {})
    this.#unwritten.clear()
    for (const transaction of written) transaction.written = durable
    try {
      await durable
    } catch (error) {
      for (const transaction of written) if (transaction.status !== 'dead') this.#unwritten.add(transaction)
      throw error
    }
    log.rewriteWhenLarge(this.#transactions.values())
  }

  #writeLate(transaction: Transaction): void {
    transaction.updatedMs = this.#deps.clock.wallMs()
    this.#unwritten.add(transaction)
    this.#lateWriteTimer ??= this.#deps.clock.after(LATE_WRITE_MS, () => {
      this.#lateWriteTimer = null
      this.#write([]).catch(() => {
        // It is written with the next record then.
      })
    })
  }

  #decide(transaction: Transaction, isCommit: boolean): void {
    transaction.status = isCommit ? 'prepareCommit' : 'prepareAbort'
    transaction.deadlineMs = Number.POSITIVE_INFINITY
    this.#runToEnd(transaction, this.#write([transaction]))
  }

  /** Aborts with an epoch that the present producer does not have; only `asking`, when it is that one, may come back for it. */
  #abortFencing(transaction: Transaction, asking: ProducerIdentity | null): void {
    transaction.producerEpoch = Math.min(transaction.producerEpoch + 1, FENCING_EPOCH_MAX)
    transaction.isFencingOnly = true
    transaction.previous = asking
    this.#decide(transaction, false)
  }

  /** Sees a decided transaction through; `decided` settles when the decision is durable, or could not be made so. */
  #runToEnd(transaction: Transaction, decided: Promise<void>): void {
    decided.catch(() => {})
    transaction.decided = decided
    transaction.completion = this.#complete(transaction)
  }

  /** Never rejects: what fails is tried again until the broker stops. */
  async #complete(transaction: Transaction): Promise<void> {
    const isCommit = transaction.status === 'prepareCommit'
    await this.#untilDone(async () => {
      const attempt = transaction.decided
      try {
        await attempt
      } catch (error) {
        if (transaction.decided === attempt) transaction.decided = this.#write([transaction])
        transaction.decided.catch(() => {})
        throw error
      }
    })
    let left: TransactionPartition[] = []
    for (const [topic, indexes] of transaction.partitions) {
      for (const index of indexes) left.push({ topic, index })
    }
    const { producerId, producerEpoch } = transaction
    const marker: TransactionMarker = { producerId, producerEpoch, type: isCommit ? 'commit' : 'abort' }
    const isDone = await this.#untilDone(async () => {
      const results = await Promise.allSettled(left.map((place) => this.#writeMarker(place, marker)))
      left = left.filter((_, index) => results[index]?.status === 'rejected')
      const failure = results.find((result) => result.status === 'rejected')
      if (failure !== undefined) throw failure.reason
    })
    if (!isDone) return
    transaction.status = isCommit ? 'completeCommit' : 'completeAbort'
    transaction.partitions = new Map()
    transaction.completion = null
    this.#writeLate(transaction)
    this.#deps.onEnded?.(isCommit ? 'commit' : 'abort')
  }

  async #writeMarker({ topic, index }: TransactionPartition, marker: TransactionMarker): Promise<void> {
    if (topic === OFFSETS_TOPIC) return this.#deps.offsets.endTransaction(marker)
    const partition = this.#deps.topics.partition(topic, index)
    if (partition === undefined) return
    try {
      await partition.appendMarker(marker)
    } catch (error) {
      // With its topic deleted there is nothing left to end.
      if (!partition.isGone) throw error
    }
  }

  /** Runs `attempt` until it resolves, with growing pauses. False when the broker stopped first. */
  async #untilDone(attempt: () => Promise<void>): Promise<boolean> {
    for (let pauseMs = RETRY_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)) {
      if (this.#stopping.signal.aborted) return false
      try {
        await attempt()
        return true
      } catch (error) {
        this.#deps.diagnostics.warn({ err: error }, 'a transaction could not be ended yet')
      }
      await this.#deps.clock.sleep(pauseMs, this.#stopping.signal).catch(() => {})
    }
  }

  #startTimeout(transaction: Transaction): void {
    const { clock } = this.#deps
    const elapsedMs = Math.max(0, clock.wallMs() - transaction.startedMs)
    transaction.deadlineMs = clock.monotonicMs() + Math.max(0, transaction.timeoutMs - elapsedMs)
    this.#deadlines.wakeBy(transaction.deadlineMs)
  }

  #abortOverdue(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const transaction of this.#transactions.values()) {
      if (transaction.status !== 'ongoing') continue
      if (transaction.deadlineMs > nowMs) {
        nextMs = Math.min(nextMs, transaction.deadlineMs)
        continue
      }
      const { transactionalId, timeoutMs } = transaction
      this.#deps.diagnostics.warn(
        { transactionalId, timeoutMs },
        'a transaction took too long and is aborted',
      )
      this.#deps.onTimedOut?.()
      this.#abortFencing(transaction, null)
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#deadlines.wakeBy(nextMs)
  }

  /**
   * What the partitions hold open is made part of the transaction that it belongs to, so that it ends as that does. With every
   * acknowledgement synced, the topic knows all of it already; with laxer policies a power cut may take the topic's latest
   * records. What belongs to nobody, or to a producer that was fenced since, is aborted. And where damage behind it may have
   * taken the marker, what is open ends as the producer's last transaction did: to abort it would hide committed records.
   */
  #adoptOpenTransactions(): Promise<void>[] {
    const { topics, clock } = this.#deps
    const byProducer = new Map<number, Transaction>()
    for (const transaction of this.#transactions.values()) byProducer.set(transaction.producerId, transaction)
    const orphans: Promise<void>[] = []
    for (const { name: topic, partitions } of topics.topics) {
      for (const partition of partitions) {
        for (const { producerId, producerEpoch, firstOffset } of [...partition.openTransactions]) {
          const place = { topic, index: partition.index }
          const transaction = byProducer.get(producerId)
          const isItsOwn = transaction !== undefined && transaction.producerEpoch === producerEpoch
          const isOver = transaction?.status === 'completeCommit' || transaction?.status === 'completeAbort'
          if (isItsOwn && isOver && isDamagedBehind(partition, firstOffset)) {
            const type = transaction.status === 'completeCommit' ? 'commit' : 'abort'
            orphans.push(this.#endOrphan(place, { producerId, producerEpoch, type }))
          } else if (transaction !== undefined && (isItsOwn || isEnding(transaction))) {
            if (transaction.status !== 'ongoing' && !isEnding(transaction)) {
              transaction.status = 'ongoing'
              transaction.startedMs = clock.wallMs()
              transaction.partitions = new Map()
            }
            addPartition(transaction, topic, partition.index)
          } else {
            const epoch = Math.max(producerEpoch, transaction?.producerEpoch ?? NO_EPOCH)
            orphans.push(this.#endOrphan(place, { producerId, producerEpoch: epoch, type: 'abort' }))
          }
        }
      }
    }
    return orphans
  }

  async #endOrphan(place: TransactionPartition, marker: TransactionMarker): Promise<void> {
    const { topic, index: partition } = place
    this.#deps.diagnostics.warn(
      { topic, partition, ...marker },
      'a transaction that nobody will end is ended',
    )
    await this.#untilDone(() => this.#writeMarker(place, marker))
  }
}

/** Whether the marker of a transaction that is open in the partition may have been damaged on disk. */
function isDamagedBehind({ log }: Partition, firstOffset: number): boolean {
  return log.quarantined.some(({ toOffset }) => toOffset > firstOffset)
}

function refused(errorCode: number): InitializedProducer {
  return { errorCode, producerId: -1, producerEpoch: -1 }
}

function identityOf({ producerId, producerEpoch }: ProducerIdentity): ProducerIdentity {
  return { producerId, producerEpoch }
}

function isSame(one: ProducerIdentity, other: ProducerIdentity | null): boolean {
  return one.producerId === other?.producerId && one.producerEpoch === other.producerEpoch
}

/**
 * Whether a producer that says what it was may have its next epoch: it is the present one, or the id is new, or it was the
 * present one before its bump and has not heard of that: its transaction is still being aborted for it, or it has done nothing
 * since. So a late copy of its request cannot end what it began with its new epoch.
 */
function mayBump(expected: ProducerIdentity, transaction: Transaction): boolean {
  if (transaction.producerEpoch === NO_EPOCH || isSame(expected, transaction)) return true
  const isUnheard = transaction.isFencingOnly || transaction.status === 'empty'
  return isUnheard && isSame(expected, transaction.previous)
}
