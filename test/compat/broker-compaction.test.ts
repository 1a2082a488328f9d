/**
 * Compacted topics as foreign clients see them: created and altered by kafkajs, filled by it, read after compaction by it and
 * by kcat, from the start, from within gaps, and read_committed, also after a restart.
 */

import type { Kafka as KafkaType, Message } from 'kafkajs'
import kafkajs from 'kafkajs'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { restartBroker, startBroker, stopBrokers } from '../broker/broker-client.ts'
import type { TestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'
import { addKafkajsCodecs } from '../support/kafkajs-codecs.ts'
import { kcat } from '../support/kcat.ts'

const { Kafka, logLevel, CompressionTypes, ConfigResourceTypes } = kafkajs
const open: { disconnect(): Promise<void> }[] = []
const TOPIC = 'state'
const KEYS = 20
const ROUNDS = 60

beforeAll(addKafkajsCodecs)
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.disconnect()))
  await stopBrokers()
})

function kafkaOf(broker: TestBroker): KafkaType {
  return new Kafka({ clientId: 'kafkajs', brokers: [broker.address], logLevel: logLevel.NOTHING })
}

const configs = [
  { name: 'cleanup.policy', value: 'compact' },
  { name: 'segment.ms', value: '1' },
  { name: 'min.cleanable.dirty.ratio', value: '0.01' },
  { name: 'delete.retention.ms', value: '0' },
]

async function started() {
  const broker = await startBroker()
  const kafka = kafkaOf(broker)
  const admin = kafka.admin()
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  open.push(admin, producer)
  await Promise.all([admin.connect(), producer.connect()])
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1, configEntries: configs }] })
  return { broker, kafka, admin, producer }
}

interface Sent {
  readonly wanted: Map<string, string>
  readonly messageCount: number
}

/** Many batches of many codecs, of which few records stay: key 0 ends with a tombstone. */
async function fill(producer: ReturnType<KafkaType['producer']>): Promise<Sent> {
  const wanted = new Map<string, string>()
  const codecs = [CompressionTypes.None, CompressionTypes.GZIP, CompressionTypes.Snappy, CompressionTypes.LZ4]
  let messageCount = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const messages: Message[] = Array.from({ length: 5 }, (_, index) => {
      const key = `key-${(round * 5 + index) % KEYS}`
      const value = `${round}.${index}.${'v'.repeat(index * 20)}`
      wanted.set(key, value)
      return { key, value }
    })
    const compression = codecs[round % codecs.length] ?? CompressionTypes.None
    await producer.send({ topic: TOPIC, compression, messages })
    messageCount += messages.length
  }
  await producer.send({ topic: TOPIC, messages: [{ key: 'key-0', value: null }] })
  wanted.delete('key-0')
  // The last segment is never compacted: these seal what is before them.
  for (let index = 0; index < 3; index += 1)
    await producer.send({ topic: TOPIC, messages: [{ key: `end-${index}`, value: 'end' }] })
  for (let index = 0; index < 3; index += 1) wanted.set(`end-${index}`, 'end')
  return { wanted, messageCount: messageCount + 4 }
}

/** What kcat reads: `offset key value` of each record. A null value is told by its length. */
async function readWithKcat(broker: TestBroker, ...args: string[]) {
  const { stdout, stderr, exitCode } = await kcat(
    ['-C', '-b', broker.address, '-t', TOPIC, '-p', '0', '-e', '-q', '-f', '%o\t%k\t%S\t%s\n', ...args],
    { timeoutMs: 20_000 },
  )
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [offset = '', key = '', length = '', value = ''] = line.split('\t')
      return { offset: Number(offset), key, value: length === '-1' ? null : value }
    })
}

function foldOf(records: readonly { key: string; value: string | null }[]): Map<string, string> {
  const fold = new Map<string, string>()
  for (const { key, value } of records) {
    if (value === null) fold.delete(key)
    else fold.set(key, value)
  }
  return fold
}

