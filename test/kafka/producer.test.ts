import { afterEach, describe, expect, test } from 'vitest'
import { baseSequenceAt, checkBatch, producerIdAt } from '../../src/batch/record-batch.ts'
import type { KafkaCluster, KafkaClusterOptions } from '../../src/kafka/cluster.ts'
import type { ProducerOptions } from '../../src/kafka/producer.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { produceApi } from '../../src/wire/00-produce.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { initProducerIdApi } from '../../src/wire/22-init-producer-id.ts'
import { KAFKA_ERROR, kafkaErrorName } from '../../src/wire/error-codes.ts'
import { doThenDrop, drop, FakeBroker, keepSilent, refuseProduce } from './fake-broker.ts'
import { batchOf, openCluster, valuesOf } from './support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Bench {
  readonly broker: FakeBroker
  readonly cluster: KafkaCluster
  readonly producer: Producer
}

const MIB = 1024 * 1024
const QUICK_BACKOFF = { initialMs: 5, maxMs: 20 }

async function startBench(
  options: Partial<ProducerOptions> = {},
  clusterOptions: Partial<KafkaClusterOptions> = {},
): Promise<Bench> {
  const broker = await FakeBroker.start({ topics: { orders: 3, other: 1 } })
  const cluster = openCluster([broker.address], { backoff: QUICK_BACKOFF, ...clusterOptions })
  await cluster.connect()
  const producer = new Producer(cluster, options)
  cleanups.push(
    () => broker.stop(),
    () => cluster.close(),
    () => producer.stop(),
  )
  return { broker, cluster, producer }
}

/** What a partition's log holds, in order. */
function stored(broker: FakeBroker, topic = 'orders', partition = 0): string[] {
  return broker
    .log(topic, partition)
    .flatMap((batch) => valuesOf({ records: batch, fetchOffset: 0 as never }))
}

