import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createTopicsApi } from '../../../src/wire/19-create-topics.ts'
import { deleteTopicsApi } from '../../../src/wire/20-delete-topics.ts'
import { deleteRecordsApi } from '../../../src/wire/21-delete-records.ts'
import { describeConfigsApi } from '../../../src/wire/32-describe-configs.ts'
import { alterConfigsApi } from '../../../src/wire/33-alter-configs.ts'
import { createPartitionsApi } from '../../../src/wire/37-create-partitions.ts'
import { incrementalAlterConfigsApi } from '../../../src/wire/44-incremental-alter-configs.ts'
import type { RequestInputOf } from '../../../src/wire/api.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import type { RawConnection } from '../../listener/raw-connection.ts'
import {
  batchOf,
  connectTo,
  contentsOf,
  createTopic,
  fetchOne,
  metadataOf,
  produce,
  restartBroker,
  startBroker,
  stopBrokers,
} from '../broker-client.ts'

afterEach(stopBrokers)

type NewTopic = NonNullable<RequestInputOf<typeof createTopicsApi>['topics']>[number]

async function create(connection: RawConnection, topic: NewTopic, version = 7, validateOnly = false) {
  const topics = [{ name: 'orders', numPartitions: -1, replicationFactor: -1, ...topic }]
  return (await connection.request(createTopicsApi, version, { topics, validateOnly })).topics[0]
}

async function configsOf(connection: RawConnection, keys: string[] | null = null) {
  const response = await connection.request(describeConfigsApi, 4, {
    resources: [{ resourceType: 2, resourceName: 'orders', configurationKeys: keys }],
  })
  return Object.fromEntries((response.results[0]?.configs ?? []).map(({ name, value }) => [name, value]))
}

describe('CreateTopics', () => {
  it.each([2, 4, 5, 7])('creates with defaults in version %i', async (version) => {
    const connection = await connectTo(await startBroker())

    const created = await create(connection, {}, version)

    expect(created).toMatchObject({ errorCode: 0, name: 'orders' })
    expect((await metadataOf(connection, ['orders'])).topics[0]?.partitions).toHaveLength(4)
  })

  it('only checks when it is told so', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)

    expect((await create(connection, { numPartitions: 2 }, 7, true))?.errorCode).toBe(0)
    expect(broker.broker.status().topicCount).toBe(2)
  })

  it.each<[string, NewTopic, number]>([
    ['an illegal name', { name: 'a/b' }, KAFKA_ERROR.INVALID_TOPIC_EXCEPTION],
    [
      "the name of the broker's own topic",
      { name: '__consumer_offsets' },
      KAFKA_ERROR.INVALID_TOPIC_EXCEPTION,
    ],
    [
      "the name of the broker's topic of transactions",
      { name: '__transaction_state' },
      KAFKA_ERROR.INVALID_TOPIC_EXCEPTION,
    ],
    ['a name that exists', { name: 'taken' }, KAFKA_ERROR.TOPIC_ALREADY_EXISTS],
    ['no partitions', { numPartitions: 0 }, KAFKA_ERROR.INVALID_PARTITIONS],
    ['-2 partitions', { numPartitions: -2 }, KAFKA_ERROR.INVALID_PARTITIONS],
    ['2^31 - 1 partitions', { numPartitions: 2147483647 }, KAFKA_ERROR.POLICY_VIOLATION],
    ['three replicas', { replicationFactor: 3 }, KAFKA_ERROR.INVALID_REPLICATION_FACTOR],
    ['no replicas', { replicationFactor: 0 }, KAFKA_ERROR.INVALID_REPLICATION_FACTOR],
    [
      'another node',
      { assignments: [{ partitionIndex: 0, brokerIds: [2] }] },
      KAFKA_ERROR.INVALID_REPLICA_ASSIGNMENT,
    ],
    [
      'a hole in the assignments',
      { assignments: [{ partitionIndex: 1, brokerIds: [1] }] },
      KAFKA_ERROR.INVALID_REPLICA_ASSIGNMENT,
    ],
    ['an unknown setting', { configs: [{ name: 'retention.year', value: '1' }] }, KAFKA_ERROR.INVALID_CONFIG],
    [
      'a setting without a value',
      { configs: [{ name: 'retention.ms', value: null }] },
      KAFKA_ERROR.INVALID_CONFIG,
    ],
    ['a wrong value', { configs: [{ name: 'retention.ms', value: 'soon' }] }, KAFKA_ERROR.INVALID_CONFIG],
    ['recompression', { configs: [{ name: 'compression.type', value: 'zstd' }] }, KAFKA_ERROR.INVALID_CONFIG],
    [
      'two copies in sync',
      { configs: [{ name: 'min.insync.replicas', value: '2' }] },
      KAFKA_ERROR.INVALID_CONFIG,
    ],
  ])('refuses %s, and says why', async (_, topic, code) => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection, 'taken')

    const created = await create(connection, topic)

    expect(created?.errorCode).toBe(code)
    expect(created?.errorMessage?.length).toBeGreaterThan(10)
    expect(broker.broker.status().topicCount).toBe(3)
  })

  it('holds the limit of partitions over all topics of a request', async () => {
    const connection = await connectTo(await startBroker({ partitionsMax: 10 }))
    const topics = Array.from({ length: 5 }, (_, index) => ({
      name: `t${index}`,
      numPartitions: 4,
      replicationFactor: 1,
    }))

    const created = await connection.request(createTopicsApi, 7, { topics })
    const asked = await metadataOf(connection, ['u1', 'u2'])

    // Two are the broker's own.
    const codes = created.topics.map(({ errorCode }) => errorCode)
    expect(codes).toEqual([0, 0, ...Array(3).fill(KAFKA_ERROR.POLICY_VIOLATION)])
    expect(asked.topics.map(({ errorCode }) => errorCode)).toEqual(
      Array(2).fill(KAFKA_ERROR.POLICY_VIOLATION),
    )
  })

  it('refuses a topic that one request names twice', async () => {
    const connection = await connectTo(await startBroker())
    const topic = { name: 'orders', numPartitions: 1, replicationFactor: 1 }

    const { topics } = await connection.request(createTopicsApi, 7, { topics: [topic, topic] })

    expect(topics.map(({ errorCode }) => errorCode)).toEqual([KAFKA_ERROR.INVALID_REQUEST])
  })
})

