/**
 * Sends ready-made record batches, byte for byte as given, to the leaders of their partitions.
 *
 * Promises:
 * - A partition's batches are sent in the order of `send`, and sent again in that order after a failure
 *   (`partition-queue.ts` says what this can and cannot rule out).
 * - A batch's buffer is not copied. It belongs to the producer until the promise of its `send` settles, and by then no
 *   socket reads from it any more.
 * - Every promise settles by its deadline, or at most `SOCKET_RELEASE_MS_MAX` later when a socket has to be broken first.
 * - A rejection carries `facts.possiblyPersisted`: false means that the batch is certainly not in the log.
 * - Memory is bounded by `bytesInFlightMax`: `send` refuses with GS_KAFKA_QUEUE_FULL, `waitForRoom` waits.
 *
 * - With `idempotent`, a batch of our own is stored once however often it had to be sent (`producer-identity.ts`).
 *
 * Left to others: making batches (`batch/`), choosing partitions.
 */

import { strict as assert } from 'node:assert'
import { batchBytesAt, producerIdAt, RECORD_BATCH_HEADER_BYTES } from '../batch/record-batch.ts'
import { asOffset, NO_OFFSET } from '../core/brands.ts'
import { GopherShipError } from '../core/errors.ts'
import { PRODUCE_BYTES_IN_FLIGHT_MAX, PRODUCE_REQUEST_BYTES_MAX } from '../core/limits.ts'
import { isRetriableKafkaError, KAFKA_ERROR } from '../wire/error-codes.ts'
import type { BackoffOptions } from './backoff.ts'
import { backoffMs } from './backoff.ts'
import type { KafkaCluster } from './cluster.ts'
import {
  isStaleMetadataCode,
  KafkaQueueFullError,
  KafkaResponseError,
  kafkaErrorCodeOf,
  throwOnKafkaError,
  withFacts,
} from './kafka-errors.ts'
import type { PartitionAnswer } from './node-sender.ts'
import { NodeSender } from './node-sender.ts'
import { PartitionQueue } from './partition-queue.ts'
import type { Acks, ProduceBatch, Produced } from './produce-batch.ts'
import { expiryOf } from './produce-batch.ts'
import type { ProducerId } from './producer-identity.ts'
import { IDEMPOTENT_IN_FLIGHT_MAX, initProducerId, SequenceChain } from './producer-identity.ts'
import type { ProducerTransaction } from './producer-transaction.ts'

export interface ProducerOptions {
  /** Who must have stored a batch before it is acknowledged. Default -1, all in-sync replicas. */
  readonly acks: Acks
  /** Time for a send with all its retries. Default 30,000. */
  readonly timeoutMs: number
  /** Requests in flight to one node. Default 5; a broker that syncs in groups is fed better by more. */
  readonly inFlightMax: number
  /** Batches of one partition in flight. Default `inFlightMax`; 1 gives strict order at the price of a round trip each. */
  readonly inFlightPerPartitionMax: number
  /** A request takes no further batch beyond this size; a larger single batch goes alone. Default 1 MiB. */
  readonly requestBytesMax: number
  /** Bytes of all batches held. Default 64 MiB. */
  readonly bytesInFlightMax: number
  /** The transaction that every batch belongs to; implies `idempotent`. Default null. */
  readonly transaction: ProducerTransaction | null
  /**
   * Stamps every batch with a producer id and sequence, so that a repeated one is stored once. The batches are changed in
   * place; only for batches of our own. Implies acks -1 and at most 5 in flight per partition. Default false.
   */
  readonly idempotent: boolean
}

export interface SendOptions {
  readonly acks?: Acks
  /** Time until the promise settles. */
  readonly timeoutMs?: number
  /** False: the first failure is final. `deadlineMs`: a failure later than this is final. Default: until `timeoutMs`. */
  readonly retries?: false | { readonly deadlineMs: number }
}

const DEFAULT_OPTIONS: Omit<ProducerOptions, 'inFlightPerPartitionMax'> = {
  acks: -1,
  timeoutMs: 30_000,
  inFlightMax: 5,
  requestBytesMax: PRODUCE_REQUEST_BYTES_MAX,
  bytesInFlightMax: PRODUCE_BYTES_IN_FLIGHT_MAX,
  transaction: null,
  idempotent: false,
}

/** Part of our own request timeout that a broker may wait for its replicas: its answer must come before we hang up. */
const BROKER_WAIT_SHARE = 0.8

