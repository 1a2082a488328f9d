/**
 * The embedded single-node Kafka broker: plain Kafka on one TCP port, on segment logs in one folder.
 *
 * It owns start and stop order and the periodic clean-up; topics are `topics/`'s, groups are `groups/`'s, each API is one
 * file in `handlers/`, framing and its limits are the listener's. Promises: a batch acknowledged under `every-ack`
 * survives a power cut; nothing answers before all topics and offsets are loaded; idle, it wakes only for its clean-up.
 *
 *     <directory>/
 *       .lock, format-version       one process at a time
 *       topics.snapshot             which topics exist
 *       producer-ids.snapshot       the next block of producer ids
 *       topics/<name>/<id>/<partition>/   segments, checkpoint, producers.snapshot, quarantine/
 */

import type { Registry } from 'prom-client'
import type { Clock, Timer } from '../core/clock.ts'
import type { Disk } from '../core/disk.ts'
import { isWildcardHost } from '../core/loopback.ts'
import type { Random } from '../core/random.ts'
import { Admission } from '../listener/admission.ts'
import { KafkaListener } from '../listener/kafka-listener.ts'
import type { ListenerConnection, ListenerReply, ListenerRequest } from '../listener/listener-types.ts'
import type { DataDirectory } from '../storage/data-directory.ts'
import { openDataDirectory } from '../storage/data-directory.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { apiVersionsApi } from '../wire/18-api-versions.ts'
import type { BrokerContext } from './broker-context.ts'
import { BrokerMetrics } from './broker-metrics.ts'
import type { BrokerOptions } from './broker-options.ts'
import { DEFAULT_BROKER_OPTIONS } from './broker-options.ts'
import { GroupCoordinator } from './groups/group-coordinator.ts'
import { OffsetStore } from './groups/offset-store.ts'
import { unsupportedApiVersions } from './handlers/18-api-versions.ts'
import { ProducerIds } from './producer-ids.ts'
import { OFFERED_APIS, routeOf } from './router.ts'
import { StopSignal } from './stop-signal.ts'
import { TopicCleaner } from './topics/cleaner.ts'
import type { Partition } from './topics/partition.ts'
import type { RetentionHold } from './topics/retention-hold.ts'
import { RetentionHolds } from './topics/retention-hold.ts'
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from './topics/topic-name.ts'
import { TopicRegistry } from './topics/topic-registry.ts'
import { TransactionCoordinator } from './transactions/transaction-coordinator.ts'
import { TransactionLog } from './transactions/transaction-log.ts'

export interface BrokerStart {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  /** The broker's own folder; taken for this process alone. */
  readonly directory: string
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly diagnostics: Diagnostics
  readonly metrics: Registry
  readonly options?: Partial<BrokerOptions>
}

export interface BrokerStatus {
  readonly port: number
  readonly clusterId: string
  readonly topicCount: number
  readonly partitionCount: number
  readonly groupCount: number
  readonly connectionCount: number
  /** Bytes in segment files. */
  readonly storedBytes: number
  /** Bytes appended and not acknowledged yet. */
  readonly pendingBytes: number
  /** Partitions whose disk refused a write; they take nothing more until a restart. */
  readonly failedPartitions: readonly string[]
  /** Partitions with offsets that cannot be read because of damage on disk. */
  readonly damagedPartitions: readonly string[]
}

/** Heartbeats, fetches and metadata never wait for room, so that a flood of data cannot end consumers' sessions. */
const SMALL_REQUEST_BYTES_MAX = 512
/** Small segments, so that what a rewrite leaves behind goes soon. */
const INTERNAL_TOPIC_CONFIG = { 'cleanup.policy': 'compact', 'segment.bytes': String(4 * 1024 * 1024) }

export class Broker {
  readonly #start: BrokerStart
  readonly #options: BrokerOptions
  readonly #folder: DataDirectory
  readonly #topics: TopicRegistry
  readonly #groups: GroupCoordinator
  readonly #offsets: OffsetStore
  readonly #transactions: TransactionCoordinator
  readonly #context: BrokerContext
  readonly #listener: KafkaListener
  readonly #holds: RetentionHolds
  readonly #cleaner: TopicCleaner
  readonly #stopping = new StopSignal()
  #port = 0
  #cleanUpTimer: Timer | null = null
  #cleaningUp: Promise<void> = Promise.resolve()
  #stopped: Promise<void> | null = null

