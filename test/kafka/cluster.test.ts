import { afterEach, expect, test } from 'vitest'
import type { KafkaCluster, KafkaClusterOptions } from '../../src/kafka/cluster.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { findCoordinatorApi } from '../../src/wire/10-find-coordinator.ts'
import { heartbeatApi } from '../../src/wire/12-heartbeat.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { createTopicsApi } from '../../src/wire/19-create-topics.ts'
import { createPartitionsApi } from '../../src/wire/37-create-partitions.ts'
import { KAFKA_ERROR } from '../../src/wire/error-codes.ts'
import { freePort } from '../support/free-port.ts'
import type { FakeBrokerOptions } from './fake-broker.ts'
import { drop, FakeBroker } from './fake-broker.ts'
import { openCluster } from './support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startFake(options: FakeBrokerOptions = { topics: { orders: 2 } }): Promise<FakeBroker> {
  const broker = await FakeBroker.start(options)
  cleanups.push(() => broker.stop())
  return broker
}

function clusterOf(
  bootstrapServers: readonly string[],
  options: Partial<KafkaClusterOptions> = {},
): KafkaCluster {
  const cluster = openCluster(bootstrapServers, { backoff: { initialMs: 5, maxMs: 20 }, ...options })
  cleanups.push(() => cluster.close())
  return cluster
}

test('any of the bootstrap servers is enough', async () => {
  const broker = await startFake()
  const cluster = clusterOf([
    `127.0.0.1:${await freePort()}`,
    broker.address,
    `127.0.0.1:${await freePort()}`,
  ])
  await cluster.connect()
  expect([...cluster.brokers().keys()]).toEqual([1])
})

test('when no server answers, connecting fails and says so', async () => {
  const cluster = clusterOf([`127.0.0.1:${await freePort()}`])
  await expect(cluster.connect()).rejects.toMatchObject({ code: 'GS_KAFKA_DISCONNECTED', retriable: true })
})

test('a server address that is none is refused with an example', () => {
  expect(() => openCluster(['localhost'])).toThrow(
    expect.objectContaining({
      code: 'GS_CONFIG_INVALID',
      message: expect.stringContaining('127.0.0.1:9092'),
    }),
  )
  expect(() => openCluster([])).toThrow(expect.objectContaining({ code: 'GS_CONFIG_INVALID' }))
})

test('many questions about metadata at once become one request, those that come during it one more', async () => {
  const broker = await startFake({ topics: { a: 1, b: 1, c: 1 } })
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  const before = broker.requestsOf(metadataApi).length
  const gate = Promise.withResolvers<void>()
  broker.script(metadataApi, async ({ answer }) => {
    await gate.promise
    return answer()
  })
  const first = ['a', 'b', 'a'].map((topic) => cluster.refreshMetadata([topic]))
  await expect.poll(() => broker.requestsOf(metadataApi).length).toBe(before + 1)
  const second = ['b', 'c'].map((topic) => cluster.refreshMetadata([topic]))
  gate.resolve()
  await Promise.all([...first, ...second])
  const asked = broker.requestsOf(metadataApi).slice(before)
  expect(asked.map(({ value }) => value.topics?.map(({ name }) => name))).toEqual([
    ['a', 'b'],
    ['b', 'c'],
  ])
})

test('what is known and young enough is not asked for again', async () => {
  const broker = await startFake()
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  await cluster.metadata(['orders'])
  const before = broker.requestsOf(metadataApi).length
  expect(await cluster.partitionCount('orders')).toBe(2)
  await cluster.metadata(['orders'])
  expect(broker.requestsOf(metadataApi)).toHaveLength(before)
  await cluster.metadata(['orders'], { ageMsMax: -1 })
  expect(broker.requestsOf(metadataApi)).toHaveLength(before + 1)
  expect(await cluster.partitionCount('nowhere')).toBeNull()
})

test('known topics are looked at again when they are old, and listeners hear of changes', async () => {
  const broker = await startFake()
  const cluster = clusterOf([broker.address], { metadataAgeMsMax: 20 })
  await cluster.connect()
  await cluster.metadata(['orders'])
  const heard: (number | undefined)[] = []
  const stop = cluster.onTopicsChanged(({ topics }) => heard.push(topics.get('orders')?.partitions.length))
  broker.topics.set('orders', 5)
  await expect.poll(() => heard).toEqual([5])
  stop()
  broker.topics.set('orders', 6)
  await expect.poll(() => cluster.snapshot.topics.get('orders')?.partitions.length).toBe(6)
  expect(heard).toEqual([5])
})

