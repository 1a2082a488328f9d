import { afterEach, expect, test } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { encodeControlBatch } from '../../src/batch/control-batch.ts'
import { BATCH_ATTRIBUTE, patchAttributes, patchProducer } from '../../src/batch/record-batch.ts'
import { encodeHeaders } from '../../src/batch/record-headers.ts'
import type { TopicReaderOptions } from '../../src/kafka/topic-reader.ts'
import { TopicReader } from '../../src/kafka/topic-reader.ts'
import { fetchApi } from '../../src/wire/01-fetch.ts'
import { KAFKA_ERROR } from '../../src/wire/error-codes.ts'
import { eventually } from '../support/eventually.ts'
import { FakeBroker } from './fake-broker.ts'
import { batchOf, openCluster } from './support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Bench {
  readonly broker: FakeBroker
  readonly reader: TopicReader
  /** What was handed over, as `partition/offset value`. */
  readonly seen: string[]
  /** Records behind this offset of partition 0 are held back, as by an open transaction. */
  holdFrom(offset: number): void
}

async function startBench(options: Partial<TopicReaderOptions> = {}): Promise<Bench> {
  const broker = await FakeBroker.start({ topics: { state: 2 } })
  let lastStableOffset = Number.POSITIVE_INFINITY
  broker.always(fetchApi, async ({ answer, value }) => {
    const read = () =>
      (answer().responses ?? []).map((topic) => ({
        ...topic,
        partitions: (topic.partitions ?? []).map((partition) => {
          const isHeld = partition.partitionIndex === 0 && lastStableOffset < (partition.highWatermark ?? 0)
          if (!isHeld) return partition
          const batches = (partition.records ?? []) as readonly Buffer[]
          const records = batches.filter((batch) => Number(batch.readBigInt64BE(0)) < lastStableOffset)
          return { ...partition, lastStableOffset, records }
        }),
      }))
    const isEmpty = () =>
      read().every(({ partitions }) => partitions.every(({ records }) => records?.length === 0))
    for (let waited = 0; isEmpty() && waited < value.maxWaitMs; waited += 5) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return { responses: read() }
  })
  const cluster = openCluster([broker.address], { backoff: { initialMs: 5, maxMs: 20 } })
  await cluster.connect()
  const seen: string[] = []
  const reader = new TopicReader(cluster, {
    topic: 'state',
    onRecord: ({ partition, offset, value }) => seen.push(`${partition}/${offset} ${value}`),
    fetch: { waitMsMax: 50 },
    ...options,
  })
  cleanups.push(
    () => broker.stop(),
    () => cluster.close(),
    () => reader.stop(),
  )
  return { broker, reader, seen, holdFrom: (offset) => (lastStableOffset = offset) }
}

test('catchUp hands over everything that is there, from every partition, in order', async () => {
  const { broker, reader, seen } = await startBench()
  broker.append('state', 0, batchOf('a', 'b'))
  broker.append('state', 1, batchOf('x'))
  broker.append('state', 0, batchOf('c'))
  await reader.catchUp()
  expect(seen.filter((one) => one.startsWith('0'))).toEqual(['0/0 a', '0/1 b', '0/2 c'])
  expect(seen.filter((one) => one.startsWith('1'))).toEqual(['1/0 x'])
  expect([reader.position(0), reader.position(1), reader.recordCount]).toEqual([3, 1, 4])
  broker.append('state', 0, batchOf('d'))
  await reader.catchUp()
  expect(seen.at(-1)).toBe('0/3 d')
  expect(seen).toHaveLength(5)
})

test('catchUp of an empty topic resolves without waiting for anything to come', async () => {
  const { broker, reader, seen } = await startBench()
  await reader.catchUp()
  expect(seen).toEqual([])
  expect(broker.requestsOf(fetchApi).length).toBeLessThanOrEqual(1)
})

test('a record is seen with its key, time and headers, and a tombstone has no value', async () => {
  const found: unknown[] = []
  const { broker, reader } = await startBench({
    onRecord: ({ key, value, timestampMs, headers }) =>
      found.push([
        key?.toString(),
        value,
        timestampMs,
        headers.map((header) => `${header.key}=${header.value}`),
      ]),
  })
  const encoder = new BatchEncoder()
  encoder.start()
  encoder.append(
    1_700_000_000_123,
    Buffer.from('k'),
    null,
    encodeHeaders([{ key: 'h', value: Buffer.from('v') }]),
  )
  broker.append('state', 0, Buffer.from(encoder.finish()))
  await reader.catchUp()
  expect(found).toEqual([['k', null, 1_700_000_000_123, ['h=v']]])
})

