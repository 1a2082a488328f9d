/**
 * Reads assigned partitions: raw whole batches, fetched ahead of the consumer within a byte bound.
 *
 * Promises:
 * - Batches of a partition come in the order of the log, without gap, from the assigned offset on; `poll` moves the
 *   position, `seek` sets it, and an answer to a position that was left meanwhile is dropped.
 * - One fetch is under way per node, however many partitions it leads; the partition that waited longest goes first.
 * - Passing failures (leader moved, connection lost) are waited out; what will not pass makes `poll` throw, once, and
 *   leaves that partition alone until it is given a new position.
 * - Nothing is copied: records are views of the answer they came in.
 * - With `read_committed` only batches of committed data are handed out (`visible-batches.ts`). An answer of which nothing is
 *   left is handed out too, with empty `records`, so that positions move past markers and aborted transactions.
 *
 * Left to others: decoding (`batch/`), committing positions (`group-member.ts`).
 */

import type { Offset, PartitionId } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { GopherShipError } from '../core/errors.ts'
import { FETCH_AHEAD_BYTES_MAX, FETCH_BYTES_MAX } from '../core/limits.ts'
import { fetchApi } from '../wire/01-fetch.ts'
import type { ResponseOf } from '../wire/api.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import { isZeroUuid } from '../wire/fields.ts'
import { backoffMs } from './backoff.ts'
import type { KafkaCluster } from './cluster.ts'
import type { FetchedPartition, PartitionEnds } from './fetch-partition.ts'
import { FetchPartition } from './fetch-partition.ts'
import { KafkaResponseError, kafkaErrorCodeOf, throwOnKafkaError, withFacts } from './kafka-errors.ts'
import type { Isolation } from './offsets.ts'
import { ISOLATION_LEVEL, listOffsets } from './offsets.ts'
import { visibleBatches } from './visible-batches.ts'
import { findWholeBatches } from './whole-batches.ts'

export interface FetcherOptions {
  /** Bytes of one answer, over all its partitions. Default 8 MiB; a single larger batch still comes whole. */
  readonly bytesMax: number
  /** Bytes of one partition in an answer. Default 1 MiB. */
  readonly partitionBytesMax: number
  /** Longest time the broker waits for `bytesMin`. Default 500. */
  readonly waitMsMax: number
  /** Bytes the broker waits for. Default 1. */
  readonly bytesMin: number
  /** Bytes fetched ahead and not polled yet, over all partitions. Default 32 MiB; passed by at most one answer per node. */
  readonly prefetchBytesMax: number
  /** Default `read_uncommitted`. */
  readonly isolation: Isolation
  /** Where to go on when the position is not, or no longer, in the log. Default `earliest`; `error` makes `poll` throw. */
  readonly onOffsetOutOfRange: 'earliest' | 'latest' | 'error'
  /** Whether each batch's CRC is compared with its bytes. Default true. */
  readonly checkCrcs: boolean
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface PartitionPosition extends TopicPartition {
  readonly offset: number
}

export interface PollOptions {
  /** Longest wait when nothing is there. Default 1,000. */
  readonly timeoutMs?: number
  /** When aborted, `poll` resolves with nothing. */
  readonly signal?: AbortSignal
}

const DEFAULT_OPTIONS: FetcherOptions = {
  bytesMax: FETCH_BYTES_MAX,
  partitionBytesMax: 1024 * 1024,
  waitMsMax: 500,
  bytesMin: 1,
  prefetchBytesMax: FETCH_AHEAD_BYTES_MAX,
  isolation: 'read_uncommitted',
  onOffsetOutOfRange: 'earliest',
  checkCrcs: true,
}

/** Longest wait while some partitions are left out that must be able to join in soon. */
const WAIT_MS_WHILE_OTHERS_WAIT = 20
/** The same while the ones left out are paused. */
const WAIT_MS_WHILE_OTHERS_PAUSED = 500
/** The last version that names topics; later ones take ids. */
const FETCH_VERSION_WITH_NAMES = 12
/** Damage may be the wire's: fetched again this often before it counts as the log's. */
const DAMAGED_ANSWERS_MAX = 3

type FetchAnswer = ResponseOf<typeof fetchApi>
type PartitionAnswer = FetchAnswer['responses'][number]['partitions'][number]

/** A partition in a fetch that is under way, with the position the answer will be for. */
interface Asked {
  readonly state: FetchPartition
  readonly fetchOffset: Offset
}

export class Fetcher {
  readonly #cluster: KafkaCluster
  readonly #options: FetcherOptions
  readonly #lane: string
  /** By topic, then by partition. */
  readonly #assigned = new Map<string, Map<number, FetchPartition>>()
  /** Nodes with a fetch under way. */
  readonly #busyNodes = new Set<number>()
  readonly #pollWaiters = new Set<() => void>()
  #bufferedBytes = 0
  #fetchSerial = 0
  #isWakeQueued = false
  #isStopped = false

