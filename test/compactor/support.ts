/** A vault with debt in it, a compactor that pays it, and an outside look at what came of it: by event id, read committed. */

import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { Compactor, type CompactorOptions } from '../../src/compactor/compactor.ts'
import type { Config } from '../../src/config/schema.ts'
import { configSchema } from '../../src/config/schema.ts'
import { asPartitionId } from '../../src/core/brands.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { SourceTopics } from '../../src/enrichment/source-topics.ts'
import type { ClusterRequestOptions, KafkaClusterParameters, RequestTarget } from '../../src/kafka/cluster.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { TopicReader } from '../../src/kafka/topic-reader.ts'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.ts'
import type { DebtEntry } from '../../src/ledger/debt-entry.ts'
import type { DebtBooks } from '../../src/ledger/debt-ranges.ts'
import { decodeDebtKey, encodeDebtKey, encodeDebtValue } from '../../src/ledger/debt-record.ts'
import {
  encodeLedgerBatches,
  ensureLedgerTopic,
  LEDGER_TOPIC,
  LedgerReader,
} from '../../src/ledger/ledger-topic.ts'
import { AmbientReader, AmbientWriter, createAmbientBuffer } from '../../src/pressure/ambient-status.ts'
import type { Diagnostics } from '../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import { DEFAULT_STREAM_TOPICS } from '../../src/vault/stream-topics.ts'
import type { AnyApi, RequestInputOf, ResponseOf } from '../../src/wire/api.ts'
import type { TestBroker, TestBrokerOptions } from '../support/broker.ts'
import { startTestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'

export const GROUP_ID = 'gophership'
export const VAULT = 'raw-vault.web'
export const ENRICHED = 'enriched.web'
export const DEAD_LETTERS = 'dead-letter'
export const TOPOLOGY = 'density-tier'

export const declaration = parseTopology(
  readFileSync(new URL('../../topologies/density-tier.yaml', import.meta.url), 'utf8'),
  'density-tier.yaml',
)

/** Pays at once and looks often: tests need not wait for pressure to be steady. */
export const COMPACTOR_CONFIG: Config['compactor'] = {
  ...configSchema.parse({}).compactor,
  steadyMs: 0,
}

export interface World {
  broker: TestBroker
  readonly cluster: KafkaCluster
  readonly pressure: AmbientWriter
  readonly ambientBuffer: SharedArrayBuffer
  /** Appends so many records to a vault partition, in batches of ten. */
  produce(recordCount: number, partition?: number): Promise<void>
  /** Appends one record with just these bytes to partition 0. */
  produceBytes(bytes: Buffer): Promise<void>
  /** Books ranges as owed, as a processor does. */
  owe(...entries: readonly DebtEntry[]): Promise<void>
  books(partition?: number): Promise<DebtBooks>
  /** The vault partition of each record that the ledger has of what was repaid, in the order in which they were written. */
  repaid(): Promise<number[]>
  /** Every committed event by `partition:offset`, dead letters as `dead partition:offset`: how often it is there. */
  outputs(): Promise<Map<string, number>>
  /** Starts a compactor; `stop` of it, or of the world, ends it. */
  startCompactor(options?: CompactorChanges): Promise<RunningCompactor>
  /** Waits until nothing is owed in the partitions. */
  untilPaid(partitions?: readonly number[], withinMs?: number): Promise<void>
  /** Stops the broker and starts it again, on the same port and data. */
  restartBroker(): Promise<void>
  stop(): Promise<void>
}

export interface CompactorChanges
  extends Partial<Omit<CompactorOptions, 'config' | 'cluster' | 'metrics' | 'topics' | 'topology'>> {
  readonly config?: Partial<Config['compactor']>
  /** What the ledger's topic tells comes so much later. */
  readonly ledgerDelayMs?: number
  /** The leader of this vault partition is down, as far as the compactor knows. */
  readonly leaderlessPartition?: number
}

export interface RunningCompactor {
  readonly compactor: Compactor
  readonly metrics: Registry
  stop(): Promise<void>
  /** Ends it as a kill would: its connections are cut, nothing is settled, aborted or said goodbye to. */
  kill(): Promise<void>
}

export async function openWorld({
  partitionCount = 2,
  ...brokerOptions
}: TestBrokerOptions & { readonly partitionCount?: number } = {}): Promise<World> {
  const broker = await startTestBroker({ defaultPartitionCount: partitionCount, ...brokerOptions })
  const cluster = connectTo(broker.address)
  await cluster.connect()
  await cluster.ensureTopic(VAULT, { partitionCount })
  await ensureLedgerTopic(cluster)
  const ambientBuffer = createAmbientBuffer()
  const running = new Set<RunningCompactor>()
  const world: World = {
    broker,
    cluster,
    ambientBuffer,
    pressure: new AmbientWriter(ambientBuffer),
    produce: (recordCount, partition = 0) => produce(cluster, recordCount, partition),
    produceBytes: (bytes) => produceBatches(cluster, 0, [[bytes]]),
    owe: (...entries) => owe(cluster, entries),
    books: (partition = 0) => books(cluster, partition),
    repaid: () => repaid(cluster),
    outputs: () => outputs(cluster),
    async startCompactor(changes = {}) {
      const started = await startCompactor(broker.address, ambientBuffer, changes)
      running.add(started)
      const forget = (end: () => Promise<void>) => async () => {
        running.delete(started)
        await end()
      }
      return { ...started, stop: forget(started.stop), kill: forget(started.kill) }
    },
    async untilPaid(partitions = [0, 1], withinMs = 15_000) {
      const open = async () =>
        (await Promise.all(partitions.map((partition) => books(cluster, partition))))
          .flat()
          .some(({ state }) => state === 'open')
      await eventually('nothing is owed', async () => !(await open()), { withinMs })
    },
    async restartBroker() {
      world.broker = await world.broker.restart()
    },
    async stop() {
      await Promise.all([...running].map((compactor) => compactor.stop()))
      await cluster.close()
      await world.broker.stop()
    },
  }
  return world
}

export function connectTo(address: string): KafkaCluster {
  return new KafkaCluster(parametersOf(address))
}

const parametersOf = (address: string): KafkaClusterParameters => ({
  bootstrapServers: [address],
  clientId: 'test',
  clock: systemClock,
  random: systemRandom,
  diagnostics: silentDiagnostics,
  options: { backoff: { initialMs: 5, maxMs: 100 } },
})

/** A cluster whose ledger is read late, or one of whose vault partitions has no leader. */
class TroubledCluster extends KafkaCluster {
  readonly #delayMs: number
  readonly #leaderless: number | null

  constructor(
    address: string,
    {
      ledgerDelayMs = 0,
      leaderlessPartition,
    }: Pick<CompactorChanges, 'ledgerDelayMs' | 'leaderlessPartition'>,
  ) {
    super(parametersOf(address))
    this.#delayMs = ledgerDelayMs
    this.#leaderless = leaderlessPartition ?? null
  }

  override leaderOf(topic: string, partition: number): number | null {
    return topic === VAULT && partition === this.#leaderless ? null : super.leaderOf(topic, partition)
  }

  override async request<A extends AnyApi>(
    api: A,
    value: RequestInputOf<A>,
    target: RequestTarget,
    options?: ClusterRequestOptions,
  ): Promise<ResponseOf<A>> {
    const { topics = [] } = value as { topics?: readonly { topic?: string }[] }
    const isLedger = api.name === 'Fetch' && topics.some(({ topic }) => topic === LEDGER_TOPIC)
    if (isLedger && this.#delayMs > 0) await systemClock.sleep(this.#delayMs)
    return super.request(api, value, target, options)
  }
}

/** A compactor for a broker of which only the address is known: the same in a process of its own. */
export async function startCompactor(
  address: string,
  ambientBuffer: SharedArrayBuffer,
  { config, ledgerDelayMs, leaderlessPartition, ...changes }: CompactorChanges,
): Promise<RunningCompactor> {
  const cluster = new TroubledCluster(address, {
    ...(ledgerDelayMs === undefined ? {} : { ledgerDelayMs }),
    ...(leaderlessPartition === undefined ? {} : { leaderlessPartition }),
  })
  await cluster.connect()
  const metrics = new Registry()
  const compactor = Compactor.start({
    cluster,
    clock: systemClock,
    diagnostics: silentDiagnostics,
    metrics,
    groupId: GROUP_ID,
    groupInstanceId: 'gophership-test-compactor',
    topologyName: TOPOLOGY,
    topology: compileTopology(declaration),
    topics: new SourceTopics(declaration, DEFAULT_STREAM_TOPICS),
    ambient: new AmbientReader(ambientBuffer),
    config: { ...COMPACTOR_CONFIG, ...config },
    onFailed: () => {},
    lookMs: 10,
    vaultLookMs: 50,
    ...changes,
  })
  return {
    compactor,
    metrics,
    async stop() {
      await compactor.stop()
      await cluster.close()
    },
    async kill() {
      await cluster.close()
      // Nothing that it does from here on reaches the broker; it need not be waited for.
      void compactor.stop()
    },
  }
}

/** A line that says where it lies, so that its event can be told from all others. */
export const lineOf = (partition: number, index: number): string =>
  JSON.stringify({ level: 'info', msg: `record ${partition}:${index}`, time: '2026-01-01T00:00:00Z' })

const BATCH_RECORDS = 10

async function produce(cluster: KafkaCluster, recordCount: number, partition: number): Promise<void> {
  const lines = Array.from({ length: recordCount }, (_, index) => Buffer.from(lineOf(partition, index)))
  const batchCount = Math.ceil(recordCount / BATCH_RECORDS)
  const batches = Array.from({ length: batchCount }, (_, batch) =>
    lines.slice(batch * BATCH_RECORDS, (batch + 1) * BATCH_RECORDS),
  )
  await produceBatches(cluster, partition, batches)
}

async function produceBatches(
  cluster: KafkaCluster,
  partition: number,
  batches: readonly Buffer[][],
): Promise<void> {
  const producer = new Producer(cluster, { idempotent: true, inFlightMax: 5 })
  const encoder = new BatchEncoder()
  const sends = batches.map((values) => {
    encoder.start()
    for (const value of values) encoder.append(Date.now(), null, value)
    return producer.send(VAULT, partition, Buffer.from(encoder.finish()))
  })
  await Promise.all(sends)
  await producer.stop()
}

/** What is owed of the vault's partition, from one offset to another. */
export function debtOf(
  first: number,
  last: number,
  { partition = 0, ...changes }: Partial<Omit<DebtEntry, 'partition'>> & { partition?: number } = {},
): DebtEntry {
  return {
    topology: TOPOLOGY,
    topic: VAULT,
    partition: asPartitionId(partition),
    first: first as DebtEntry['first'],
    last: last as DebtEntry['last'],
    tier: 'passthrough',
    recordCount: last - first + 1,
    bytes: (last - first + 1) * 80,
    timestampMinMs: Date.now(),
    timestampMaxMs: Date.now(),
    reason: { zone: 'red', driver: 'lagSeconds' },
    openedMs: Date.now(),
    state: 'open',
    closedMs: null,
    ...changes,
  }
}

async function owe(cluster: KafkaCluster, entries: readonly DebtEntry[]): Promise<void> {
  const producer = new TransactionalProducer(cluster, { transactionalId: 'test-processor' })
  const records = entries.map((entry) => ({
    key: encodeDebtKey({ ...entry, account: 'owed' }),
    value: encodeDebtValue(entry),
  }))
  await producer.init()
  producer.begin()
  await Promise.all(
    encodeLedgerBatches(records, Date.now()).map((batch) => producer.send(LEDGER_TOPIC, 0, batch)),
  )
  await producer.commit()
  await producer.stop()
}

async function books(cluster: KafkaCluster, partition: number): Promise<DebtBooks> {
  const reader = new LedgerReader(cluster, { diagnostics: silentDiagnostics })
  await reader.catchUp()
  await reader.stop()
  return reader.fold.booksOf({ topology: TOPOLOGY, topic: VAULT, partition: asPartitionId(partition) })
}

async function repaid(cluster: KafkaCluster): Promise<number[]> {
  const partitions: number[] = []
  await readAll(cluster, LEDGER_TOPIC, ({ key }) => {
    const { account, partition } = decodeDebtKey(key as Buffer)
    if (account === 'repaid') partitions.push(partition)
  })
  return partitions
}

async function outputs(cluster: KafkaCluster): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const add = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)
  await readAll(cluster, ENRICHED, (record) => {
    const { eventId } = JSON.parse(String(record.value)) as { eventId: string }
    const [, partition, offset] = eventId.split(':')
    add(`${partition}:${offset}`)
  })
  await readAll(cluster, DEAD_LETTERS, ({ headers }) => {
    const header = (name: string) => String(headers.find(({ key }) => key === name)?.value)
    add(`dead ${header('gophership-partition')}:${header('gophership-offset')}`)
  })
  return counts
}