  /**
   * Loads everything, then listens. Rejects with GS_STORAGE_LOCKED when another process has the folder,
   * GS_STORAGE_VERSION when a newer release wrote it, GS_STORAGE_FAILED when the disk refuses, GS_LISTEN_FAILED when
   * the port cannot be had; nothing is left open then.
   */
  static async start(start: BrokerStart): Promise<Broker> {
    const { disk, clock, random, directory, diagnostics } = start
    const options: BrokerOptions = { ...DEFAULT_BROKER_OPTIONS, ...start.options }
    const startedMs = clock.monotonicMs()
    const folder = await openDataDirectory({ disk, path: directory, diagnostics })
    let topics: TopicRegistry | null = null
    let broker: Broker | null = null
    try {
      topics = await TopicRegistry.open({ disk, clock, random, diagnostics, directory, options })
      const partition = await internalPartition(topics, OFFSETS_TOPIC)
      const offsets = await OffsetStore.open({ partition, clock, diagnostics })
      const producerIds = await ProducerIds.open({ disk, directory })
      broker = new Broker(start, {
        options,
        folder,
        topics,
        offsets,
        producerIds,
        transactionLog: new TransactionLog({
          partition: await internalPartition(topics, TRANSACTIONS_TOPIC),
          clock,
          diagnostics,
        }),
      })
      await broker.#transactions.load()
      await broker.#listen()
      const tookMs = Math.round(clock.monotonicMs() - startedMs)
      diagnostics.info({ port: broker.port, topicCount: topics.topicCount, tookMs }, 'broker ready')
      return broker
    } catch (error) {
      if (broker === null) {
        await topics?.close().catch(() => {})
        await folder.release()
      } else {
        // Sessions and transactions that were taken up have timers by now, and what was decided is being ended.
        await broker.stop().catch(() => {})
      }
      throw error
    }
  }

