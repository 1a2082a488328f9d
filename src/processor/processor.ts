/**
 * A processor: one member of the consumer group over the vault's topics. It fetches raw batches, does with each what the tier
 * of the moment says (enrich fully, enrich in part, hand on untouched), and commits outputs, debt and offsets together.
 *
 * Promises:
 * - Exactly once (or at least once, where that is chosen): see `delivery.ts`. A crash at any instant leaves no record out.
 * - The tier is chosen per batch. What is not enriched fully is booked as debt, to the offset, in the same commit.
 * - A partition is given up only after what was begun is committed, or a bounded wait has passed; then it is fenced.
 * - A partition whose output cannot be written waits, later and later, and does not stop the others.
 *
 * It leaves to others: what an event looks like (`topology/`), which partitions are ours (`kafka/group-member.ts`), which tier
 * is right (`pressure/`).
 */

import type { Registry } from 'prom-client'
import { batchBytesAt, recordCountAt } from '../batch/record-batch.ts'
import type { Offset } from '../core/brands.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { isFailure } from '../core/errors.ts'
import { DERIVED_BATCH_BYTES_MAX } from '../core/limits.ts'
import type { Random } from '../core/random.ts'
import { upTo } from '../core/up-to.ts'
import { EncoderPool } from '../enrichment/encoder-pool.ts'
import { OutputTopics } from '../enrichment/output-topics.ts'
import { PartitionEnricher } from '../enrichment/partition-enricher.ts'
import type { SourceTopics } from '../enrichment/source-topics.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { FetchedPartition } from '../kafka/fetch-partition.ts'
import { Fetcher } from '../kafka/fetcher.ts'
import { GroupMember } from '../kafka/group-member.ts'
import { IdempotentProducer } from '../kafka/idempotent-producer.ts'
import { kafkaErrorCodeOf } from '../kafka/kafka-errors.ts'
import { orAborted } from '../kafka/or-aborted.ts'
import { TransactionalProducer } from '../kafka/transactional-producer.ts'
import type { DebtReason } from '../ledger/debt-entry.ts'
import { ensureLedgerTopic, LEDGER_TOPIC } from '../ledger/ledger-topic.ts'
import { AmbientCheck, AmbientReader, createAmbientBuffer } from '../pressure/ambient-status.ts'
import type { Tier } from '../pressure/tiers.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { CompiledTopology } from '../topology/compile.ts'
import { createEnricher, type Enricher } from '../topology/enricher.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { PartitionClaim, PartitionCounts, PartitionProgress } from './assigned-partition.ts'
import { AssignedPartition, NOTHING_COUNTED } from './assigned-partition.ts'
import { AtLeastOnceDelivery } from './at-least-once-delivery.ts'
import type { PassthroughMode } from './batch-tiers.ts'
import { workOnBatch } from './batch-tiers.ts'
import { DebtTail } from './debt-tail.ts'
import {
  type Delivery,
  DeliveryFailure,
  type Guarantee,
  OUTPUT_BYTES_HELD_MAX,
  type OutputOrigin,
} from './delivery.ts'
import type { Start } from './partition-starts.ts'
import { PartitionStarts } from './partition-starts.ts'
import type { ProcessorMetrics } from './processor-metrics.ts'
import { openProcessorMetrics } from './processor-metrics.ts'
import { TransactionalDelivery } from './transactional-delivery.ts'
import type { TierWork } from './work-log.ts'
import { WorkLog } from './work-log.ts'

export interface ProcessorOptions {
  /** Connected; closed by whoever made it. */
  readonly cluster: KafkaCluster
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  readonly metrics: Registry
  readonly groupId: string
  /** Makes the member static (KIP-345): a restart under the same name has its partitions back at once. */
  readonly groupInstanceId?: string
  readonly guarantee: Guarantee
  /** Fences a predecessor of the same name. Needed for exactly once. */
  readonly transactionalId: string
  /** The coordinator aborts a transaction that is open for so long: how long a dead worker can hold up readers. */
  readonly transactionTimeoutMs: number
  readonly topology: CompiledTopology
  /** Which vault topics are read, and where their output goes. */
  readonly topics: SourceTopics
  readonly passthrough: PassthroughMode
  /** The pressure, as its observer publishes it; without one everything is enriched fully. */
  readonly ambient?: SharedArrayBuffer
  /** Records between two looks at the tier, about. */
  readonly checkEveryRecords?: number
  /** Time from the first uncommitted progress to its commit. */
  readonly commitIntervalMs: number
  readonly onFailed: (error: Error) => void
}

