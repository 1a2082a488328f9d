import { afterEach, describe, expect, it } from 'vitest'
import { metadataApi } from '../../../src/wire/03-metadata.ts'
import { describeGroupsApi } from '../../../src/wire/15-describe-groups.ts'
import { describeClusterApi } from '../../../src/wire/60-describe-cluster.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import {
  batchOf,
  connectTo,
  createTopic,
  metadataOf,
  produce,
  restartBroker,
  startBroker,
  stopBrokers,
} from '../broker-client.ts'

afterEach(stopBrokers)

const NOT_ASKED = -2147483648

describe('Metadata', () => {
  it.each(Array.from({ length: 13 }, (_, version) => version))(
    'creates a topic that is asked for, in version %i',
    async (version) => {
      const broker = await startBroker()
      const connection = await connectTo(broker)

      const response = await metadataOf(connection, ['orders'], version)

      expect(response.brokers).toEqual([
        expect.objectContaining({ nodeId: 1, host: '127.0.0.1', port: broker.port }),
      ])
      expect(response.topics[0]).toMatchObject({ errorCode: 0, name: 'orders' })
      expect(
        response.topics[0]?.partitions.map(({ partitionIndex, leaderId }) => [partitionIndex, leaderId]),
      ).toEqual([
        [0, 1],
        [1, 1],
        [2, 1],
        [3, 1],
      ])
      // The topic can be used at once.
      expect((await produce(connection, batchOf(['a']), { partition: 3 })).errorCode).toBe(0)
    },
  )

  it('creates nothing when the request or the broker forbids it', async () => {
    const connection = await connectTo(await startBroker())
    const forbidding = await connectTo(await startBroker({ autoCreateTopics: false }))

    const byRequest = await connection.request(metadataApi, 4, {
      topics: [{ name: 'orders' }],
      allowAutoTopicCreation: false,
    })
    const byBroker = await metadataOf(forbidding, ['orders'])

    expect(byRequest.topics[0]?.errorCode).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
    expect(byBroker.topics[0]?.errorCode).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('means all topics by null, and in version 0 by an empty list; later an empty list means none', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'one')
    const namesIn = (response: { topics: readonly { name: string | null }[] }) =>
      response.topics.map(({ name }) => name)

    expect(namesIn(await metadataOf(connection, null, 1))).toContain('one')
    expect(namesIn(await metadataOf(connection, [], 0))).toContain('one')
    expect(namesIn(await metadataOf(connection, [], 1))).toEqual([])
  })

  it.each(['', '.', '..', 'a/b', '../../etc', 'a b', 'ü', 'x'.repeat(250), 'a\0b'])(
    'refuses the illegal name %j (K13)',
    async (name) => {
      const broker = await startBroker()
      const connection = await connectTo(broker)

      expect((await metadataOf(connection, [name])).topics[0]?.errorCode).toBe(
        KAFKA_ERROR.INVALID_TOPIC_EXCEPTION,
      )
      expect(broker.broker.status().topicCount).toBe(2)
    },
  )

  it.each(['x'.repeat(249), '__proto__', 'constructor', 'a.b_c-d'])(
    'takes the legal name %j',
    async (name) => {
      const connection = await connectTo(await startBroker())

      expect((await metadataOf(connection, [name])).topics[0]).toMatchObject({ errorCode: 0, name })
      expect((await produce(connection, batchOf(['a']), { topic: name })).errorCode).toBe(0)
    },
  )

  it('finds topics by id, keeps ids over a restart, and gives a topic made again another', async () => {
    const broker = await startBroker()
    const before = await connectTo(broker)
    const { topicId } = await createTopic(before)
    const again = await restartBroker(broker)
    const connection = await connectTo(again)

    const byId = await connection.request(metadataApi, 12, { topics: [{ topicId, name: null }] })
    const unknown = await connection.request(metadataApi, 12, {
      topics: [{ topicId: Buffer.alloc(16, 1), name: null }],
    })

    expect(byId.topics[0]).toMatchObject({ errorCode: 0, name: 'orders', topicId })
    expect(unknown.topics[0]?.errorCode).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_ID)
  })

  it('creates each topic once when many ask at the same time', async () => {
    const broker = await startBroker()
    const connections = await Promise.all(Array.from({ length: 10 }, () => connectTo(broker)))

    const answers = await Promise.all(connections.map((connection) => metadataOf(connection, ['orders'])))

    expect(new Set(answers.map(({ topics }) => topics[0]?.topicId.toString('hex'))).size).toBe(1)
  })

  it('creates at most a hundred topics for one request (K36)', async () => {
    const broker = await startBroker({ defaultPartitionCount: 1 })
    const connection = await connectTo(broker)
    const names = Array.from({ length: 5_000 }, (_, index) => `t${index}`)

    const { topics } = await metadataOf(connection, names)

    expect(topics.filter(({ errorCode }) => errorCode === 0)).toHaveLength(100)
    expect(broker.broker.status().topicCount).toBe(102)
  })

  it('refuses to pass the limit of partitions', async () => {
    const broker = await startBroker({ partitionsMax: 6 })
    const connection = await connectTo(broker)

    const first = await metadataOf(connection, ['one'])
    const second = await metadataOf(connection, ['two'])

    expect([first.topics[0]?.errorCode, second.topics[0]?.errorCode]).toEqual([
      0,
      KAFKA_ERROR.POLICY_VIOLATION,
    ])
  })

  it('names the cluster as DescribeCluster does, the same after a restart', async () => {
    const broker = await startBroker()
    const before = await metadataOf(await connectTo(broker), null)
    const connection = await connectTo(await restartBroker(broker))

    const after = await metadataOf(connection, null)
    const cluster = await connection.request(describeClusterApi, 1, {})

    expect(before.clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect([after.clusterId, cluster.clusterId]).toEqual([before.clusterId, before.clusterId])
    expect([after.controllerId, cluster.controllerId, cluster.brokers.length]).toEqual([1, 1, 1])
  })

  it('tells what the client may do when it asks, as numbers that Kafka without an authorizer gives', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)

    const asked = await connection.request(metadataApi, 10, {
      topics: [{ name: 'orders' }, { name: 'not a name' }],
      includeTopicAuthorizedOperations: true,
      includeClusterAuthorizedOperations: true,
    })
    const notAsked = await connection.request(metadataApi, 10, { topics: [{ name: 'orders' }] })
    const cluster = await connection.request(describeClusterApi, 1, {
      includeClusterAuthorizedOperations: true,
    })
    const { groups } = await connection.request(describeGroupsApi, 5, {
      groups: ['nobody'],
      includeAuthorizedOperations: true,
    })

    expect(asked.topics.map((topic) => topic.topicAuthorizedOperations)).toEqual([
      0b1101_1111_1000,
      NOT_ASKED,
    ])
    expect([asked.clusterAuthorizedOperations, cluster.clusterAuthorizedOperations]).toEqual([
      0b1_1111_1010_0000, 0b1_1111_1010_0000,
    ])
    expect(groups[0]?.authorizedOperations).toBe(0b1_0100_1000)
    expect([notAsked.topics[0]?.topicAuthorizedOperations, notAsked.clusterAuthorizedOperations]).toEqual([
      NOT_ASKED,
      NOT_ASKED,
    ])
  })

  it('tells the advertised address', async () => {
    const connection = await connectTo(
      await startBroker({ advertisedHost: 'kafka.example', advertisedPort: 1234 }),
    )

    expect((await metadataOf(connection, null)).brokers[0]).toMatchObject({
      host: 'kafka.example',
      port: 1234,
    })
  })
})