/** Waits while the broker still writes the markers of the transaction before: a matter of milliseconds. */
const CONCURRENT_TRANSACTIONS_BACKOFF: BackoffOptions = { initialMs: 5, maxMs: 200 }

/** How long an expired batch waits for its socket to let go of it before the connection is broken. */
export const SOCKET_RELEASE_MS_MAX = 1_000

/** Answers that leave open whether the batch is in the log. */
const UNCERTAIN_CODES: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.UNKNOWN_SERVER_ERROR,
  KAFKA_ERROR.REQUEST_TIMED_OUT,
  KAFKA_ERROR.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  KAFKA_ERROR.KAFKA_STORAGE_ERROR,
])

/** Answers by which a broker says that it does not know the producer id, or its epoch, any more. */
const FORGOTTEN_CODES: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.UNKNOWN_PRODUCER_ID,
  KAFKA_ERROR.INVALID_PRODUCER_EPOCH,
  KAFKA_ERROR.INVALID_PRODUCER_ID_MAPPING,
])

interface RoomWaiter {
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Producer {
  readonly #cluster: KafkaCluster
  readonly #options: ProducerOptions
  readonly #lane: string
  readonly #queues = new Map<string, PartitionQueue[]>()
  readonly #senders = new Map<number, NodeSender>()
  readonly #unsettled = new Set<ProduceBatch>()
  readonly #roomWaiters: RoomWaiter[] = []
  readonly #idleWaiters: (() => void)[] = []
  readonly #quietWaiters: (() => void)[] = []
  /** The producer id that all partitions start with. */
  #sharedId: Promise<ProducerId> | null = null
  #bytesHeld = 0
  #serial = 0
  #retryCount = 0
  /** Room given to those who waited, for sends that are about to come. */
  #bytesPromised = 0
  /** Takes nothing new; what is out goes on. */
  #isClosing = false
  /** Nothing goes on any more. */
  #isStopped = false

  constructor(cluster: KafkaCluster, options: Partial<ProducerOptions> = {}) {
    const merged = { ...DEFAULT_OPTIONS, ...options }
    if (merged.transaction !== null) merged.idempotent = true
    const perPartitionMax = options.inFlightPerPartitionMax ?? merged.inFlightMax
    assert(!merged.idempotent || merged.acks === -1, 'idempotence needs acks of all in-sync replicas')
    this.#cluster = cluster
    this.#options = {
      ...merged,
      inFlightPerPartitionMax: merged.idempotent
        ? Math.min(perPartitionMax, IDEMPOTENT_IN_FLIGHT_MAX)
        : perPartitionMax,
    }
    this.#lane = cluster.openLane('produce')
  }

  /** Bytes of batches whose promise has not settled. */
  get bytesHeld(): number {
    return this.#bytesHeld
  }

  /** Batches whose promise has not settled. */
  get batchCount(): number {
    return this.#unsettled.size
  }

  /** Times a batch had to be sent again, since the start. */
  get retryCount(): number {
    return this.#retryCount
  }