describe('a compacted topic', () => {
  it('holds for kcat the latest of each key, from its start and from within a gap, also after a restart', async () => {
    const { broker, producer } = await started()
    const { wanted, messageCount } = await fill(producer)

    expect(await broker.broker.compactTopics()).toBeGreaterThanOrEqual(1)

    const records = await readWithKcat(broker, '-o', 'beginning')
    expect(records.length).toBeLessThan(KEYS + 8)
    expect(foldOf(records)).toEqual(wanted)
    const inGap = (records[0]?.offset ?? 0) - 3
    expect(inGap).toBeGreaterThan(0)
    expect(await readWithKcat(broker, '-o', String(inGap))).toEqual(records)
    expect(records.at(-1)?.offset).toBe(messageCount - 1)

    const again = await restartBroker(broker)
    expect(await readWithKcat(again, '-o', 'beginning')).toEqual(records)
  })

  it('is read by kafkajs to its end, whatever is missing on the way', async () => {
    const { broker, kafka, producer } = await started()
    const { wanted } = await fill(producer)
    await broker.broker.compactTopics()
    const seen: { key: string; value: string | null }[] = []
    const consumer = kafka.consumer({ groupId: 'readers', maxWaitTimeInMs: 100 })
    open.push(consumer)
    await consumer.connect()
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message }) => {
        seen.push({ key: String(message.key), value: message.value === null ? null : String(message.value) })
      },
    })
    await eventually('the end is read', () => seen.some(({ key }) => key === 'end-2'))
    expect(foldOf(seen)).toEqual(wanted)
    expect(seen.length).toBeLessThan(KEYS + 8)
  })

  it('may begin with batches of which only the header is left, for their producers', async () => {
    const { broker, kafka, producer } = await started()
    for (let index = 0; index < 3; index += 1) {
      const once = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
      open.push(once)
      await once.connect()
      await once.send({ topic: TOPIC, messages: [{ key: 'key-1', value: 'hidden' }] })
    }
    const { wanted } = await fill(producer)
    await broker.broker.compactTopics()

    expect(foldOf(await readWithKcat(broker, '-o', 'beginning'))).toEqual(wanted)
    const values: string[] = []
    const consumer = kafka.consumer({ groupId: 'readers', maxWaitTimeInMs: 100 })
    open.push(consumer)
    await consumer.connect()
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void values.push(String(message.key)) })
    await eventually('the end is read', () => values.includes('end-2'))
    expect(values).not.toContain('hidden')
  })

  it('keeps an idempotent producer going through compaction and a restart', async () => {
    const { broker, producer } = await started()
    await fill(producer)
    await broker.broker.compactTopics()
    await producer.send({ topic: TOPIC, messages: [{ key: 'key-1', value: 'after compaction' }] })
    const again = await restartBroker(broker)
    await producer.send({ topic: TOPIC, messages: [{ key: 'key-1', value: 'after restart' }] })
    const records = await readWithKcat(again, '-o', 'beginning')
    expect(foldOf(records).get('key-1')).toBe('after restart')
  })

  it('shows its settings to an administrator, and takes the policy later as well', async () => {
    const { broker, admin, producer } = await started()
    await admin.createTopics({
      topics: [{ topic: 'plain', numPartitions: 1, configEntries: [{ name: 'segment.ms', value: '1' }] }],
    })
    for (let index = 0; index < 6; index += 1)
      await producer.send({ topic: 'plain', messages: [{ key: 'k', value: `${index}` }] })
    const resource = { type: ConfigResourceTypes.TOPIC, name: 'plain' }
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ ...resource, configEntries: configs }],
    })
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
    const told = new Map(resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]))
    for (const { name, value } of configs) expect(told.get(name)).toBe(value)

    expect(await broker.broker.compactTopics()).toBe(1)

    const { stdout } = await kcat(['-C', '-b', broker.address, '-t', 'plain', '-e', '-q', '-f', '%o=%s '])
    expect(stdout.toString()).toBe('4=4 5=5 ')
  })

  it('refuses records without a key, and settings that make no sense', async () => {
    const { admin, producer } = await started()
    await expect(producer.send({ topic: TOPIC, messages: [{ value: 'no key' }] })).rejects.toThrow()
    await expect(
      admin.createTopics({
        topics: [
          {
            topic: 'bad',
            configEntries: [{ name: 'min.cleanable.dirty.ratio', value: '1.5' }],
          },
        ],
      }),
    ).rejects.toThrow()
  })
})

describe('transactions in a compacted topic', () => {
  it('leave a read_committed reader the committed state, when what was aborted is gone', async () => {
    const { broker, kafka, producer } = await started()
    const transactional = kafka.producer({ transactionalId: 'txn', idempotent: true, maxInFlightRequests: 1 })
    open.push(transactional)
    await transactional.connect()
    const wanted = new Map<string, string>()
    for (let round = 0; round < 12; round += 1) {
      const transaction = await transactional.transaction()
      const key = `key-${round % 4}`
      await transaction.send({ topic: TOPIC, messages: [{ key, value: `${round}` }] })
      if (round % 3 === 2) await transaction.abort()
      else {
        await transaction.commit()
        wanted.set(key, `${round}`)
      }
    }
    for (let round = 0; round < 4; round += 1) {
      for (let index = 0; index < 2; index += 1) {
        await producer.send({ topic: TOPIC, messages: [{ key: `end-${round}`, value: `${index}` }] })
      }
      wanted.set(`end-${round}`, '1')
      await broker.broker.compactTopics()
      const committed = ['-X', 'isolation.level=read_committed', '-o', 'beginning']
      expect(foldOf(await readWithKcat(broker, ...committed)), `round ${round}`).toEqual(wanted)
    }
    const all = await readWithKcat(broker, '-X', 'isolation.level=read_uncommitted', '-o', 'beginning')
    expect(foldOf(all)).toEqual(wanted)
  })
})
