import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'
import { addKafkajsCodecs } from '../support/kafkajs-codecs.ts'

const { CompressionTypes, Kafka, logLevel } = kafkajs

let gophership: GopherShipProcess

beforeAll(async () => {
  addKafkajsCodecs()
  gophership = await GopherShipProcess.prepare()
  await gophership.start()
})

afterAll(async () => {
  await gophership.destroy()
})

describe('kafkajs from door to door', () => {
  it('produces in its default settings and in each compression, and consumes the events with a group', async () => {
    const sides = { logLevel: logLevel.NOTHING, clientId: 'kafkajs' }
    const producer = new Kafka({ ...sides, brokers: [gophership.kafkaAddress] }).producer()
    await producer.connect()
    const codecs = Object.entries(CompressionTypes).filter(([, codec]) => typeof codec === 'number') as [
      string,
      number,
    ][]
    const sent = new Map<string, string>()
    for (const [name, compression] of [['default', undefined], ...codecs] as [string, number | undefined][]) {
      const messages = Array.from({ length: 50 }, (_, index) => ({
        key: `${name}-${index}`,
        value: `${name} message ${index}`,
      }))
      for (const { key, value } of messages) sent.set(key, value)
      const topic = `js-${name.toLowerCase()}`
      await producer.send({ topic, messages, ...(compression === undefined ? {} : { compression }) })
    }
    await producer.disconnect()
    const admin = new Kafka({ ...sides, brokers: [gophership.brokerAddress] }).admin()
    await admin.connect()
    await eventually('an enriched topic for each', async () => {
      const topics = await admin.listTopics()
      return topics.filter((topic) => topic.startsWith('enriched.js-')).length === codecs.length + 1
    })
    await admin.disconnect()

    const received = new Map<string, string>()
    const consumer = new Kafka({ ...sides, brokers: [gophership.brokerAddress] }).consumer({
      groupId: 'readers',
    })
    await consumer.connect()
    await consumer.subscribe({ topic: /^enriched\.js-/, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message }) => {
        const { body } = JSON.parse(String(message.value)) as { body: string }
        received.set(String(message.key), body)
      },
    })
    await eventually('every event', () => received.size === sent.size, { withinMs: 30_000 })
    await consumer.disconnect()

    expect(codecs.map(([name]) => name).toSorted()).toEqual(['GZIP', 'LZ4', 'None', 'Snappy', 'ZSTD'])
    expect(received).toEqual(sent)
  }, 60_000)
})
