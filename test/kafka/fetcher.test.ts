import { afterEach, expect, test } from 'vitest'
import { encodeControlBatch } from '../../src/batch/control-batch.ts'
import { BATCH_ATTRIBUTE, patchAttributes, patchProducer } from '../../src/batch/record-batch.ts'
import type { FetcherOptions } from '../../src/kafka/fetcher.ts'
import { Fetcher } from '../../src/kafka/fetcher.ts'
import { fetchApi } from '../../src/wire/01-fetch.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { KAFKA_ERROR, kafkaErrorName } from '../../src/wire/error-codes.ts'
import type { FakeBrokerOptions, Step } from './fake-broker.ts'
import { drop, FakeBroker } from './fake-broker.ts'
import { batchOf, openCluster, readValues, valuesOf } from './support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Bench {
  readonly broker: FakeBroker
  readonly fetcher: Fetcher
}

async function startBench(
  options: Partial<FetcherOptions> = {},
  brokerOptions: FakeBrokerOptions = {},
): Promise<Bench> {
  const broker = await FakeBroker.start({ topics: { orders: 3 }, ...brokerOptions })
  // A real broker's long poll, so that an empty log is not asked for without pause.
  broker.always(fetchApi, async ({ answer, value }) => {
    const isEmpty = (answered: ReturnType<typeof answer>) =>
      answered.responses?.every(({ partitions }) =>
        partitions?.every(({ records }) => (records?.length ?? 0) === 0),
      )
    for (let waited = 0; isEmpty(answer()) && waited < value.maxWaitMs; waited += 5) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return answer()
  })
  const cluster = openCluster([broker.address], { backoff: { initialMs: 5, maxMs: 20 } })
  await cluster.connect()
  const fetcher = new Fetcher(cluster, { waitMsMax: 100, ...options })
  cleanups.push(
    () => broker.stop(),
    () => cluster.close(),
    () => fetcher.stop(),
  )
  return { broker, fetcher }
}

/** Changes what the default would say about every partition. */
function fetchAnswer(change: object): Step<typeof fetchApi> {
  return ({ answer }) => ({
    responses: (answer().responses ?? []).map((topic) => ({
      ...topic,
      partitions: (topic.partitions ?? []).map((partition) => ({ ...partition, ...change })),
    })),
  })
}

const ORDERS_0 = { topic: 'orders', partition: 0, offset: 0 }

test('several partitions are read with one fetch, from their own offsets on', async () => {
  const { broker, fetcher } = await startBench()
  for (const partition of [0, 1, 2])
    broker.append('orders', partition, batchOf(`a${partition}`, `b${partition}`))
  fetcher.assign(
    [0, 1, 2].map((partition) => ({ topic: 'orders', partition, offset: partition === 2 ? 1 : 0 })),
  )
  const values = await readValues(fetcher, 5)
  expect(Object.fromEntries(values)).toEqual({
    'orders-0': ['a0', 'b0'],
    'orders-1': ['a1', 'b1'],
    'orders-2': ['b2'],
  })
  expect(broker.requestsOf(fetchApi)[0]?.value.topics[0]?.partitions).toHaveLength(3)
})

test('records appended later are polled as they come', async () => {
  const { broker, fetcher } = await startBench()
  fetcher.assign([ORDERS_0])
  const polling = fetcher.poll({ timeoutMs: 5_000 })
  await expect.poll(() => broker.requestsOf(fetchApi).length).toBeGreaterThan(0)
  broker.append('orders', 0, batchOf('late'))
  const [fetched] = await polling
  expect(fetched).toMatchObject({
    topic: 'orders',
    partition: 0,
    fetchOffset: 0,
    nextOffset: 1,
    highWatermark: 1,
  })
  expect(valuesOf(fetched as never)).toEqual(['late'])
})