  constructor(cluster: KafkaCluster, options: Partial<FetcherOptions> = {}) {
    this.#cluster = cluster
    this.#options = { ...DEFAULT_OPTIONS, ...options }
    this.#lane = cluster.openLane('fetch')
  }

  /** Bytes fetched ahead and not polled yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Adds partitions; one that is assigned already is moved to the given offset. */
  assign(positions: readonly PartitionPosition[]): void {
    for (const { topic, partition, offset } of positions) {
      const partitions = this.#assigned.get(topic) ?? new Map<number, FetchPartition>()
      this.#assigned.set(topic, partitions)
      const known = partitions.get(partition)
      if (known !== undefined) {
        this.#bufferedBytes -= known.moveTo(asOffset(offset))
        continue
      }
      const bytesMax = this.#options.partitionBytesMax
      partitions.set(
        partition,
        new FetchPartition(topic, partition as PartitionId, asOffset(offset), bytesMax),
      )
    }
    this.#wake()
  }

  /** Removes partitions, or all; what was fetched ahead of them is dropped. */
  unassign(partitions: readonly TopicPartition[] = this.assignment()): void {
    for (const { topic, partition } of partitions) {
      const state = this.#assigned.get(topic)?.get(partition)
      if (state === undefined) continue
      this.#bufferedBytes -= state.moveTo(state.position)
      this.#assigned.get(topic)?.delete(partition)
      if (this.#assigned.get(topic)?.size === 0) this.#assigned.delete(topic)
    }
    this.#wake()
  }

  assignment(): { readonly topic: string; readonly partition: PartitionId }[] {
    return this.#states().map(({ topic, partition }) => ({ topic, partition }))
  }

  /** Sets where the next poll begins. Free of cost when that is where it begins anyway. */
  seek(topic: string, partition: number, offset: number): void {
    const state = this.#stateOf(topic, partition)
    if (state.position === offset && state.error === null) return
    this.#bufferedBytes -= state.moveTo(asOffset(offset))
    this.#wake()
  }

  /** Neither fetched nor polled until `resume`; what was fetched ahead is kept. */
  pause(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#stateOf(topic, partition).isPaused = true
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#stateOf(topic, partition).isPaused = false
    this.#wake()
    this.#wakePolls()
  }

  /** Where the next poll begins; null when the partition is not assigned. */
  position(topic: string, partition: number): Offset | null {
    return this.#assigned.get(topic)?.get(partition)?.position ?? null
  }

  /** The partition's ends as the last answer told them (-1 before the first); null when it is not assigned. */
  ends(topic: string, partition: number): PartitionEnds | null {
    return this.#assigned.get(topic)?.get(partition)?.ends ?? null
  }

  /**
   * What was fetched: at most one entry per partition. Waits up to `timeoutMs` when nothing is there. Throws what
   * stopped a partition for good, with `topic` and `partition` in the facts; the others go on with the next call.
   */
  async poll({ timeoutMs = 1_000, signal }: PollOptions = {}): Promise<FetchedPartition[]> {
    const ready = this.#takeReady()
    if (ready.length > 0 || this.#isStopped || signal?.aborted || timeoutMs <= 0) return ready
    await this.#waitForData(timeoutMs, signal)
    return signal?.aborted ? [] : this.#takeReady()
  }

  /** Drops everything and closes the connections; a waiting `poll` resolves with nothing. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.unassign()
    this.#wakePolls()
    await this.#cluster.closeLane(this.#lane)
  }

  #states(): FetchPartition[] {
    return [...this.#assigned.values()].flatMap((partitions) => [...partitions.values()])
  }

  #stateOf(topic: string, partition: number): FetchPartition {
    const state = this.#assigned.get(topic)?.get(partition)
    if (state !== undefined) return state
    throw new GopherShipError(
      'GS_KAFKA_UNSUPPORTED',
      `${topic}-${partition} is not assigned to this fetcher`,
      {
        facts: { topic, partition },
      },
    )
  }

  #takeReady(): FetchedPartition[] {
    const ready: FetchedPartition[] = []
    for (const state of this.#states()) {
      const chunk = state.isPaused ? null : state.shift()
      if (chunk === null) continue
      this.#bufferedBytes -= chunk.records.length
      ready.push(chunk)
    }
    if (ready.length > 0) {
      this.#wake()
      return ready
    }
    // What was fetched before a failure is good, so it is handed out first.
    const failed = this.#states().find((state) => state.error !== null && !state.isErrorTold)
    if (failed === undefined) return ready
    failed.isErrorTold = true
    throw failed.error
  }

  #waitForData(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        this.#pollWaiters.delete(finish)
        timer.cancel()
        signal?.removeEventListener('abort', finish)
        resolve()
      }
      const timer = this.#cluster.clock.after(timeoutMs, finish)
      signal?.addEventListener('abort', finish, { once: true })
      this.#pollWaiters.add(finish)
    })
  }

  #wakePolls(): void {
    for (const finish of [...this.#pollWaiters]) finish()
  }

  /** Looks for something to fetch once this turn's changes are all made, so that they share a request. */
  #wake(): void {
    if (this.#isWakeQueued) return
    this.#isWakeQueued = true
    queueMicrotask(() => {
      this.#isWakeQueued = false
      this.#startFetches()
    })
  }

  /** Starts a fetch at every node that leads something to fetch and has none under way. */
  #startFetches(): void {
    if (this.#isStopped || this.#bufferedBytes >= this.#options.prefetchBytesMax) return
    const byNode = new Map<number, FetchPartition[]>()
    for (const state of this.#states()) {
      if (!state.canFetch) continue
      const leaderId = this.#cluster.leaderOf(state.topic, state.partition)
      if (leaderId === null) {
        void this.#recover(state, null)
        continue
      }
      if (this.#busyNodes.has(leaderId)) continue
      const states = byNode.get(leaderId)
      if (states === undefined) byNode.set(leaderId, [state])
      else states.push(state)
    }
    for (const [nodeId, states] of byNode) void this.#fetch(nodeId, states)
  }

  /** One fetch at one node, and the next one after it. Never rejects. */
  async #fetch(nodeId: number, states: readonly FetchPartition[]): Promise<void> {
    this.#busyNodes.add(nodeId)
    const asked: Asked[] = states
      .toSorted((a, b) => a.lastFetchSerial - b.lastFetchSerial)
      .map((state) => ({ state, fetchOffset: state.fetchOffset }))
    for (const { state } of asked) state.isFetching = true
    const serial = ++this.#fetchSerial
    let failure: Error | null = null
    try {
      const topicIds = new Map<string, string>()
      const answer = await this.#request(nodeId, asked, topicIds)
      throwOnKafkaError('Fetch', answer.errorCode, { nodeId })
      this.#take(answer, asked, topicIds, serial)
    } catch (error) {
      failure = error as Error
    }
    for (const { state } of asked) {
      state.isFetching = false
      if (failure !== null && this.#isAssigned(state)) void this.#recover(state, failure)
    }
    this.#busyNodes.delete(nodeId)
    if (this.#pollWaiters.size > 0 && this.#hasNews()) this.#wakePolls()
    this.#wake()
  }

  #request(nodeId: number, asked: readonly Asked[], topicIds: Map<string, string>): Promise<FetchAnswer> {
    const { waitMsMax, bytesMin, bytesMax, isolation } = this.#options
    const byTopic = Map.groupBy(asked, ({ state }) => state.topic)
    let haveAllIds = true
    const topics = Array.from(byTopic, ([topic, partitions]) => {
      const topicId = this.#cluster.snapshot.topics.get(topic)?.topicId
      if (topicId === undefined || isZeroUuid(topicId)) haveAllIds = false
      else topicIds.set(topicId.toString('hex'), topic)
      return {
        topic,
        ...(topicId === undefined ? {} : { topicId }),
        partitions: partitions.map(({ state, fetchOffset }) => ({
          partition: state.partition,
          fetchOffset,
          partitionMaxBytes: state.bytesMax,
        })),
      }
    })
    const maxWaitMs = Math.min(this.#waitMsFor(nodeId, asked), waitMsMax)
    const value = {
      maxWaitMs,
      minBytes: bytesMin,
      maxBytes: bytesMax,
      isolationLevel: ISOLATION_LEVEL[isolation],
      topics,
    }
    const versionMax = haveAllIds ? fetchApi.versionMax : FETCH_VERSION_WITH_NAMES
    return this.#cluster.request(fetchApi, value, { nodeId }, { lane: this.#lane, versionMax })
  }

  /** Takes over what an answer holds for partitions that are still where they were when it was asked for. */
  #take(
    answer: FetchAnswer,
    asked: readonly Asked[],
    topicIds: ReadonlyMap<string, string>,
    serial: number,
  ): void {
    const askedByKey = new Map(asked.map((one) => [`${one.state.topic} ${one.state.partition}`, one]))
    for (const { topic, topicId, partitions } of answer.responses) {
      const name = topic === '' ? topicIds.get(topicId.toString('hex')) : topic
      for (const partition of partitions) {
        const found = askedByKey.get(`${name} ${partition.partitionIndex}`)
        if (found === undefined) continue
        const { state, fetchOffset } = found
        if (!this.#isAssigned(state) || state.fetchOffset !== fetchOffset) continue
        state.lastFetchSerial = serial
        this.#takePartition(state, partition)
      }
    }
  }

  #takePartition(state: FetchPartition, answer: PartitionAnswer): void {
    const { topic, partition } = state
    if (answer.errorCode === KAFKA_ERROR.OFFSET_OUT_OF_RANGE) {
      void this.#resetPosition(state)
      return
    }
    if (answer.errorCode !== KAFKA_ERROR.NONE) {
      void this.#recover(state, new KafkaResponseError('Fetch', answer.errorCode, { topic, partition }))
      return
    }
    state.ends = {
      highWatermark: asOffset(answer.highWatermark),
      lastStableOffset: asOffset(answer.lastStableOffset),
      logStartOffset: asOffset(answer.logStartOffset),
    }
    const bytes = answer.records
    if (bytes === null || bytes.length === 0) {
      state.failureCount = 0
      return
    }
    try {
      this.#takeRecords(state, bytes, answer)
      state.failureCount = 0
    } catch (error) {
      const failure = withFacts(error as Error, { topic, partition, fetchOffset: state.fetchOffset })
      if (state.failureCount + 1 >= DAMAGED_ANSWERS_MAX) this.#fail(state, failure)
      else void this.#recover(state, failure)
    }
  }

  #takeRecords(state: FetchPartition, bytes: Buffer, answer: PartitionAnswer): void {
    const { topic, partition, fetchOffset, ends } = state
    const whole = findWholeBatches(bytes, { fetchOffset, checkCrcs: this.#options.checkCrcs })
    if (whole.end === 0) {
      // The first batch alone is larger than the limit, and other partitions came first: ask for all of it.
      state.bytesMax = Math.max(state.bytesMax, whole.cutBatchBytes)
      return
    }
    const all = whole.end === bytes.length ? bytes : bytes.subarray(0, whole.end)
    const isCommittedOnly = this.#options.isolation === 'read_committed'
    const chunk: FetchedPartition = {
      topic,
      partition,
      fetchOffset,
      nextOffset: asOffset(whole.nextOffset),
      records: isCommittedOnly ? visibleBatches(all, answer.abortedTransactions ?? []) : all,
      ...ends,
    }
    state.push(chunk)
    this.#bufferedBytes += chunk.records.length
  }

  /** Waits out a failure (null: the leader is merely unknown), refreshes the metadata, and goes on. Never rejects. */
  async #recover(state: FetchPartition, failure: Error | null): Promise<void> {
    if (state.isRecovering) return
    if (failure !== null && !this.#isPassing(failure)) {
      this.#fail(state, failure)
      return
    }
    state.isRecovering = true
    const { clock, random, options, diagnostics } = this.#cluster
    const { topic, partition } = state
    if (failure !== null)
      diagnostics.debug({ topic, partition, error: failure }, 'kafka fetch will be tried again')
    // An unknown leader is looked up at once the first time, and then as any failure.
    if (failure !== null || state.failureCount > 0) {
      await clock.sleep(backoffMs(options.backoff, Math.max(1, state.failureCount), random))
    }
    state.failureCount++
    try {
      const { topicErrors } = await this.#cluster.refreshMetadata([topic])
      throwOnKafkaError('Metadata', topicErrors.get(topic) ?? KAFKA_ERROR.NONE, { topic, partition })
    } catch (error) {
      if (!this.#isPassing(error)) this.#fail(state, error as Error)
    }
    state.isRecovering = false
    this.#wake()
  }

  /** The position is outside the log: goes where the policy says. Never rejects. */
  async #resetPosition(state: FetchPartition): Promise<void> {
    const { topic, partition, fetchOffset } = state
    const policy = this.#options.onOffsetOutOfRange
    const outOfRange = new KafkaResponseError('Fetch', KAFKA_ERROR.OFFSET_OUT_OF_RANGE, {
      topic,
      partition,
      fetchOffset,
    })
    if (policy === 'error') {
      this.#fail(state, outOfRange)
      return
    }
    state.isRecovering = true
    try {
      const { isolation } = this.#options
      const [found] = await listOffsets(this.#cluster, [{ topic, partition, at: policy }], { isolation })
      // Moved by `seek` meanwhile: its word counts.
      if (found !== undefined && this.#isAssigned(state) && state.fetchOffset === fetchOffset) {
        this.#cluster.diagnostics.warn(
          { topic, partition, fetchOffset, continuesAt: found.offset, policy },
          'the position is not in the log any more; reading goes on elsewhere',
        )
        // What was fetched before stays good, so only the fetching jumps; the position follows with the next poll.
        if (state.hasChunks) state.fetchOffset = found.offset
        else state.moveTo(found.offset)
      }
    } catch (error) {
      if (!this.#isPassing(error)) this.#fail(state, error as Error)
    }
    state.isRecovering = false
    this.#wake()
  }

  #fail(state: FetchPartition, error: Error): void {
    state.error = error
    state.isErrorTold = false
    this.#wakePolls()
  }

  #isPassing(error: unknown): boolean {
    // Its own business: the position is wrong, and time will not make it right.
    if (kafkaErrorCodeOf(error) === KAFKA_ERROR.OFFSET_OUT_OF_RANGE) return false
    return error instanceof GopherShipError && (error.retriable || error.code.startsWith('GS_BATCH_'))
  }

  #isAssigned(state: FetchPartition): boolean {
    return !this.#isStopped && this.#assigned.get(state.topic)?.get(state.partition) === state
  }

  /**
   * How long a fetch may wait at the broker. While it does, no other partition of the node can be asked for, so it is
   * short when one is left out that will be wanted in a moment: one whose chunks the consumer is about to take, or one
   * that waits out a failure (whose leader is not sure, so any node's fetch may be in its way).
   */
  #waitMsFor(nodeId: number, asked: readonly Asked[]): number {
    const states = new Set(asked.map(({ state }) => state))
    const leftOut = this.#states().filter((state) => {
      if (states.has(state) || state.error !== null) return false
      return state.isRecovering || this.#cluster.leaderOf(state.topic, state.partition) === nodeId
    })
    if (leftOut.some((state) => !state.isPaused)) return WAIT_MS_WHILE_OTHERS_WAIT
    return leftOut.length > 0 ? WAIT_MS_WHILE_OTHERS_PAUSED : Number.POSITIVE_INFINITY
  }

  #hasNews(): boolean {
    return this.#states().some(
      (state) => !state.isPaused && (state.hasChunks || (state.error !== null && !state.isErrorTold)),
    )
  }
}
