import { afterEach, expect, test } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Producer } from '../../src/kafka/producer.ts'
import {
  type InstanceStatus,
  readStatuses,
  STATUS_TOPIC,
  StatusWriter,
} from '../../src/pressure/status-topic.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { startTestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function connect(): Promise<KafkaCluster> {
  const broker = await startTestBroker()
  cleanups.push(() => broker.stop())
  const cluster = new KafkaCluster({
    bootstrapServers: [broker.address],
    clientId: 'test',
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
  })
  await cluster.connect()
  cleanups.push(() => cluster.close())
  return cluster
}

function statusOf(instance: string): InstanceStatus {
  return {
    instance,
    host: 'a',
    processId: 1,
    roles: ['processor'],
    atMs: 5,
    zone: 'green',
    tier: 'full',
    score: 3,
    pressureText: 'green: calm',
    tierText: 'full: records wait 0 s',
    backlogRecordCount: 0,
    arrivalRate: 0,
    emergency: null,
  }
}

test('each instance’s latest status is there, and is taken back when it stops', async () => {
  const cluster = await connect()
  const statuses = { a: statusOf('a'), b: statusOf('b') }
  const [a, b] = (['a', 'b'] as const).map((name) =>
    StatusWriter.start({ cluster, diagnostics: silentDiagnostics, status: () => statuses[name] }),
  )

  await eventually('both are there', async () => (await readStatuses(cluster)).length === 2)
  statuses.b = { ...statuses.b, zone: 'red', tier: 'passthrough' }
  b?.writeNow()
  const changed = await eventually('the change is there', async () => {
    const found = await readStatuses(cluster)
    return found[1]?.zone === 'red' && found
  })
  await a?.stop()
  const left = await readStatuses(cluster)
  await b?.stop()

  expect(changed).toEqual([statuses.a, statuses.b])
  expect(left.map(({ instance }) => instance)).toEqual(['b'])
  expect(await readStatuses(cluster)).toEqual([])
})

test('nobody ever wrote: there is nothing to read, and nothing is created', async () => {
  const cluster = await connect()

  expect(await readStatuses(cluster)).toEqual([])
  expect(await cluster.partitionCount(STATUS_TOPIC)).toBeNull()
})

test('a record that is none of ours is passed over', async () => {
  const cluster = await connect()
  await cluster.ensureTopic(STATUS_TOPIC, { partitionCount: 1 })
  const producer = new Producer(cluster)
  cleanups.push(() => producer.stop())
  const encoder = new BatchEncoder({ bytesInitial: 1_024 })
  encoder.start()
  for (const [key, value] of [
    ['x', 'no JSON'],
    ['y', JSON.stringify({ version: 1, ...statusOf('somebody else') })],
    ['z', JSON.stringify({ version: 1, ...statusOf('z'), zone: 'purple' })],
    ['good', JSON.stringify({ version: 1, ...statusOf('good') })],
  ] as const) {
    encoder.append(0, Buffer.from(key), Buffer.from(value))
  }
  await producer.send(STATUS_TOPIC, 0, Buffer.from(encoder.finish()))

  expect((await readStatuses(cluster)).map(({ instance }) => instance)).toEqual(['good'])
})