describe('DeleteTopics', () => {
  it('removes a topic with its records; made again it is empty and has another id', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    const { topicId: firstId } = await createTopic(connection)
    await produce(connection, batchOf(['old']))

    const { responses } = await connection.request(deleteTopicsApi, 5, { topicNames: ['orders', 'nowhere'] })
    const { topicId: secondId } = await createTopic(connection)

    expect(responses.map(({ errorCode }) => errorCode)).toEqual([0, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION])
    expect(secondId).not.toEqual(firstId)
    expect(contentsOf((await fetchOne(connection)).records)).toEqual([])
    const again = await restartBroker(broker)
    expect(contentsOf((await fetchOne(await connectTo(again))).records)).toEqual([])
  })

  it('takes ids in version 6', async () => {
    const connection = await connectTo(await startBroker())
    const { topicId } = await createTopic(connection)

    const { responses } = await connection.request(deleteTopicsApi, 6, {
      topics: [
        { name: null, topicId },
        { name: null, topicId: Buffer.alloc(16, 9) },
      ],
    })

    expect(responses.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['orders', 0],
      [null, KAFKA_ERROR.UNKNOWN_TOPIC_ID],
    ])
  })

  it('does not touch the topic of the broker itself', async () => {
    const connection = await connectTo(await startBroker())

    const { responses } = await connection.request(deleteTopicsApi, 5, { topicNames: ['__consumer_offsets'] })

    expect(responses[0]?.errorCode).toBe(KAFKA_ERROR.INVALID_TOPIC_EXCEPTION)
  })
})

describe('CreatePartitions', () => {
  it('adds partitions that can be used at once and are there after a restart', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection)

    const { results } = await connection.request(createPartitionsApi, 3, {
      topics: [{ name: 'orders', count: 3, assignments: null }],
    })
    await produce(connection, batchOf(['a']), { partition: 2 })
    const after = await connectTo(await restartBroker(broker))

    expect(results[0]?.errorCode).toBe(0)
    expect(contentsOf((await fetchOne(after, { partition: 2 })).records)).toEqual(['0:a'])
  })

  it.each([
    ['fewer than there are', 'orders', 1, KAFKA_ERROR.INVALID_PARTITIONS],
    ['too many', 'orders', 1_000_000, KAFKA_ERROR.POLICY_VIOLATION],
    ['an unknown topic', 'nowhere', 3, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION],
  ])('refuses %s', async (_, name, count, code) => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', { partitionCount: 2 })

    const { results } = await connection.request(createPartitionsApi, 3, {
      topics: [{ name, count, assignments: null }],
    })

    expect(results[0]?.errorCode).toBe(code)
  })
})

