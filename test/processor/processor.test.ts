// The processor against a broker of its own: what it writes, what it commits, and in which order.

import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { asPartitionId } from '../../src/core/brands.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Disk } from '../../src/core/disk.ts'
import { systemRandom } from '../../src/core/random.ts'
import { systemDisk } from '../../src/core/system-disk.ts'
import { SourceTopics } from '../../src/enrichment/source-topics.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Fetcher } from '../../src/kafka/fetcher.ts'
import { fetchCommittedOffsets } from '../../src/kafka/group-offsets.ts'
import { listOffsets } from '../../src/kafka/offsets.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { LedgerReader } from '../../src/ledger/ledger-topic.ts'
import { AmbientWriter, createAmbientBuffer } from '../../src/pressure/ambient-status.ts'
import { TIERS } from '../../src/pressure/tiers.ts'
import type { Guarantee } from '../../src/processor/delivery.ts'
import type { ProcessorOptions } from '../../src/processor/processor.ts'
import { Processor } from '../../src/processor/processor.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import { DEFAULT_STREAM_TOPICS } from '../../src/vault/stream-topics.ts'
import { deleteRecordsApi } from '../../src/wire/21-delete-records.ts'
import { incrementalAlterConfigsApi } from '../../src/wire/44-incremental-alter-configs.ts'
import type { TestBroker } from '../support/broker.ts'
import { startTestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'

const GROUP_ID = 'gophership'
const VAULT = 'raw-vault.web'
const ENRICHED = 'enriched.web'
const COMMIT_INTERVAL_MS = 20

const declaration = parseTopology(
  readFileSync(new URL('../../topologies/density-tier.yaml', import.meta.url), 'utf8'),
  'density-tier.yaml',
)

/** Closed, it holds up every sync of the enriched topic: its batches are written and not yet durable. */
class SyncGate {
  #open = Promise.resolve()
  release = () => {}

  close(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#open = promise
    this.release = resolve
  }

  /** The system's disk behind this gate. */
  get disk(): Disk {
    const passed = () => this.#open
    const open: Disk['open'] = async (path, mode) => {
      const file = await systemDisk.open(path, mode)
      if (!path.includes(ENRICHED)) return file
      return {
        read: (into, position) => file.read(into, position),
        write: (bytes, position) => file.write(bytes, position),
        writev: (buffers, position) => file.writev(buffers, position),
        datasync: () => passed().then(() => file.datasync()),
        truncate: (bytes) => file.truncate(bytes),
        size: () => file.size(),
        close: () => file.close(),
      }
    }
    return { ...systemDisk, open }
  }
}

let gate: SyncGate
let broker: TestBroker
let cluster: KafkaCluster
const processors: { stop(): Promise<void> }[] = []

beforeEach(async () => {
  gate = new SyncGate()
  broker = await startTestBroker({ defaultPartitionCount: 2, disk: gate.disk })
  cluster = connectTo(broker)
  await cluster.connect()
})

afterEach(async () => {
  await Promise.all(processors.splice(0).map((processor) => processor.stop()))
  await cluster.close()
  await broker.stop()
})

function connectTo({ address }: TestBroker): KafkaCluster {
  return new KafkaCluster({
    bootstrapServers: [address],
    clientId: 'test',
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
  })
}

let guarantee: Guarantee = 'exactly-once'

async function startProcessor(
  groupInstanceId?: string,
  options: Partial<ProcessorOptions> = {},
): Promise<Processor> {
  const own = connectTo(broker)
  await own.connect()
  const processor = Processor.start({
    cluster: own,
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
    metrics: new Registry(),
    groupId: GROUP_ID,
    ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
    guarantee,
    transactionalId: groupInstanceId ?? `processor-${processors.length}`,
    transactionTimeoutMs: 10_000,
    passthrough: 'forward',
    topology: compileTopology(declaration),
    topics: new SourceTopics(declaration, DEFAULT_STREAM_TOPICS),
    commitIntervalMs: COMMIT_INTERVAL_MS,
    onFailed: (error) => {
      throw error
    },
    ...options,
  })
  processors.push({ stop: () => processor.stop().then(() => own.close()) })
  return processor
}

async function produce(topic: string, lines: readonly string[], partition = 0): Promise<void> {
  const encoder = new BatchEncoder()
  encoder.start()
  for (const line of lines) encoder.append(Date.now(), null, Buffer.from(line))
  const producer = new Producer(cluster)
  await producer.send(topic, partition, Buffer.from(encoder.finish()))
  await producer.stop()
}

interface Event {
  readonly body: string
  readonly density: string
  readonly vault: { readonly topic: string; readonly partition: number; readonly offset: number }
}

/** The bodies of all committed events, over both partitions. */
const bodies = async () => (await values(ENRICHED)).map((value) => (JSON.parse(value) as Event).body)

/** The values of all committed records of a topic, over both partitions. */
async function values(topic: string): Promise<string[]> {
  const fetcher = new Fetcher(cluster, { waitMsMax: 50, isolation: 'read_committed' })
  fetcher.assign([0, 1].map((partition) => ({ topic, partition, offset: 0 })))
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

async function committed(partition = 0): Promise<number> {
  const [found] = await fetchCommittedOffsets(cluster, GROUP_ID, [{ topic: VAULT, partition }])
  return found?.offset ?? Number.NaN
}

async function setMessageBytesMax(topic: string, bytes: number): Promise<void> {
  const configs = [{ name: 'max.message.bytes', configOperation: 0, value: String(bytes) }]
  await cluster.request(
    incrementalAlterConfigsApi,
    { resources: [{ resourceType: 2, resourceName: topic, configs }] },
    'controller',
  )
}

const numbered = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => `line number ${from + index}`)

describe.each(['exactly-once', 'at-least-once'] as const)('Processor, %s', (chosen) => {
  beforeEach(() => {
    guarantee = chosen
  })

  it('enriches what was there before it and what comes after, and commits behind its output', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await produce(VAULT, numbered(100))
    await startProcessor()
    await eventually('the first hundred are committed', async () => (await committed()) === 100)

    await produce(VAULT, numbered(50, 100))

    await eventually('all are committed', async () => (await committed()) === 150)
    expect((await bodies()).toSorted()).toEqual(numbered(150).toSorted())
  })

  it('commits nothing while its output is on the way and not yet durable', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await cluster.ensureTopic(ENRICHED, { partitionCount: 2 })
    await produce(VAULT, numbered(20))
    gate.close()
    const processor = await startProcessor()
    await eventually('the records were read', () => processor.status().partitions[0]?.position === 20)
    await new Promise((resolve) => setTimeout(resolve, COMMIT_INTERVAL_MS * 10))

    const whileOnTheWay = await committed()

    gate.release()
    expect(whileOnTheWay).toBeLessThanOrEqual(0)
    await eventually('all are committed', async () => (await committed()) === 20)
  })

  it('commits nothing while an output cannot be written, and writes every event once it can', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await cluster.ensureTopic(ENRICHED, { partitionCount: 2, configs: { 'max.message.bytes': '1024' } })
    await produce(VAULT, numbered(20))
    const processor = await startProcessor()
    await eventually(
      'the records were read',
      () => (processor.status().partitions[0]?.recordCount ?? 0) >= 20,
    )
    await new Promise((resolve) => setTimeout(resolve, COMMIT_INTERVAL_MS * 10))

    expect(await committed()).toBeLessThanOrEqual(0)

    await setMessageBytesMax(ENRICHED, 1_000_000)
    await eventually('all are committed', async () => (await committed()) === 20, { withinMs: 20_000 })
    expect(new Set(await bodies())).toEqual(new Set(numbered(20)))
  })

  it('shares the partitions with a second member, and takes them over when that one leaves', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const first = await startProcessor()
    await startProcessor()
    await eventually('each has one partition', () => first.status().partitions.length === 1, {
      withinMs: 15_000,
    })
    await produce(VAULT, numbered(30), 0)
    await produce(VAULT, numbered(30, 30), 1)
    await eventually(
      'both are committed',
      async () => (await committed(0)) === 30 && (await committed(1)) === 30,
    )

    await processors.pop()?.stop()
    await eventually('the first has both', () => first.status().partitions.length === 2, { withinMs: 15_000 })
    await produce(VAULT, numbered(10, 60), 1)

    await eventually('all are committed', async () => (await committed(1)) === 40)
    expect((await bodies()).toSorted()).toEqual(numbered(70).toSorted())
  })

  it('does nothing twice when it gives a partition up in the middle of a chunk', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await cluster.ensureTopic(ENRICHED, { partitionCount: 2 })
    const [batchCount, lineCount] = [80, 1_000]
    for (let batch = 0; batch < batchCount; batch++)
      await produce(VAULT, numbered(lineCount, batch * lineCount))
    // Output that is not yet durable fills up, and holds the enrichment where it is.
    gate.close()
    const processor = await startProcessor()
    await eventually(
      'it is in the middle',
      () => (processor.status().partitions.find(({ partition }) => partition === 0)?.position ?? 0) > 30_000,
    )

    // A new stream is a new assignment, for which all partitions are given up first.
    await cluster.ensureTopic('raw-vault.other', { partitionCount: 2 })
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    gate.release()

    await eventually('all are committed', async () => (await committed()) === batchCount * lineCount, {
      withinMs: 20_000,
    })
    // A transaction counts a moment before its marker has reached every partition.
    let found: string[] = []
    await eventually('every event can be read', async () => {
      found = await bodies()
      return found.length >= batchCount * lineCount
    })
    expect(new Set(found).size).toBe(batchCount * lineCount)
    expect(found).toHaveLength(batchCount * lineCount)
  }, 60_000)

  it('goes on after the broker was away', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await produce(VAULT, numbered(10))
    await startProcessor('static-0')
    await eventually('the first are committed', async () => (await committed()) === 10)

    broker = await broker.restart()
    await produce(VAULT, numbered(10, 10))

    await eventually('all are committed', async () => (await committed()) === 20, { withinMs: 20_000 })
    expect(new Set(await bodies())).toEqual(new Set(numbered(20)))
  })

  it('flips tiers at batch boundaries, and every offset is enriched fully or booked, never both', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const ambient = createAmbientBuffer()
    const writer = new AmbientWriter(ambient)
    await startProcessor(undefined, { ambient, checkEveryRecords: 1 })
    let count = 0
    for (let round = 0; round < 24; round++) {
      const tier = TIERS[round % TIERS.length] ?? 'full'
      writer.publish({ tier, zone: 'red', score: 90, cause: 'planner', driver: 'waitSeconds' })
      for (let batch = 0; batch < 3; batch++) {
        await produce(VAULT, numbered(20, count), 0)
        count += 20
      }
    }
    writer.publish({ tier: 'full', zone: 'green', score: 0, cause: 'planner', driver: 'none' })
    await produce(VAULT, numbered(20, count), 0)
    count += 20
    await eventually('what came before is committed', async () => (await committed()) === count)
    writer.setEmergency(true)
    await produce(VAULT, numbered(20, count), 0)
    count += 20
    await eventually('all are committed', async () => (await committed()) === count)

    const events = (await values(ENRICHED)).map((value) => JSON.parse(value) as Event)
    const full = events.filter(({ density }) => density === 'full').map(({ vault }) => vault.offset)
    const partial = events.filter(({ density }) => density === 'partial').map(({ vault }) => vault.offset)
    const books = await ledgerBooks()
    const owed = (tier: string) =>
      books.filter((entry) => entry.tier === tier).flatMap(({ first, last }) => range(first, last))
    expect([...full, ...owed('partial'), ...owed('passthrough')].toSorted((a, b) => a - b)).toEqual(
      range(0, count - 1),
    )
    expect(partial.toSorted((a, b) => a - b)).toEqual(owed('partial'))
    expect((await values('passthrough.web')).toSorted()).toEqual(
      owed('passthrough')
        .map((offset) => `line number ${offset}`)
        .toSorted(),
    )
    expect(full.length).toBeGreaterThan(0)
    expect(partial.length).toBeGreaterThan(0)
    expect(books.at(-1)).toMatchObject({
      tier: 'passthrough',
      reason: { driver: 'emergency' },
      last: count - 1,
    })
    expect(books.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(count - full.length)
  }, 30_000)

  it('only books what it defers', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const ambient = createAmbientBuffer()
    new AmbientWriter(ambient).setEmergency(true)
    await startProcessor(undefined, { ambient, passthrough: 'defer' })

    await produce(VAULT, numbered(50))

    await eventually('all are committed', async () => (await committed()) === 50)
    expect(await ledgerBooks()).toMatchObject([{ tier: 'deferred', first: 0, last: 49, recordCount: 50 }])
    expect(await cluster.partitionCount('passthrough.web')).toBeNull()
    expect(await values(ENRICHED)).toEqual([])
  })

  it('books what was deleted before it could be processed as lost, and goes on behind it', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await produce(VAULT, numbered(10))
    await startProcessor()
    await eventually('the first are committed', async () => (await committed()) === 10)
    await processors.pop()?.stop()
    await produce(VAULT, numbered(10, 10))
    await produce(VAULT, numbered(10, 20))
    await deleteRecordsBefore(VAULT, 0, 20)

    await startProcessor()

    await eventually('the last are committed', async () => (await committed()) === 30)
    expect(await ledgerBooks()).toMatchObject([{ state: 'lost', first: 10, last: 19 }])
    expect(new Set(await bodies())).toEqual(new Set([...numbered(10), ...numbered(10, 20)]))
  })
})

