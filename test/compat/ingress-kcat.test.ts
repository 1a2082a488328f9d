// kcat (librdkafka) at the Kafka door: what it sends is what the vault holds, in every codec and acknowledgement.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { fetchApi } from '../../src/wire/01-fetch.ts'
import type { KafkaFixture } from '../ingress/kafka-fixture.ts'
import { openKafka, RawKafkaClient } from '../ingress/kafka-fixture.ts'
import { eventually } from '../support/eventually.ts'
import { consumeValues, kcat } from '../support/kcat.ts'

let kafka: KafkaFixture
beforeAll(async () => {
  kafka = await openKafka()
})
afterAll(() => kafka.close())

const lines = Array.from({ length: 2_000 }, (_, index) => `line ${index} of some text that compresses well`)
const input = `${lines.join('\n')}\n`

const sorted = (values: readonly string[]) => [...values].sort()

/** The codecs of the batches that a vault topic holds, over all partitions. */
async function codecsOf(topic: string): Promise<Set<number>> {
  const client = await RawKafkaClient.open(kafka.broker.port)
  const codecs = new Set<number>()
  const partitions = [0, 1, 2, 3].map((partition) => ({
    partition,
    fetchOffset: 0,
    partitionMaxBytes: 10_000_000,
  }))
  const answer = await client.ask(fetchApi, 11, {
    maxWaitMs: 0,
    minBytes: 0,
    topics: [{ topic, partitions }],
  })
  for (const { records } of answer.responses[0]?.partitions ?? []) {
    const cursor = new RecordCursor()
    for (let at = 0; records !== null && at < records.length; ) {
      const header = cursor.open(records, at)
      codecs.add(header.compression)
      at += header.batchBytes
    }
  }
  client.socket.destroy()
  return codecs
}

describe('kcat -P', () => {
  test.each([
    ['none', 0],
    ['gzip', 1],
    ['snappy', 2],
    ['lz4', 3],
    ['zstd', 4],
  ])('with -z %s arrives as it was sent, still compressed', async (codec, number) => {
    const topic = `codec-${codec}`
    const sent = await kcat(['-P', '-b', kafka.address, '-t', topic, '-z', codec], { input })
    expect(sent).toMatchObject({ exitCode: 0 })
    expect(sorted(await consumeValues(kafka.broker.address, `raw-vault.${topic}`))).toEqual(sorted(lines))
    // librdkafka sends a batch as it is when compressing would not make it smaller.
    expect([...(await codecsOf(`raw-vault.${topic}`))]).toContain(number)
  })

  test.each(['0', '1', 'all'])('with acks=%s stores every line', async (acks) => {
    const topic = `acks-${acks}`
    const sent = await kcat(['-P', '-b', kafka.address, '-t', topic, '-X', `acks=${acks}`], { input })
    expect(sent).toMatchObject({ exitCode: 0 })
    const stored = () => consumeValues(kafka.broker.address, `raw-vault.${topic}`)
    // With acks=0 nobody has waited for the vault yet.
    if (acks === '0') await eventually('all is stored', async () => (await stored()).length === lines.length)
    expect(sorted(await stored())).toEqual(sorted(lines))
  })

  test('with enable.idempotence=true stores every line once', async () => {
    const sent = await kcat(
      ['-P', '-b', kafka.address, '-t', 'idempotent', '-X', 'enable.idempotence=true'],
      { input },
    )
    expect(sent).toMatchObject({ exitCode: 0 })
    expect(sorted(await consumeValues(kafka.broker.address, 'raw-vault.idempotent'))).toEqual(sorted(lines))
  })

  test('to the topic "default" fills the default stream, with keys and headers as sent', async () => {
    const sent = await kcat(['-P', '-b', kafka.address, '-t', 'default', '-K', ':', '-H', 'a=b', '-p', '0'], {
      input: 'key:value\n',
    })
    expect(sent).toMatchObject({ exitCode: 0 })
    const read = await kcat([
      '-C',
      '-b',
      kafka.broker.address,
      '-t',
      'raw-vault',
      '-e',
      '-q',
      '-f',
      '%k|%s|%h',
    ])
    expect(read.stdout.toString()).toBe('key|value|a=b')
  })

  test('of one partition keeps the order of the lines', async () => {
    await kcat(['-P', '-b', kafka.address, '-t', 'ordered', '-p', '2', '-X', 'batch.num.messages=10'], {
      input,
    })
    expect(await consumeValues(kafka.broker.address, 'raw-vault.ordered')).toEqual(lines)
  })

  test('to a reserved topic fails with a reason', async () => {
    const sent = await kcat(
      ['-P', '-b', kafka.address, '-t', 'raw-vault.x', '-X', 'message.timeout.ms=3000'],
      { input: 'a\n' },
    )
    expect(sent.exitCode).not.toBe(0)
    expect(sent.stderr).toMatch(/authorization failed/i)
  })
})

test('kcat -L shows one broker and the streams', async () => {
  await kcat(['-P', '-b', kafka.address, '-t', 'listed'], { input: 'a\n' })
  const listed = await kcat(['-L', '-b', kafka.address, '-J'])
  const metadata = JSON.parse(listed.stdout.toString())
  expect(metadata.brokers).toEqual([{ id: 1, name: kafka.address }])
  expect(metadata.topics.find(({ topic }: { topic: string }) => topic === 'listed').partitions.length).toBe(4)
})

test('kcat -Q tells offsets of a stream', async () => {
  await kcat(['-P', '-b', kafka.address, '-t', 'queried', '-p', '0'], { input: 'a\nb\n' })
  const asked = await kcat(['-Q', '-b', kafka.address, '-t', 'queried:0:-1'])
  expect(asked.stdout.toString()).toContain('queried [0] offset 2')
})

test('kcat -C at this door is told that it may not read', async () => {
  const read = await kcat(['-C', '-b', kafka.address, '-t', 'listed', '-o', 'beginning', '-e'], {
    timeoutMs: 10_000,
  })
  expect(`${read.stdout}${read.stderr}`).toMatch(/authorization failed/i)
})
