/**
 * One Kafka cluster, seen from a client: its connections, its metadata, and the routing of requests to the node that
 * must answer them. Everything else in this folder stands on it; the embedded broker, Apache Kafka and Redpanda are all
 * the same to it.
 *
 * Promises: at most one connection per address and lane; any number of callers share a metadata refresh; every wait is
 * bounded. It leaves to others: what to do when a request fails (`request` is one attempt; `retrying` adds the usual
 * retries for requests that may safely be repeated).
 *
 * A lane is a connection of one's own: Kafka answers a connection's requests in order, so whoever holds a long poll
 * open (a fetch, a join) would delay everything behind it. Produce, fetch and group members each open a lane.
 */

import type { Clock, Timer } from '../core/clock.ts'
import { GopherShipError } from '../core/errors.ts'
import { RESPONSE_FRAME_BYTES_MAX } from '../core/limits.ts'
import type { Random } from '../core/random.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { metadataApi } from '../wire/03-metadata.ts'
import { findCoordinatorApi } from '../wire/10-find-coordinator.ts'
import { createTopicsApi } from '../wire/19-create-topics.ts'
import { createPartitionsApi } from '../wire/37-create-partitions.ts'
import type { AnyApi, RequestInputOf, ResponseOf } from '../wire/api.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { BackoffOptions } from './backoff.ts'
import { withRetries } from './backoff.ts'
import type { BrokerAddress } from './broker-address.ts'
import { formatBrokerAddress, parseBrokerAddress } from './broker-address.ts'
import type { RequestOptions } from './broker-connection.ts'
import { BrokerConnection } from './broker-connection.ts'
import { BrokerLink } from './broker-link.ts'
import type { CoordinatorKind } from './coordinator-cache.ts'
import { CoordinatorCache } from './coordinator-cache.ts'
import {
  isConnectionFailure,
  isStaleCoordinatorCode,
  isStaleMetadataCode,
  KafkaDisconnectedError,
  KafkaResponseError,
  kafkaErrorCodeOf,
  throwOnKafkaError,
} from './kafka-errors.ts'
import { MetadataCache } from './metadata-cache.ts'
import type { MetadataSnapshot, PartitionMetadata } from './metadata-snapshot.ts'
import type { EnsureTopicOptions } from './topic-admin.ts'
import { ensureTopic } from './topic-admin.ts'

export interface KafkaClusterOptions {
  /** Longest wait for a TCP connection and its version negotiation. Default 10,000. */
  readonly connectMsMax: number
  /** Longest wait for an answer, unless a request says otherwise. Default 30,000. */
  readonly requestMsMax: number
  /** Waits between connection attempts and between repeated requests. Default 50 to 1,000 ms. */
  readonly backoff: BackoffOptions
  /** Metadata of known topics is asked for again after this time even when nothing failed. Default 60,000. */
  readonly metadataAgeMsMax: number
  /** Largest answer taken from a broker. Default `RESPONSE_FRAME_BYTES_MAX`. */
  readonly responseFrameBytesMax: number
}

export interface KafkaClusterParameters {
  /** `host:port` of one or more nodes; the others are found through them. */
  readonly bootstrapServers: readonly string[]
  /** Shown in brokers' logs and quotas. */
  readonly clientId: string
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  readonly options?: Partial<KafkaClusterOptions>
}

/** Who must answer a request. `any` takes whichever node answers first. */
export type RequestTarget =
  | { readonly nodeId: number }
  | { readonly topic: string; readonly partition: number }
  | { readonly coordinator: string; readonly kind?: CoordinatorKind }
  | 'any'
  | 'controller'

export interface ClusterRequestOptions extends RequestOptions {
  /** From `openLane`; without one, the shared connection is used. */
  readonly lane?: string
}

const DEFAULT_OPTIONS: KafkaClusterOptions = {
  connectMsMax: 10_000,
  requestMsMax: 30_000,
  backoff: { initialMs: 50, maxMs: 1_000 },
  metadataAgeMsMax: 60_000,
  responseFrameBytesMax: RESPONSE_FRAME_BYTES_MAX,
}

const SHARED_LANE = 'shared'

export class KafkaCluster {
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  readonly options: KafkaClusterOptions
  readonly #clientId: string
  readonly #bootstrap: readonly BrokerAddress[]
  readonly #metadata: MetadataCache
  readonly #coordinators: CoordinatorCache
  /** By lane, then by address. */
  readonly #links = new Map<string, Map<string, BrokerLink>>([[SHARED_LANE, new Map()]])
  /** Topics being created right now, so that many callers make one request. */
  readonly #ensuring = new Map<string, Promise<number>>()
  #laneCount = 0
  #refreshTimer: Timer | null = null
  #isClosed = false

