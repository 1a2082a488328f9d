import { afterEach, expect, test } from 'vitest'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Fetcher } from '../../src/kafka/fetcher.ts'
import { listOffsets } from '../../src/kafka/offsets.ts'
import { Producer } from '../../src/kafka/producer.ts'
import type { TestBroker } from '../support/broker.ts'
import { startTestBroker } from '../support/broker.ts'
import { batchOf, openCluster, readValues } from './support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(): Promise<{ broker: TestBroker; cluster: KafkaCluster }> {
  const broker = await startTestBroker()
  const cluster = openCluster([broker.address], { backoff: { initialMs: 10, maxMs: 100 } })
  await cluster.connect()
  cleanups.push(
    () => broker.stop(),
    () => cluster.close(),
  )
  return { broker, cluster }
}

test('batches come back as they were sent, in order, from every partition', async () => {
  const { cluster } = await start()
  await cluster.ensureTopic('round-trip', { partitionCount: 3 })
  const producer = new Producer(cluster, { inFlightMax: 32 })
  const sent = Array.from({ length: 300 }, (_, index) => `value ${index}`)
  await Promise.all(sent.map((value, index) => producer.send('round-trip', index % 3, batchOf(value))))
  const fetcher = new Fetcher(cluster)
  fetcher.assign([0, 1, 2].map((partition) => ({ topic: 'round-trip', partition, offset: 0 })))
  const read = await readValues(fetcher, sent.length)
  for (const partition of [0, 1, 2]) {
    expect(read.get(`round-trip-${partition}`)).toEqual(sent.filter((_, index) => index % 3 === partition))
  }
  await Promise.all([fetcher.stop(), producer.stop()])
})

test('a topic that has too few partitions is given more, and never fewer', async () => {
  const { cluster } = await start()
  await cluster.ensureTopic('grown', { partitionCount: 1 })
  expect(await cluster.ensureTopic('grown', { partitionCount: 2 })).toBe(1)
  expect(await cluster.ensureTopic('grown', { partitionCountMin: 3 })).toBe(3)
  expect(await cluster.ensureTopic('grown', { partitionCountMin: 2 })).toBe(3)
  const producer = new Producer(cluster)
  expect((await producer.send('grown', 2, batchOf('in the last'))).baseOffset).toBe(0)
  await producer.stop()
})

test('a fetch that waits hears of a new record at once, not at the end of its wait', async () => {
  const { cluster } = await start()
  await cluster.ensureTopic('awaited', { partitionCount: 1 })
  const fetcher = new Fetcher(cluster, { waitMsMax: 10_000 })
  fetcher.assign([{ topic: 'awaited', partition: 0, offset: 0 }])
  expect(await fetcher.poll({ timeoutMs: 100 })).toEqual([])
  const producer = new Producer(cluster)
  const startedAt = performance.now()
  await producer.send('awaited', 0, batchOf('now'))
  expect((await readValues(fetcher, 1)).get('awaited-0')).toEqual(['now'])
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  await Promise.all([fetcher.stop(), producer.stop()])
})

test('a restart of the broker in the middle loses nothing, doubles nothing and keeps the order', async () => {
  const { broker, cluster } = await start()
  await cluster.ensureTopic('restarted', { partitionCount: 2 })
  const producer = new Producer(cluster, { idempotent: true })
  const fetcher = new Fetcher(cluster)
  fetcher.assign([0, 1].map((partition) => ({ topic: 'restarted', partition, offset: 0 })))
  const sent = Array.from({ length: 200 }, (_, index) => String(index))
  const acknowledged: Promise<unknown>[] = []
  let again: Promise<TestBroker> | null = null
  for (const [index, value] of sent.entries()) {
    acknowledged.push(producer.send('restarted', index % 2, batchOf(value)))
    if (index === 100) again = broker.restart()
    if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  const restarted = await again
  cleanups.push(() => restarted?.stop())
  await Promise.all(acknowledged)
  const read = await readValues(fetcher, sent.length)
  for (const partition of [0, 1]) {
    expect(read.get(`restarted-${partition}`)).toEqual(sent.filter((_, index) => index % 2 === partition))
  }
  const at = 'latest' as const
  const ends = await listOffsets(
    cluster,
    [0, 1].map((partition) => ({ topic: 'restarted', partition, at })),
  )
  expect(ends.map(({ offset }) => offset)).toEqual([100, 100])
  await Promise.all([fetcher.stop(), producer.stop()])
})