describe('settings', () => {
  it('are described with their values, whose they are, and what they mean', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', { configs: { 'retention.ms': '1000', 'flush.ms': '5' } })

    const response = await connection.request(describeConfigsApi, 3, {
      resources: [{ resourceType: 2, resourceName: 'orders', configurationKeys: null }],
      includeDocumentation: true,
    })

    const configs = response.results[0]?.configs ?? []
    expect(configs.find(({ name }) => name === 'retention.ms')).toMatchObject({
      value: '1000',
      configSource: 1,
    })
    expect(configs.find(({ name }) => name === 'retention.bytes')).toMatchObject({
      value: '-1',
      configSource: 5,
    })
    expect(configs.find(({ name }) => name === 'flush.ms')).toMatchObject({ value: '5', configSource: 1 })
    expect(configs.every(({ documentation }) => (documentation ?? '').length > 10)).toBe(true)
  })

  it('can be replaced as a whole', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', { configs: { 'retention.ms': '1000' } })

    const { responses } = await connection.request(alterConfigsApi, 1, {
      resources: [
        { resourceType: 2, resourceName: 'orders', configs: [{ name: 'segment.bytes', value: '2000000' }] },
      ],
    })

    expect(responses[0]?.errorCode).toBe(0)
    expect(await configsOf(connection, ['retention.ms', 'segment.bytes'])).toEqual({
      'retention.ms': '604800000',
      'segment.bytes': '2000000',
    })
  })

  it('can be changed one by one, work at once and stay over a restart', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection, 'orders', {
      configs: { 'retention.ms': '1000', 'cleanup.policy': 'delete' },
    })

    const { responses } = await connection.request(incrementalAlterConfigsApi, 1, {
      resources: [
        {
          resourceType: 2,
          resourceName: 'orders',
          configs: [
            { name: 'max.message.bytes', configOperation: 0, value: '2048' },
            { name: 'retention.ms', configOperation: 1, value: null },
            { name: 'cleanup.policy', configOperation: 2, value: 'compact' },
          ],
        },
      ],
    })
    const refused = await produce(connection, batchOf(['x'.repeat(3000)], { keys: ['k'] }))
    const after = await connectTo(await restartBroker(broker))

    expect(responses[0]?.errorCode).toBe(0)
    expect(refused.errorCode).toBe(KAFKA_ERROR.MESSAGE_TOO_LARGE)
    expect(await configsOf(after, ['max.message.bytes', 'retention.ms', 'cleanup.policy'])).toEqual({
      'max.message.bytes': '2048',
      'retention.ms': '604800000',
      'cleanup.policy': 'delete,compact',
    })
  })

  it.each([
    [
      'of the broker',
      4,
      '1',
      { name: 'retention.ms', configOperation: 0, value: '1' },
      KAFKA_ERROR.INVALID_REQUEST,
    ],
    [
      'of an unknown topic',
      2,
      'nowhere',
      { name: 'retention.ms', configOperation: 0, value: '1' },
      KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION,
    ],
    [
      'of the topic of the broker',
      2,
      '__consumer_offsets',
      { name: 'retention.ms', configOperation: 0, value: '1' },
      KAFKA_ERROR.INVALID_TOPIC_EXCEPTION,
    ],
    [
      'that do not exist',
      2,
      'orders',
      { name: 'speed', configOperation: 0, value: '1' },
      KAFKA_ERROR.INVALID_CONFIG,
    ],
    [
      'by an operation that does not exist',
      2,
      'orders',
      { name: 'retention.ms', configOperation: 9, value: '1' },
      KAFKA_ERROR.INVALID_CONFIG,
    ],
    [
      'that are no list, by appending',
      2,
      'orders',
      { name: 'retention.ms', configOperation: 2, value: '1' },
      KAFKA_ERROR.INVALID_CONFIG,
    ],
  ])('%s cannot be changed', async (_, resourceType, resourceName, config, code) => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)

    const { responses } = await connection.request(incrementalAlterConfigsApi, 1, {
      resources: [{ resourceType, resourceName, configs: [config] }],
    })

    expect(responses[0]?.errorCode).toBe(code)
  })

  it('of the broker can be read', async () => {
    const connection = await connectTo(await startBroker())

    const { results } = await connection.request(describeConfigsApi, 2, {
      resources: [{ resourceType: 4, resourceName: '1', configurationKeys: ['num.partitions'] }],
    })

    expect(results[0]?.configs).toEqual([
      expect.objectContaining({ name: 'num.partitions', value: '4', readOnly: true }),
    ])
  })
})