test('the cut batch at the end of an answer is left out and fetched again whole', async () => {
  const { broker, fetcher } = await startBench()
  broker.append('orders', 0, batchOf('a'))
  broker.append('orders', 0, batchOf('b', 'c'))
  broker.script(fetchApi, (request) => {
    const records = Buffer.concat(broker.log('orders', 0))
    return fetchAnswer({ records: records.subarray(0, records.length - 10) })(request)
  })
  fetcher.assign([ORDERS_0])
  const [first] = await fetcher.poll({ timeoutMs: 5_000 })
  expect(first).toMatchObject({ fetchOffset: 0, nextOffset: 1 })
  expect((await readValues(fetcher, 2)).get('orders-0')).toEqual(['b', 'c'])
  expect(broker.requestsOf(fetchApi)[1]?.value.topics[0]?.partitions[0]?.fetchOffset).toBe(1)
})

test('a batch larger than the limit is asked for with a larger one', async () => {
  const { broker, fetcher } = await startBench({ partitionBytesMax: 100 })
  broker.append('orders', 0, batchOf('x'.repeat(500)))
  const [batch] = broker.log('orders', 0)
  broker.script(fetchApi, fetchAnswer({ records: batch?.subarray(0, 100) }))
  fetcher.assign([ORDERS_0])
  expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['x'.repeat(500)])
  expect(broker.requestsOf(fetchApi)[1]?.value.topics[0]?.partitions[0]?.partitionMaxBytes).toBe(
    batch?.length,
  )
})

test('an answer to a position that was left meanwhile is dropped', async () => {
  const { broker, fetcher } = await startBench()
  for (const value of ['a', 'b', 'c']) broker.append('orders', 0, batchOf(value))
  const gate = Promise.withResolvers<void>()
  broker.script(fetchApi, async ({ answer }) => {
    await gate.promise
    return answer()
  })
  fetcher.assign([{ ...ORDERS_0, offset: 2 }])
  await expect.poll(() => broker.requestsOf(fetchApi).length).toBe(1)
  fetcher.seek('orders', 0, 0)
  gate.resolve()
  expect((await readValues(fetcher, 3)).get('orders-0')).toEqual(['a', 'b', 'c'])
  expect(fetcher.position('orders', 0)).toBe(3)
})

test('an answer for a partition that was given away and taken back is dropped', async () => {
  const { broker, fetcher } = await startBench()
  for (const value of ['a', 'b']) broker.append('orders', 0, batchOf(value))
  const gate = Promise.withResolvers<void>()
  broker.script(fetchApi, async ({ answer }) => {
    await gate.promise
    return answer()
  })
  fetcher.assign([ORDERS_0])
  await expect.poll(() => broker.requestsOf(fetchApi).length).toBe(1)
  fetcher.unassign()
  fetcher.assign([ORDERS_0])
  gate.resolve()
  expect((await readValues(fetcher, 2)).get('orders-0')).toEqual(['a', 'b'])
  expect(fetcher.bufferedBytes).toBe(0)
})

test('a seek to where the reading is anyway keeps what was fetched ahead', async () => {
  const { broker, fetcher } = await startBench()
  broker.append('orders', 0, batchOf('a'))
  fetcher.assign([ORDERS_0])
  await expect.poll(() => fetcher.bufferedBytes).toBeGreaterThan(0)
  fetcher.seek('orders', 0, 0)
  expect(fetcher.bufferedBytes).toBeGreaterThan(0)
  fetcher.seek('orders', 0, 1)
  expect(fetcher.bufferedBytes).toBe(0)
})

test('fetching ahead stops at its bound until something is polled', async () => {
  const { broker, fetcher } = await startBench({ prefetchBytesMax: 100 })
  broker.append('orders', 0, batchOf('x'.repeat(200)))
  fetcher.assign([0, 1].map((partition) => ({ topic: 'orders', partition, offset: 0 })))
  await expect.poll(() => fetcher.bufferedBytes).toBeGreaterThan(100)
  const before = broker.requestsOf(fetchApi).length
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(broker.requestsOf(fetchApi)).toHaveLength(before)
  await fetcher.poll()
  await expect.poll(() => broker.requestsOf(fetchApi).length).toBeGreaterThan(before)
})

test('a paused partition is neither fetched nor polled, and loses nothing', async () => {
  const { broker, fetcher } = await startBench()
  broker.append('orders', 0, batchOf('a'))
  fetcher.assign([ORDERS_0])
  await expect.poll(() => fetcher.bufferedBytes).toBeGreaterThan(0)
  fetcher.pause([ORDERS_0])
  expect(await fetcher.poll({ timeoutMs: 20 })).toEqual([])
  fetcher.resume([ORDERS_0])
  expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['a'])
})

