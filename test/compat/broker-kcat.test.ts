/**
 * kcat (librdkafka) against the embedded broker. The librdkafka of Debian 12, 2.0.2, turns features off in silence when
 * the advertised versions do not suit it, so what matters most here is that compressed batches arrive compressed.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { COMPRESSION, compressionAt, magicAt, producerIdAt } from '../../src/batch/record-batch.ts'
import { connectTo, createTopic, fetchOne, startBroker, stopBrokers } from '../broker/broker-client.ts'
import type { RawConnection } from '../listener/raw-connection.ts'
import type { TestBroker } from '../support/broker.ts'
import { kcat } from '../support/kcat.ts'

let broker: TestBroker
let connection: RawConnection

beforeAll(async () => {
  broker = await startBroker()
  connection = await connectTo(broker)
})
afterAll(stopBrokers)

const lines = Array.from({ length: 500 }, (_, index) => `line ${index} ${'abc'.repeat(index % 50)}`)

async function produceLines(topic: string, ...args: string[]): Promise<void> {
  const { exitCode, stderr } = await kcat(['-P', '-b', broker.address, '-t', topic, ...args], {
    input: lines.join('\n'),
  })
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
}

async function consume(topic: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await kcat(['-C', '-b', broker.address, '-t', topic, '-e', '-q', ...args])
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
}

describe('kcat', () => {
  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'produces with %s, so that the batches really arrive that way, and reads everything back',
    async (codec) => {
      const topic = `codec-${codec}`
      await createTopic(connection, topic)

      await produceLines(topic, '-z', codec, '-X', 'linger.ms=50')

      const { records } = await fetchOne(connection, { topic })
      expect(magicAt(records as Buffer, 0)).toBe(2)
      expect(compressionAt(records as Buffer, 0)).toBe(COMPRESSION[codec])
      expect(await consume(topic)).toEqual(lines)
    },
  )

  it.each(['0', '1', 'all'])('produces with acks=%s to a topic that is created for it', async (acks) => {
    const topic = `acks-${acks}`

    await produceLines(topic, '-X', `acks=${acks}`)

    expect((await consume(topic)).sort()).toEqual([...lines].sort())
  })

  it('produces idempotently, with a producer id of the broker', async () => {
    await createTopic(connection, 'idempotent')

    await produceLines('idempotent', '-X', 'enable.idempotence=true')

    const { records } = await fetchOne(connection, { topic: 'idempotent' })
    expect(producerIdAt(records as Buffer, 0)).toBeGreaterThanOrEqual(0)
    expect(await consume('idempotent')).toEqual(lines)
  })

  it('keeps keys, headers and timestamps', async () => {
    await createTopic(connection, 'headers')
    const { exitCode } = await kcat(
      ['-P', '-b', broker.address, '-t', 'headers', '-K', ':', '-H', 'a=1', '-H', 'b=2'],
      {
        input: 'key:value',
      },
    )

    const found = await consume('headers', '-f', '%k|%s|%h|%o\n')

    expect({ exitCode, found }).toEqual({ exitCode: 0, found: ['key|value|a=1,b=2|0'] })
  })

  it('finds offsets by time, and the ends', async () => {
    await createTopic(connection, 'times')
    await produceLines('times')
    const ask = async (timestamp: string) =>
      (await kcat(['-Q', '-b', broker.address, '-t', `times:0:${timestamp}`])).stdout.toString().trim()

    expect(await ask('-1')).toBe('times [0] offset 500')
    expect(await ask('-2')).toBe('times [0] offset 0')
    expect(await ask('1000')).toBe('times [0] offset 0')
  })

  it('consumes as a group, and goes on where it left off', async () => {
    await createTopic(connection, 'grouped', { partitionCount: 3 })
    await produceLines('grouped')
    const consumeGroup = async () => {
      const args = [
        '-b',
        broker.address,
        '-G',
        'kcat-group',
        '-e',
        '-q',
        '-X',
        'auto.offset.reset=earliest',
        'grouped',
      ]
      return (await kcat(args)).stdout
        .toString()
        .split('\n')
        .filter((line) => line !== '')
    }

    const first = await consumeGroup()
    const second = await consumeGroup()

    expect(first.sort()).toEqual([...lines].sort())
    expect(second).toEqual([])
  })

  it('lists the broker and its topics', async () => {
    const { stdout } = await kcat(['-L', '-b', broker.address])

    expect(stdout.toString()).toContain(`broker 1 at ${broker.address} (controller)`)
  })
})