describe('changes of one topic at the same time', () => {
  const growTo = async (connection: RawConnection, count: number) => {
    const topics = [{ name: 'orders', count, assignments: null }]
    return (await connection.request(createPartitionsApi, 3, { topics })).results[0]?.errorCode
  }
  const set = async (connection: RawConnection, name: string, value: string) => {
    const configs = [{ name, configOperation: 0, value }]
    const resources = [{ resourceType: 2, resourceName: 'orders', configs }]
    return (await connection.request(incrementalAlterConfigsApi, 1, { resources })).responses[0]?.errorCode
  }
  const remove = async (connection: RawConnection) =>
    (await connection.request(deleteTopicsApi, 5, { topicNames: ['orders'] })).responses[0]?.errorCode

  async function twoConnections() {
    const broker = await startBroker()
    const connections = [await connectTo(broker), await connectTo(broker)] as const
    await createTopic(connections[0])
    return { broker, connections }
  }

  it('add each partition once', async () => {
    const { connections } = await twoConnections()
    const [one, other] = connections

    const codes = await Promise.all([growTo(one, 3), growTo(other, 3)])
    await produce(one, batchOf(['a']), { partition: 2 })

    const { topics } = await metadataOf(one, ['orders'])
    expect(codes.sort((a, b) => (a ?? 0) - (b ?? 0))).toEqual([0, KAFKA_ERROR.INVALID_PARTITIONS])
    expect(topics[0]?.partitions.map(({ partitionIndex }) => partitionIndex)).toEqual([0, 1, 2])
    expect(contentsOf((await fetchOne(other, { partition: 2 })).records)).toEqual(['0:a'])
  })

  it('keep both settings', async () => {
    const { broker, connections } = await twoConnections()
    const [one, other] = connections

    const codes = await Promise.all([set(one, 'retention.ms', '1000'), set(other, 'flush.ms', '7')])

    const expected = { 'retention.ms': '1000', 'flush.ms': '7' }
    expect(codes).toEqual([0, 0])
    expect(await configsOf(one, Object.keys(expected))).toEqual(expected)
    const after = await connectTo(await restartBroker(broker))
    expect(await configsOf(after, Object.keys(expected))).toEqual(expected)
  })

  it('give a new setting to partitions that are on their way', async () => {
    const { connections } = await twoConnections()
    const [one, other] = connections

    const codes = await Promise.all([growTo(one, 40), set(other, 'max.message.bytes', '2048')])

    const batch = batchOf(['x'.repeat(3000)])
    expect(codes).toEqual([0, 0])
    expect(await produce(one, batch, { partition: 39 })).toMatchObject({
      errorCode: KAFKA_ERROR.MESSAGE_TOO_LARGE,
    })
  })

  it('leave nothing of a topic that is deleted while it grows', async () => {
    const { broker, connections } = await twoConnections()
    const [one, other] = connections

    const growing = growTo(one, 20)
    const removing = remove(other)
    const codes = [await growing, await removing]
    await createTopic(one)
    const again = await restartBroker(broker)

    const { topics } = await metadataOf(await connectTo(again), ['orders'])
    expect([0, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION]).toContain(codes[0])
    expect(codes[1]).toBe(0)
    expect(topics[0]?.partitions).toHaveLength(1)
    expect(await readdir(join(broker.directory, 'topics', 'orders'))).toHaveLength(1)
  })
})

describe('DeleteRecords', () => {
  it('moves the start of the log for good', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection)
    for (const value of ['a', 'b', 'c']) await produce(connection, batchOf([value]))
    const deleteBelow = async (offset: number, partitionIndex = 0) =>
      (
        await connection.request(deleteRecordsApi, 2, {
          topics: [{ name: 'orders', partitions: [{ partitionIndex, offset }] }],
        })
      ).topics[0]?.partitions[0]

    expect(await deleteBelow(2)).toMatchObject({ errorCode: 0, lowWatermark: 2 })
    expect(await deleteBelow(9)).toMatchObject({ errorCode: KAFKA_ERROR.OFFSET_OUT_OF_RANGE })
    expect(await deleteBelow(1, 7)).toMatchObject({ errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION })
    expect(await deleteBelow(-1)).toMatchObject({ errorCode: 0, lowWatermark: 3 })
    const after = await connectTo(await restartBroker(broker))
    expect((await fetchOne(after, { offset: 3 })).logStartOffset).toBe(3)
  })
})
