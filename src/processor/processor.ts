/**
 * A processor: one member of the consumer group over the vault's topics. It fetches raw batches, enriches them, writes
 * events and dead letters, and commits an offset only when everything made from the records before it is durable.
 *
 * Promises:
 * - At least once: a crash at any instant repeats events (under the same event ids), and never leaves one out.
 * - A partition is given up only after what was begun has become durable and is committed, or a bounded wait has passed.
 * - An output that cannot be written does not stop the other partitions: its own goes back and tries again.
 *
 * It leaves to others: what an event looks like (`topology/`), which partitions are ours (`kafka/group-member.ts`).
 * Exactly-once (outputs, ledger entries and offsets in one transaction) takes the place of `#commit`.
 */

import type { Registry } from 'prom-client'
import { batchBytesAt, maxTimestampAt } from '../batch/record-batch.ts'
import type { Offset } from '../core/brands.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { isFailure } from '../core/errors.ts'
import { DERIVED_BATCH_BYTES_MAX } from '../core/limits.ts'
import { EncoderPool } from '../enrichment/encoder-pool.ts'
import type { OutputBatch } from '../enrichment/output-batch.ts'
import { PartitionEnricher } from '../enrichment/partition-enricher.ts'
import type { SourceTopics } from '../enrichment/source-topics.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { FetchedPartition } from '../kafka/fetch-partition.ts'
import { Fetcher } from '../kafka/fetcher.ts'
import { GroupMember } from '../kafka/group-member.ts'
import { kafkaErrorCodeOf } from '../kafka/kafka-errors.ts'
import { listOffsets } from '../kafka/offsets.ts'
import { Producer } from '../kafka/producer.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { CompiledTopology } from '../topology/compile.ts'
import { createEnricher, type Enricher } from '../topology/enricher.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { PartitionCounts, PartitionProgress } from './assigned-partition.ts'
import { AssignedPartition, NOTHING_COUNTED } from './assigned-partition.ts'
import type { Ticket } from './output-tracker.ts'
import type { ProcessorMetrics } from './processor-metrics.ts'
import { openProcessorMetrics } from './processor-metrics.ts'

export interface ProcessorOptions {
  /** Connected; closed by whoever made it. */
  readonly cluster: KafkaCluster
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly metrics: Registry
  readonly groupId: string
  /** Makes the member static (KIP-345): a restart under the same name has its partitions back at once. */
  readonly groupInstanceId?: string
  readonly topology: CompiledTopology
  /** Which vault topics are read, and where their output goes. */
  readonly topics: SourceTopics
  /** Time between two commits. */
  readonly commitIntervalMs: number
  readonly onFailed: (error: Error) => void
}

export interface ProcessorStatus {
  /** In the consumer group, with whatever share of the partitions. */
  readonly isMember: boolean
  readonly partitions: readonly PartitionProgress[]
}

/** An output batch is closed at this size, so that a consumer of events is not handed more than it asked for. */
const OUTPUT_BATCH_BYTES_TARGET = 512 * 1024
/** Output that is made and not yet durable, at most, besides one batch. */
const OUTPUT_BYTES_IN_FLIGHT_MAX = 16 * 1024 * 1024
/** An output is tried for so long before its partition goes back and begins again. */
const OUTPUT_TIMEOUT_MS = 60_000
/** A partition that is given up waits so long for what it has begun. */
const LEAVE_MS_MAX = 5_000
/** The thread answers heartbeats and questions at least this often while it enriches. */
const BUSY_MS_MAX = 25
/** How soon a new stream is noticed; its first event is to be there within two seconds of its first record. */
const TOPICS_POLL_MS = 700
/** How soon a member notices that others came or went. */
const HEARTBEAT_INTERVAL_MS = 2_000
/** A fetch waits so long at the broker when nothing comes; what comes is answered at once. */
const FETCH_WAIT_MS = 5_000
const POLL_MS_MAX = 1_000
const REWIND_BACKOFF_MS = { first: 200, max: 10_000 } as const

export class Processor {
  readonly #options: ProcessorOptions
  readonly #enricher: Enricher
  readonly #metrics: ProcessorMetrics
  readonly #producer: Producer
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
  #committing: Promise<void> = Promise.resolve()

