/**
 * The one way into the vault: every listener appends through it, batches as they are.
 *
 * Promises: `append` resolves only once the vault's topic has acknowledged the batch, as durably as `acks` asks and the
 * topic is set up for (`durability.ts` says which class that is); a partition's batches keep the order in which they
 * were given; the bytes are not touched. `appendOwn` is for batches that GopherShip made itself: it gives them an
 * idempotent producer's identity, so that a retry of ours never stores them twice.
 * A rejection is one of the raw client's failures; `append-outcome.ts` says what each means.
 *
 * It leaves to others: splitting bodies and checking batches (ingress), the protocol and its retries (kafka/).
 *
 * This is where a breaker and a spill to local disk will stand, for when Kafka is slow: `append` and `appendOwn` are the only two places
 * where bytes leave for the upstream, and both already have a deadline, an outcome and a bound on what they hold.
 */

import { lastOffsetDeltaAt, recordCountAt } from '../batch/record-batch.ts'
import type { Offset, PartitionId } from '../core/brands.ts'
import { asOffset, asPartitionId, NO_OFFSET } from '../core/brands.ts'
import { GopherShipError } from '../core/errors.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { IdempotentProducer } from '../kafka/idempotent-producer.ts'
import type { TopicMetadata } from '../kafka/metadata-snapshot.ts'
import type { Acks, Produced } from '../kafka/produce-batch.ts'
import { Producer } from '../kafka/producer.ts'
import type { EnsureTopicOptions } from '../kafka/topic-admin.ts'
import { initProducerIdApi } from '../wire/22-init-producer-id.ts'
import type { RequestInputOf, ResponseOf } from '../wire/api.ts'
import type { DurabilityClass, UpstreamKind } from './durability.ts'
import { DurabilityProbe } from './durability.ts'
import type { StreamTopicTemplates } from './stream-topics.ts'
import { DEFAULT_STREAM_TOPICS, streamOf, vaultTopicOf } from './stream-topics.ts'
import { within } from './within.ts'

/** A stream whose vault topic exists. */
export interface VaultStream {
  readonly stream: string
  readonly topic: string
  readonly partitionCount: number
}

/** Where a batch landed. With a duplicate of an older batch the broker may not say where: offsets are then -1. */
export interface Appended {
  readonly topic: string
  readonly partition: PartitionId
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly recordCount: number
  readonly batchBytes: number
  /** The broker's own time when the topic stamps records with it; else -1. */
  readonly logAppendTimeMs: number
  readonly logStartOffset: Offset
}

export interface AppendOptions {
  /** -1: all in-sync replicas; 1: the leader. */
  readonly acks: Acks
  /** Time from now until the promise settles, retries included. */
  readonly deadlineMs: number
}

export interface VaultWriterOptions {
  readonly cluster: KafkaCluster
  /** The embedded broker with its sync policy, or a cluster of somebody else's. */
  readonly upstream: UpstreamKind
  readonly templates?: StreamTopicTemplates
  /** How vault topics are created when they are missing. */
  readonly topicOptions?: Pick<EnsureTopicOptions, 'partitionCount' | 'replicationFactor' | 'configs'>
  /**
   * Bytes that verbatim batches, and again batches of our own, may have under way. The listeners' own budgets are
   * smaller, so that it is never met: meeting it would be an error for pressure alone.
   */
  readonly bytesInFlightMax?: number
  /** Requests in flight to one upstream node. */
  readonly inFlightMax?: number
  /** Most vault topics there may be for a new one to be created. Default: no limit. */
  readonly streamCountMax?: number
  /** Told of every batch that was acknowledged: how long it took, from hand-over to answer. */
  readonly onAcknowledged?: (tookMs: number) => void
}

export interface VaultWriterStatus {
  readonly upstream: UpstreamKind['kind']
  /** The weakest class of any open vault topic with acks=all; null until one is open. */
  readonly durability: DurabilityClass | null
  readonly durabilityReason: string | null
  readonly streamCount: number
  readonly bytesInFlight: number
  readonly batchesInFlight: number
  readonly retryCount: number
}

/** The part of the writer that listeners use. */
export type Vault = Pick<VaultWriter, 'known' | 'open' | 'find' | 'append' | 'appendOwn' | 'initProducerId'>

