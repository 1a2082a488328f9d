// kafkajs at the Kafka door, in its default settings and with each codec; reading back by kcat, from the broker.

import kafkajs from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KafkaFixture } from '../ingress/kafka-fixture.ts'
import { openKafka } from '../ingress/kafka-fixture.ts'
import { eventually } from '../support/eventually.ts'
import { addKafkajsCodecs } from '../support/kafkajs-codecs.ts'
import { consumeValues, kcat } from '../support/kcat.ts'

const { CompressionTypes, Kafka, logLevel } = kafkajs

addKafkajsCodecs()

let fixture: KafkaFixture
beforeAll(async () => {
  fixture = await openKafka()
})
afterAll(() => fixture.close())

const client = () => new Kafka({ clientId: 'compat', brokers: [fixture.address], logLevel: logLevel.NOTHING })
const values = Array.from({ length: 500 }, (_, index) => `value ${index}`)

test('default settings: every message arrives, keys and headers too', async () => {
  const producer = client().producer()
  await producer.connect()
  const sent = await producer.send({
    topic: 'js-default',
    messages: values.map((value) => ({ value, key: value, headers: { h: 'v' } })),
  })
  await producer.disconnect()
  expect(sent.every(({ errorCode }) => errorCode === 0)).toBe(true)
  expect((await consumeValues(fixture.broker.address, 'raw-vault.js-default')).sort()).toEqual(
    [...values].sort(),
  )
  const read = await kcat([
    '-C',
    '-b',
    fixture.broker.address,
    '-t',
    'raw-vault.js-default',
    '-e',
    '-q',
    '-c',
    '1',
    '-f',
    '%k=%s %h',
  ])
  expect(read.stdout.toString()).toMatch(/^(value \d+)=\1 h=v$/)
})

test.each([
  ['gzip', CompressionTypes.GZIP],
  ['snappy', CompressionTypes.Snappy],
  ['lz4', CompressionTypes.LZ4],
  ['zstd', CompressionTypes.ZSTD],
])('%s: every message arrives', async (name, compression) => {
  const producer = client().producer()
  await producer.connect()
  await producer.send({ topic: `js-${name}`, compression, messages: values.map((value) => ({ value })) })
  await producer.disconnect()
  expect((await consumeValues(fixture.broker.address, `raw-vault.js-${name}`)).sort()).toEqual(
    [...values].sort(),
  )
})

test.each([0, 1, -1])('acks=%d: every message arrives', async (acks) => {
  const topic = `js-acks${acks}`
  const producer = client().producer()
  await producer.connect()
  await producer.send({ topic, acks, messages: values.map((value) => ({ value })) })
  await producer.disconnect()
  const stored = () => consumeValues(fixture.broker.address, `raw-vault.${topic}`)
  // With acks=0 nobody has waited for the vault yet.
  if (acks === 0) await eventually('all is stored', async () => (await stored()).length === values.length)
  expect((await stored()).sort()).toEqual([...values].sort())
})

test('idempotent: every message arrives once', async () => {
  const producer = client().producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let at = 0; at < values.length; at += 100) {
    await producer.send({
      topic: 'js-idempotent',
      messages: values.slice(at, at + 100).map((value) => ({ value })),
    })
  }
  await producer.disconnect()
  expect((await consumeValues(fixture.broker.address, 'raw-vault.js-idempotent')).sort()).toEqual(
    [...values].sort(),
  )
})

test('a transactional producer is refused, with a reason', async () => {
  const producer = client().producer({
    transactionalId: 'tx',
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { retries: 1 },
  })
  await expect(producer.connect().then(() => producer.transaction())).rejects.toThrow(/coordinator|authoriz/i)
  await producer.disconnect()
})