  constructor(parameters: KafkaClusterParameters) {
    const { bootstrapServers, clientId, clock, random, diagnostics } = parameters
    this.clock = clock
    this.random = random
    this.diagnostics = diagnostics
    this.options = { ...DEFAULT_OPTIONS, ...parameters.options }
    this.#clientId = clientId
    this.#bootstrap = bootstrapServers.map(parseBrokerAddress)
    if (this.#bootstrap.length === 0) {
      throw new GopherShipError(
        'GS_CONFIG_INVALID',
        'expected at least one Kafka bootstrap server, found none',
      )
    }
    this.#metadata = new MetadataCache({
      clock,
      request: (topics) => this.#requestMetadata(topics),
      onSnapshot: (snapshot) => this.#closeVanishedLinks(snapshot),
    })
    this.#coordinators = new CoordinatorCache({
      request: (value) => this.request(findCoordinatorApi, value, 'any'),
    })
  }

  /** Proves that the cluster can be reached and learns its brokers. Throws when no server answers. */
  async connect(): Promise<void> {
    await this.#metadata.refresh([])
    this.#scheduleRefresh()
  }

  /** Closes every connection; what is in flight fails with GS_KAFKA_DISCONNECTED. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#refreshTimer?.cancel()
    const links = [...this.#links.values()].flatMap((lane) => [...lane.values()])
    this.#links.clear()
    await Promise.all(links.map((link) => link.close()))
  }

  /** What is known right now; never waits. */
  get snapshot(): MetadataSnapshot {
    return this.#metadata.snapshot
  }

  /** A snapshot that answers for these topics (null: all), at most `ageMsMax` old. Unknown topics are absent in it. */
  async metadata(
    topics: readonly string[] | null,
    { ageMsMax = this.options.metadataAgeMsMax }: { readonly ageMsMax?: number } = {},
  ): Promise<MetadataSnapshot> {
    return this.#metadata.isFresh(topics, ageMsMax) ? this.#metadata.snapshot : this.#metadata.refresh(topics)
  }

  /** Asks the cluster again, whatever is known; concurrent calls share requests. */
  refreshMetadata(topics: readonly string[] | null): Promise<MetadataSnapshot> {
    return this.#metadata.refresh(topics)
  }

  /** Calls `listener` when a refresh finds topics added, removed, or with more partitions. Returns the way to stop. */
  onTopicsChanged(listener: (snapshot: MetadataSnapshot) => void): () => void {
    return this.#metadata.onTopicsChanged(listener)
  }

  /** The topic's partition count, or null when the topic does not exist. Asks when it is not known. */
  async partitionCount(topic: string): Promise<number | null> {
    const known = this.snapshot.topics.get(topic) ?? (await this.metadata([topic])).topics.get(topic)
    return known?.partitions.length ?? null
  }

  /** Node id of the partition's leader as last heard, or null when none is known. Never waits. */
  leaderOf(topic: string, partition: number): number | null {
    const leaderId = this.#partition(topic, partition)?.leaderId ?? -1
    return leaderId < 0 ? null : leaderId
  }

  /** The brokers as last heard, by node id. */
  brokers(): ReadonlyMap<number, BrokerAddress> {
    return this.snapshot.brokers
  }

  /** Every topic with its partition count, asked for anew. Internal topics (`__consumer_offsets`) are left out. */
  async listTopics(): Promise<{ readonly name: string; readonly partitionCount: number }[]> {
    const { topics } = await this.refreshMetadata(null)
    return [...topics.values()]
      .filter((topic) => !topic.isInternal)
      .map((topic) => ({ name: topic.name, partitionCount: topic.partitions.length }))
  }

  /** Creates the topic if it is missing, and adds partitions where it has too few; resolves with its partition count once every partition has a leader. */
  ensureTopic(topic: string, options: EnsureTopicOptions = {}): Promise<number> {
    const running = this.#ensuring.get(topic)
    if (running !== undefined) {
      const { partitionCountMin = 1 } = options
      return running.then((count) => (count < partitionCountMin ? this.ensureTopic(topic, options) : count))
    }
    const deadlineMs = options.deadlineMs ?? this.options.requestMsMax
    const ensuring = ensureTopic(this, topic, { ...options, deadlineMs }).finally(() =>
      this.#ensuring.delete(topic),
    )
    this.#ensuring.set(topic, ensuring)
    return ensuring
  }

  /** One CreateTopics request to the controller; the error code of each topic is in the answer. */
  createTopics(value: RequestInputOf<typeof createTopicsApi>): Promise<ResponseOf<typeof createTopicsApi>> {
    return this.request(createTopicsApi, value, 'controller')
  }

  /** One CreatePartitions request to the controller; the error code of each topic is in the answer. */
  createPartitions(
    value: RequestInputOf<typeof createPartitionsApi>,
  ): Promise<ResponseOf<typeof createPartitionsApi>> {
    return this.request(createPartitionsApi, value, 'controller')
  }

  /** A name for connections of one's own; give it back with `closeLane`. */
  openLane(purpose: string): string {
    const lane = `${purpose}-${++this.#laneCount}`
    this.#links.set(lane, new Map())
    return lane
  }

  async closeLane(lane: string): Promise<void> {
    const links = [...(this.#links.get(lane)?.values() ?? [])]
    this.#links.delete(lane)
    await Promise.all(links.map((link) => link.close()))
  }

  /** The level of a feature that the cluster has finalized, as this node says; 0 for none. One attempt. */
  async finalizedFeature(
    name: string,
    target: Exclude<RequestTarget, 'any'>,
    { lane }: { readonly lane?: string } = {},
  ): Promise<number> {
    const connection = await this.#connectionFor(target, lane)
    return connection.finalizedFeature(name)
  }

  /** One attempt at one request. Error codes inside the answer are the caller's to read. */
  async request<A extends AnyApi>(
    api: A,
    value: RequestInputOf<A>,
    target: RequestTarget,
    options: ClusterRequestOptions = {},
  ): Promise<ResponseOf<A>> {
    if (target === 'any') return this.#requestAnyNode(api, value, options)
    const connection = await this.#connectionFor(target, options.lane)
    return connection.request(api, value, options)
  }

  /**
   * Repeats `attempt` on retriable failures with backoff until `deadlineMs`; refreshes what a failure shows to be stale
   * (metadata of `topics`, or a coordinator) in between. Only for what may safely be done twice.
   */
  retrying<T>(
    about: {
      readonly topics?: readonly string[]
      readonly coordinator?: string
      readonly kind?: CoordinatorKind
    },
    attempt: (remainingMs: number) => Promise<T>,
    { deadlineMs = this.options.requestMsMax, signal }: { deadlineMs?: number; signal?: AbortSignal } = {},
  ): Promise<T> {
    return withRetries(
      {
        clock: this.clock,
        random: this.random,
        backoff: this.options.backoff,
        deadlineAtMs: this.clock.monotonicMs() + deadlineMs,
        isRetriable: (error) => !this.#isClosed && error instanceof GopherShipError && error.retriable,
        beforeRetry: async (error) => {
          const code = kafkaErrorCodeOf(error) ?? KAFKA_ERROR.NONE
          const isGone = isConnectionFailure(error)
          if (about.coordinator !== undefined && (isGone || isStaleCoordinatorCode(code))) {
            this.forgetCoordinator(about.coordinator, about.kind)
          }
          if (about.topics !== undefined && (isGone || isStaleMetadataCode(code))) {
            await this.refreshMetadata(about.topics).catch(() => {})
          }
        },
        ...(signal === undefined ? {} : { signal }),
      },
      attempt,
    )
  }

  /** An open connection to a node. Throws GS_KAFKA_DISCONNECTED when the node is not in the metadata. */
  async connectionTo(nodeId: number, lane: string = SHARED_LANE): Promise<BrokerConnection> {
    const address = this.snapshot.brokers.get(nodeId)
    if (address === undefined) {
      throw new KafkaDisconnectedError(`node ${nodeId} is not among the cluster's brokers`, { nodeId })
    }
    return this.#linkTo(address, lane).connect()
  }

  /** The next request to this coordinator looks it up again. */
  forgetCoordinator(key: string, kind: CoordinatorKind = 'group'): void {
    this.#coordinators.forget(kind, key)
  }

  #partition(topic: string, partition: number): PartitionMetadata | undefined {
    return this.snapshot.topics.get(topic)?.partitions[partition]
  }

  async #connectionFor(target: Exclude<RequestTarget, 'any'>, lane = SHARED_LANE): Promise<BrokerConnection> {
    if (target === 'controller') {
      if (this.snapshot.brokers.size === 0) await this.refreshMetadata([])
      const { controllerId, brokers } = this.snapshot
      // A KRaft cluster may name any broker, or one that just went: every broker passes such requests on.
      const [anyNodeId] = brokers.keys()
      return this.connectionTo(brokers.has(controllerId) ? controllerId : (anyNodeId ?? -1), lane)
    }
    if ('nodeId' in target) return this.connectionTo(target.nodeId, lane)
    if ('coordinator' in target) {
      const { address } = await this.#coordinators.find(target.kind ?? 'group', target.coordinator)
      return this.#linkTo(address, lane).connect()
    }
    const { topic, partition } = target
    if (this.#partition(topic, partition) === undefined) await this.refreshMetadata([topic])
    const facts = { topic, partition }
    throwOnKafkaError('Metadata', this.snapshot.topicErrors.get(topic) ?? KAFKA_ERROR.NONE, facts)
    const found = this.#partition(topic, partition)
    if (found === undefined)
      throw new KafkaResponseError('Metadata', KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION, facts)
    if (found.leaderId < 0) throw new KafkaResponseError('Metadata', KAFKA_ERROR.LEADER_NOT_AVAILABLE, facts)
    return this.connectionTo(found.leaderId, lane)
  }

  /** Goes through the nodes, best first, until one answers; the bootstrap servers are the last resort (KIP-899). */
  async #requestAnyNode<A extends AnyApi>(
    api: A,
    value: RequestInputOf<A>,
    options: ClusterRequestOptions,
  ): Promise<ResponseOf<A>> {
    let lastError: unknown = null
    for (const link of this.#linksByPreference(options.lane ?? SHARED_LANE)) {
      try {
        const connection = await link.connect()
        return await connection.request(api, value, options)
      } catch (error) {
        if (!isConnectionFailure(error)) throw error
        lastError = error
      }
    }
    throw lastError
  }

  #linksByPreference(lane: string): BrokerLink[] {
    const addresses = new Map<string, BrokerAddress>()
    for (const address of [...this.snapshot.brokers.values(), ...this.#bootstrap]) {
      addresses.set(formatBrokerAddress(address), address)
    }
    const links = [...addresses.values()].map((address) => ({
      link: this.#linkTo(address, lane),
      tieBreak: this.random.float(),
    }))
    const rank = (link: BrokerLink) => (link.openConnection !== null ? 0 : link.isInBackoff ? 2 : 1)
    return links
      .sort((a, b) => rank(a.link) - rank(b.link) || a.tieBreak - b.tieBreak)
      .map(({ link }) => link)
  }

  #linkTo(address: BrokerAddress, lane: string): BrokerLink {
    const links = this.#links.get(lane)
    if (this.#isClosed || links === undefined) {
      throw new GopherShipError('GS_STOPPED', `the Kafka client is closed, or its lane ${lane} is`, {
        facts: { lane },
      })
    }
    const key = formatBrokerAddress(address)
    const known = links.get(key)
    if (known !== undefined) return known
    const { clock, random, diagnostics } = this
    const { connectMsMax, requestMsMax, responseFrameBytesMax, backoff } = this.options
    const clientId = this.#clientId
    const link = new BrokerLink({
      address,
      clock,
      random,
      backoff,
      open: () =>
        BrokerConnection.open({
          address,
          clientId,
          clock,
          connectMsMax,
          requestMsMax,
          responseFrameBytesMax,
          diagnostics,
        }),
    })
    links.set(key, link)
    return link
  }

  async #requestMetadata(topics: readonly string[] | null): Promise<ResponseOf<typeof metadataApi>> {
    const value = {
      topics: topics === null ? null : topics.map((name) => ({ name })),
      allowAutoTopicCreation: false,
    }
    const answer = await this.request(metadataApi, value, 'any')
    throwOnKafkaError('Metadata', answer.errorCode)
    return answer
  }

  #scheduleRefresh(): void {
    if (this.#isClosed) return
    this.#refreshTimer = this.clock.after(this.options.metadataAgeMsMax, () => {
      this.refreshMetadata([...this.snapshot.topics.keys()])
        .catch((error: unknown) => this.diagnostics.debug({ error }, 'kafka metadata refresh failed'))
        .finally(() => this.#scheduleRefresh())
    })
  }

  /** Connections to addresses that no broker has any more only hold sockets open. */
  #closeVanishedLinks(snapshot: MetadataSnapshot): void {
    const wanted = new Set([...snapshot.brokers.values(), ...this.#bootstrap].map(formatBrokerAddress))
    for (const links of this.#links.values()) {
      for (const [key, link] of links) {
        if (wanted.has(key)) continue
        links.delete(key)
        void link.close()
      }
    }
  }
}