  private constructor(options: ProcessorOptions) {
    const { cluster, groupId, groupInstanceId, topology, topics, metrics } = options
    this.#options = options
    this.#enricher = createEnricher(topology)
    this.#metrics = openProcessorMetrics(metrics)
    this.#producer = new Producer(cluster, {
      timeoutMs: OUTPUT_TIMEOUT_MS,
      bytesInFlightMax: OUTPUT_BYTES_IN_FLIGHT_MAX,
    })
    this.#fetcher = this.#openFetcher()
    this.#group = new GroupMember(cluster, {
      groupId,
      ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
      topicsPollMs: TOPICS_POLL_MS,
      heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
      topics: (names) => names.filter((name) => topics.streamOf(name) !== null),
    })
  }

  /**
   * Begins to join the group; `status` says when it is a member. Partitions come and go with members and streams.
   * `onFailed` is told of what will not pass by itself, such as not being allowed into the group.
   */
  static start(options: ProcessorOptions): Processor {
    const processor = new Processor(options)
    processor.#group.start({
      onAssigned: (partitions) => processor.#onAssigned(partitions),
      onRevoked: (partitions) => processor.#onRevoked(partitions),
      onLost: (partitions) => processor.#onLost(partitions),
      onFailed: options.onFailed,
    })
    processor.#running = processor.#run()
    processor.#scheduleCommit()
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
    }
  }

  /** Finishes what is begun, commits it, and leaves the group. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#commitTimer?.cancel()
    await this.#running
    // Leaving revokes the partitions, and that waits for their outputs and commits them.
    await this.#group.stop()
    await this.#fetcher.stop()
    await this.#producer.stop()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        const chunks = await this.#fetcher.poll({ timeoutMs: POLL_MS_MAX, signal })
        // Claimed all at once: while the first is worked on, a partition of a later one may go back or change hands.
        const claims = chunks.map((chunk) => this.#assigned.get(keyOf(chunk.topic, chunk.partition))?.claim())
        for (const [index, chunk] of chunks.entries()) {
          const claim = claims[index]
          if (claim?.isCurrent()) await this.#process(claim.assigned, chunk)
        }
      } catch (error) {
        if (signal.aborted) return
        this.#onFetchFailure(error)
        await this.#options.clock.sleep(REWIND_BACKOFF_MS.first, signal).catch(() => {})
      }
    }
  }

  /** Enriches a chunk that follows on from the partition's position. Never rejects: what goes wrong is the partition's own. */
  async #process(assigned: AssignedPartition, chunk: FetchedPartition): Promise<void> {
    // The log was cut or cleaned below us: what was tracked is about offsets that are no more.
    if (chunk.fetchOffset < assigned.position) assigned.restartAt(chunk.fetchOffset)
    const { generation } = assigned
    const sends: Promise<unknown>[] = []
    const isCurrent = () => assigned.generation === generation
    let ticket: Ticket | null = null
    assigned.isBusy = true
    try {
      let busySinceMs = this.#options.clock.monotonicMs()
      let at = 0
      while (at < chunk.records.length && isCurrent() && !assigned.isLeaving) {
        this.#enrichBatch(assigned, chunk.records, at)
        at += batchBytesAt(chunk.records, at)
        await this.#sendOutputs(assigned, sends)
        if (this.#options.clock.monotonicMs() - busySinceMs > BUSY_MS_MAX) {
          await new Promise((resolve) => setImmediate(resolve))
          busySinceMs = this.#options.clock.monotonicMs()
        }
      }
      if (isCurrent()) {
        // A partition that is being given up ends between two batches: what was enriched is not done again by its next owner.
        if (at >= chunk.records.length) assigned.position = chunk.nextOffset
        ticket = assigned.tracker.begin(assigned.position)
        assigned.enricher.flush()
        await this.#sendOutputs(assigned, sends)
      }
    } catch (error) {
      // A bug of ours. Going on behind the chunk would leave it out, so the partition stays before it, loudly.
      sends.push(Promise.reject(error))
    } finally {
      assigned.isBusy = false
    }
    // Not awaited: the next chunk is enriched while this one's outputs become durable.
    Promise.all(sends).then(
      () => {
        if (ticket === null || !isCurrent()) return
        assigned.tracker.complete(ticket)
        assigned.rewindCount = 0
      },
      (error: unknown) => this.#rewind(assigned, generation, error),
    )
  }

  #enrichBatch(assigned: AssignedPartition, records: Buffer, at: number): void {
    const count = assigned.enricher.enrich(records, at, assigned.position)
    assigned.position = count.nextOffset
    assigned.count(count, maxTimestampAt(records, at))
    this.#metrics.addEnriched(assigned.stream, { ...count, vaultBytes: batchBytesAt(records, at) })
  }

  /** Hands finished output batches to the producer, waiting for room; each is added to `sends`. */
  async #sendOutputs(assigned: AssignedPartition, sends: Promise<unknown>[]): Promise<void> {
    for (let output = assigned.outputs.shift(); output !== undefined; output = assigned.outputs.shift()) {
      const { topic, partition, batch, encoder } = output
      try {
        await this.#producer.waitForRoom(batch.length)
        const send = this.#producer.send(topic, partition, batch)
        assigned.sendCount++
        const settled = send.finally(() => {
          assigned.sendCount--
          this.#encoders.give(encoder)
        })
        sends.push(settled)
      } catch (error) {
        this.#encoders.give(encoder)
        sends.push(Promise.reject(error))
      }
      // Nobody looks at a send before all of its chunk are out; a failure in between is not unhandled.
      sends.at(-1)?.catch(() => {})
    }
  }

  /** An output was not written: the partition goes back to what is durable and, after a pause, begins again there. */
  async #rewind(assigned: AssignedPartition, generation: number, error: unknown): Promise<void> {
    if (assigned.generation !== generation || assigned.isLeaving) return
    const { topic, partition } = assigned
    const backTo = assigned.tracker.committable
    assigned.restartAt(backTo)
    assigned.isRewinding = true
    this.#releaseOutputs(assigned)
    this.#metrics.rewinds.inc()
    assigned.rewindCount++
    if (kafkaErrorCodeOf(error) === KAFKA_ERROR.MESSAGE_TOO_LARGE) {
      // The topic takes less than was asked for when it was created; larger events go to the dead letters from now on.
      assigned.enricher.outputBytesMax = Math.max(16_384, Math.floor(assigned.enricher.outputBytesMax / 2))
    }
    const { diagnostics } = this.#options
    const facts = { topic, partition, backTo, error }
    if (isFailure(error)) diagnostics.warn(facts, 'an output was not written; its partition begins again')
    else diagnostics.error(facts, 'a bug stopped the enrichment of a partition; it begins again')
    this.#fetcher.pause([assigned])
    const pauseMs = Math.min(
      REWIND_BACKOFF_MS.max,
      REWIND_BACKOFF_MS.first * 2 ** Math.min(assigned.rewindCount - 1, 10),
    )
    await this.#options.clock.sleep(pauseMs, this.#stopping.signal).catch(() => {})
    // Given up, or about to be: the fetcher does not know it any more.
    if (assigned.isLeaving) return
    assigned.isRewinding = false
    this.#fetcher.seek(topic, partition, backTo)
    this.#fetcher.resume([assigned])
  }

  #releaseOutputs(assigned: AssignedPartition): void {
    for (const output of assigned.outputs.splice(0)) this.#encoders.give(output.encoder)
  }

  /** Whatever stopped a partition for good is tried again from where it is: nothing here is ours to skip. */
  #onFetchFailure(error: unknown): void {
    const facts = (error as { facts?: { topic?: unknown; partition?: unknown } }).facts
    this.#options.diagnostics.warn({ error }, 'a partition cannot be read; it is tried again')
    const assigned = this.#assigned.get(keyOf(String(facts?.topic), Number(facts?.partition)))
    if (assigned === undefined || assigned.isLeaving) return
    this.#fetcher.seek(assigned.topic, assigned.partition, assigned.position)
  }

  async #onAssigned(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<void> {
    if (partitions.length === 0) return
    const { cluster, topics } = this.#options
    const committed = await this.#group.committed(partitions)
    const fresh = committed.filter(({ offset }) => offset < 0)
    const earliest = await listOffsets(
      cluster,
      fresh.map(({ topic, partition }) => ({ topic, partition, at: 'earliest' as const })),
    )
    const starts = [...committed.filter(({ offset }) => offset >= 0), ...earliest]
    await Promise.all(
      [...new Set(starts.map(({ topic }) => topic))].map((topic) => topics.ensureOutputs(cluster, topic)),
    )
    for (const { topic, partition, offset } of starts) this.#open(topic, partition, offset)
    const before = this.#fetcher
    this.#fetcher = this.#openFetcher()
    void before.stop()
    this.#fetcher.assign(starts.map(({ topic, partition, offset }) => ({ topic, partition, offset })))
  }

  #openFetcher(): Fetcher {
    return new Fetcher(this.#options.cluster, { waitMsMax: FETCH_WAIT_MS })
  }

  #open(topic: string, partition: AssignedPartition['partition'], start: Offset): void {
    const stream = this.#options.topics.streamOf(topic) ?? topic
    const outputs: OutputBatch[] = []
    const enricher = new PartitionEnricher({
      enricher: this.#enricher,
      encoders: this.#encoders,
      vaultTopic: topic,
      partition,
      enrichedTopic: this.#options.topics.enrichedTopicOf(stream),
      deadLetterTopic: this.#options.topics.deadLetterTopic,
      batchBytesTarget: OUTPUT_BATCH_BYTES_TARGET,
      emit: (output) => outputs.push(output),
    })
    const counts = this.#counted.get(keyOf(topic, partition)) ?? NOTHING_COUNTED
    const assigned = new AssignedPartition({ topic, partition, stream, enricher, outputs, start, counts })
    this.#assigned.set(keyOf(topic, partition), assigned)
  }

  /** Before the partitions may go to another member: what was begun becomes durable and is committed. */
  async #onRevoked(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<void> {
    const leaving = partitions
      .map(({ topic, partition }) => this.#assigned.get(keyOf(topic, partition)))
      .filter((assigned) => assigned !== undefined)
    for (const assigned of leaving) assigned.isLeaving = true
    this.#fetcher.unassign(leaving)
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + LEAVE_MS_MAX
    do await clock.sleep(2)
    while (leaving.some(isOutputPending) && clock.monotonicMs() < deadlineMs)
    await this.#commit(leaving)
    this.#forget(leaving)
  }

  /** The partitions are another member's already: nothing of them may be committed any more. */
  async #onLost(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<void> {
    const lost = partitions
      .map(({ topic, partition }) => this.#assigned.get(keyOf(topic, partition)))
      .filter((assigned) => assigned !== undefined)
    for (const assigned of lost) assigned.isLeaving = true
    this.#fetcher.unassign(lost)
    this.#forget(lost)
  }

  #forget(partitions: readonly AssignedPartition[]): void {
    for (const assigned of partitions) {
      assigned.generation++
      assigned.enricher.discard()
      this.#releaseOutputs(assigned)
      const key = keyOf(assigned.topic, assigned.partition)
      this.#assigned.delete(key)
      this.#counted.set(key, assigned.counts)
    }
  }

  #scheduleCommit(): void {
    const { clock, commitIntervalMs } = this.#options
    this.#commitTimer = clock.after(commitIntervalMs, () => {
      void this.#commit([...this.#assigned.values()]).finally(() => {
        if (!this.#stopping.signal.aborted) this.#scheduleCommit()
      })
    })
  }

  /** Commits how far the partitions' outputs are durable. One commit at a time; a failure is left to the next one. */
  #commit(partitions: readonly AssignedPartition[]): Promise<void> {
    this.#committing = this.#committing.then(() => this.#commitNow(partitions))
    return this.#committing
  }

  async #commitNow(partitions: readonly AssignedPartition[]): Promise<void> {
    const moved = partitions
      .map((assigned) => ({ assigned, offset: assigned.tracker.committable }))
      .filter(({ assigned, offset }) => offset !== assigned.committed)
    if (moved.length === 0) return
    try {
      await this.#group.commit(
        moved.map(({ assigned: { topic, partition }, offset }) => ({ topic, partition, offset })),
      )
      for (const { assigned, offset } of moved) assigned.committed = offset
      this.#metrics.commits.inc()
    } catch (error) {
      this.#options.diagnostics.debug(
        { error, partitionCount: moved.length },
        'offsets were not committed this time',
      )
    }
  }
}

/** Work is begun whose outputs are not durable yet. */
function isOutputPending({ isBusy, sendCount }: AssignedPartition): boolean {
  return isBusy || sendCount > 0
}

const keyOf = (topic: string, partition: number) => `${topic}/${partition}`