  /**
   * Sends one whole record batch. Rejects with GS_KAFKA_TIMEOUT at the deadline, GS_KAFKA_RESPONSE when the broker
   * refuses for good, GS_KAFKA_QUEUE_FULL when there is no room, GS_STOPPED after `stop`; with `retries: false` also with
   * the first passing failure.
   */
  send(topic: string, partition: number, batch: Buffer, options: SendOptions = {}): Promise<Produced> {
    assert(
      batch.length >= RECORD_BATCH_HEADER_BYTES && batchBytesAt(batch, 0) === batch.length,
      'send takes exactly one whole record batch',
    )
    if (this.#isClosing) return Promise.reject(stoppedError())
    if (!this.#hasRoomFor(batch.length)) {
      const facts = { bytesHeld: this.#bytesHeld, bytesInFlightMax: this.#options.bytesInFlightMax }
      return Promise.reject(new KafkaQueueFullError(facts))
    }
    const { promise, resolve, reject } = Promise.withResolvers<Produced>()
    const nowMs = this.#cluster.clock.monotonicMs()
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs
    const retryMs = options.retries === false ? -1 : (options.retries?.deadlineMs ?? timeoutMs)
    const pending: ProduceBatch = {
      topic,
      partition,
      bytes: batch,
      acks: this.#options.idempotent ? -1 : (options.acks ?? this.#options.acks),
      serial: this.#serial++,
      deadlineAtMs: nowMs + timeoutMs,
      retryUntilMs: nowMs + retryMs,
      resolve,
      reject,
      timer: null,
      isStamped: false,
      state: 'queued',
      isOnSocket: false,
      isExpired: false,
      possiblyPersisted: false,
      lastError: null,
    }
    pending.timer = this.#cluster.clock.after(timeoutMs, () => this.#onDeadline(pending))
    this.#unsettled.add(pending)
    this.#bytesHeld += batch.length
    this.#bytesPromised = Math.max(0, this.#bytesPromised - batch.length)
    const queue = this.#queueOf(topic, partition)
    queue.push(pending)
    this.#route(queue)
    return promise
  }

  /** Resolves when a batch of this size would be taken; send it in the same turn. First come, first served. */
  waitForRoom(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#isClosing) return Promise.reject(stoppedError())
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#roomWaiters.length === 0 && this.#hasRoomFor(bytes, this.#bytesPromised)) {
      this.#promiseRoom(bytes)
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const waiter: RoomWaiter = {
        bytes,
        resolve: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        reject,
      }
      const onAbort = () => {
        const index = this.#roomWaiters.indexOf(waiter)
        if (index >= 0) this.#roomWaiters.splice(index, 1)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#roomWaiters.push(waiter)
    })
  }

  /** Resolves when every batch is settled and no request is under way: nothing of them can reach a broker later. */
  async whenQuiet(): Promise<void> {
    const isBusy = () => [...this.#senders.values()].some(({ inFlightCount }) => inFlightCount > 0)
    while (this.#unsettled.size > 0 || isBusy()) {
      await new Promise<void>((resolve) => this.#quietWaiters.push(resolve))
    }
  }

  /** Rejects every batch that is not in flight. */
  rejectUnsent(error: unknown): void {
    for (const batch of [...this.#unsettled]) if (batch.state === 'queued') this.#reject(batch, error)
  }

  /** Takes no more, waits up to `drainMs` for what is out, then rejects the rest with GS_STOPPED. */
  async stop({ drainMs = 0 }: { readonly drainMs?: number } = {}): Promise<void> {
    this.#isClosing = true
    for (const waiter of this.#roomWaiters.splice(0)) waiter.reject(stoppedError())
    if (this.#unsettled.size > 0 && drainMs > 0) {
      const idle = new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
      await Promise.race([idle, this.#cluster.clock.sleep(drainMs)])
    }
    this.#isStopped = true
    // Closing the lane ends the sockets, so that none holds a batch when its promise settles.
    await this.#cluster.closeLane(this.#lane)
    await new Promise((resolve) => setImmediate(resolve))
    for (const batch of [...this.#unsettled]) {
      if (batch.state === 'in flight') batch.possiblyPersisted = true
      this.#reject(batch, stoppedError(batch.possiblyPersisted))
    }
  }

  #hasRoomFor(bytes: number, promisedBytes = 0): boolean {
    const takenBytes = this.#bytesHeld + promisedBytes
    // One batch is always taken, or a batch larger than the bound could never go.
    return takenBytes === 0 || takenBytes + bytes <= this.#options.bytesInFlightMax
  }

  /** Keeps room for one who waited, until its `send` or the end of the turn. */
  #promiseRoom(bytes: number): void {
    if (this.#bytesPromised === 0) {
      setImmediate(() => {
        this.#bytesPromised = 0
        this.#wakeRoomWaiters()
      })
    }
    this.#bytesPromised += bytes
  }

  #queueOf(topic: string, partition: number): PartitionQueue {
    let queues = this.#queues.get(topic)
    if (queues === undefined) {
      queues = []
      this.#queues.set(topic, queues)
    }
    const known = queues[partition]
    if (known !== undefined) return known
    const queue = new PartitionQueue(topic, partition)
    queues[partition] = queue
    return queue
  }

  /** Puts a partition that has something to send in front of its leader's sender. */
  #route(queue: PartitionQueue): void {
    if (queue.routedNodeId !== null || queue.isStopped || queue.peek() === null) return
    if (queue.isFull(this.#options.inFlightPerPartitionMax)) return
    const { transaction } = this.#options
    if (transaction !== null) {
      const admission = transaction.admit(queue.topic, queue.partition)
      if (admission !== null) {
        queue.hold()
        void this.#routeWhen(queue, admission)
        return
      }
      // Sequences go on from transaction to transaction, until the id or its epoch changes.
      if (queue.chain?.id !== transaction.producerId)
        queue.chain = new SequenceChain(transaction.producerId, { isTransactional: true })
    } else if (this.#options.idempotent && queue.chain === null) {
      queue.stop()
      if (queue.inFlightCount === 0) void this.#startChain(queue)
      return
    }
    // While batches are in flight the partition stays with their node, or a new leader could overtake the old one.
    const nodeId =
      queue.inFlightCount > 0 ? queue.nodeId : this.#cluster.leaderOf(queue.topic, queue.partition)
    if (nodeId === null) {
      const error = new KafkaResponseError('Metadata', KAFKA_ERROR.LEADER_NOT_AVAILABLE, factsOf(queue))
      queue.stop()
      void this.#resumeLater(queue, error)
      return
    }
    this.#senderTo(nodeId).add(queue)
  }

  /** Goes on with a partition that waited to become part of the transaction. Never rejects. */
  async #routeWhen(queue: PartitionQueue, admission: Promise<void>): Promise<void> {
    await admission
    queue.resume()
    if (!this.#isStopped) this.#route(queue)
  }

  #senderTo(nodeId: number): NodeSender {
    const known = this.#senders.get(nodeId)
    if (known !== undefined) return known
    const { inFlightMax, inFlightPerPartitionMax, requestBytesMax } = this.#options
    const sender = new NodeSender({
      nodeId,
      inFlightMax,
      inFlightPerPartitionMax,
      requestBytesMax,
      transaction: this.#options.transaction,
      connect: () => this.#cluster.connectionTo(nodeId, this.#lane),
      brokerWaitMs: (batches) => this.#brokerWaitMs(batches),
      onTake: (queue, batch) => {
        if (!batch.isStamped) queue.chain?.stamp(batch)
      },
      onOutcome: (queue, batch, outcome) => this.#onOutcome(queue, batch, outcome),
      onWritten: (batch) => {
        if (batch.isExpired) this.#reject(batch, expiryOf(batch))
      },
      onUnreachable: (queues, error) => {
        for (const queue of queues) this.#onUnreachable(queue, error)
      },
    })
    this.#senders.set(nodeId, sender)
    return sender
  }

  /** No longer than any of its senders waits, and never past the time when the connection itself gives up. */
  #brokerWaitMs(batches: readonly ProduceBatch[]): number {
    const nowMs = this.#cluster.clock.monotonicMs()
    const longestMs = batches.reduce((longest, batch) => Math.max(longest, batch.deadlineAtMs - nowMs), 1)
    return Math.round(Math.min(longestMs, this.#cluster.options.requestMsMax * BROKER_WAIT_SHARE))
  }

  #onOutcome(queue: PartitionQueue, batch: ProduceBatch, outcome: PartitionAnswer | null | Error): void {
    const failure = outcome instanceof Error ? outcome : failureOf(queue, outcome)
    if (failure === null) {
      queue.succeed()
      this.#resolve(batch, outcome as PartitionAnswer | null)
    } else {
      this.#onFailure(queue, batch, failure)
    }
    if (queue.isStopped) {
      if (queue.inFlightCount === 0) void this.#resumeLater(queue, batch.lastError)
    } else {
      this.#route(queue)
    }
    this.#wakeQuietWaiters()
  }

  #onFailure(queue: PartitionQueue, batch: ProduceBatch, failure: Error): void {
    const code = kafkaErrorCodeOf(failure)
    batch.lastError = failure
    if (code === null || UNCERTAIN_CODES.has(code)) batch.possiblyPersisted = true
    // The deadline already settled it, or settles it now that the socket has let go.
    if (batch.state === 'settled' || batch.isExpired) {
      queue.fail()
      if (batch.isExpired) this.#reject(batch, expiryOf(batch))
      return
    }
    if (this.#isWorthRepeating(queue, batch, failure)) {
      this.#retryCount++
      queue.putBack(batch)
      if (queue.chain === null && !batch.possiblyPersisted) batch.isStamped = false
      return
    }
    if (code !== null && batch.isStamped && this.#canStampAgain(batch, code)) {
      this.#retryCount++
      queue.putBack(batch)
      queue.breakChain()
      return
    }
    queue.fail()
    this.#reject(batch, withPersistence(failure, batch))
  }

  #isWorthRepeating(queue: PartitionQueue, batch: ProduceBatch, failure: Error): boolean {
    if (this.#isStopped || this.#options.transaction?.isAlive === false) return false
    if (this.#cluster.clock.monotonicMs() >= batch.retryUntilMs) return false
    const code = kafkaErrorCodeOf(failure)
    if (code === null) return failure instanceof GopherShipError && failure.retriable
    // Retriable by the protocol, since the wire may have done it; but the same bytes, sent again by us, hold up everybody
    // behind them. Whoever made the batch hears of it and may try.
    if (code === KAFKA_ERROR.CORRUPT_MESSAGE) return false
    if (isRetriableKafkaError(code)) return true
    // Refused only because the batch before it was: once that one is stored, this one follows on.
    return (
      code === KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER &&
      producerIdAt(batch.bytes, 0) >= 0 &&
      queue.hasReturnedBefore(batch)
    )
  }

  /** A refusal because of the sequence: the chain broke at an earlier batch, or the broker has forgotten us. */
  #canStampAgain(batch: ProduceBatch, code: number): boolean {
    // A transaction has one producer id: its chains do not break, it is aborted.
    if (this.#isStopped || this.#options.transaction !== null) return false
    if (this.#cluster.clock.monotonicMs() >= batch.retryUntilMs) return false
    if (code === KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER) {
      // Had an earlier attempt been stored, the broker would have known this one again. So it certainly was not.
      batch.possiblyPersisted = false
      return true
    }
    // Here the broker has lost what it would know it by: only a batch that no attempt can have stored may go again.
    return FORGOTTEN_CODES.has(code) && !batch.possiblyPersisted
  }

  /** Gets the partition a producer id, and goes on. Never rejects. */
  async #startChain(queue: PartitionQueue): Promise<void> {
    try {
      queue.chain = new SequenceChain(await this.#producerIdFor(queue), { isTransactional: false })
    } catch (error) {
      const failure = error as Error
      for (const batch of queue.unsent()) {
        batch.lastError = failure
        if (!(failure instanceof GopherShipError && failure.retriable))
          this.#reject(batch, withPersistence(failure, batch))
      }
    }
    queue.resume()
    if (!this.#isStopped) this.#route(queue)
  }

  #producerIdFor(queue: PartitionQueue): Promise<ProducerId> {
    if (queue.needsOwnId) return initProducerId(this.#cluster)
    this.#sharedId ??= initProducerId(this.#cluster).catch((error: unknown) => {
      this.#sharedId = null
      throw error
    })
    return this.#sharedId
  }

  #onUnreachable(queue: PartitionQueue, error: Error): void {
    for (const batch of queue.unsent()) batch.lastError = error
    queue.stop()
    if (queue.inFlightCount === 0) void this.#resumeLater(queue, error)
  }

  /** Waits a little, learns who leads the partition now, and goes on. Never rejects. */
  async #resumeLater(queue: PartitionQueue, error: Error | null): Promise<void> {
    const { clock, random, options } = this.#cluster
    queue.failureCount++
    this.#giveUpFinal(queue, error)
    const code = kafkaErrorCodeOf(error)
    // The very first look-up of a topic is no failure and waits for nothing.
    const isFirstLookup = queue.failureCount === 1 && code === KAFKA_ERROR.LEADER_NOT_AVAILABLE
    const isConcurrent = code === KAFKA_ERROR.CONCURRENT_TRANSACTIONS
    const backoff = isConcurrent ? CONCURRENT_TRANSACTIONS_BACKOFF : options.backoff
    if (!isFirstLookup) await clock.sleep(backoffMs(backoff, queue.failureCount, random))
    if (code === null || isStaleMetadataCode(code)) await this.#lookUpLeader(queue)
    queue.resume()
    if (!this.#isStopped) this.#route(queue)
  }

  async #lookUpLeader(queue: PartitionQueue): Promise<void> {
    const { topic } = queue
    try {
      const { topicErrors, topics } = await this.#cluster.refreshMetadata([topic])
      const facts = factsOf(queue)
      throwOnKafkaError('Metadata', topicErrors.get(topic) ?? KAFKA_ERROR.NONE, facts)
      if (topics.get(topic)?.partitions[queue.partition] === undefined) {
        throw new KafkaResponseError('Metadata', KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION, facts)
      }
    } catch (error) {
      const failure = error as Error
      for (const batch of queue.unsent()) batch.lastError = failure
      this.#giveUpFinal(queue, failure)
    }
  }

  /** Rejects what waits behind a failure that will not pass, or that came too late to try again. */
  #giveUpFinal(queue: PartitionQueue, error: Error | null): void {
    if (error === null) return
    const code = kafkaErrorCodeOf(error)
    const isTopicFailure = error instanceof KafkaResponseError && error.facts['operation'] === 'Metadata'
    const isFinal = isTopicFailure && code !== null && !isRetriableKafkaError(code)
    const isOwnMetadata =
      isTopicFailure && code === KAFKA_ERROR.LEADER_NOT_AVAILABLE && queue.failureCount <= 1
    const nowMs = this.#cluster.clock.monotonicMs()
    for (const batch of queue.unsent()) {
      const isLate = nowMs >= batch.retryUntilMs && !isOwnMetadata
      if (isFinal || isLate) this.#reject(batch, withPersistence(error, batch))
    }
  }

  #onDeadline(batch: ProduceBatch): void {
    if (batch.state === 'settled') return
    if (!batch.isOnSocket) {
      this.#reject(batch, expiryOf(batch))
      return
    }
    batch.isExpired = true
    this.#cluster.clock.after(SOCKET_RELEASE_MS_MAX, () => {
      if (!batch.isOnSocket) return
      const { nodeId } = this.#queueOf(batch.topic, batch.partition)
      this.#senders.get(nodeId)?.disconnect('the socket did not take an expired batch')
    })
  }

