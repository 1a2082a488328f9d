import { afterEach, describe, expect, it } from 'vitest'
import { fetchApi } from '../../../src/wire/01-fetch.ts'
import { deleteTopicsApi } from '../../../src/wire/20-delete-topics.ts'
import { deleteRecordsApi } from '../../../src/wire/21-delete-records.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import { eventually } from '../../support/eventually.ts'
import {
  batchOf,
  connectTo,
  contentsOf,
  createTopic,
  fetchOne,
  metadataOf,
  produce,
  sendFetch,
  startBroker,
  stopBrokers,
} from '../broker-client.ts'

afterEach(stopBrokers)

async function started(values: readonly (readonly string[])[] = []) {
  const broker = await startBroker()
  const connection = await connectTo(broker)
  await createTopic(connection)
  for (const batch of values) await produce(connection, batchOf(batch))
  return { broker, connection }
}

describe('what is read', () => {
  it('is whole batches, the first of which contains the asked offset', async () => {
    const { connection } = await started([['a', 'b', 'c'], ['d', 'e'], ['f']])

    expect(contentsOf((await fetchOne(connection, { offset: 1 })).records)).toEqual([
      '0:a',
      '1:b',
      '2:c',
      '3:d',
      '4:e',
      '5:f',
    ])
    expect(contentsOf((await fetchOne(connection, { offset: 4 })).records)).toEqual(['3:d', '4:e', '5:f'])
    expect(contentsOf((await fetchOne(connection, { offset: 5 })).records)).toEqual(['5:f'])
  })

  it.each([4, 5, 7, 9, 10, 11, 12])('carries watermark and start in version %i', async (version) => {
    const { connection } = await started([['a', 'b']])

    const answer = await fetchOne(connection, { version })

    expect(answer).toMatchObject({ errorCode: 0, highWatermark: 2, lastStableOffset: 2 })
    expect(contentsOf(answer.records)).toEqual(['0:a', '1:b'])
  })

  it.each([13, 15, 16])('is found by topic id in version %i', async (version) => {
    const { connection } = await started([['a']])
    const { topics } = await metadataOf(connection, ['orders'])

    const response = await connection.request(fetchApi, version, {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1_000_000,
      topics: [
        {
          topicId: topics[0]?.topicId,
          partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }],
        },
      ],
    })

    expect(response.responses[0]?.topicId).toEqual(topics[0]?.topicId)
    expect(contentsOf(response.responses[0]?.partitions[0]?.records ?? null)).toEqual(['0:a'])
  })

  it('is bounded by both limits, in batches, yet never nothing', async () => {
    const { connection } = await started([['a'.repeat(1000)], ['b'.repeat(1000)], ['c'.repeat(1000)]])

    const byPartition = await fetchOne(connection, { partitionMaxBytes: 2_300 })
    const byTotal = await fetchOne(connection, { maxBytes: 2_300 })
    const tiny = await fetchOne(connection, { maxBytes: 1, partitionMaxBytes: 1 })

    expect([byPartition, byTotal, tiny].map(({ records }) => contentsOf(records).length)).toEqual([2, 2, 1])
  })

  it('is shared among partitions, so that the first batch comes even when it is over the limit, and only that one', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection, 'orders', { partitionCount: 3 })
    for (const partition of [0, 1, 2]) await produce(connection, batchOf(['x'.repeat(1000)]), { partition })

    const response = await connection.request(fetchApi, 11, {
      maxWaitMs: 0,
      maxBytes: 500,
      topics: [
        {
          topic: 'orders',
          partitions: [0, 1, 2].map((partition) => ({
            partition,
            fetchOffset: 0,
            partitionMaxBytes: 1_000_000,
          })),
        },
      ],
    })

    expect(response.responses[0]?.partitions.map(({ records }) => contentsOf(records).length)).toEqual([
      1, 0, 0,
    ])
  })

  it('is at most what the broker allows, whatever is asked for (K36)', async () => {
    const broker = await startBroker({ fetchBytesMax: 5_000 })
    const connection = await connectTo(broker)
    await createTopic(connection)
    for (let count = 0; count < 20; count += 1) await produce(connection, batchOf(['x'.repeat(1000)]))

    const answer = await fetchOne(connection, { maxBytes: 2147483647, partitionMaxBytes: 2147483647 })

    expect(answer.records?.length).toBeLessThanOrEqual(5_000)
    expect(contentsOf(answer.records).length).toBeGreaterThan(3)
  })

  it('is read for one request of a connection at a time, so that a deaf client cannot fill the memory (K33, K36)', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection)
    for (let count = 0; count < 9; count += 1) await produce(connection, batchOf(['x'.repeat(1_000_000)]))
    const deaf = await connectTo(broker)
    deaf.socket.pause()

    for (let count = 0; count < 100; count += 1)
      sendFetch(deaf, { maxBytes: 2147483647, partitionMaxBytes: 2147483647 })
    await eventually('the client is dropped', async () =>
      (await broker.metrics.getSingleMetricAsString('gophership_broker_rejected_total')).includes(
        'write-queue-full',
      ),
    )

    const fetched = Number(
      /total (\d+)/.exec(
        await broker.metrics.getSingleMetricAsString('gophership_broker_fetched_bytes_total'),
      )?.[1],
    )
    expect(fetched).toBeLessThan(60_000_000)
  })

  it('lists no aborted transactions, as an empty list for read_committed and null otherwise', async () => {
    const { connection } = await started([['a']])

    expect((await fetchOne(connection, { isolationLevel: 0 })).abortedTransactions).toBeNull()
    expect((await fetchOne(connection, { isolationLevel: 1 })).abortedTransactions).toEqual([])
  })
})