test.each([3, 5, 6, 9, 56, 74, 75, 100, 103].map((code) => [kafkaErrorName(code), code] as const))(
  'after %s the metadata is refreshed and the fetch repeated',
  async (_name, errorCode) => {
    const { broker, fetcher } = await startBench()
    broker.append('orders', 0, batchOf('a'))
    broker.script(fetchApi, fetchAnswer({ errorCode, records: null }))
    fetcher.assign([ORDERS_0])
    const before = broker.requestsOf(metadataApi).length
    expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['a'])
    expect(broker.requestsOf(metadataApi).length).toBeGreaterThan(before)
  },
)

test('a lost connection is made again', async () => {
  const { broker, fetcher } = await startBench()
  broker.append('orders', 0, batchOf('a'))
  broker.script(fetchApi, drop, drop)
  fetcher.assign([ORDERS_0])
  expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['a'])
})

test('a partition follows its leader to another node', async () => {
  const { broker, fetcher } = await startBench()
  const successor = await FakeBroker.start({ topics: { orders: 3 }, nodeId: 2 })
  cleanups.push(() => successor.stop())
  successor.append('orders', 0, batchOf('from the successor'))
  broker.peers.push(successor)
  broker.always(fetchApi, (request) => {
    broker.leaders.set('orders-0', 2)
    return fetchAnswer({ errorCode: KAFKA_ERROR.NOT_LEADER_OR_FOLLOWER })(request)
  })
  fetcher.assign([ORDERS_0])
  expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['from the successor'])
})

test('what will not pass is thrown once, with the partition; the others go on', async () => {
  const { broker, fetcher } = await startBench()
  broker.append('orders', 1, batchOf('a'))
  broker.script(fetchApi, ({ answer }) => {
    const [topic] = answer().responses ?? []
    const [zero, one] = topic?.partitions ?? []
    const errorCode = KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED
    return { responses: [{ ...topic, partitions: [{ ...zero, errorCode }, one ?? {}] }] }
  })
  fetcher.assign([ORDERS_0, { topic: 'orders', partition: 1, offset: 0 }])
  expect((await readValues(fetcher, 1)).get('orders-1')).toEqual(['a'])
  await expect(fetcher.poll({ timeoutMs: 1_000 })).rejects.toMatchObject({
    kafkaErrorName: 'TOPIC_AUTHORIZATION_FAILED',
    facts: { topic: 'orders', partition: 0 },
  })
  expect(await fetcher.poll({ timeoutMs: 20 })).toEqual([])
  fetcher.seek('orders', 0, 0)
  broker.append('orders', 0, batchOf('again'))
  expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['again'])
})

test('a damaged answer is fetched again, and thrown when it stays damaged', async () => {
  const { broker, fetcher } = await startBench()
  broker.append('orders', 0, batchOf('a'))
  const damaged = Buffer.from(broker.log('orders', 0)[0] as Buffer)
  damaged[damaged.length - 1] = 0x7f
  broker.script(fetchApi, fetchAnswer({ records: damaged }))
  fetcher.assign([ORDERS_0])
  expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['a'])
  fetcher.seek('orders', 0, 0)
  broker.always(fetchApi, fetchAnswer({ records: damaged }))
  await expect(fetcher.poll({ timeoutMs: 5_000 })).rejects.toMatchObject({
    code: 'GS_BATCH_CORRUPT',
    facts: { topic: 'orders', partition: 0 },
  })
})

test.each([
  ['earliest', 0],
  ['latest', 2],
] as const)('a position outside of the log goes to the %s offset', async (onOffsetOutOfRange, expected) => {
  const { broker, fetcher } = await startBench({ onOffsetOutOfRange })
  broker.append('orders', 0, batchOf('a', 'b'))
  broker.script(fetchApi, fetchAnswer({ errorCode: KAFKA_ERROR.OFFSET_OUT_OF_RANGE, records: null }))
  fetcher.assign([{ ...ORDERS_0, offset: 77 }])
  await expect.poll(() => fetcher.position('orders', 0)).toBe(expected)
})

