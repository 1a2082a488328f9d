/**
 * A producer whose batches, and a consumer group's positions, take effect together or not at all.
 *
 *     await producer.init()                                  // once: fences whoever held the id before
 *     producer.begin()
 *     void producer.send(topic, partition, batch)            // as many as wanted; commit tells of failures
 *     void producer.sendOffsets(member.generation(), offsets)
 *     await producer.commit()
 *
 *       new ──init──► ready ◄─────────────commit────────────┐
 *                      │ └──begin──► open ──► (committing) ──┘
 *                      │              │ a failure
 *                      │              ▼
 *                      └──◄──abort── broken ──► (aborting)         fenced: from anywhere, for good
 *
 * Promises:
 * - `commit` resolves only when the transaction is committed, and never calls it failed when it may have been committed: an
 *   EndTxn without an answer is repeated, under the same epoch, until the coordinator decides or the signal ends the waiting.
 *   Given up so, or stopped, the error has `facts.possiblyCommitted: true`, and `commit` may be called again to find out.
 *   A GS_KAFKA_FENCED of a commit carries the same fact. Who has to know after all reads the group's committed positions.
 * - After a failure that leaves the producer its id (GS_KAFKA_TRANSACTION: a batch was refused or came too late, the group went
 *   on without the member) nothing of the transaction takes effect; `abort`, then `begin` again.
 * - GS_KAFKA_FENCED is final: a newer producer has the id, or the transaction outlived its timeout and was aborted. (A coordinator
 *   that can tell the second from the first lets us keep the id: then it is a GS_KAFKA_TRANSACTION.)
 * - A partition's batches are stored in the order of `send`, once each, however often they had to be sent.
 * - A request that is delayed on the network cannot reach into a later transaction: where an answer was lost, the next one
 *   begins under a new epoch. In the second protocol (KIP-890) every one does.
 *
 * Which protocol is spoken follows the cluster: transaction.version 2, when it is finalized, else the classic one.
 */

import { strict as assert } from 'node:assert'
import { GopherShipError } from '../core/errors.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import { backoffMs } from './backoff.ts'
import type { KafkaCluster } from './cluster.ts'
import type { GroupGeneration } from './group-member.ts'
import type { OffsetToCommit } from './group-offsets.ts'
import {
  KafkaFencedError,
  KafkaTimeoutError,
  KafkaTransactionError,
  kafkaErrorCodeOf,
} from './kafka-errors.ts'
import { orAborted } from './or-aborted.ts'
import type { Produced } from './produce-batch.ts'
import type { ProducerOptions } from './producer.ts'
import { Producer } from './producer.ts'
import type { ProducerId } from './producer-identity.ts'
import type { ProducerTransaction } from './producer-transaction.ts'
import type { TransactionVersion } from './transaction-coordinator.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'
import { isGenerationOver, judgeTransactionFailure } from './transaction-failure.ts'
import { TransactionPartitions } from './transaction-partitions.ts'

export interface TransactionalProducerOptions
  extends Partial<Omit<ProducerOptions, 'acks' | 'idempotent' | 'transaction'>> {
  /** The name under which there is one producer at a time; a newer one fences the older. */
  readonly transactionalId: string
  /** A transaction that is open for longer is aborted by the coordinator, and this producer fenced. Default 15,000. */
  readonly transactionTimeoutMs?: number
  /** The newest protocol to speak. Default 2: what the cluster has finalized. */
  readonly transactionVersionMax?: TransactionVersion
}

export type TransactionState =
  | 'new'
  | 'ready'
  | 'open'
  | 'broken'
  | 'committing'
  | 'aborting'
  | 'fenced'
  | 'stopped'

const TRANSACTION_TIMEOUT_MS = 15_000
/** Longest wait for an id: an older holder's transaction has to be aborted first. */
const INIT_MS_MAX = 60_000
/** How long `stop` tries to abort what is open, so that readers need not wait for its timeout. */
const STOP_ABORT_MS = 1_000