describe('requests', () => {
  test('batches of many partitions travel in one request, byte for byte', async () => {
    const { broker, producer } = await startBench()
    const batch = batchOf('a', 'b')
    await producer.send('orders', 0, batch)
    const earlier = broker.requestsOf(produceApi).length
    await Promise.all([0, 1, 2].map((partition) => producer.send('orders', partition, batch)))
    const requests = broker.requestsOf(produceApi).slice(earlier)
    expect(requests).toHaveLength(1)
    const partitions = requests[0]?.value.topicData.flatMap(({ partitionData }) => partitionData) ?? []
    expect(partitions.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(partitions.every(({ records }) => records?.equals(batch))).toBe(true)
  })

  test('a request never holds two batches of one partition, and several requests are in flight', async () => {
    const { broker, producer } = await startBench({ inFlightMax: 3 })
    await producer.send('orders', 0, batchOf('first'))
    const earlier = broker.requestsOf(produceApi).length
    const gate = Promise.withResolvers<void>()
    broker.always(produceApi, async ({ answer }) => {
      await gate.promise
      return answer()
    })
    const sent = ['a', 'b', 'c', 'd', 'e'].map((value) => producer.send('orders', 0, batchOf(value)))
    await expect.poll(() => broker.requestsOf(produceApi).length - earlier).toBe(3)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(broker.requestsOf(produceApi)).toHaveLength(earlier + 3)
    gate.resolve()
    expect((await Promise.all(sent)).map(({ baseOffset }) => baseOffset)).toEqual([1, 2, 3, 4, 5])
    for (const { value } of broker.requestsOf(produceApi)) {
      expect(value.topicData.flatMap(({ partitionData }) => partitionData)).toHaveLength(1)
    }
  })

  test('a request stays within its size, and one larger batch goes alone', async () => {
    const { broker, producer } = await startBench({ requestBytesMax: 1_000 })
    await Promise.all(
      [0, 1, 2].map((partition) => producer.send('orders', partition, batchOf('x'.repeat(2_000)))),
    )
    expect(broker.requestsOf(produceApi)).toHaveLength(3)
  })

  test('with acks=0 the batch counts as sent when the socket has taken it', async () => {
    const { broker, producer } = await startBench({ acks: 0 })
    expect(await producer.send('orders', 0, batchOf('a'))).toMatchObject({ baseOffset: -1 })
    await expect.poll(() => stored(broker)).toEqual(['a'])
  })

  test('batches with different acks do not share a request', async () => {
    const { broker, producer } = await startBench()
    await Promise.all([
      producer.send('orders', 0, batchOf('a'), { acks: 1 }),
      producer.send('orders', 1, batchOf('b'), { acks: -1 }),
      producer.send('orders', 2, batchOf('c'), { acks: 1 }),
    ])
    const acks = broker.requestsOf(produceApi).map(({ value }) => value.acks)
    expect(acks.toSorted()).toEqual([-1, 1])
  })

  test('anything but exactly one whole batch is a bug of the caller', async () => {
    const { producer } = await startBench()
    const batch = batchOf('a')
    expect(() => producer.send('orders', 0, Buffer.concat([batch, batch]))).toThrow(/exactly one whole/)
    expect(() => producer.send('orders', 0, batch.subarray(0, 65))).toThrow(/exactly one whole/)
  })
})

describe('failures that pass', () => {
  const retriable = [3, 5, 6, 7, 9, 13, 19, 20, 56, 74, 75]
  test.each(retriable.map((code) => [kafkaErrorName(code), code] as const))(
    'a batch refused with %s is sent again and stored once, in order',
    async (_name, code) => {
      const { broker, producer } = await startBench()
      await producer.send('orders', 0, batchOf('first'))
      // All three are in flight when the first is refused; a broker that refuses one refuses those behind it.
      broker.script(produceApi, refuseProduce(code), refuseProduce(code), refuseProduce(code))
      await Promise.all(['a', 'b', 'c'].map((value) => producer.send('orders', 0, batchOf(value))))
      expect(stored(broker)).toEqual(['first', 'a', 'b', 'c'])
      expect(producer.retryCount).toBe(3)
    },
  )

  test('a partition that was refused is not overtaken by batches sent later', async () => {
    const { broker, producer } = await startBench({ inFlightMax: 5 })
    await producer.send('orders', 0, batchOf('first'))
    broker.script(produceApi, refuseProduce(KAFKA_ERROR.NOT_LEADER_OR_FOLLOWER))
    const refused = producer.send('orders', 0, batchOf('a'))
    await expect.poll(() => producer.retryCount).toBe(1)
    const later = producer.send('orders', 0, batchOf('b'))
    await Promise.all([refused, later])
    expect(stored(broker)).toEqual(['first', 'a', 'b'])
  })

  test('a partition that is just coming up at its broker does not get its batches out of order', async () => {
    const { broker, producer } = await startBench({ inFlightMax: 5 })
    // Refuses whatever comes first, takes whatever comes next: as a leader that becomes one in between.
    broker.script(produceApi, refuseProduce(KAFKA_ERROR.NOT_LEADER_OR_FOLLOWER))
    await Promise.all(['a', 'b', 'c', 'd'].map((value) => producer.send('orders', 0, batchOf(value))))
    expect(stored(broker)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('other partitions go on while one is refused', async () => {
    const { broker, producer } = await startBench()
    await producer.send('orders', 0, batchOf('first'))
    broker.always(produceApi, ({ value, answer }) => {
      const isForZero = value.topicData.some(({ partitionData }) =>
        partitionData.some(({ index }) => index === 0),
      )
      return isForZero
        ? (refuseProduce(KAFKA_ERROR.NOT_ENOUGH_REPLICAS)({ value } as never) as never)
        : answer()
    })
    const stuck = producer
      .send('orders', 0, batchOf('a'), { timeoutMs: 300 })
      .catch((error: unknown) => error)
    await expect.poll(() => producer.retryCount).toBeGreaterThan(0)
    await producer.send('orders', 1, batchOf('b'))
    expect(await stuck).toMatchObject({ facts: { lastKafkaErrorName: 'NOT_ENOUGH_REPLICAS' } })
  })

  test('a lost connection has everything in flight sent again in order', async () => {
    const { broker, producer } = await startBench()
    await producer.send('orders', 0, batchOf('first'))
    broker.script(produceApi, keepSilent, keepSilent, drop)
    await Promise.all(['a', 'b', 'c', 'd'].map((value) => producer.send('orders', 0, batchOf(value))))
    expect(stored(broker)).toEqual(['first', 'a', 'b', 'c', 'd'])
  })

  test('the new leader is found and gets what the old one refused', async () => {
    const { broker, producer } = await startBench()
    const successor = await FakeBroker.start({ topics: { orders: 3 }, nodeId: 2 })
    cleanups.push(() => successor.stop())
    await producer.send('orders', 0, batchOf('first'))
    broker.peers.push(successor)
    broker.leaders.set('orders-0', 2)
    broker.always(produceApi, refuseProduce(KAFKA_ERROR.NOT_LEADER_OR_FOLLOWER))
    await Promise.all(['a', 'b'].map((value) => producer.send('orders', 0, batchOf(value))))
    expect(stored(successor)).toEqual(['a', 'b'])
  })

  test('a topic that appears later is found', async () => {
    const { broker, producer } = await startBench()
    const sent = producer.send('late', 0, batchOf('a'))
    await expect.poll(() => broker.requestsOf(metadataApi).length).toBeGreaterThan(2)
    broker.topics.set('late', 1)
    await sent
    expect(stored(broker, 'late')).toEqual(['a'])
  })
})

describe('failures that stay', () => {
  test.each([
    [KAFKA_ERROR.MESSAGE_TOO_LARGE],
    [KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED],
    [KAFKA_ERROR.INVALID_RECORD],
  ])('error %i rejects at once, with its name', async (code) => {
    const { broker, producer } = await startBench()
    broker.script(produceApi, refuseProduce(code))
    await expect(producer.send('orders', 0, batchOf('a'))).rejects.toMatchObject({
      code: 'GS_KAFKA_RESPONSE',
      kafkaErrorCode: code,
      kafkaErrorName: kafkaErrorName(code),
      retriable: false,
      facts: { topic: 'orders', partition: 0, possiblyPersisted: false },
    })
    expect(broker.requestsOf(produceApi)).toHaveLength(1)
  })

  test('a batch whose bytes do not check out is not sent again: whoever made it hears of it', async () => {
    const { broker, producer } = await startBench()
    broker.script(produceApi, refuseProduce(KAFKA_ERROR.CORRUPT_MESSAGE))
    await expect(producer.send('orders', 0, batchOf('a'))).rejects.toMatchObject({
      kafkaErrorCode: KAFKA_ERROR.CORRUPT_MESSAGE,
      facts: { possiblyPersisted: false },
    })
    expect(broker.requestsOf(produceApi)).toHaveLength(1)
  })

  test('without retries the first failure is final, and says whether the batch may be stored', async () => {
    const { broker, producer } = await startBench()
    broker.script(produceApi, refuseProduce(KAFKA_ERROR.NOT_ENOUGH_REPLICAS), doThenDrop)
    const once = { retries: false } as const
    await expect(producer.send('orders', 0, batchOf('a'), once)).rejects.toMatchObject({
      kafkaErrorName: 'NOT_ENOUGH_REPLICAS',
      facts: { possiblyPersisted: false },
    })
    await expect(producer.send('orders', 0, batchOf('b'), once)).rejects.toMatchObject({
      code: 'GS_KAFKA_DISCONNECTED',
      facts: { possiblyPersisted: true },
    })
    await expect(producer.send('nowhere', 0, batchOf('c'), once)).rejects.toMatchObject({
      kafkaErrorName: 'UNKNOWN_TOPIC_OR_PARTITION',
      facts: { possiblyPersisted: false },
    })
  })

  test('a batch without an answer is rejected at its deadline as possibly stored', async () => {
    const { broker, producer } = await startBench()
    broker.always(produceApi, keepSilent)
    await expect(producer.send('orders', 0, batchOf('a'), { timeoutMs: 60 })).rejects.toMatchObject({
      code: 'GS_KAFKA_TIMEOUT',
      retriable: true,
      facts: { topic: 'orders', partition: 0, possiblyPersisted: true },
    })
  })

  test('a batch that never left is rejected at its deadline as certainly not stored', async () => {
    const { producer } = await startBench()
    await expect(producer.send('nowhere', 0, batchOf('a'), { timeoutMs: 60 })).rejects.toMatchObject({
      code: 'GS_KAFKA_TIMEOUT',
      facts: { possiblyPersisted: false, lastKafkaErrorName: 'UNKNOWN_TOPIC_OR_PARTITION' },
    })
  })

  test('a batch that waits behind others is rejected at its own deadline', async () => {
    const { broker, producer } = await startBench({ inFlightMax: 1 })
    await producer.send('orders', 0, batchOf('first'))
    broker.script(produceApi, keepSilent)
    const ahead = producer
      .send('orders', 0, batchOf('a'), { timeoutMs: 200 })
      .catch((error: unknown) => error)
    await expect(producer.send('orders', 0, batchOf('b'), { timeoutMs: 50 })).rejects.toMatchObject({
      facts: { possiblyPersisted: false },
    })
    expect(await ahead).toMatchObject({ facts: { possiblyPersisted: true } })
  })

  test('a batch in a stuck socket is rejected only once the socket is gone', async () => {
    const { broker, producer } = await startBench({ bytesInFlightMax: 1e9 })
    await producer.send('orders', 0, batchOf('first'))
    for (const socket of broker.sockets) socket.pause()
    const large = batchOf('x'.repeat(24 * MIB))
    const startedAt = performance.now()
    await expect(producer.send('orders', 0, large, { timeoutMs: 100, retries: false })).rejects.toMatchObject(
      {
        facts: { possiblyPersisted: true },
      },
    )
    expect(performance.now() - startedAt).toBeGreaterThan(1_000)
    // The buffer is the caller's again: what is written into it now must not be stored anywhere.
    large.fill('y', 61)
    for (const socket of broker.sockets) socket.resume()
    await producer.send('orders', 1, batchOf('after'))
    for (const batch of broker.log('orders', 0)) checkBatch(batch, 0, batch.length)
    expect(stored(broker)).toEqual(['first'])
  })
})

describe('memory', () => {
  test('a full queue refuses, and room is given out first come, first served', async () => {
    const batch = batchOf('x'.repeat(1_000))
    const { broker, producer } = await startBench({ bytesInFlightMax: batch.length * 2 })
    const gate = Promise.withResolvers<void>()
    broker.always(produceApi, async ({ answer }) => {
      await gate.promise
      return answer()
    })
    const sent = [0, 1].map((partition) => producer.send('orders', partition, batch))
    await expect(producer.send('orders', 2, batch)).rejects.toMatchObject({
      code: 'GS_KAFKA_QUEUE_FULL',
      retriable: true,
    })
    const order: string[] = []
    const waiting = ['first', 'second', 'third'].map((name) =>
      producer.waitForRoom(batch.length).then(() => {
        order.push(name)
        return producer.send('orders', 2, batch)
      }),
    )
    expect(producer.bytesHeld).toBe(batch.length * 2)
    gate.resolve()
    await Promise.all([...sent, ...waiting])
    expect(order).toEqual(['first', 'second', 'third'])
    expect(producer.bytesHeld).toBe(0)
  })

  test('a wait for room can be given up', async () => {
    const batch = batchOf('a')
    const { broker, producer } = await startBench({ bytesInFlightMax: batch.length })
    broker.always(produceApi, keepSilent)
    void producer.send('orders', 0, batch).catch(() => {})
    const giveUp = new AbortController()
    const waiting = producer.waitForRoom(batch.length, giveUp.signal)
    giveUp.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  test('one batch larger than the whole bound is still taken when nothing else is', async () => {
    const { producer } = await startBench({ bytesInFlightMax: 10 })
    await expect(producer.send('orders', 0, batchOf('a'))).resolves.toMatchObject({ baseOffset: 0 })
  })
})

describe('stopping', () => {
  test('waits for what is out, and takes nothing new', async () => {
    const { broker, producer } = await startBench()
    broker.script(produceApi, async ({ answer }) => {
      await new Promise((resolve) => setTimeout(resolve, 30))
      return answer()
    })
    const sent = producer.send('orders', 0, batchOf('a'))
    const stopping = producer.stop({ drainMs: 5_000 })
    await expect(producer.send('orders', 0, batchOf('b'))).rejects.toMatchObject({ code: 'GS_STOPPED' })
    await stopping
    await expect(sent).resolves.toMatchObject({ baseOffset: 0 })
  })

  test('rejects what does not finish in time', async () => {
    const { broker, producer } = await startBench({ inFlightMax: 1 })
    broker.always(produceApi, keepSilent)
    const sent = [0, 0].map((partition) => producer.send('orders', partition, batchOf('a')))
    const outcomes = Promise.allSettled(sent)
    await expect.poll(() => broker.requestsOf(produceApi).length).toBe(1)
    await producer.stop({ drainMs: 20 })
    expect(
      (await outcomes).map(
        (outcome) => outcome.status === 'rejected' && outcome.reason.facts.possiblyPersisted,
      ),
    ).toEqual([true, false])
  })
})

describe('idempotence', () => {
  const stamps = (broker: FakeBroker, partition = 0) =>
    broker.log('orders', partition).map((batch) => [producerIdAt(batch, 0), baseSequenceAt(batch, 0)])

  test('sequences count records, per partition, under one producer id', async () => {
    const { broker, producer } = await startBench({ idempotent: true })
    await Promise.all([
      producer.send('orders', 0, batchOf('a', 'b')),
      producer.send('orders', 1, batchOf('c')),
      producer.send('orders', 0, batchOf('d')),
    ])
    expect(broker.requestsOf(initProducerIdApi)).toHaveLength(1)
    expect(stamps(broker)).toEqual([
      [1000, 0],
      [1000, 2],
    ])
    expect(stamps(broker, 1)).toEqual([[1000, 0]])
    for (const batch of broker.log('orders', 0)) checkBatch(batch, 0, batch.length)
  })

  test('a batch is sent again with the very same bytes', async () => {
    const { broker, producer } = await startBench({ idempotent: true })
    broker.script(produceApi, drop, refuseProduce(KAFKA_ERROR.NOT_LEADER_OR_FOLLOWER))
    await producer.send('orders', 0, batchOf('a'))
    const attempts = broker
      .requestsOf(produceApi)
      .map(({ value }) => value.topicData[0]?.partitionData[0]?.records)
    expect(attempts).toHaveLength(3)
    expect(attempts.every((records) => records?.equals(attempts[0] as Buffer))).toBe(true)
  })

  test('a duplicate that the broker recognises counts as stored', async () => {
    const { broker, producer } = await startBench({ idempotent: true })
    broker.script(produceApi, doThenDrop, refuseProduce(KAFKA_ERROR.DUPLICATE_SEQUENCE_NUMBER))
    await expect(producer.send('orders', 0, batchOf('a'))).resolves.toMatchObject({ baseOffset: -1 })
  })

  test('after a batch was refused for good, those behind it go out in order under a new producer id', async () => {
    const { broker, producer } = await startBench({ idempotent: true })
    await producer.send('orders', 0, batchOf('first'))
    broker.script(
      produceApi,
      refuseProduce(KAFKA_ERROR.MESSAGE_TOO_LARGE),
      refuseProduce(KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER),
      refuseProduce(KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER),
    )
    const [refused, ...others] = await Promise.allSettled(
      ['a', 'b', 'c'].map((value) => producer.send('orders', 0, batchOf(value))),
    )
    expect(refused?.status).toBe('rejected')
    expect(others.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
    expect(stored(broker)).toEqual(['first', 'b', 'c'])
    expect(stamps(broker)).toEqual([
      [1000, 0],
      [1001, 0],
      [1001, 1],
    ])
    await producer.send('orders', 1, batchOf('other partition'))
    expect(stamps(broker, 1)).toEqual([[1000, 0]])
  })

  test('a broker that has forgotten the producer id gets the batch under a new one, unless it may be stored already', async () => {
    const { broker, producer } = await startBench({ idempotent: true })
    broker.script(produceApi, refuseProduce(KAFKA_ERROR.UNKNOWN_PRODUCER_ID))
    await producer.send('orders', 0, batchOf('a'))
    expect(stamps(broker)).toEqual([[1001, 0]])
    broker.script(produceApi, doThenDrop, refuseProduce(KAFKA_ERROR.UNKNOWN_PRODUCER_ID))
    await expect(producer.send('orders', 0, batchOf('b'))).rejects.toMatchObject({
      kafkaErrorName: 'UNKNOWN_PRODUCER_ID',
      facts: { possiblyPersisted: true },
    })
    expect(stored(broker)).toEqual(['a', 'b'])
  })

  test('at most five batches of a partition are in flight, as many as a broker recognises', async () => {
    const { broker, producer } = await startBench({ idempotent: true, inFlightMax: 32 })
    await producer.send('orders', 0, batchOf('first'))
    const gate = Promise.withResolvers<void>()
    broker.always(produceApi, async ({ answer }) => {
      await gate.promise
      return answer()
    })
    const sent = Array.from({ length: 8 }, (_, index) => producer.send('orders', 0, batchOf(String(index))))
    await expect.poll(() => broker.requestsOf(produceApi).length).toBe(6)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(broker.requestsOf(produceApi)).toHaveLength(6)
    gate.resolve()
    await Promise.all(sent)
    expect(stored(broker)).toEqual(['first', '0', '1', '2', '3', '4', '5', '6', '7'])
  })
})