describe('waiting for data', () => {
  it('ends as soon as a record is produced', async () => {
    const { broker, connection } = await started()
    const version = sendFetch(connection, { maxWaitMs: 20_000 })
    const producer = await connectTo(broker)
    await new Promise((resolve) => setTimeout(resolve, 30))
    const startedMs = performance.now()

    await produce(producer, batchOf(['late']))
    const response = await connection.response(fetchApi, version)

    expect(contentsOf(response.responses[0]?.partitions[0]?.records ?? null)).toEqual(['0:late'])
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })

  it('ends empty when the time is up', async () => {
    const { connection } = await started()
    const startedMs = performance.now()

    const answer = await fetchOne(connection, { maxWaitMs: 120 })

    expect(answer).toMatchObject({ errorCode: 0, highWatermark: 0 })
    expect(contentsOf(answer.records)).toEqual([])
    expect(performance.now() - startedMs).toBeGreaterThan(100)
  })

  it('goes on until there are as many bytes as asked for', async () => {
    const { broker, connection } = await started([['x'.repeat(500)]])
    const version = sendFetch(connection, { maxWaitMs: 20_000, minBytes: 1_500 })
    const producer = await connectTo(broker)
    const answer = connection.response(fetchApi, version)
    let isAnswered = false
    void answer.then(() => {
      isAnswered = true
    })

    await produce(producer, batchOf(['y'.repeat(500)]))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const afterSecond = isAnswered
    await produce(producer, batchOf(['z'.repeat(500)]))

    expect(contentsOf((await answer).responses[0]?.partitions[0]?.records ?? null)).toHaveLength(3)
    expect(afterSecond).toBe(false)
  })

  it('gives what there is when the time is up', async () => {
    const { connection } = await started([['few']])

    expect(contentsOf((await fetchOne(connection, { maxWaitMs: 60, minBytes: 100_000 })).records)).toEqual([
      '0:few',
    ])
  })

  it('does not happen when a partition is in error', async () => {
    const { connection } = await started()
    const startedMs = performance.now()

    const answer = await fetchOne(connection, { maxWaitMs: 20_000, offset: 17 })

    expect(answer.errorCode).toBe(KAFKA_ERROR.OFFSET_OUT_OF_RANGE)
    expect(performance.now() - startedMs).toBeLessThan(5_000)
  })

  it('does not happen without a partition, as when a Java consumer closes', async () => {
    const connection = await connectTo(await startBroker())
    const startedMs = performance.now()

    const response = await connection.request(fetchApi, 12, {
      maxWaitMs: 5_000,
      minBytes: 1,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [],
    })

    expect(response).toMatchObject({ errorCode: 0, responses: [] })
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })

  it('ends when the topic is deleted', async () => {
    const { broker, connection } = await started()
    const version = sendFetch(connection, { maxWaitMs: 20_000 })
    const admin = await connectTo(broker)
    await new Promise((resolve) => setTimeout(resolve, 30))

    await admin.request(deleteTopicsApi, 5, { topicNames: ['orders'] })

    const response = await connection.response(fetchApi, version)
    expect(response.responses[0]?.partitions[0]?.errorCode).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('does not keep the broker from stopping', async () => {
    const { broker, connection } = await started()
    const version = sendFetch(connection, { maxWaitMs: 60_000 })
    await new Promise((resolve) => setTimeout(resolve, 30))
    const startedMs = performance.now()

    const stopping = broker.broker.stop()

    expect((await connection.response(fetchApi, version)).errorCode).toBe(0)
    await stopping
    expect(performance.now() - startedMs).toBeLessThan(3_000)
  })

  it('of one connection does not hold up another', async () => {
    const { broker, connection } = await started([['a']])
    sendFetch(connection, { maxWaitMs: 20_000, offset: 1 })
    const other = await connectTo(broker)

    expect(contentsOf((await fetchOne(other)).records)).toEqual(['0:a'])
  })
})

describe('what cannot be read', () => {
  it.each([
    ['an offset beyond the end', { offset: 3 }, KAFKA_ERROR.OFFSET_OUT_OF_RANGE],
    ['a negative offset', { offset: -1 }, KAFKA_ERROR.OFFSET_OUT_OF_RANGE],
    ['offset 2^53', { offset: 2 ** 53 }, KAFKA_ERROR.OFFSET_OUT_OF_RANGE],
    ['an unknown topic', { topic: 'nowhere' }, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION],
    ['an unknown partition', { partition: 9 }, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION],
    ['a negative partition', { partition: -1 }, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION],
  ])('is answered with its code: %s', async (_, options, code) => {
    const { connection } = await started([['a', 'b']])

    expect((await fetchOne(connection, options)).errorCode).toBe(code)
  })

  it('below the start of the log is out of range, and the start is told', async () => {
    const { connection } = await started([['a'], ['b'], ['c']])
    await connection.request(deleteRecordsApi, 2, {
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 2 }] }],
    })

    expect(await fetchOne(connection, { offset: 0 })).toMatchObject({
      errorCode: KAFKA_ERROR.OFFSET_OUT_OF_RANGE,
      logStartOffset: 2,
    })
    expect(contentsOf((await fetchOne(connection, { offset: 2 })).records)).toEqual(['2:c'])
  })

  it('under a topic id that does not exist is UNKNOWN_TOPIC_ID', async () => {
    const { connection } = await started()

    const response = await connection.request(fetchApi, 13, {
      topics: [
        {
          topicId: Buffer.alloc(16, 7),
          partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }],
        },
      ],
    })

    expect(response.responses[0]?.partitions[0]?.errorCode).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_ID)
  })

  it('in a session is refused, and a request that opens one is answered without', async () => {
    const { connection } = await started([['a']])
    const topics = [
      { topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] },
    ]

    const within = await connection.request(fetchApi, 11, { sessionId: 5, sessionEpoch: 1, topics })
    const opening = await connection.request(fetchApi, 11, {
      sessionId: 0,
      sessionEpoch: 0,
      maxBytes: 1000,
      topics,
    })

    expect(within.errorCode).toBe(KAFKA_ERROR.FETCH_SESSION_ID_NOT_FOUND)
    expect(opening).toMatchObject({ errorCode: 0, sessionId: 0 })
    expect(opening.responses).toHaveLength(1)
  })

  it('with a leader epoch that does not exist yet is refused', async () => {
    const { connection } = await started([['a']])

    const response = await connection.request(fetchApi, 11, {
      maxBytes: 1000,
      topics: [
        {
          topic: 'orders',
          partitions: [{ partition: 0, currentLeaderEpoch: 3, fetchOffset: 0, partitionMaxBytes: 1000 }],
        },
      ],
    })

    expect(response.responses[0]?.partitions[0]?.errorCode).toBe(KAFKA_ERROR.UNKNOWN_LEADER_EPOCH)
  })
})