test('catchUp waits until an open transaction in front of the end has ended', async () => {
  const { broker, reader, seen, holdFrom } = await startBench()
  const batch = batchOf('in a transaction')
  patchProducer(batch, 0, { producerId: 7, producerEpoch: 0, baseSequence: 0 })
  patchAttributes(batch, 0, BATCH_ATTRIBUTE.transactional)
  broker.append('state', 0, batchOf('before'))
  broker.append('state', 0, batch)
  holdFrom(1)
  let isCaughtUp = false
  const catchingUp = reader.catchUp().then(() => {
    isCaughtUp = true
  })
  await eventually('the first record is there', () => seen.length === 1)
  await reader.catchUp({ timeoutMs: 150 }).then(
    () => expect.unreachable(),
    (error) =>
      expect(error).toMatchObject({
        code: 'GS_KAFKA_TIMEOUT',
        message: expect.stringContaining('held back by an open transaction'),
        facts: { partition: 0, target: 2, position: 1, lastStableOffset: 1 },
      }),
  )
  expect(isCaughtUp).toBe(false)
  const marker = { producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, timestampMs: 0 }
  broker.append('state', 0, encodeControlBatch({ ...marker, type: 'commit' }))
  holdFrom(Number.POSITIVE_INFINITY)
  await catchingUp
  expect(seen).toEqual(['0/0 before', '0/1 in a transaction'])
})

test('reading begins where it is told to, inside of a batch as well', async () => {
  const { broker, reader, seen } = await startBench({ partitions: [0], from: new Map([[0, 1]]) })
  broker.append('state', 0, batchOf('a', 'b', 'c'))
  broker.append('state', 1, batchOf('not asked for'))
  await reader.catchUp()
  expect(seen).toEqual(['0/1 b', '0/2 c'])
})

test('several who catch up at once share one reading', async () => {
  const { broker, reader, seen } = await startBench()
  for (let index = 0; index < 20; index++) broker.append('state', index % 2, batchOf(`v${index}`))
  await Promise.all([reader.catchUp(), reader.catchUp(), reader.catchUp()])
  expect(seen).toHaveLength(20)
  expect(new Set(seen).size).toBe(20)
})

test('follow hands over what comes, as it comes', async () => {
  const { broker, reader, seen } = await startBench()
  broker.append('state', 0, batchOf('first'))
  await reader.catchUp()
  reader.follow({ onError: (error) => expect.unreachable(error.message) })
  broker.append('state', 1, batchOf('second'))
  const startedAt = performance.now()
  await eventually('the second record', () => seen.includes('1/0 second'))
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  broker.append('state', 0, batchOf('third'))
  await reader.catchUp()
  expect(seen).toEqual(['0/0 first', '1/0 second', '0/1 third'])
})

test('what onRecord throws ends the following in front of that record, and following again repeats it', async () => {
  const seen: string[] = []
  let isRefusing = true
  const { broker, reader } = await startBench({
    onRecord: ({ value }) => {
      if (isRefusing && `${value}` === 'b') throw new Error('refused')
      seen.push(`${value}`)
    },
  })
  broker.append('state', 0, batchOf('a', 'b', 'c'))
  await expect(reader.catchUp()).rejects.toThrow('refused')
  expect([seen, reader.position(0)]).toEqual([['a'], 1])
  const errors: Error[] = []
  reader.follow({ onError: (error) => errors.push(error) })
  await eventually('it is told', () => errors.length === 1)
  isRefusing = false
  await reader.catchUp()
  expect(seen).toEqual(['a', 'b', 'c'])
})

test('a failure that will not pass rejects, and reading goes on where it stopped once it is mended', async () => {
  const { broker, reader, seen } = await startBench()
  broker.append('state', 0, batchOf('a'))
  broker.script(fetchApi, ({ answer }) => ({
    responses: (answer().responses ?? []).map((topic) => ({
      ...topic,
      partitions: (topic.partitions ?? []).map((partition) => ({
        ...partition,
        errorCode: KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED,
      })),
    })),
  }))
  await expect(reader.catchUp()).rejects.toMatchObject({ kafkaErrorName: 'TOPIC_AUTHORIZATION_FAILED' })
  await reader.catchUp()
  expect(seen).toEqual(['0/0 a'])
})

test('a topic that does not exist is told by its name', async () => {
  const { reader } = await startBench({ topic: 'missing' })
  await expect(reader.catchUp({ timeoutMs: 100 })).rejects.toMatchObject({
    code: 'GS_KAFKA_TIMEOUT',
    message: expect.stringContaining('missing'),
  })
})

test('catchUp is given up when asked to, and when the reader stops', async () => {
  const { broker, reader, seen, holdFrom } = await startBench()
  broker.append('state', 0, batchOf('held'))
  holdFrom(0)
  const giveUp = new AbortController()
  const givenUp = reader.catchUp({ signal: giveUp.signal })
  giveUp.abort(new Error('no longer needed'))
  await expect(givenUp).rejects.toThrow('no longer needed')
  const stopped = reader.catchUp()
  const expectation = expect(stopped).rejects.toMatchObject({ code: 'GS_STOPPED' })
  await reader.stop()
  await expectation
  holdFrom(Number.POSITIVE_INFINITY)
  await expect(reader.catchUp()).rejects.toMatchObject({ code: 'GS_STOPPED' })
  expect(seen).toEqual([])
})