  private constructor(
    start: BrokerStart,
    parts: {
      options: BrokerOptions
      folder: DataDirectory
      topics: TopicRegistry
      offsets: OffsetStore
      producerIds: ProducerIds
      transactionLog: TransactionLog
    },
  ) {
    const { clock, random, diagnostics } = start
    const { options, topics, offsets, producerIds } = parts
    this.#start = start
    this.#options = options
    this.#folder = parts.folder
    this.#topics = topics
    this.#offsets = offsets
    this.#groups = new GroupCoordinator({ clock, random, diagnostics, options, offsets })
    const metrics = new BrokerMetrics(start.metrics, {
      connections: () => this.#listener.connectionCount,
      topics: () => topics.topicCount,
      partitions: () => topics.partitionCount,
      groups: () => this.#groups.groupCount,
      ongoingTransactions: () => this.#transactions.ongoingCount,
    })
    this.#transactions = new TransactionCoordinator({
      clock,
      diagnostics,
      log: parts.transactionLog,
      topics,
      offsets,
      producerIds,
      timeoutMsMax: options.transactionMsMax,
      transactionalIdsMax: options.transactionalIdsMax,
      idExpiryMs: options.transactionalIdExpiryMs,
      onEnded: (outcome) => metrics.transactionsEnded.inc({ outcome }),
      onTimedOut: () => metrics.transactionsTimedOut.inc(),
    })
    this.#holds = new RetentionHolds({
      heldTopicsPattern: options.heldTopicsPattern,
      diagnostics,
      metrics: start.metrics,
      find: (topic, partition) => topics.partition(topic, partition),
    })
    this.#cleaner = new TopicCleaner({
      clock,
      random,
      diagnostics,
      metrics: start.metrics,
      checkMs: options.compactionCheckMs,
      keyBytesMax: options.compactionKeyBytesMax,
      partitions: () => topics.partitions,
      heldOffsetOf: (partition) => this.#holds.heldOffsetOf(partition),
    })
    this.#context = {
      options,
      clock,
      diagnostics,
      topics,
      groups: this.#groups,
      offsets,
      producerIds,
      transactions: this.#transactions,
      metrics,
      offeredApis: OFFERED_APIS,
      endpointFor: (connection) => this.#endpointFor(connection),
      stopping: this.#stopping,
    }
    this.#listener = new KafkaListener({
      host: start.host,
      port: start.port,
      clock,
      diagnostics,
      limits: options.listener,
      admission: new Admission({ bytesMax: options.requestBytesMax, smallBytesMax: SMALL_REQUEST_BYTES_MAX }),
      handler: {
        accepts: (apiKey, apiVersion) => accepts(apiKey, apiVersion),
        handle: (request) => this.#handle(request),
      },
      onRejected: (reason) => metrics.rejected.inc({ reason }),
    })
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#port
  }

  status(): BrokerStatus {
    let storedBytes = 0
    let pendingBytes = 0
    const failedPartitions: string[] = []
    const damagedPartitions: string[] = []
    for (const { name, partitions } of this.#topics.topics) {
      for (const { index, log } of partitions) {
        storedBytes += log.sizeBytes
        pendingBytes += log.pendingBytes
        if (log.failure !== null) failedPartitions.push(`${name}-${index}`)
        if (log.quarantined.length > 0) damagedPartitions.push(`${name}-${index}`)
      }
    }
    return {
      port: this.#port,
      clusterId: this.#topics.clusterId,
      topicCount: this.#topics.topicCount,
      partitionCount: this.#topics.partitionCount,
      groupCount: this.#groups.groupCount,
      connectionCount: this.#listener.connectionCount,
      storedBytes,
      pendingBytes,
      failedPartitions,
      damagedPartitions,
    }
  }

  /**
   * Sets what retention may not delete yet, and compaction not touch: of each partition everything from its offset on, or
   * nothing for null. It stays until it is set anew. Returns how many of the partitions there are.
   */
  holdRetention(holds: readonly RetentionHold[]): number {
    return this.#holds.set(holds)
  }

  /** Compacts now whatever is dirty enough, as the next round would; resolves with how many partitions that was. */
  compactTopics(): Promise<number> {
    return this.#cleaner.cleanAll()
  }

  /** Answers what is under way (up to `drainMs`), closes the logs cleanly, lets go of the folder. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#cleanUpTimer?.cancel()
    // Long polls and parked group members are answered now, so that draining does not wait for them.
    this.#stopping.stop()
    this.#groups.stop()
    await this.#listener.close({ drainMs: this.#options.drainMs })
    await this.#cleaningUp
    await this.#cleaner.stop()
    await this.#transactions.stop()
    await this.#offsets.idle()
    try {
      await this.#topics.close()
    } finally {
      await this.#folder.release()
    }
  }

  async #listen(): Promise<void> {
    this.#port = await this.#listener.listen()
    this.#scheduleCleanUp()
    this.#cleaner.start()
  }

  #handle(request: ListenerRequest): ListenerReply | Promise<ListenerReply> {
    const { header, frame, bodyStart, connection } = request
    const route = routeOf(header.apiKey)
    if (route === undefined) throw new TypeError(`no route for API ${header.apiKey}`)
    if (header.apiVersion > route.versionMax) return unsupportedApiVersions(header.correlationId)
    this.#context.metrics.requests.inc({ api: route.name })
    if (header.apiVersion < route.servedFrom) {
      connection.close('produce-version', {
        apiVersion: header.apiVersion,
        hint: `Produce is served from version ${route.servedFrom}: use a client of Kafka 0.11 or newer`,
      })
      return null
    }
    return route.run(frame, bodyStart, { broker: this.#context, header, connection })
  }

  #endpointFor(connection: ListenerConnection): { host: string; port: number } {
    const { advertisedHost, advertisedPort } = this.#options
    const { host } = this.#start
    return {
      host: advertisedHost ?? (isWildcardHost(host) ? connection.localAddress : host),
      port: advertisedPort ?? this.#port,
    }
  }

  #scheduleCleanUp(): void {
    this.#cleanUpTimer = this.#start.clock.after(this.#options.retentionCheckMs, () => {
      this.#cleaningUp = this.#cleanUp()
        .catch((error: unknown) =>
          this.#start.diagnostics.warn({ err: error }, 'the periodic clean-up failed'),
        )
        .finally(() => {
          if (!this.#stopping.isStopped) this.#scheduleCleanUp()
        })
    })
  }

  /** Deletes what retention no longer keeps, and forgets silent producers and abandoned groups. */
  async #cleanUp(): Promise<void> {
    const nowMs = this.#start.clock.wallMs()
    for (const { partitions } of [...this.#topics.topics]) {
      for (const partition of [...partitions]) {
        if (this.#stopping.isStopped || partition.isGone) continue
        partition.expireProducers(nowMs - this.#options.producerExpiryMs)
        await this.#applyRetention(partition, nowMs)
      }
    }
    if (!this.#stopping.isStopped) await this.#groups.expire(nowMs)
    if (!this.#stopping.isStopped) await this.#transactions.expire(nowMs)
  }

  async #applyRetention(partition: Partition, nowMs: number): Promise<void> {
    const { diagnostics } = this.#start
    const where = { topic: partition.topicName, partition: partition.index }
    if (partition.log.failure !== null) return
    try {
      const segmentCount = await this.#holds.applyRetention(partition, nowMs)
      if (segmentCount === 0) return
      const { logStartOffset } = partition.log
      diagnostics.info({ ...where, segmentCount, logStartOffset }, 'retention deleted segments')
    } catch (error) {
      // The topic may have been deleted meanwhile; and one bad disk must not keep the others full.
      if (!partition.isGone) diagnostics.warn({ ...where, err: error }, 'retention could not be applied')
    }
  }
}

/** The one partition of a topic that only the broker writes; created by the first start. */
async function internalPartition(topics: TopicRegistry, name: string): Promise<Partition> {
  const topic = await topics.ensure({ name, partitionCount: 1, overrides: INTERNAL_TOPIC_CONFIG })
  const partition = topic.partitions[0]
  if (partition === undefined) throw new TypeError(`${name} has no partition`)
  return partition
}

/** ApiVersions is always heard: its handler answers what it does not know with what it does. */
function accepts(apiKey: number, apiVersion: number): boolean {
  const route = routeOf(apiKey)
  if (route === undefined) return false
  if (apiKey === apiVersionsApi.key) return apiVersion >= 0
  return apiVersion >= route.versionMin && apiVersion <= route.versionMax
}
