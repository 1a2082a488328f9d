/** A processor's surroundings in tests: a broker of its own, lines in the vault, and what came out of them. */

import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { asPartitionId } from '../../src/core/brands.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { SourceTopics } from '../../src/enrichment/source-topics.ts'
import type { BrokerConnection } from '../../src/kafka/broker-connection.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Fetcher } from '../../src/kafka/fetcher.ts'
import { fetchCommittedOffsets } from '../../src/kafka/group-offsets.ts'
import { KafkaDisconnectedError, KafkaResponseError } from '../../src/kafka/kafka-errors.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { LedgerReader } from '../../src/ledger/ledger-topic.ts'
import type { Guarantee } from '../../src/processor/delivery.ts'
import type { ProcessorOptions } from '../../src/processor/processor.ts'
import { Processor } from '../../src/processor/processor.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import { DEFAULT_STREAM_TOPICS } from '../../src/vault/stream-topics.ts'
import type { createTopicsApi } from '../../src/wire/19-create-topics.ts'
import { deleteTopicsApi } from '../../src/wire/20-delete-topics.ts'
import { createPartitionsApi } from '../../src/wire/37-create-partitions.ts'
import { incrementalAlterConfigsApi } from '../../src/wire/44-incremental-alter-configs.ts'
import type { AnyApi, RequestInputOf, ResponseOf } from '../../src/wire/api.ts'
import { KAFKA_ERROR } from '../../src/wire/error-codes.ts'
import type { TestBroker } from '../support/broker.ts'
import { startTestBroker } from '../support/broker.ts'
import { diskBehind, Gate } from '../support/gate.ts'

export const GROUP_ID = 'gophership'
export const VAULT = 'raw-vault.web'
export const ENRICHED = 'enriched.web'
export const COMMIT_INTERVAL_MS = 20

const declaration = parseTopology(
  readFileSync(new URL('../../topologies/density-tier.yaml', import.meta.url), 'utf8'),
  'density-tier.yaml',
)

/** A client whose requests of one API pass a gate before they are sent. */
class GatedCluster extends KafkaCluster {
  readonly gates = new Map<AnyApi, Gate>()
  /** Set, nothing can be produced: the leaders of its partitions are not reached, unlike the coordinators. */
  isProducingCut = false

  /** A vault partition whose leader is down, as far as the processor knows. */
  leaderless: number | null = null

  override leaderOf(topic: string, partition: number): number | null {
    return topic === VAULT && partition === this.leaderless ? null : super.leaderOf(topic, partition)
  }

  /** A topic that the cluster does not let be created. */
  refused: string | null = null

  override async createTopics(value: RequestInputOf<typeof createTopicsApi>) {
    const { refused } = this
    if (refused === null || !value.topics?.some(({ name }) => name === refused))
      return super.createTopics(value)
    throw new KafkaResponseError('CreateTopics', KAFKA_ERROR.POLICY_VIOLATION, { topic: refused })
  }

  override connectionTo(nodeId: number, lane?: string): Promise<BrokerConnection> {
    if (this.isProducingCut && lane?.startsWith('produce'))
      return Promise.reject(new KafkaDisconnectedError('the leader is down', { nodeId }))
    return super.connectionTo(nodeId, lane)
  }

  override async request<A extends AnyApi>(
    api: A,
    value: RequestInputOf<A>,
    ...rest: Parameters<KafkaCluster['request']> extends [unknown, unknown, ...infer Rest] ? Rest : never
  ): Promise<ResponseOf<A>> {
    await this.gates.get(api)?.pass()
    return super.request(api, value, ...rest)
  }
}

export interface StartedProcessor {
  readonly processor: Processor
  /** Closes a gate before the processor's requests of one API, and gives it. */
  hold(api: AnyApi): Gate
  /** Whether the leaders of the partitions that it writes to are down. */
  cutProducing(isCut: boolean): void
  /** Which partition of the vault has no leader. */
  setLeaderless(partition: number | null): void
  /** Which topic the cluster does not let be created. */
  setRefused(topic: string | null): void
}

export interface Event {
  readonly body: string
  readonly density: string
  readonly vault: { readonly topic: string; readonly partition: number; readonly offset: number }
}

export const numbered = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => `line number ${from + index}`)

export class ProcessorWorld {
  /** Before every sync of the enriched topic. */
  readonly syncs: Gate
  readonly cluster: KafkaCluster
  readonly processors: { stop(): Promise<void> }[] = []
  guarantee: Guarantee = 'exactly-once'
  #broker: TestBroker

  private constructor(broker: TestBroker, syncs: Gate) {
    this.#broker = broker
    this.syncs = syncs
    this.cluster = this.#connect()
  }

  static async start(): Promise<ProcessorWorld> {
    const syncs = new Gate()
    const broker = await startTestBroker({ defaultPartitionCount: 2, disk: diskBehind(syncs, ENRICHED) })
    const world = new ProcessorWorld(broker, syncs)
    await world.cluster.connect()
    return world
  }

  async stop(): Promise<void> {
    await Promise.all(this.processors.splice(0).map((processor) => processor.stop()))
    await this.cluster.close()
    await this.#broker.stop()
  }