export class TransactionalProducer {
  readonly #cluster: KafkaCluster
  readonly #producer: Producer
  readonly #coordinator: TransactionCoordinator
  readonly #partitions: TransactionPartitions
  readonly #transactionalId: string
  readonly #stopping = new AbortController()
  #state: TransactionState = 'new'
  #id: ProducerId = { producerId: -1, producerEpoch: -1 }
  /** Why the transaction can only be aborted, or why nothing goes on at all. */
  #failure: GopherShipError | null = null
  /** Something was sent of which a coordinator or broker may know. */
  #isTouched = false
  /** The next transaction needs a new epoch: sequences have a gap, or a lost request may still arrive. */
  #needsNewEpoch = false
  /** Settles when the next transaction has its epoch; null while it has it. */
  #renewing: Promise<void> | null = null
  /** Groups that are announced in this transaction. */
  readonly #groups = new Set<string>()
  /** One after the other, so that a repeated commit of positions cannot overtake a later one. */
  #offsetsSent: Promise<void> = Promise.resolve()
  /** EndTxn was tried and its answer was lost. */
  #mayHaveEnded = false
  #isEnding = false

  constructor(cluster: KafkaCluster, options: TransactionalProducerOptions) {
    const {
      transactionalId,
      transactionTimeoutMs = TRANSACTION_TIMEOUT_MS,
      transactionVersionMax = 2,
      ...producerOptions
    } = options
    this.#cluster = cluster
    this.#transactionalId = transactionalId
    const versionMax = transactionVersionMax
    this.#coordinator = new TransactionCoordinator(cluster, {
      transactionalId,
      transactionTimeoutMs,
      versionMax,
    })
    this.#partitions = new TransactionPartitions({
      announce: async (partitions) => {
        await this.#renewed()
        this.#isTouched = true
        await this.#coordinator.addPartitions(this.#id, partitions)
      },
      onFailed: (error) => this.#break(error),
    })
    this.#producer = new Producer(cluster, {
      timeoutMs: transactionTimeoutMs,
      ...producerOptions,
      transaction: this.#asProducerTransaction(),
    })
  }

  get transactionalId(): string {
    return this.#transactionalId
  }

  get state(): TransactionState {
    return this.#state
  }

  /** The id and epoch that the current or next transaction is signed with; -1 before `init`. */
  get producerId(): ProducerId {
    return this.#id
  }

  /** Which protocol is spoken; known after `init`. */
  get transactionVersion(): TransactionVersion {
    return this.#coordinator.version
  }

  /** Bytes of batches whose promise has not settled. */
  get bytesHeld(): number {
    return this.#producer.bytesHeld
  }

  /** Times a batch had to be sent again, since the start. */
  get retryCount(): number {
    return this.#producer.retryCount
  }

  /**
   * Takes over the transactional id: fences its older holder and waits until what that one left open is aborted, or committed
   * if it had decided so. Once. Throws GS_KAFKA_RESPONSE, or what still failed when the time or the signal ended.
   */
  async init(signal?: AbortSignal): Promise<void> {
    this.#throwUnless('init', 'new')
    const waiting = this.#orStopped(signal)
    const options = { signal: waiting, deadlineMs: INIT_MS_MAX }
    this.#id = await orAborted(this.#coordinator.initProducerId(null, options), waiting)
    this.#state = 'ready'
  }

  /** Begins a transaction; costs nothing. Throws GS_KAFKA_FENCED, or GS_KAFKA_TRANSACTION while another is not ended. */
  begin(): void {
    this.#throwUnless('begin', 'ready')
    this.#partitions.clear()
    this.#groups.clear()
    this.#coordinator.hasLostAnswers = false
    this.#isTouched = false
    this.#mayHaveEnded = false
    this.#failure = null
    this.#state = 'open'
  }

  /**
   * Sends one whole record batch as part of the transaction. The buffer belongs to the producer until the promise settles: id,
   * epoch, sequence and the transactional bit are written into it. Rejects with GS_KAFKA_TRANSACTION (abort; also when there was
   * no room: see `waitForRoom`) or GS_KAFKA_FENCED. A rejection that nobody looks at is told by `commit`.
   */
  send(topic: string, partition: number, batch: Buffer): Promise<Produced> {
    const refusal = this.#refusal('send', 'open') ?? this.#lateness('send')
    const sent = refusal === null ? this.#producer.send(topic, partition, batch) : Promise.reject(refusal)
    // What was refused at the door is missing from the transaction as well.
    sent.catch((error: unknown) => this.#break(error))
    return sent
  }

  /** As `Producer.waitForRoom`. */
  waitForRoom(bytes: number, signal?: AbortSignal): Promise<void> {
    return this.#producer.waitForRoom(bytes, signal)
  }

  /**
   * Commits a group's positions with the transaction, in the name of `GroupMember.generation()`. Rejects with
   * GS_KAFKA_TRANSACTION; its `facts.isGenerationOver` says that the group has gone on without the member (null: it knows so
   * itself): abort, and leave the partitions alone. As with `send`, `commit` tells of it too.
   */
  sendOffsets(group: GroupGeneration | null, offsets: readonly OffsetToCommit[]): Promise<void> {
    const late = this.#lateness('sendOffsets')
    const sent =
      late !== null ? Promise.reject(late) : this.#offsetsSent.then(() => this.#sendOffsets(group, offsets))
    this.#offsetsSent = sent.catch(() => {})
    return sent
  }

  /**
   * Commits: waits for everything sent, then until the coordinator has decided. Rejects with GS_KAFKA_TRANSACTION when it is
   * certain that nothing takes effect (abort), GS_KAFKA_FENCED, or GS_KAFKA_TIMEOUT with `facts.possiblyCommitted` when the
   * signal came first: call it again to find out.
   */
  async commit(signal?: AbortSignal): Promise<void> {
    this.#throwUnless('commit', 'open', 'committing')
    await this.#exclusively(async () => {
      if (this.#state === 'open') {
        await this.#settled(signal)
        this.#throwUnless('commit', 'open')
        if (!this.#isTouched) {
          this.#state = 'ready'
          return
        }
        this.#state = 'committing'
      }
      await this.#end({ isCommitted: true }, signal)
    })
  }

  /**
   * Aborts: drops what is not sent, waits for what is under way, then until the coordinator has decided. Nothing to do in
   * `ready`. Rejects with GS_KAFKA_FENCED, or GS_KAFKA_TIMEOUT when the signal came first: call it again.
   */
  async abort(signal?: AbortSignal): Promise<void> {
    if (this.#state === 'ready') return
    this.#throwUnless('abort', 'open', 'broken', 'aborting')
    await this.#exclusively(async () => {
      this.#break(new KafkaTransactionError('the transaction is being aborted', this.#facts))
      await this.#settled(signal)
      if (this.#state === 'fenced') throw this.#failure
      if (!this.#isTouched) {
        this.#state = 'ready'
        return
      }
      this.#state = 'aborting'
      await this.#end({ isCommitted: false }, signal)
    })
  }

  /** Aborts what is open, if that is quickly done, and closes the connections. What is left open runs into its timeout. */
  async stop(): Promise<void> {
    if (this.#state === 'open' || this.#state === 'broken' || this.#state === 'aborting') {
      const giveUp = new AbortController()
      const timer = this.#cluster.clock.after(STOP_ABORT_MS, () => giveUp.abort(this.#stopped()))
      await this.abort(giveUp.signal).catch((error: unknown) =>
        this.#cluster.diagnostics.debug({ error }, 'a transaction was left open'),
      )
      timer.cancel()
    }
    this.#failure = this.#stopped()
    this.#state = 'stopped'
    this.#stopping.abort(this.#failure)
    await Promise.all([this.#producer.stop(), this.#coordinator.close()])
  }

  get #facts() {
    const { producerId, producerEpoch } = this.#id
    return { transactionalId: this.#transactionalId, producerId, producerEpoch }
  }

  #asProducerTransaction(): ProducerTransaction {
    const self = this
    return {
      transactionalId: this.#transactionalId,
      get produceVersionMax() {
        return self.#coordinator.produceVersionMax
      },
      get producerId() {
        return self.#id
      },
      get isAlive() {
        return self.#state === 'open'
      },
      admit: (topic, partition) => this.#admit(topic, partition),
      onRejected: (error, isStamped) => this.#onRejected(error, isStamped),
    }
  }

  #admit(topic: string, partition: number): Promise<void> | null {
    if (this.#coordinator.version === 1) {
      return this.#partitions.has(topic, partition) ? null : this.#partitions.add(topic, partition)
    }
    if (!this.#needsNewEpoch) {
      this.#isTouched = true
      return null
    }
    return this.#renewed().catch((error: unknown) => this.#break(error))
  }

  #onRejected(error: unknown, isStamped: boolean): unknown {
    // The sequence numbers it has used up will not come.
    if (isStamped) this.#needsNewEpoch = true
    if (this.#state === 'stopped') return error
    this.#break(error)
    return this.#failure
  }

  async #sendOffsets(group: GroupGeneration | null, offsets: readonly OffsetToCommit[]): Promise<void> {
    const refusal = this.#refusal('sendOffsets', 'open')
    if (refusal !== null) throw refusal
    if (offsets.length === 0) return
    try {
      if (group === null) throw this.#withoutGroup()
      await this.#renewed()
      this.#isTouched = true
      if (this.#coordinator.version === 1 && !this.#groups.has(group.groupId)) {
        await this.#coordinator.addOffsets(this.#id, group.groupId)
        this.#groups.add(group.groupId)
      }
      await this.#coordinator.commitOffsets(this.#id, group, offsets)
    } catch (error) {
      this.#break(error)
      throw this.#failure
    }
  }

  /** The transaction cannot be committed, or (by its verdict) the producer is finished. Rejects what is not sent. */
  #break(cause: unknown): void {
    if (this.#state !== 'open') return
    const verdict = judgeTransactionFailure(cause)
    if (verdict === 'fenced') {
      this.#finish(cause)
    } else {
      const { message } = cause as Error
      const facts = cause instanceof GopherShipError ? cause.facts : {}
      this.#state = 'broken'
      this.#failure =
        cause instanceof KafkaTransactionError
          ? cause
          : new KafkaTransactionError(
              `the transaction can only be aborted: ${message}`,
              { ...facts, ...this.#facts, isGenerationOver: isGenerationOver(cause) },
              cause,
            )
    }
    this.#producer.rejectUnsent(this.#failure)
  }

  /** Nothing goes on: fenced, or not allowed at all. */
  #finish(cause: unknown, possiblyCommitted = false): GopherShipError {
    const isFenced = judgeTransactionFailure(cause) === 'fenced'
    const facts = { ...this.#facts, possiblyCommitted }
    this.#state = 'fenced'
    this.#failure = cause instanceof GopherShipError && !isFenced ? cause : new KafkaFencedError(facts, cause)
    return this.#failure
  }

  /** Waits until nothing of the transaction is under way any more. */
  async #settled(signal?: AbortSignal): Promise<void> {
    const all = [this.#producer.whenQuiet(), this.#partitions.whenQuiet(), this.#offsetsSent]
    await orAborted(Promise.all(all), this.#orStopped(signal))
  }

  /** Gives the transaction a new epoch where it needs one, before its first request. */
  async #renewed(): Promise<void> {
    if (!this.#needsNewEpoch) return
    this.#renewing ??= this.#coordinator
      .initProducerId(this.#id, { signal: this.#stopping.signal })
      .then((id) => {
        this.#id = id
        this.#needsNewEpoch = false
      })
      .finally(() => {
        this.#renewing = null
      })
    await this.#renewing
  }

  /** Repeats EndTxn until it is decided, or until the signal ends the waiting. */
  async #end({ isCommitted }: { readonly isCommitted: boolean }, signal?: AbortSignal): Promise<void> {
    const { clock, random, options } = this.#cluster
    const waiting = this.#orStopped(signal)
    for (let failureCount = 1; ; failureCount++) {
      try {
        this.#onEnded(await orAborted(this.#coordinator.endOnce(this.#id, { isCommitted }), waiting))
        return
      } catch (error) {
        if (waiting.aborted) throw this.#undecided({ isCommitted }, error)
        if (this.#isEnded(error, isCommitted)) {
          this.#onEnded(this.#id)
          return
        }
        const isConcurrent = kafkaErrorCodeOf(error) === KAFKA_ERROR.CONCURRENT_TRANSACTIONS
        const backoff = isConcurrent ? { initialMs: 5, maxMs: 100 } : options.backoff
        await clock.sleep(backoffMs(backoff, failureCount, random), waiting).catch(() => {})
        if (waiting.aborted) throw this.#undecided({ isCommitted }, error)
      }
    }
  }

  /** Reads a failed EndTxn: true when it says that nothing is open; throws when it decides; false when it leaves it open. */
  #isEnded(error: unknown, isCommitted: boolean): boolean {
    const code = kafkaErrorCodeOf(error)
    if (code === null || code === KAFKA_ERROR.UNKNOWN_SERVER_ERROR) {
      // An attempt without a clear answer may have been carried out.
      if (judgeTransactionFailure(error) === 'fatal') throw this.#finish(error, this.#mayHaveEnded)
      this.#mayHaveEnded = true
      return false
    }
    const verdict = judgeTransactionFailure(error)
    if (verdict === 'passing') return false
    // None of our announcements got through, so there is nothing to abort.
    if (!isCommitted && code === KAFKA_ERROR.INVALID_TXN_STATE) return true
    // It is aborted already, since it outlived its timeout, or must be: certainly not committed, by no attempt.
    if (isCommitted && verdict === 'abort') {
      this.#state = 'open'
      this.#break(error)
      throw this.#failure
    }
    throw this.#finish(error, isCommitted && this.#mayHaveEnded)
  }

  #onEnded(next: ProducerId): void {
    if (this.#coordinator.version === 2 && next !== this.#id) this.#needsNewEpoch = false
    else if (this.#coordinator.hasLostAnswers) this.#needsNewEpoch = true
    this.#id = next
    this.#failure = null
    this.#state = 'ready'
  }

  #undecided({ isCommitted }: { readonly isCommitted: boolean }, lastError: unknown): GopherShipError {
    // The attempt that was under way may have been carried out.
    this.#mayHaveEnded = true
    this.#coordinator.hasLostAnswers = true
    const what = isCommitted ? 'commit' : 'abort'
    const { message } = lastError as Error
    return new KafkaTimeoutError(
      `the ${what} was given up before the coordinator had decided (${message}); call ${what} again to find out`,
      { ...this.#facts, possiblyCommitted: isCommitted },
      lastError,
    )
  }

  async #exclusively(act: () => Promise<void>): Promise<void> {
    assert(!this.#isEnding, 'a transaction is ended by one call at a time')
    this.#isEnding = true
    try {
      await act()
    } finally {
      this.#isEnding = false
    }
  }

  #throwUnless(operation: string, ...allowed: readonly TransactionState[]): void {
    const refusal = this.#refusal(operation, ...allowed)
    if (refusal !== null) throw refusal
  }

  /** Why the call is not possible now; null when it is. */
  #refusal(operation: string, ...allowed: readonly TransactionState[]): GopherShipError | null {
    if (allowed.includes(this.#state)) return null
    if (this.#failure !== null) return this.#failure
    const expected = allowed.join(' or ')
    return new KafkaTransactionError(
      `${operation} needs a transactional producer that is ${expected}, this one is ${this.#state}`,
      { ...this.#facts, operation, state: this.#state },
    )
  }

  /** Why nothing can be added any more to a transaction that is being ended; null when it is not. */
  #lateness(operation: string): GopherShipError | null {
    if (!this.#isEnding) return null
    return new KafkaTransactionError(
      `${operation} came after the end of its transaction had begun`,
      this.#facts,
    )
  }

  #withoutGroup(): KafkaTransactionError {
    const message = 'the member owns no partitions in its group now, so it has no positions to commit'
    return new KafkaTransactionError(message, { ...this.#facts, isGenerationOver: true })
  }

  #orStopped(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#stopping.signal : AbortSignal.any([signal, this.#stopping.signal])
  }

  #stopped(): GopherShipError {
    return new GopherShipError('GS_STOPPED', 'the transactional producer is stopped', { facts: this.#facts })
  }
}
