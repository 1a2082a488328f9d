/** kafkajs against the embedded broker: every codec, groups with rebalances, a restart in between, administration. */

import type { Consumer, Kafka as KafkaType } from 'kafkajs'
import kafkajs from 'kafkajs'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { COMPRESSION, compressionAt } from '../../src/batch/record-batch.ts'
import {
  connectTo,
  createTopic,
  fetchOne,
  restartBroker,
  startBroker,
  stopBrokers,
} from '../broker/broker-client.ts'
import type { TestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'
import { addKafkajsCodecs } from '../support/kafkajs-codecs.ts'

const { Kafka, logLevel, CompressionTypes } = kafkajs

const open: { disconnect(): Promise<void> }[] = []

beforeAll(addKafkajsCodecs)

afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.disconnect()))
  await stopBrokers()
})

function kafkaOf(broker: TestBroker): KafkaType {
  return new Kafka({
    clientId: 'kafkajs',
    brokers: [broker.address],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50 },
  })
}

async function started() {
  const broker = await startBroker()
  const kafka = kafkaOf(broker)
  const admin = kafka.admin()
  const producer = kafka.producer()
  open.push(admin, producer)
  await Promise.all([admin.connect(), producer.connect()])
  return { broker, kafka, admin, producer }
}

interface Reader {
  readonly consumer: Consumer
  readonly values: string[]
  assignment: Record<string, number[]>
  joinCount: number
}

async function startReader(kafka: KafkaType, topic: string, groupId = 'group'): Promise<Reader> {
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: 6000,
    heartbeatInterval: 100,
    rebalanceTimeout: 5000,
    maxWaitTimeInMs: 100,
  })
  open.push(consumer)
  const reader: Reader = { consumer, values: [], assignment: {}, joinCount: 0 }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    reader.assignment = payload.memberAssignment as Record<string, number[]>
    reader.joinCount += 1
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      reader.values.push(message.value?.toString() ?? '')
    },
  })
  return reader
}

const valuesFrom = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => `value ${from + index}`)
const messagesOf = (values: readonly string[]) => values.map((value) => ({ key: value, value }))