test('asking for metadata never creates a topic', async () => {
  const broker = await startFake()
  const cluster = clusterOf([broker.address])
  await cluster.metadata(['orders'])
  expect(broker.requestsOf(metadataApi).every(({ value }) => !value.allowAutoTopicCreation)).toBe(true)
})

test('a connection that breaks is made again for the next request', async () => {
  const broker = await startFake()
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  broker.script(metadataApi, drop)
  await expect(cluster.refreshMetadata(null)).rejects.toMatchObject({ code: 'GS_KAFKA_DISCONNECTED' })
  await expect(cluster.refreshMetadata(null)).resolves.toBeDefined()
})

test('while a server cannot be reached, attempts are spaced out', async () => {
  const port = await freePort()
  const cluster = clusterOf([`127.0.0.1:${port}`], { backoff: { initialMs: 100, maxMs: 100 } })
  await expect(cluster.connect()).rejects.toThrow()
  const startedAt = performance.now()
  await expect(cluster.connect()).rejects.toThrow()
  expect(performance.now() - startedAt).toBeGreaterThan(70)
})

test('requests of different lanes do not wait for each other', async () => {
  const broker = await startFake()
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  const gate = Promise.withResolvers<void>()
  broker.script(heartbeatApi, async () => {
    await gate.promise
    return {}
  })
  const lane = cluster.openLane('slow')
  const slow = cluster.request(heartbeatApi, {}, { nodeId: 1 }, { lane })
  await expect.poll(() => broker.requestsOf(heartbeatApi).length).toBe(1)
  await cluster.refreshMetadata(null)
  gate.resolve()
  await slow
  await cluster.closeLane(lane)
  await expect(cluster.request(heartbeatApi, {}, { nodeId: 1 }, { lane })).rejects.toMatchObject({
    code: 'GS_STOPPED',
  })
})

test('a request for a partition goes to its leader, or says why it cannot', async () => {
  const broker = await startFake({ topics: { orders: 2 } })
  broker.always(heartbeatApi, () => ({}))
  broker.leaders.set('orders-1', -1)
  const cluster = clusterOf([broker.address])
  await cluster.request(heartbeatApi, {}, { topic: 'orders', partition: 0 })
  await expect(cluster.request(heartbeatApi, {}, { topic: 'orders', partition: 1 })).rejects.toMatchObject({
    kafkaErrorName: 'LEADER_NOT_AVAILABLE',
  })
  await expect(cluster.request(heartbeatApi, {}, { topic: 'nowhere', partition: 0 })).rejects.toMatchObject({
    kafkaErrorName: 'UNKNOWN_TOPIC_OR_PARTITION',
  })
  await expect(cluster.request(heartbeatApi, {}, { nodeId: 9 })).rejects.toMatchObject({
    code: 'GS_KAFKA_DISCONNECTED',
  })
})

test.each([
  ['one at a time', 3],
  ['in a list', 6],
] as const)(
  'a coordinator is looked up once, asked for %s, and again when it was wrong',
  async (_how, versionMax) => {
    const versions = new Map(
      [apiVersionsApi, metadataApi, heartbeatApi].map(
        (api) => [api.key as number, [0, api.versionMax]] as const,
      ),
    )
    const broker = await startFake({
      versions: new Map([...versions, [findCoordinatorApi.key as number, [0, versionMax]]]),
    })
    const found = { nodeId: 1, host: '127.0.0.1', port: broker.port }
    broker.always(findCoordinatorApi, ({ value }) => ({
      ...found,
      coordinators: value.coordinatorKeys.map((key) => ({ key, ...found })),
    }))
    broker.always(heartbeatApi, () => ({}))
    const cluster = clusterOf([broker.address])
    await cluster.connect()
    const target = { coordinator: 'group' }
    await Promise.all([1, 2, 3].map(() => cluster.request(heartbeatApi, {}, target)))
    expect(broker.requestsOf(findCoordinatorApi)).toHaveLength(1)
    broker.script(heartbeatApi, drop)
    let attempts = 0
    await cluster.retrying(target, async () => {
      attempts++
      await cluster.request(heartbeatApi, {}, target)
    })
    expect(attempts).toBe(2)
    expect(broker.requestsOf(findCoordinatorApi)).toHaveLength(2)
  },
)