  #resolve(batch: ProduceBatch, answer: PartitionAnswer | null): void {
    if (!this.#settle(batch)) return
    batch.resolve({
      baseOffset: answer === null ? NO_OFFSET : asOffset(answer.baseOffset),
      logAppendTimeMs: answer?.logAppendTimeMs ?? -1,
      logStartOffset: answer === null ? NO_OFFSET : asOffset(answer.logStartOffset),
    })
  }

  #reject(batch: ProduceBatch, error: unknown): void {
    if (!this.#settle(batch)) return
    batch.reject(this.#options.transaction?.onRejected(error, batch.isStamped) ?? error)
  }

  #settle(batch: ProduceBatch): boolean {
    if (!this.#unsettled.delete(batch)) return false
    assert(!batch.isOnSocket, 'a batch settles only when no socket holds it')
    batch.state = 'settled'
    batch.timer?.cancel()
    this.#bytesHeld -= batch.bytes.length
    this.#wakeRoomWaiters()
    if (this.#unsettled.size === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve()
    this.#wakeQuietWaiters()
    return true
  }

  #wakeQuietWaiters(): void {
    if (this.#quietWaiters.length === 0 || this.#unsettled.size > 0) return
    for (const resolve of this.#quietWaiters.splice(0)) resolve()
  }

  #wakeRoomWaiters(): void {
    for (let first = this.#roomWaiters[0]; first !== undefined; first = this.#roomWaiters[0]) {
      if (!this.#hasRoomFor(first.bytes, this.#bytesPromised)) return
      this.#promiseRoom(first.bytes)
      this.#roomWaiters.shift()
      first.resolve()
    }
  }
}

function factsOf({ topic, partition }: PartitionQueue): { topic: string; partition: number } {
  return { topic, partition }
}

/** The failure an answer carries, or null when the batch is in the log. */
function failureOf(queue: PartitionQueue, answer: PartitionAnswer | null): KafkaResponseError | null {
  // A duplicate sequence number means that an earlier attempt, or the client's own, is already stored.
  if (answer === null || answer.errorCode === KAFKA_ERROR.NONE) return null
  if (answer.errorCode === KAFKA_ERROR.DUPLICATE_SEQUENCE_NUMBER) return null
  return new KafkaResponseError('Produce', answer.errorCode, factsOf(queue), answer.errorMessage)
}

/** The failure with what is known about the batch's fate added to its facts. */
function withPersistence(failure: Error, { topic, partition, possiblyPersisted }: ProduceBatch): Error {
  return withFacts(failure, { topic, partition, possiblyPersisted })
}

function stoppedError(possiblyPersisted = false): GopherShipError {
  return new GopherShipError('GS_STOPPED', 'the producer is stopping', { facts: { possiblyPersisted } })
}