export interface ProcessorStatus {
  /** In the consumer group, with whatever share of the partitions. */
  readonly isMember: boolean
  readonly partitions: readonly PartitionProgress[]
  /** Records and worker time by tier, since the start. */
  readonly work: TierWork
  /** 99th percentile of commits of late: what upstream takes to make work durable; null when there were none. */
  readonly upstreamAckMs: number | null
  /** The tier of the batch worked on last. */
  readonly tier: Tier
}

/** An output batch is closed at this size, so that a consumer of events is not handed more than it asked for. */
const OUTPUT_BATCH_BYTES_TARGET = 512 * 1024
/** An output is tried for so long before its partition goes back and begins again. */
const OUTPUT_TIMEOUT_MS = 60_000
/** And never longer than this part of what a transaction may last. */
const OUTPUT_TRANSACTION_SHARE = 0.6
/** The producer's own limit; what is held before it is limited already. */
const PRODUCER_BYTES_MAX = OUTPUT_BYTES_HELD_MAX + 8 * DERIVED_BATCH_BYTES_MAX
/** A partition that is given up waits so long for what it has begun. */
const LEAVE_MS_MAX = 5_000
/** The same when the worker stops, which has to abort what is left and be gone before its thread is ended by force. */
const LEAVE_STOPPING_MS_MAX = 3_500
/** Leaving the group takes so long at most, with a coordinator that does not answer as well. */
const STOP_GROUP_MS_MAX = 4_000
/** The thread answers heartbeats and questions at least this often while it enriches. */
const BUSY_MS_MAX = 25
/** And while it commits, which takes several round trips, so often. */
const BUSY_COMMITTING_MS_MAX = 3
/** How soon a new stream is noticed; its first event is to be there within two seconds of its first record. */
const TOPICS_POLL_MS = 1_000
/** How soon a member notices that others came or went. */
const HEARTBEAT_INTERVAL_MS = 2_000
/** A fetch waits so long at the broker when nothing comes; what comes is answered at once. */
const FETCH_WAIT_MS = 5_000
const POLL_MS_MAX = 30_000
const RETRY_BACKOFF_MS = { first: 200, max: 10_000 } as const

type TopicPartition = { readonly topic: string; readonly partition: number }