describe('exactly once', () => {
  beforeEach(() => {
    guarantee = 'exactly-once'
  })

  it('fences a namesake that is still at work: its output never counts', async () => {
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const failures: Error[] = []
    await startProcessor(undefined, {
      transactionalId: 'same',
      onFailed: (error) => failures.push(error),
    })
    await produce(VAULT, numbered(10))
    await eventually('the first are committed', async () => (await committed()) === 10)

    await startProcessor(undefined, { transactionalId: 'same' })
    await eventually(
      'both partitions are served by the second',
      async () => {
        await produce(VAULT, ['x'], 0)
        await produce(VAULT, ['x'], 1)
        return failures.length === 1
      },
      { withinMs: 20_000 },
    )

    await processors.shift()?.stop()
    const ends = await listOffsets(cluster, [
      { topic: VAULT, partition: 0, at: 'latest' },
      { topic: VAULT, partition: 1, at: 'latest' },
    ])
    const recordCount = ends.reduce((sum, { offset }) => sum + offset, 0)
    await eventually(
      'all are committed',
      async () => (await committed(0)) + (await committed(1)) === recordCount,
      { withinMs: 20_000 },
    )
    expect(await bodies()).toHaveLength(recordCount)
  }, 60_000)
})

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

async function ledgerBooks() {
  const reader = new LedgerReader(cluster, { diagnostics: silentDiagnostics })
  await reader.catchUp()
  await reader.stop()
  return reader.fold.booksOf({ topology: declaration.name, topic: VAULT, partition: asPartitionId(0) })
}

async function deleteRecordsBefore(topic: string, partition: number, offset: number): Promise<void> {
  await cluster.request(
    deleteRecordsApi,
    { topics: [{ name: topic, partitions: [{ partitionIndex: partition, offset }] }], timeoutMs: 5_000 },
    { topic, partition },
  )
}