async function readAll(
  cluster: KafkaCluster,
  topic: string,
  onRecord: ConstructorParameters<typeof TopicReader>[1]['onRecord'],
): Promise<void> {
  await cluster.refreshMetadata([topic])
  if ((await cluster.partitionCount(topic)) === null) return
  const reader = new TopicReader(cluster, { topic, isolation: 'read_committed', onRecord })
  await reader.catchUp()
  await reader.stop()
}

/** `0:0` … `0:last`, once each: what `outputs` must be when a range was paid. */
export function onceEach(first: number, last: number, partition = 0): [string, number][] {
  return Array.from({ length: last - first + 1 }, (_, index) => [`${partition}:${first + index}`, 1])
}

/** A reader of the pressure that says when it is looked at. */
export function watchedAmbient(buffer: SharedArrayBuffer, onRead: () => void): AmbientReader {
  const reader = new AmbientReader(buffer)
  return new Proxy(reader, {
    get(target, name) {
      if (name === 'read') {
        onRead()
        return () => target.read()
      }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Diagnostics that keep what is an error. */
export function keepErrors(into: object[]): Diagnostics {
  const kept: Diagnostics = {
    ...silentDiagnostics,
    error: (fields) => void into.push(fields),
    child: () => kept,
  }
  return kept
}