describe('kafkajs', () => {
  it.each([
    ['no compression', CompressionTypes.None, COMPRESSION.none],
    ['gzip', CompressionTypes.GZIP, COMPRESSION.gzip],
    ['snappy', CompressionTypes.Snappy, COMPRESSION.snappy],
    ['lz4', CompressionTypes.LZ4, COMPRESSION.lz4],
    ['zstd', CompressionTypes.ZSTD, COMPRESSION.zstd],
  ])('produces with %s in its default settings and reads it back', async (_, compression, codec) => {
    const { broker, kafka, producer } = await started()
    const connection = await connectTo(broker)
    await createTopic(connection)
    const values = valuesFrom(0, 200)

    await producer.send({ topic: 'orders', compression, messages: messagesOf(values) })

    const reader = await startReader(kafka, 'orders')
    await eventually('all values', () => reader.values.length === 200)
    expect(reader.values).toEqual(values)
    expect(compressionAt((await fetchOne(connection)).records as Buffer, 0)).toBe(codec)
  })

  it('produces idempotently to a topic that is created for it', async () => {
    const { broker, kafka } = await started()
    const producer = kafka.producer({ idempotent: true })
    open.push(producer)
    await producer.connect()

    for (let count = 0; count < 20; count += 1)
      await producer.send({ topic: 'made', messages: messagesOf([`v${count}`]) })

    const reader = await startReader(kafka, 'made')
    await eventually('all values', () => reader.values.length === 20)
    expect(new Set(reader.values).size).toBe(20)
    expect(broker.broker.status().topicCount).toBe(3)
  })

  it('shares partitions among the members of a group, and again when one leaves', async () => {
    const { kafka, producer, admin } = await started()
    await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 6 }] })
    const readers = [
      await startReader(kafka, 'orders'),
      await startReader(kafka, 'orders'),
      await startReader(kafka, 'orders'),
    ]
    const partitionsOf = (some: readonly Reader[]) =>
      some.map(({ assignment }) => assignment['orders']?.length ?? 0)
    await eventually('two partitions each', () => partitionsOf(readers).every((count) => count === 2))

    const [leaver, ...stayers] = readers as [Reader, Reader, Reader]
    await leaver.consumer.disconnect()
    await eventually('three partitions each', () => partitionsOf(stayers).every((count) => count === 3))
    const values = valuesFrom(0, 300)
    await producer.send({ topic: 'orders', messages: messagesOf(values) })

    await eventually('all values', () => stayers[0].values.length + stayers[1].values.length === 300)
    expect([...stayers[0].values, ...stayers[1].values].sort()).toEqual([...values].sort())
  }, 60_000)

  it('goes on after a restart of the broker: the group keeps its offsets, the topic its records', async () => {
    const { broker, kafka, producer } = await started()
    await producer.send({ topic: 'orders', messages: messagesOf(valuesFrom(0, 100)) })
    const first = await startReader(kafka, 'orders')
    await eventually('the first values', () => first.values.length === 100)
    await first.consumer.disconnect()

    await restartBroker(broker)
    await producer.send({ topic: 'orders', messages: messagesOf(valuesFrom(100, 50)) })
    const second = await startReader(kafka, 'orders')
    await eventually('the values after the restart', () => second.values.length >= 50)

    expect([...second.values].sort()).toEqual(valuesFrom(100, 50).sort())
  }, 60_000)

  it('reads on with the same consumer while the broker restarts under it', async () => {
    const { broker, kafka, producer } = await started()
    await producer.send({ topic: 'orders', messages: messagesOf(valuesFrom(0, 20)) })
    const reader = await startReader(kafka, 'orders')
    await eventually('the first values', () => reader.values.length === 20)

    await restartBroker(broker)
    await producer.send({ topic: 'orders', messages: messagesOf(valuesFrom(20, 20)) })

    await eventually('the later values', () => new Set(reader.values).size === 40, { withinMs: 40_000 })
    expect(new Set(reader.values)).toEqual(new Set(valuesFrom(0, 40)))
  }, 60_000)

  it('administers topics, settings, groups, offsets and records', async () => {
    const { kafka, admin, producer } = await started()
    await admin.createTopics({
      topics: [
        { topic: 'orders', numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '5000' }] },
      ],
    })
    await producer.send({ topic: 'orders', messages: messagesOf(valuesFrom(0, 40)) })
    const reader = await startReader(kafka, 'orders')
    await eventually('all values', () => reader.values.length === 40)

    const described = await admin.describeGroups(['group'])
    await reader.consumer.disconnect()
    const listed = await admin.listGroups()
    const offsets = await admin.fetchOffsets({ groupId: 'group', topics: ['orders'] })
    const ends = await admin.fetchTopicOffsets('orders')
    await admin.setOffsets({ groupId: 'group', topic: 'orders', partitions: [{ partition: 0, offset: '1' }] })
    const moved = await admin.fetchOffsets({ groupId: 'group', topics: ['orders'] })
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: 'orders', configEntries: [{ name: 'retention.ms', value: '7000' }] }],
    })
    const configs = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: 'orders', configNames: ['retention.ms'] }],
    })
    await admin.createPartitions({ topicPartitions: [{ topic: 'orders', count: 3 }] })
    await admin.deleteTopicRecords({ topic: 'orders', partitions: [{ partition: 0, offset: '2' }] })
    const after = await admin.fetchTopicOffsets('orders')
    const byTime = await admin.fetchTopicOffsetsByTimestamp('orders', 0)
    await admin.deleteGroups(['group'])
    const groupsLeft = await admin.listGroups()
    const cluster = await admin.describeCluster()
    await admin.deleteTopics({ topics: ['orders'] })
    const topicsLeft = await admin.listTopics()

    expect(described.groups[0]).toMatchObject({ state: 'Stable', protocol: 'RoundRobinAssigner' })
    expect(listed.groups).toEqual([{ groupId: 'group', protocolType: 'consumer' }])
    expect(offsets[0]?.partitions.map(({ offset }) => offset)).toEqual(ends.map(({ offset }) => offset))
    expect(moved[0]?.partitions.find(({ partition }) => partition === 0)?.offset).toBe('1')
    expect(configs.resources[0]?.configEntries[0]).toMatchObject({
      configName: 'retention.ms',
      configValue: '7000',
    })
    expect(after.find(({ partition }) => partition === 0)?.low).toBe('2')
    expect(after).toHaveLength(3)
    expect(byTime.find(({ partition }) => partition === 0)?.offset).toBe('2')
    expect(groupsLeft.groups).toEqual([])
    expect(cluster.brokers).toHaveLength(1)
    expect(topicsLeft.sort()).toEqual(['__consumer_offsets', '__transaction_state'])
  }, 60_000)
})