test('a coordinator that does not exist yet is not remembered', async () => {
  const broker = await startFake()
  broker.always(findCoordinatorApi, ({ value }) => ({
    coordinators: value.coordinatorKeys.map((key) => ({
      key,
      errorCode: KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE,
    })),
  }))
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  for (const attempt of [1, 2]) {
    await expect(cluster.request(heartbeatApi, {}, { coordinator: 'group' })).rejects.toMatchObject({
      kafkaErrorName: 'COORDINATOR_NOT_AVAILABLE',
    })
    expect(broker.requestsOf(findCoordinatorApi)).toHaveLength(attempt)
  }
})

test('a topic that somebody else has just created is as good as created', async () => {
  const broker = await startFake({ topics: {} })
  broker.always(createTopicsApi, ({ value }) => {
    for (const { name } of value.topics) broker.topics.set(name, 3)
    return { topics: value.topics.map(({ name }) => ({ name, errorCode: KAFKA_ERROR.TOPIC_ALREADY_EXISTS })) }
  })
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  expect(await cluster.ensureTopic('new', { partitionCount: 1, configs: { 'retention.ms': '1' } })).toBe(3)
  expect(broker.requestsOf(createTopicsApi)[0]?.value.topics[0]).toMatchObject({
    name: 'new',
    numPartitions: 1,
    replicationFactor: -1,
    configs: [{ name: 'retention.ms', value: '1' }],
  })
})

test('creating a topic waits until every partition has a leader', async () => {
  const broker = await startFake({ topics: {} })
  broker.leaders.set('new-1', -1)
  broker.script(createTopicsApi, ({ value }) => {
    broker.topics.set('new', 2)
    return { topics: value.topics.map(({ name }) => ({ name })) }
  })
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  let isReady = false
  const ensuring = cluster.ensureTopic('new').then(() => {
    isReady = true
  })
  await expect.poll(() => cluster.snapshot.topics.has('new')).toBe(true)
  expect(isReady).toBe(false)
  broker.leaders.delete('new-1')
  await ensuring
})

test('a topic that somebody else has just given enough partitions has enough', async () => {
  const broker = await startFake({ topics: { grown: 1 } })
  broker.always(createPartitionsApi, ({ value }) => {
    for (const { name, count } of value.topics) broker.topics.set(name, count)
    return { results: value.topics.map(({ name }) => ({ name, errorCode: KAFKA_ERROR.INVALID_PARTITIONS })) }
  })
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  expect(await cluster.ensureTopic('grown', { partitionCountMin: 3 })).toBe(3)
})

test('of two at once who want a topic, the one who needs more partitions gets them', async () => {
  const broker = await startFake({ topics: {} })
  broker.always(createTopicsApi, ({ value }) => {
    for (const { name, numPartitions } of value.topics) broker.topics.set(name, numPartitions)
    return { topics: value.topics.map(({ name }) => ({ name })) }
  })
  broker.always(createPartitionsApi, ({ value }) => {
    for (const { name, count } of value.topics) broker.topics.set(name, count)
    return { results: value.topics.map(({ name }) => ({ name })) }
  })
  const cluster = clusterOf([broker.address])
  await cluster.connect()
  const counts = [1, 3, 2].map((count) =>
    cluster.ensureTopic('shared', { partitionCount: count, partitionCountMin: count }),
  )
  expect(await Promise.all(counts)).toEqual([1, 3, 3])
})

test('a refusal to add partitions is told with the reason', async () => {
  const broker = await startFake({ topics: { grown: 1 } })
  broker.always(createPartitionsApi, ({ value }) => ({
    results: value.topics.map(({ name }) => ({
      name,
      errorCode: KAFKA_ERROR.POLICY_VIOLATION,
      errorMessage: 'enough',
    })),
  }))
  const cluster = clusterOf([broker.address])
  await expect(cluster.ensureTopic('grown', { partitionCountMin: 3 })).rejects.toMatchObject({
    kafkaErrorName: 'POLICY_VIOLATION',
    brokerMessage: 'enough',
  })
})

test('a refusal to create a topic is told with the reason', async () => {
  const broker = await startFake({ topics: {} })
  broker.always(createTopicsApi, ({ value }) => ({
    topics: value.topics.map(({ name }) => ({
      name,
      errorCode: KAFKA_ERROR.INVALID_REPLICATION_FACTOR,
      errorMessage: 'only 1 broker',
    })),
  }))
  const cluster = clusterOf([broker.address])
  await expect(cluster.ensureTopic('new', { replicationFactor: 3 })).rejects.toMatchObject({
    kafkaErrorName: 'INVALID_REPLICATION_FACTOR',
    brokerMessage: 'only 1 broker',
    message: expect.stringContaining('only 1 broker'),
  })
})