/** A stream that somebody else has created is found this late at most. */
const TOPIC_LIST_AGE_MS_MAX = 1_000
const BYTES_IN_FLIGHT_MAX = 128 * 1024 * 1024
/** The embedded broker syncs in groups: the more that waits at once, the fewer syncs. */
const IN_FLIGHT_REQUESTS_MAX = 64

export class VaultWriter {
  readonly #cluster: KafkaCluster
  readonly #templates: StreamTopicTemplates
  readonly #options: VaultWriterOptions
  readonly #producer: Producer
  readonly #ownProducer: IdempotentProducer
  readonly #durability: DurabilityProbe
  readonly #streams = new Map<string, string>()
  /** Topics that are being created. */
  readonly #creating = new Set<string>()
  #counted: {
    readonly topics: ReadonlyMap<string, TopicMetadata>
    readonly vaultTopicCount: number
  } | null = null

  constructor(options: VaultWriterOptions) {
    const { cluster, bytesInFlightMax = BYTES_IN_FLIGHT_MAX, inFlightMax = IN_FLIGHT_REQUESTS_MAX } = options
    this.#options = options
    this.#cluster = cluster
    this.#templates = options.templates ?? DEFAULT_STREAM_TOPICS
    this.#producer = new Producer(cluster, { bytesInFlightMax, inFlightMax })
    this.#ownProducer = new IdempotentProducer(cluster, { bytesInFlightMax, inFlightMax })
    this.#durability = new DurabilityProbe(cluster, options.upstream)
  }

  /** The stream, when its topic is known to exist: never waits, so that order is kept by whoever calls. */
  known(stream: string): VaultStream | null {
    const topic = this.#streams.get(stream)
    if (topic === undefined) return null
    const partitionCount = this.#cluster.snapshot.topics.get(topic)?.partitions.length ?? 0
    return partitionCount === 0 ? null : { stream, topic, partitionCount }
  }

  /**
   * Creates the stream's vault topic if it is missing, or throws GS_VAULT_STREAMS_MAX when it would be one too many. The name must be a
   * valid stream (`streamNameProblem`).
   */
  async open(
    stream: string,
    { deadlineMs = this.#cluster.options.requestMsMax }: { readonly deadlineMs?: number } = {},
  ): Promise<VaultStream> {
    const { clock } = this.#cluster
    const startedMs = clock.monotonicMs()
    const topic = vaultTopicOf(stream, this.#templates)
    const found = await within(clock, deadlineMs, 'looking up a stream', this.#findTopic(topic))
    if (found === undefined) this.#assertRoomFor(topic)
    this.#creating.add(topic)
    try {
      const partitionCount = await this.#cluster.ensureTopic(topic, {
        ...this.#options.topicOptions,
        deadlineMs: Math.max(1, Math.ceil(deadlineMs - (clock.monotonicMs() - startedMs))),
      })
      this.#remember(stream, topic)
      return { stream, topic, partitionCount }
    } finally {
      this.#creating.delete(topic)
    }
  }

  /** The stream, if its topic exists; nothing is created. Null when it does not. */
  async find(stream: string): Promise<VaultStream | null> {
    const topic = vaultTopicOf(stream, this.#templates)
    const partitionCount = (await this.#findTopic(topic))?.partitions.length ?? 0
    if (partitionCount === 0) return null
    this.#remember(stream, topic)
    return { stream, topic, partitionCount }
  }

  /** Appends a producer's batch verbatim. The buffer belongs to the writer until the promise settles. */
  append(stream: VaultStream, partition: number, batch: Buffer, options: AppendOptions): Promise<Appended> {
    const { acks, deadlineMs } = options
    const startedMs = this.#cluster.clock.monotonicMs()
    return this.#producer
      .send(stream.topic, partition, batch, { acks, timeoutMs: deadlineMs })
      .then((produced) => this.#appended(stream, partition, batch, produced, startedMs))
  }

  /** Appends a batch of our own making, once. It is stamped in place; acks=all. */
  appendOwn(
    stream: VaultStream,
    partition: number,
    batch: Buffer,
    { deadlineMs }: { readonly deadlineMs: number },
  ): Promise<Appended> {
    const startedMs = this.#cluster.clock.monotonicMs()
    return this.#ownProducer
      .send(stream.topic, partition, batch, { timeoutMs: deadlineMs })
      .then((produced) => this.#appended(stream, partition, batch, produced, startedMs))
  }

  /** Passes a producer's InitProducerId on, so that ids are unique where they are checked. One attempt. */
  initProducerId(
    value: RequestInputOf<typeof initProducerIdApi>,
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<ResponseOf<typeof initProducerIdApi>> {
    return this.#cluster.request(initProducerIdApi, value, 'any', { timeoutMs })
  }

  status(): VaultWriterStatus {
    const weakest = this.#durability.weakest()
    return {
      upstream: this.#options.upstream.kind,
      durability: weakest?.class ?? null,
      durabilityReason: weakest?.reason ?? null,
      streamCount: this.#streams.size,
      bytesInFlight: this.#producer.bytesHeld + this.#ownProducer.bytesHeld,
      batchesInFlight: this.#producer.batchCount + this.#ownProducer.batchCount,
      retryCount: this.#producer.retryCount + this.#ownProducer.retryCount,
    }
  }

  /** Takes no more, waits for what is out, fails the rest with GS_STOPPED. */
  async stop({ drainMs }: { readonly drainMs: number }): Promise<void> {
    await Promise.all([this.#producer.stop({ drainMs }), this.#ownProducer.stop({ drainMs })])
  }

  #appended(
    stream: VaultStream,
    partition: number,
    batch: Buffer,
    produced: Produced,
    startedMs: number,
  ): Appended {
    this.#options.onAcknowledged?.(this.#cluster.clock.monotonicMs() - startedMs)
    return appendedOf(stream, partition, batch, produced)
  }

  /**
   * The topic, if it exists. What is not known is looked up in the list of all topics, which is asked for at most so often: strangers
   * can ask for any number of names, and each asked for by itself would be a request upstream and an answer that is remembered.
   */
  async #findTopic(topic: string): Promise<TopicMetadata | undefined> {
    const known = this.#cluster.snapshot.topics.get(topic)
    if (known !== undefined) return known
    const { topics } = await this.#cluster.metadata(null, { ageMsMax: TOPIC_LIST_AGE_MS_MAX })
    return topics.get(topic)
  }

  /** Throws GS_VAULT_STREAMS_MAX when the vault topics there are, with those being created, leave no room for one more. */
  #assertRoomFor(topic: string): void {
    const { streamCountMax } = this.#options
    if (streamCountMax === undefined || this.#creating.has(topic)) return
    const { topics } = this.#cluster.snapshot
    // Counted once for each list: names that are made up come by the thousand, and so may a cluster's topics.
    if (this.#counted?.topics !== topics) {
      const names = [...topics.keys()].filter((name) => streamOf(name, this.#templates) !== null)
      this.#counted = { topics, vaultTopicCount: names.length }
    }
    const creatingCount = [...this.#creating].filter((name) => !topics.has(name)).length
    const streamCount = this.#counted.vaultTopicCount + creatingCount
    if (streamCount < streamCountMax) return
    throw new GopherShipError(
      'GS_VAULT_STREAMS_MAX',
      `there are ${streamCount} streams and may be ${streamCountMax}; "${topic}" would be a new one`,
      { facts: { topic, streamCount, streamCountMax } },
    )
  }

  #remember(stream: string, topic: string): void {
    if (this.#streams.has(stream)) return
    this.#streams.set(stream, topic)
    this.#durability.watch(topic)
  }
}

function appendedOf(stream: VaultStream, partition: number, batch: Buffer, produced: Produced): Appended {
  const { baseOffset } = produced
  return {
    topic: stream.topic,
    partition: asPartitionId(partition),
    baseOffset,
    lastOffset: baseOffset < 0 ? NO_OFFSET : asOffset(baseOffset + lastOffsetDeltaAt(batch, 0)),
    recordCount: recordCountAt(batch, 0),
    batchBytes: batch.length,
    logAppendTimeMs: produced.logAppendTimeMs,
    logStartOffset: produced.logStartOffset,
  }
}