export class Processor {
  readonly #options: ProcessorOptions
  readonly #enricher: Enricher
  readonly #metrics: ProcessorMetrics
  readonly #delivery: Delivery
  readonly #outputs: OutputTopics
  readonly #starts: PartitionStarts
  readonly #ambient: AmbientReader
  readonly #tiers: AmbientCheck
  readonly #work: WorkLog
  /** One for each assignment: a fetch that waits at the broker for what was assigned before would hold up the next. */
  #fetcher: Fetcher
  readonly #group: GroupMember
  readonly #encoders = new EncoderPool({
    bytesInitial: 64 * 1024,
    bytesMax: DERIVED_BATCH_BYTES_MAX,
    keptMax: 8,
  })
  readonly #assigned = new Map<string, AssignedPartition>()
  /** What was counted of partitions that were given back: they mostly return with the next assignment. */
  readonly #counted = new Map<string, PartitionCounts>()
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #commitTimer: Timer | null = null
  /** Commits, what follows from their failures, and new assignments, one after the other. */
  #turn: Promise<void> = Promise.resolve()
  /** Partitions were lost: what was made of them may not be committed. */
  #mustAbandon = false
  /** Aborted when partitions of the present assignment go. */
  #assignment = new AbortController()
  #isCommitting = false
  #isFailed = false
  #tier: Tier = 'full'

  private constructor(options: ProcessorOptions) {
    const { cluster, clock, groupId, groupInstanceId, topology, topics, metrics, random } = options
    this.#options = options
    this.#enricher = createEnricher(topology)
    this.#metrics = openProcessorMetrics(metrics)
    this.#ambient = new AmbientReader(options.ambient ?? createAmbientBuffer())
    this.#tiers = new AmbientCheck(this.#ambient, {
      random,
      ...(options.checkEveryRecords === undefined ? {} : { recordsBetween: options.checkEveryRecords }),
    })
    this.#work = new WorkLog({ clock })
    this.#fetcher = this.#openFetcher()
    this.#group = new GroupMember(cluster, {
      groupId,
      ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
      topicsPollMs: TOPICS_POLL_MS,
      heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
      topics: (names) => names.filter((name) => topics.streamOf(name) !== null),
    })
    this.#delivery = this.#openDelivery()
    this.#outputs = new OutputTopics(options, { name: LEDGER_TOPIC, ensure: ensureLedgerTopic })
    this.#starts = new PartitionStarts(options, this.#outputs)
  }

  /**
   * Begins to join the group; `status` says when it is a member. Partitions come and go with members and streams.
   * `onFailed` is told of what will not pass by itself, such as not being allowed into the group, or another of the same name.
   */
  static start(options: ProcessorOptions): Processor {
    const processor = new Processor(options)
    processor.#running = processor.#run()
    return processor
  }

  status(): ProcessorStatus {
    const nowMs = this.#options.clock.wallMs()
    const { state } = this.#group.status()
    return {
      isMember: state === 'stable' || state === 'revoking',
      partitions: [...this.#assigned.values()].map((assigned) =>
        assigned.progress(this.#fetcher.ends(assigned.topic, assigned.partition)?.highWatermark ?? -1, nowMs),
      ),
      work: this.#work.totals(),
      upstreamAckMs: this.#work.commitMs(),
      tier: this.#tier,
    }
  }

  /** Finishes what is begun and commits it, unless that takes too long, and leaves the group. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    // Leaving revokes the partitions, and that waits for their outputs and commits them.
    await upTo(this.#options.clock, STOP_GROUP_MS_MAX, this.#group.stop())
    this.#outputs.stop()
    this.#commitTimer?.cancel()
    await this.#fetcher.stop()
    await this.#delivery.stop()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    try {
      await this.#unlessStopped(this.#outputs.ensureSide())
      // Before the committed offsets are read: what a predecessor left open is decided here, and not by its timeout.
      await this.#unlessStopped(this.#delivery.open(signal))
    } catch (error) {
      this.#fail(error)
    }
    if (signal.aborted || this.#isFailed) return
    this.#group.start({
      onAssigned: (partitions) => this.#onAssigned(partitions),
      onRevoked: (partitions) => this.#onRevoked(partitions),
      onLost: (partitions) => this.#onLost(partitions),
      onFailed: (error) => this.#fail(error),
    })
    while (!signal.aborted) {
      try {
        const chunks = await this.#fetcher.poll({ timeoutMs: POLL_MS_MAX, signal })
        // Claimed all at once: while the first is worked on, a partition of a later one may go back or change hands.
        const claims = chunks.map((chunk) => this.#assigned.get(keyOf(chunk))?.claim())
        for (const [index, chunk] of chunks.entries()) {
          const claim = claims[index]
          if (claim?.isCurrent()) await this.#process(claim, chunk)
        }
      } catch (error) {
        if (signal.aborted) return
        this.#onFetchFailure(error)
        await this.#options.clock.sleep(RETRY_BACKOFF_MS.first, signal).catch(() => {})
      }
    }
  }

  /** Works through a chunk that follows on from the partition's position. Never rejects: what goes wrong is the partition's own. */
  async #process(claim: PartitionClaim, chunk: FetchedPartition): Promise<void> {
    const { assigned } = claim
    const { clock } = this.#options
    const { records } = chunk
    assigned.isBusy = true
    try {
      if (chunk.fetchOffset > assigned.position) this.#passOverLost(assigned, chunk.fetchOffset)
      if (chunk.fetchOffset < assigned.position) {
        // The log is shorter than it was: made anew, or cut by a leader that had less.
        assigned.debt.breakOff()
        assigned.position = chunk.fetchOffset
      }
      let busySinceMs = clock.monotonicMs()
      let at = 0
      while (at < records.length && claim.isCurrent() && this.#delivery.failure === null) {
        const startedMs = clock.monotonicMs()
        if (this.#delivery.bytesHeld >= OUTPUT_BYTES_HELD_MAX) {
          await this.#unlessStopped(this.#delivery.waitForRoom())
        }
        const tier = this.#tiers.tierFor(recordCountAt(records, at))
        if (tier === 'passthrough') await this.#ensurePassthrough(assigned)
        if (!claim.isCurrent() || this.#stopping.signal.aborted) break
        this.#workOn(assigned, records, at, tier, startedMs)
        at += batchBytesAt(records, at)
        const busyMsMax = this.#isCommitting ? BUSY_COMMITTING_MS_MAX : BUSY_MS_MAX
        if (clock.monotonicMs() - busySinceMs > busyMsMax) {
          await new Promise((resolve) => setImmediate(resolve))
          busySinceMs = clock.monotonicMs()
        }
      }
      if (at >= records.length && claim.isCurrent()) {
        // Behind the last batch there may be offsets that hold nothing for us: markers, and what was aborted.
        assigned.debt.extendOver(assigned.position, chunk.nextOffset - 1)
        assigned.position = chunk.nextOffset
        if (assigned.hasProgress) this.#scheduleCommit()
      }
    } catch (error) {
      // A bug of ours. Going on behind the chunk would leave it out, so the partition stays before it, loudly.
      this.#giveUp(new DeliveryFailure(error, { origin: assigned }))
    } finally {
      assigned.isBusy = false
    }
    if (this.#delivery.failure !== null) void this.#commit()
  }

  #workOn(assigned: AssignedPartition, records: Buffer, at: number, tier: Tier, startedMs: number): void {
    const { clock, passthrough, topics } = this.#options
    const blockedSinceMs = clock.monotonicMs()
    const done = workOnBatch(assigned, records, at, {
      tier,
      passthrough,
      passthroughTopic: topics.passthroughTopicOf(assigned.stream),
      reason: this.#reason,
      wallMs: this.#wallMs,
      emit: (output) => this.#delivery.add(output, assigned),
    })
    this.#tier = done.tier
    const nowMs = clock.monotonicMs()
    this.#work.add(done.tier, done.recordCount, {
      busyMs: nowMs - startedMs,
      blockedMs: nowMs - blockedSinceMs,
    })
    this.#metrics.addWork(assigned.stream, { ...done, vaultBytes: batchBytesAt(records, at) })
    this.#scheduleCommit()
  }

  readonly #wallMs = () => this.#options.clock.wallMs()

  /** Why there is debt right now, for the ledger. */
  readonly #reason = (): DebtReason => {
    const { zone, driver } = this.#ambient.read()
    return { zone, driver }
  }

  async #ensurePassthrough({ topic }: AssignedPartition): Promise<void> {
    if (this.#options.passthrough !== 'forward' || this.#outputs.hasPassthrough(topic)) return
    await this.#unlessStopped(this.#outputs.ensurePassthrough(topic))
  }

  /** The vault's log begins behind the partition's position: its bytes were deleted before anybody could process them. */
  #passOverLost(assigned: AssignedPartition, logStart: Offset): void {
    const { topic, partition, position } = assigned
    const lostCount = logStart - position
    this.#options.diagnostics.error(
      { topic, partition, first: position, last: logStart - 1, lostCount },
      'vault records were deleted before they were processed; the ledger names them as lost',
    )
    this.#metrics.lostRecords.inc(lostCount)
    assigned.debt.bookLost({
      first: position,
      last: logStart - 1,
      tier: 'deferred',
      reason: this.#reason(),
      recordCount: lostCount,
      bytes: 0,
      timestampMinMs: -1,
      timestampMaxMs: -1,
      bookedMs: this.#wallMs(),
    })
    assigned.position = logStart
    this.#scheduleCommit()
  }

  #scheduleCommit(): void {
    this.#commitTimer ??= this.#options.clock.after(this.#options.commitIntervalMs, () => {
      this.#commitTimer = null
      void this.#commit()
    })
  }

  /** Commits the progress of all partitions, once what is under way has ended. Never rejects. */
  #commit(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#commitNow())
    return this.#turn
  }

  async #commitNow(): Promise<void> {
    if (this.#isFailed) return
    if (this.#delivery.failure === null && !this.#mustAbandon) {
      const moved = [...this.#assigned.values()].filter(({ hasProgress }) => hasProgress)
      if (moved.length === 0) return
      // From here to the delivery's commit nothing is awaited: outputs, positions and debt are of one moment.
      for (const { enricher } of moved) enricher.flush()
      const points = moved.map((assigned) => ({ assigned, ...assigned.checkpoint() }))
      this.#work.commitStarted()
      const committed = this.#delivery.commit({
        offsets: points.map(({ assigned: { topic, partition }, position: offset }) => ({
          topic,
          partition,
          offset,
        })),
        ledger: points.flatMap(({ records }) => records),
        generation: this.#group.generation(),
      })
      this.#isCommitting = true
      const isCommitted = await committed.then(
        () => true,
        () => false,
      )
      this.#isCommitting = false
      if (isCommitted) {
        for (const point of points) point.committed()
        this.#work.commitSucceeded()
        this.#metrics.commits.inc()
        return
      }
    }
    await this.#goBack(this.#delivery.failure)
  }

  /** What a bug, or a loss, leaves behind is given up at the next turn. */
  #giveUp(failure: DeliveryFailure): void {
    this.#report(failure)
    this.#blame(failure.origin, failure.cause)
    this.#abandonNext()
  }

  /** Nothing since the last commit has happened: every partition begins again there, the one to blame after a pause. */
  async #goBack(failure: DeliveryFailure | null): Promise<void> {
    this.#mustAbandon = false
    if (failure !== null) {
      this.#report(failure)
      this.#blame(failure.origin, failure.cause)
      if (failure.isFatal) return this.#fail(failure)
    }
    this.#metrics.rewinds.inc()
    const returning = [...this.#assigned.values()]
    for (const assigned of returning) {
      assigned.rewind()
      assigned.isRewinding = true
    }
    // Those being given up have left the fetcher already: the commit that failed may have been their last.
    this.#fetcher.pause(returning.filter(({ isLeaving }) => !isLeaving))
    try {
      await this.#delivery.abandon()
    } catch (error) {
      return this.#fail(error)
    }
    if (failure !== null && failure.origin === null) {
      await this.#options.clock.sleep(RETRY_BACKOFF_MS.first, this.#stopping.signal).catch(() => {})
    }
    for (const assigned of returning) {
      if (assigned.failureCount > 0) void this.#resumeLater(assigned)
      else this.#resume(assigned)
    }
  }

  #blame(origin: OutputOrigin | null, cause: unknown): void {
    const assigned = origin === null ? undefined : this.#assigned.get(keyOf(origin))
    if (assigned === undefined) return
    assigned.failureCount++
    if (kafkaErrorCodeOf(cause) === KAFKA_ERROR.MESSAGE_TOO_LARGE) {
      // The topic takes less than was asked for when it was created; larger events go to the dead letters from now on.
      assigned.enricher.outputBytesMax = Math.max(16_384, Math.floor(assigned.enricher.outputBytesMax / 2))
    }
  }

  async #resumeLater(assigned: AssignedPartition): Promise<void> {
    const { generation } = assigned
    const pauseMs = Math.min(
      RETRY_BACKOFF_MS.max,
      RETRY_BACKOFF_MS.first * 2 ** Math.min(assigned.failureCount - 1, 10),
    )
    await this.#options.clock.sleep(pauseMs, this.#stopping.signal).catch(() => {})
    // Went back once more meanwhile: that has its own end.
    if (assigned.generation === generation) this.#resume(assigned)
  }

  #resume(assigned: AssignedPartition): void {
    // Given up, or about to be: the fetcher does not know it any more.
    if (assigned.isLeaving || this.#assigned.get(keyOf(assigned)) !== assigned) return
    assigned.isRewinding = false
    this.#fetcher.seek(assigned.topic, assigned.partition, assigned.position)
    this.#fetcher.resume([assigned])
  }

  #report(failure: DeliveryFailure): void {
    const { diagnostics } = this.#options
    const facts = { ...originFacts(failure.origin), error: failure.cause }
    if (this.#stopping.signal.aborted) {
      // Of a transaction that is given up every output fails, and none of them tells more than the first.
      diagnostics.debug(facts, 'work was not committed before the stop; the successor does it again')
    } else if (isFailure(failure.cause) || failure.origin === null) {
      diagnostics.warn(facts, 'work was not committed; it is done again from the last commit')
    } else diagnostics.error(facts, 'a bug stopped the work on a partition; it begins again')
  }

  /** What goes wrong in a stop is no failure: whatever was not committed is the successor's. */
  #fail(error: unknown): void {
    if (this.#isFailed || this.#stopping.signal.aborted) return
    this.#isFailed = true
    this.#options.onFailed(error instanceof Error ? error : new Error(String(error)))
  }

  /** Whatever stopped a partition for good is tried again from where it is: nothing here is ours to skip. */
  #onFetchFailure(error: unknown): void {
    const facts = (error as { facts?: { topic?: unknown; partition?: unknown } }).facts
    this.#options.diagnostics.warn({ error }, 'a partition cannot be read; it is tried again')
    const assigned = this.#assigned.get(
      keyOf({ topic: String(facts?.topic), partition: Number(facts?.partition) }),
    )
    if (assigned === undefined || assigned.isLeaving) return
    this.#fetcher.seek(assigned.topic, assigned.partition, assigned.position)
  }

  async #onAssigned(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return
    const begun = this.#turn.then(() => this.#begin(partitions))
    this.#turn = begun.catch(() => {})
    await this.#unlessStopped(begun)
  }

  /**
   * Begins where the group's last commit ended. In a turn of its own, or what is made here would go down with older work:
   *   1. Partitions are lost, and their open transaction is being aborted. 2. The member has partitions again; output of theirs
   *   is refused, for that transaction takes nothing more. 3. The abort is done and all is forgotten, this failure as well.
   *   4. A later commit passes over records whose output was never written.
   */
  async #begin(partitions: readonly TopicPartition[]): Promise<void> {
    // Nothing is assigned now, so this gives up what is left of an earlier assignment, or does nothing.
    await this.#commitNow()
    const committed = await this.#group.committed(partitions)
    const { starts, unable } = await this.#starts.look(committed)
    if (this.#stopping.signal.aborted) return
    const before = this.#fetcher
    this.#fetcher = this.#openFetcher()
    void before.stop()
    this.#openAll(starts)
    this.#assignment = new AbortController()
    const signal = AbortSignal.any([this.#assignment.signal, this.#stopping.signal])
    for (const waiting of unable) {
      void this.#starts.follow(waiting, {
        signal,
        begin: (later) => {
          // In a turn like any; the partitions may go while it is waited for.
          const begun = this.#turn.then(() => {
            if (!signal.aborted) this.#openAll(later)
          })
          this.#turn = begun.catch(() => {})
          return begun
        },
      })
    }
  }

  #openAll(starts: readonly Start[]): void {
    for (const { topic, partition, offset } of starts) this.#open(topic, partition, offset)
    this.#fetcher.assign(starts.map(({ topic, partition, offset }) => ({ topic, partition, offset })))
  }

  #openFetcher(): Fetcher {
    return new Fetcher(this.#options.cluster, { waitMsMax: FETCH_WAIT_MS, isolation: 'read_committed' })
  }

  #openDelivery(): Delivery {
    const { cluster, guarantee, transactionalId, transactionTimeoutMs } = this.#options
    const limits = { timeoutMs: OUTPUT_TIMEOUT_MS, bytesInFlightMax: PRODUCER_BYTES_MAX }
    const wallMs = this.#wallMs
    if (guarantee === 'at-least-once') {
      return new AtLeastOnceDelivery(new IdempotentProducer(cluster, limits), {
        commitOffsets: (offsets, generation) => this.#group.commit(offsets, { generation }),
        wallMs,
      })
    }
    // Before the coordinator gives up on the transaction, which would cost us the name: an abort of our own leaves it to us.
    const timeoutMs = Math.min(OUTPUT_TIMEOUT_MS, transactionTimeoutMs * OUTPUT_TRANSACTION_SHARE)
    const own = { transactionalId, transactionTimeoutMs, timeoutMs }
    const producer = new TransactionalProducer(cluster, { ...limits, ...own })
    return new TransactionalDelivery(producer, { wallMs })
  }

  #open(topic: string, partition: AssignedPartition['partition'], start: Offset): void {
    const { topics, topology } = this.#options
    const stream = topics.streamOf(topic) ?? topic
    const enricher = new PartitionEnricher({
      enricher: this.#enricher,
      encoders: this.#encoders,
      vaultTopic: topic,
      partition,
      enrichedTopic: topics.enrichedTopicOf(stream),
      deadLetterTopic: topics.deadLetterTopic,
      batchBytesTarget: OUTPUT_BATCH_BYTES_TARGET,
      emit: (output) => this.#delivery.add(output, { topic, partition }),
    })
    const debt = new DebtTail({ topology: topology.name, topic, partition })
    const counts = this.#counted.get(keyOf({ topic, partition })) ?? NOTHING_COUNTED
    const assigned = new AssignedPartition({ topic, partition, stream, enricher, debt, start, counts })
    this.#assigned.set(keyOf(assigned), assigned)
  }

  /** Before the partitions may go to another member: what was begun is committed. */
  async #onRevoked(partitions: readonly TopicPartition[]): Promise<void> {
    const leaving = this.#leave(partitions)
    if (leaving.length === 0) return
    const { clock } = this.#options
    const { aborted: isStopping } = this.#stopping.signal
    const deadlineMs = clock.monotonicMs() + (isStopping ? LEAVE_STOPPING_MS_MAX : LEAVE_MS_MAX)
    do await clock.sleep(2)
    while (leaving.some(({ isBusy }) => isBusy) && clock.monotonicMs() < deadlineMs)
    // Not longer than this: what commits later is of a generation that is over, and is refused.
    await upTo(clock, Math.max(1, deadlineMs - clock.monotonicMs()), this.#commit())
    const isCommitted = leaving.every(({ hasProgress }) => !hasProgress)
    this.#forget(leaving)
    // A commit under way may succeed yet. What was made behind it would count with the next, although whoever has the
    // partitions then begins where this one ends, and makes it again.
    if (!isCommitted) this.#abandonNext()
  }

  /** The partitions are another member's already: nothing of them may be committed any more. */
  async #onLost(partitions: readonly TopicPartition[]): Promise<void> {
    this.#forget(this.#leave(partitions))
    this.#abandonNext()
  }

  /** Waits for the work, but not into a stop. Rejects as it does. */
  async #unlessStopped(work: Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    await orAborted(work, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }

  /** The next turn gives up whatever is not committed by then. */
  #abandonNext(): void {
    this.#mustAbandon = true
    void this.#commit()
  }

  #leave(partitions: readonly TopicPartition[]): AssignedPartition[] {
    const leaving = partitions
      .map((partition) => this.#assigned.get(keyOf(partition)))
      .filter((assigned) => assigned !== undefined)
    for (const assigned of leaving) assigned.isLeaving = true
    this.#assignment.abort()
    this.#fetcher.unassign(leaving)
    return leaving
  }

  #forget(partitions: readonly AssignedPartition[]): void {
    for (const assigned of partitions) {
      assigned.generation++
      assigned.enricher.discard()
      this.#assigned.delete(keyOf(assigned))
      this.#counted.set(keyOf(assigned), assigned.counts)
    }
  }
}

function originFacts(origin: OutputOrigin | null): Partial<TopicPartition> {
  return origin === null ? {} : { topic: origin.topic, partition: origin.partition }
}

const keyOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`
