/** kafkajs' transactions against the embedded broker: consume, transform, produce, with the offsets in the transaction. */

import type { Consumer, Kafka as KafkaType, Producer } from 'kafkajs'
import kafkajs from 'kafkajs'
import { afterEach, describe, expect, it } from 'vitest'
import { startBroker, stopBrokers } from '../broker/broker-client.ts'
import type { TestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'

const { Kafka, logLevel } = kafkajs

const open: { disconnect(): Promise<void> }[] = []

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
  const broker = await startBroker({ defaultPartitionCount: 3 })
  const kafka = kafkaOf(broker)
  const admin = kafka.admin()
  open.push(admin)
  await admin.connect()
  await admin.createTopics({
    topics: ['input', 'output'].map((topic) => ({ topic, numPartitions: 3 })),
  })
  return { broker, kafka, admin }
}

async function transactional(kafka: KafkaType, transactionalId = 'tx', transactionTimeout = 30_000) {
  const producer = kafka.producer({
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout,
  })
  open.push(producer)
  await producer.connect()
  return producer
}

/** Reads a topic from its start, committed records only unless told otherwise. */
async function startReader(kafka: KafkaType, topic: string, readUncommitted = false) {
  const consumer = kafka.consumer({
    groupId: `reader-${topic}-${readUncommitted}`,
    readUncommitted,
    maxWaitTimeInMs: 100,
  })
  open.push(consumer)
  const values: string[] = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      values.push(message.value?.toString() ?? '')
    },
  })
  return values
}

const messagesOf = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: String(index), value: `${prefix} ${index}` }))

describe('a kafkajs transaction', () => {
  it('shows its records in several partitions when it commits, and none when it aborts', async () => {
    const { kafka } = await started()
    const producer = await transactional(kafka)
    const values = await startReader(kafka, 'output')
    const everything = await startReader(kafka, 'output', true)

    for (let round = 0; round < 10; round += 1) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: 'output', messages: messagesOf(`round ${round}`, 10) })
      if (round % 3 === 0) await transaction.abort()
      else await transaction.commit()
    }

    await eventually('the committed records', () => values.length >= 60)
    await eventually('all records', () => everything.length >= 100)
    expect(values.filter((value) => /round [0369] /.test(value))).toEqual([])
    expect(new Set(values).size).toBe(60)
    expect(everything).toHaveLength(100)
  }, 60_000)

  it('fences the producer that had its id before', async () => {
    const { kafka } = await started()
    const old = await transactional(kafka)
    const left = await old.transaction()
    await left.send({ topic: 'output', messages: messagesOf('left', 3) })

    const next = await transactional(kafka)
    const transaction = await next.transaction()
    await transaction.send({ topic: 'output', messages: messagesOf('next', 3) })
    await transaction.commit()

    await expect(left.commit()).rejects.toMatchObject({ type: expect.stringMatching(/FENCED|EPOCH/) })
    const values = await startReader(kafka, 'output')
    await eventually('the records', () => values.length >= 3)
    expect(values.sort()).toEqual(['next 0', 'next 1', 'next 2'])
  }, 60_000)

  it('carries every record from one topic to another exactly once, over failures and a successor', async () => {
    const { kafka, admin } = await started()
    const plain = kafka.producer()
    open.push(plain)
    await plain.connect()
    await plain.send({ topic: 'input', messages: messagesOf('in', 300) })
    const counted = { failures: 0 }

    // One after the other: kafkajs does not say which generation it is in, so two at once may both copy a record.
    const first = await startCopier(kafka, counted)
    await eventually('some output', async () => (await committedTotal(admin)) > 50, { withinMs: 20_000 })
    await first.consumer.disconnect()
    await plain.send({ topic: 'input', messages: messagesOf('more', 300) })
    await startCopier(kafka, counted)

    await eventually('all input', async () => (await committedTotal(admin)) === 600, { withinMs: 40_000 })
    const values = await startReader(kafka, 'output')
    await eventually('all output', () => values.length >= 600)
    expect(values.sort()).toEqual(
      [...messagesOf('in', 300), ...messagesOf('more', 300)].map(({ value }) => value).sort(),
    )
    expect(counted.failures).toBeGreaterThan(0)
  }, 120_000)
})

async function committedTotal(admin: ReturnType<KafkaType['admin']>): Promise<number> {
  const [input] = await admin.fetchOffsets({ groupId: 'copiers', topics: ['input'] })
  return (input?.partitions ?? []).reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
}

/** Consumes, produces and commits the offsets in one transaction per batch; every other one is aborted and done again. */
async function startCopier(
  kafka: KafkaType,
  counted: { failures: number },
): Promise<{ consumer: Consumer; producer: Producer }> {
  const producer = await transactional(kafka, 'copier')
  const consumer = kafka.consumer({
    groupId: 'copiers',
    readUncommitted: false,
    maxWaitTimeInMs: 100,
    maxBytesPerPartition: 1000,
    sessionTimeout: 6000,
    heartbeatInterval: 200,
    rebalanceTimeout: 5000,
  })
  open.push(consumer)
  await consumer.connect()
  await consumer.subscribe({ topic: 'input', fromBeginning: true })
  let count = 0
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, isStale, isRunning, resolveOffset }) => {
      if (isStale() || !isRunning() || batch.messages.length === 0) return
      count += 1
      const transaction = await producer.transaction()
      try {
        await transaction.send({
          topic: 'output',
          messages: batch.messages.map(({ key, value }) => ({ key, value })),
        })
        if (count % 2 === 1) throw new Error('a made-up failure')
        const offset = String(Number(batch.lastOffset()) + 1)
        await transaction.sendOffsets({
          consumerGroupId: 'copiers',
          topics: [{ topic: batch.topic, partitions: [{ partition: batch.partition, offset }] }],
        })
        await transaction.commit()
        resolveOffset(batch.lastOffset())
      } catch {
        counted.failures += 1
        if (transaction.isActive()) await transaction.abort()
        consumer.seek({ topic: batch.topic, partition: batch.partition, offset: batch.firstOffset() ?? '0' })
      }
    },
  })
  return { consumer, producer }
}