test('a position outside of the log is thrown when that is wanted', async () => {
  const { broker, fetcher } = await startBench({ onOffsetOutOfRange: 'error' })
  broker.script(fetchApi, fetchAnswer({ errorCode: KAFKA_ERROR.OFFSET_OUT_OF_RANGE, records: null }))
  fetcher.assign([{ ...ORDERS_0, offset: 77 }])
  await expect(fetcher.poll({ timeoutMs: 5_000 })).rejects.toMatchObject({
    kafkaErrorName: 'OFFSET_OUT_OF_RANGE',
    facts: { topic: 'orders', partition: 0, fetchOffset: 77 },
  })
})

test('read_committed asks for it, and hands out neither markers nor aborted batches', async () => {
  const { broker, fetcher } = await startBench({ isolation: 'read_committed' })
  const transactional = (value: string) => {
    const batch = batchOf(value)
    patchProducer(batch, 0, { producerId: 7, producerEpoch: 0, baseSequence: 0 })
    patchAttributes(batch, 0, BATCH_ATTRIBUTE.transactional)
    return batch
  }
  const marker = { producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, timestampMs: 0 }
  broker.append('orders', 0, transactional('aborted'))
  broker.append('orders', 0, encodeControlBatch({ ...marker, type: 'abort' }))
  broker.append('orders', 0, transactional('committed'))
  broker.append('orders', 0, encodeControlBatch({ ...marker, type: 'commit' }))
  broker.script(fetchApi, fetchAnswer({ abortedTransactions: [{ producerId: 7, firstOffset: 0 }] }))
  fetcher.assign([ORDERS_0])
  const [fetched] = await fetcher.poll({ timeoutMs: 5_000 })
  expect(broker.requestsOf(fetchApi)[0]?.value.isolationLevel).toBe(1)
  expect(fetched).toMatchObject({ fetchOffset: 0, nextOffset: 4 })
  expect(valuesOf(fetched as never)).toEqual(['committed'])
})

test('read_committed moves past an answer that holds nothing to see', async () => {
  const { broker, fetcher } = await startBench({ isolation: 'read_committed' })
  const marker = { producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, timestampMs: 0 }
  broker.append('orders', 0, encodeControlBatch({ ...marker, type: 'commit' }))
  fetcher.assign([ORDERS_0])
  const [fetched] = await fetcher.poll({ timeoutMs: 5_000 })
  expect(fetched).toMatchObject({ fetchOffset: 0, nextOffset: 1, records: Buffer.alloc(0) })
  expect(fetcher.position('orders', 0)).toBe(1)
  expect(fetcher.bufferedBytes).toBe(0)
  broker.append('orders', 0, batchOf('next'))
  expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['next'])
})

test.each([
  ['ids', 17, ''],
  ['names', 12, 'orders'],
] as const)('a broker that fetches by topic %s is spoken to so', async (_by, versionMax, topic) => {
  const versions = new Map([
    [apiVersionsApi.key as number, [0, 4]],
    [metadataApi.key as number, [0, 12]],
    [fetchApi.key as number, [4, versionMax]],
  ] as const)
  const { broker, fetcher } = await startBench({}, { versions })
  broker.append('orders', 0, batchOf('a'))
  fetcher.assign([ORDERS_0])
  expect((await readValues(fetcher, 1)).get('orders-0')).toEqual(['a'])
  expect(broker.requestsOf(fetchApi)[0]).toMatchObject({
    version: versionMax,
    value: { topics: [{ topic }] },
  })
})

test('a poll is given up when asked to, and when the fetcher stops', async () => {
  const { fetcher } = await startBench()
  fetcher.assign([ORDERS_0])
  const giveUp = new AbortController()
  const polling = fetcher.poll({ timeoutMs: 60_000, signal: giveUp.signal })
  giveUp.abort()
  expect(await polling).toEqual([])
  const another = fetcher.poll({ timeoutMs: 60_000 })
  await fetcher.stop()
  expect(await another).toEqual([])
})