  async restartBroker(): Promise<void> {
    this.#broker = await this.#broker.restart()
  }

  #connect(): GatedCluster {
    return new GatedCluster({
      bootstrapServers: [this.#broker.address],
      clientId: 'test',
      clock: systemClock,
      random: systemRandom,
      diagnostics: silentDiagnostics,
    })
  }

  async startProcessor(
    options: Partial<ProcessorOptions> = {},
    {
      leaderless = null,
      refused = null,
    }: { readonly leaderless?: number | null; readonly refused?: string | null } = {},
  ): Promise<StartedProcessor> {
    const own = this.#connect()
    own.leaderless = leaderless
    own.refused = refused
    await own.connect()
    const { groupInstanceId, ...others } = options
    const processor = Processor.start({
      cluster: own,
      clock: systemClock,
      random: systemRandom,
      diagnostics: silentDiagnostics,
      metrics: new Registry(),
      groupId: GROUP_ID,
      ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
      guarantee: this.guarantee,
      transactionalId: groupInstanceId ?? `processor-${this.processors.length}`,
      transactionTimeoutMs: 10_000,
      passthrough: 'forward',
      topology: compileTopology(declaration),
      topics: new SourceTopics(declaration, DEFAULT_STREAM_TOPICS),
      commitIntervalMs: COMMIT_INTERVAL_MS,
      onFailed: (error) => {
        throw error
      },
      ...others,
    })
    this.processors.push({ stop: () => processor.stop().then(() => own.close()) })
    const hold = (api: AnyApi) => {
      const gate = new Gate()
      gate.close()
      own.gates.set(api, gate)
      return gate
    }
    const cutProducing = (isCut: boolean) => {
      own.isProducingCut = isCut
    }
    const setLeaderless = (partition: number | null) => {
      own.leaderless = partition
    }
    const setRefused = (topic: string | null) => {
      own.refused = topic
    }
    return { processor, hold, cutProducing, setLeaderless, setRefused }
  }

  async produce(topic: string, lines: readonly string[], partition = 0): Promise<void> {
    const encoder = new BatchEncoder()
    encoder.start()
    for (const line of lines) encoder.append(Date.now(), null, Buffer.from(line))
    const producer = new Producer(this.cluster)
    await producer.send(topic, partition, Buffer.from(encoder.finish()))
    await producer.stop()
  }

  async partitionCount(topic: string): Promise<number> {
    const { topics } = await this.cluster.refreshMetadata([topic])
    return topics.get(topic)?.partitions.length ?? 0
  }

  async deleteTopic(name: string): Promise<void> {
    await this.cluster.request(
      deleteTopicsApi,
      { topicNames: [name], topics: [{ name }], timeoutMs: 5_000 },
      'controller',
    )
  }

  async growTopic(name: string, count: number): Promise<void> {
    const topics = [{ name, count, assignments: null }]
    await this.cluster.request(
      createPartitionsApi,
      { topics, timeoutMs: 5_000, validateOnly: false },
      'controller',
    )
    await this.cluster.refreshMetadata([name])
  }

  async setMessageBytesMax(topic: string, bytes: number): Promise<void> {
    const configs = [{ name: 'max.message.bytes', configOperation: 0, value: String(bytes) }]
    await this.cluster.request(
      incrementalAlterConfigsApi,
      { resources: [{ resourceType: 2, resourceName: topic, configs }] },
      'controller',
    )
  }

  /** The bodies of all committed events, over all partitions. */
  async bodies(): Promise<string[]> {
    return (await this.values(ENRICHED)).map((value) => (JSON.parse(value) as Event).body)
  }

  /** The values of all committed records of a topic, over all partitions. */
  async values(topic: string): Promise<string[]> {
    const fetcher = new Fetcher(this.cluster, { waitMsMax: 50, isolation: 'read_committed' })
    const { topics } = await this.cluster.refreshMetadata([topic])
    const partitions = topics.get(topic)?.partitions ?? []
    fetcher.assign([...partitions.keys()].map((partition) => ({ topic, partition, offset: 0 })))
    const cursor = new RecordCursor()
    const found: string[] = []
    for (
      let chunks = await fetcher.poll({ timeoutMs: 300 });
      chunks.length > 0;
      chunks = await fetcher.poll({ timeoutMs: 300 })
    ) {
      for (const { records } of chunks) {
        for (let at = 0; at < records.length; at += 12 + records.readInt32BE(at + 8)) {
          cursor.open(records, at)
          while (cursor.next()) found.push(String(cursor.valueBytes()))
        }
      }
    }
    await fetcher.stop()
    return found
  }

  /** The group's committed offset; -1 before the first. */
  async committed(partition = 0, topic = VAULT): Promise<number> {
    const [found] = await fetchCommittedOffsets(this.cluster, GROUP_ID, [{ topic, partition }])
    return found?.offset ?? Number.NaN
  }

  /** What the ledger says of the vault topic's first partition. */
  async ledgerBooks() {
    const reader = new LedgerReader(this.cluster, { diagnostics: silentDiagnostics })
    await reader.catchUp()
    await reader.stop()
    return reader.fold.booksOf({ topology: declaration.name, topic: VAULT, partition: asPartitionId(0) })
  }
}
