/** Dead letters against a broker: read, counted, and sent back as they were. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BatchEncoder, encodeHeaders, type RecordHeader } from '../../src/batch/batch-encoder.ts'
import { batchBytesAt, COMPRESSION } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { systemClock } from '../../src/core/clock.ts'
import {
  type DeadLetterFacts,
  decodeDeadLetterHeaders,
  encodeDeadLetterHeaders,
} from '../../src/enrichment/dead-letter-headers.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Fetcher } from '../../src/kafka/fetcher.ts'
import { Producer } from '../../src/kafka/producer.ts'
import {
  type DeadLetter,
  EVERY_LETTER,
  readDeadLetter,
  scanDeadLetters,
} from '../../src/replay/dead-letters.ts'
import { Redrive, type RedriveOptions } from '../../src/replay/redrive.ts'
import { formatPlace, parsePlace, REDRIVEN_TOPIC, RedrivenLog } from '../../src/replay/redriven-log.ts'
import { run } from '../cli/run-cli.ts'
import { openCluster } from '../kafka/support.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'

const VAULT = 'raw-vault.web'
const LETTERS = 'dead-letter'
const T0 = 1_760_000_000_000
const text = (key: string, value: string): RecordHeader => ({ key, value: Buffer.from(value) })

describe('the headers of a dead letter', () => {
  const FACTS: DeadLetterFacts = {
    reason: 'invalid-utf8',
    stage: 'decode',
    message: 'the value is not UTF-8 text',
    attempt: 1,
    topic: VAULT,
    partition: 3,
    offset: 1_200,
  }
  const roundTrip = (facts: DeadLetterFacts, own: readonly RecordHeader[]) => {
    const encoder = new BatchEncoder()
    encoder.start()
    encoder.append(T0, null, null, encodeDeadLetterHeaders(facts, own))
    const cursor = new RecordCursor()
    cursor.open(encoder.finish())
    cursor.next()
    return decodeDeadLetterHeaders(cursor.headers())
  }

  it('come back as they were written, the record its own behind them', () => {
    for (const facts of [FACTS, { ...FACTS, lastOffset: 1_300 }, { ...FACTS, omitted: 'too-large' }]) {
      const own = [text('a', '1'), text('a', '2'), { key: 'b', value: null }]

      expect(roundTrip(facts, own)).toEqual({ facts, own })
    }
  })

  it('are not moved by headers that a producer forged under any of their names', () => {
    const forged = [
      'reason',
      'stage',
      'message',
      'attempt',
      'topic',
      'partition',
      'offset',
      'last-offset',
      'value-omitted',
    ].map((name) => text(`gophership-${name}`, '999999'))

    expect(roundTrip(FACTS, forged)).toEqual({ facts: FACTS, own: forged })
  })

  it('are refused when they are not what we write', () => {
    const names = ['reason', 'stage', 'message', 'attempt', 'topic', 'partition', 'offset']
    const whole = names.map((name) => text(`gophership-${name}`, '1'))

    expect(decodeDeadLetterHeaders(whole)).not.toBe(null)
    for (const name of names) {
      expect(decodeDeadLetterHeaders(whole.filter(({ key }) => key !== `gophership-${name}`))).toBe(null)
    }
    expect(decodeDeadLetterHeaders([text('gophership-attempt', '-1'), ...whole])).toBe(null)
    expect(
      decodeDeadLetterHeaders(
        whole.map((header) => (header.key === 'gophership-offset' ? { ...header, value: null } : header)),
      ),
    ).toBe(null)
  })
})

describe('dead letters in a cluster', () => {
  let broker: TestBroker
  let cluster: KafkaCluster
  let producer: Producer

  beforeEach(async () => {
    broker = await startTestBroker()
    cluster = openCluster([broker.address])
    await cluster.connect()
    producer = new Producer(cluster)
    await cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await cluster.ensureTopic(LETTERS, { partitionCount: 1 })
  })

  afterEach(async () => {
    await producer.stop()
    await cluster.close()
    await broker.stop()
  })

  async function append(
    topic: string,
    partition: number,
    { key, value, headers }: { key: Buffer | null; value: Buffer | null; headers: readonly RecordHeader[] },
  ): Promise<number> {
    const isLarge = (value?.length ?? 0) > 1_000_000
    const encoder = new BatchEncoder(isLarge ? { bytesMax: 8_000_000 } : {})
    encoder.start(isLarge ? { compression: COMPRESSION.gzip } : {})
    encoder.append(T0 + 7, key, value, encodeHeaders(headers))
    return (await producer.send(topic, partition, Buffer.from(encoder.finish()))).baseOffset
  }

  /** A record in the vault, and the letter that a processor makes of it. */
  async function bury(
    own: readonly RecordHeader[],
    {
      partition = 0,
      value = Buffer.from([0xff, 0x00]),
      ...changes
    }: Partial<DeadLetterFacts> & { value?: Buffer } = {},
  ): Promise<void> {
    const key = Buffer.from('k')
    const offset = await append(VAULT, partition, { key, value, headers: own })
    const place = { topic: VAULT, partition, offset }
    const facts = { reason: 'invalid-utf8', stage: 'decode', message: 'm', attempt: 1, ...place, ...changes }
    const isOmitted = facts.omitted !== undefined
    const encoder = new BatchEncoder()
    encoder.start()
    const headers = encodeDeadLetterHeaders(facts, isOmitted ? [] : own)
    encoder.append(T0 + 7, isOmitted ? null : key, isOmitted ? null : value, headers)
    await producer.send(LETTERS, 0, Buffer.from(encoder.finish()))
  }

  async function letters(redriven?: RedrivenLog): Promise<DeadLetter[]> {
    const found: DeadLetter[] = []
    await scanDeadLetters(cluster, {
      topic: LETTERS,
      filter: EVERY_LETTER,
      redriven: redriven ?? (await RedrivenLog.read(cluster)),
      onLetters: (list) => {
        found.push(...list)
      },
    })
    return found
  }

  async function redrive(changes: Partial<RedriveOptions> = {}): Promise<string[]> {
    const outcomes: string[] = []
    const one = await Redrive.open(cluster, {
      clock: systemClock,
      isVaultTopic: (topic) => topic.startsWith('raw-vault'),
      isAgain: false,
      onDecided: (letter, outcome) =>
        outcomes.push(
          `${letter.offset} ${typeof outcome === 'string' ? outcome : formatPlace(outcome.record)}`,
        ),
      ...changes,
    })
    try {
      await one.send(await letters(one.redriven))
    } finally {
      await one.stop()
    }
    return outcomes
  }

  /** Committed records of a topic, as text. */
  async function recordsOf(topic: string, partition: number): Promise<string[]> {
    const fetcher = new Fetcher(cluster, { isolation: 'read_committed', waitMsMax: 50 })
    fetcher.assign([{ topic, partition, offset: 0 }])
    const records: string[] = []
    const cursor = new RecordCursor()
    for (let idle = 0; idle < 3; ) {
      const chunks = await fetcher.poll({ timeoutMs: 60 })
      idle = chunks.length === 0 ? idle + 1 : 0
      for (const chunk of chunks) {
        for (let at = 0; at < chunk.records.length; at += batchBytesAt(chunk.records, at)) {
          cursor.open(chunk.records, at)
          while (cursor.next()) {
            const headers = cursor.headers().map(({ key, value }) => `${key}=${value}`)
            records.push(
              [cursor.timestamp, cursor.keyBytes(), cursor.valueBytes()?.toString('hex'), ...headers].join(
                ' ',
              ),
            )
          }
        }
      }
    }
    await fetcher.stop()
    return records
  }

  it('are read with their facts, their record, and nothing that a header pretends', async () => {
    await bury([text('gophership-attempt', '41'), text('own', 'x')])
    await append(LETTERS, 0, { key: null, value: Buffer.from('stray'), headers: [] })

    const found = await letters()

    expect(found).toMatchObject([
      {
        offset: 0,
        attempt: 1,
        facts: { attempt: 1, offset: 0 },
        key: Buffer.from('k'),
        value: Buffer.from([0xff, 0x00]),
      },
    ])
    expect(found[0]?.headers.map(({ key }) => key)).toEqual(['gophership-attempt', 'own'])
    expect(
      await readDeadLetter(cluster, { topic: LETTERS, partition: 0, offset: 1 }, new RedrivenLog()),
    ).toBe(null)
    expect(
      await readDeadLetter(cluster, { topic: LETTERS, partition: 0, offset: 99 }, new RedrivenLog()),
    ).toBe(null)
  })

  it('go back to their partition as they were, with no header of ours', async () => {
    await bury([text('gophership-reason', 'forged'), text('own', 'x')], { partition: 1 })
    await bury([], { partition: 0 })

    expect(await redrive()).toEqual([`0 ${VAULT}:1:1`, `1 ${VAULT}:0:1`])

    const [first, second] = await recordsOf(VAULT, 1)
    expect(second).toBe(first)
    expect(second).toBe(`${T0 + 7} k ff00 gophership-reason=forged own=x`)
    expect(await recordsOf(VAULT, 0)).toHaveLength(2)
    expect(await recordsOf(LETTERS, 0)).toHaveLength(2)
  })

  it('go back once, however often they are sent, unless it is said again', async () => {
    await bury([])
    await redrive()

    expect(await redrive()).toEqual(['0 already-redriven'])
    expect(await recordsOf(VAULT, 0)).toHaveLength(2)
    expect(await redrive({ isAgain: true })).toHaveLength(1)
    expect(await recordsOf(VAULT, 0)).toHaveLength(3)
  })

  it('count their attempts by what was sent back', async () => {
    await bury([text('gophership-attempt', '7')])
    await redrive()
    // The record that was sent back fails as well: a processor knows nothing of the first time, and says attempt 1.
    const place = { topic: VAULT, partition: 0, offset: 1 }
    const facts = { reason: 'invalid-utf8', stage: 'decode', message: 'm', attempt: 1, ...place }
    const encoder = new BatchEncoder()
    encoder.start()
    encoder.append(T0, null, Buffer.from([0xff]), encodeDeadLetterHeaders(facts, []))
    await producer.send(LETTERS, 0, Buffer.from(encoder.finish()))

    expect((await letters()).map(({ attempt }) => attempt)).toEqual([1, 2])
  })

  it('take their bytes from the vault where the letter has none', async () => {
    await bury([text('own', 'x')], { value: Buffer.from('large'), omitted: 'too-large' })

    await redrive()

    const [first, second] = await recordsOf(VAULT, 0)
    expect(second).toBe(first)
  })

  it('go back when they only fit into a batch that is compressed, as they came', async () => {
    await bury([], { value: Buffer.alloc(3_000_000, 'large '), omitted: 'too-large' })
    await bury([])

    expect(await redrive()).toEqual([`0 ${VAULT}:0:2`, `1 ${VAULT}:0:3`])
    const [first, second, ...others] = await recordsOf(VAULT, 0)
    expect(others.toSorted()).toEqual([first, second].toSorted())
  })

  it('go back although together they are more than is held at once', async () => {
    const count = 70
    for (let index = 0; index < count; index += 1) {
      await bury([], { value: Buffer.alloc(1_000_000, index), omitted: 'too-large' })
    }

    expect(await redrive()).toHaveLength(count)
  }, 60_000)

  it('stay where they are when going back cannot help', async () => {
    await bury([], { lastOffset: 5 })
    await bury([], { topic: 'elsewhere' })
    await bury([], { omitted: 'too-large', offset: 500 })

    expect(await redrive()).toEqual(['0 undecodable-batch', '1 not-in-vault', '2 bytes-gone'])
    expect(await recordsOf(REDRIVEN_TOPIC, 0)).toEqual([])
  })

  it('are neither sent back nor booked when a redrive is cut off before its end', async () => {
    await bury([])
    const cut = await Redrive.open(cluster, {
      clock: {
        ...systemClock,
        wallMs: () => {
          throw new Error('killed')
        },
      },
      isVaultTopic: () => true,
      isAgain: false,
    })
    await expect(cut.send(await letters(cut.redriven))).rejects.toThrow('killed')
    await cut.stop()

    expect(await recordsOf(VAULT, 0)).toHaveLength(1)
    expect(await redrive()).toHaveLength(1)
    expect(await recordsOf(VAULT, 0)).toHaveLength(2)
  })

  it('are listed, shown and sent back by the command, safely escaped', async () => {
    await bury([text('h\u001b[31m', 'v\u0007')], { message: 'bad\u001b[2J' })
    await bury([], { reason: 'stage-failed', stage: 'json' })
    const connection = ['--broker-port', String(broker.port)]

    const list = await run(['dead-letter', 'list', '--reason', 'invalid-utf8', ...connection])
    const shown = await run(['dead-letter', 'show', `${VAULT}:0:0`, ...connection])
    const dry = await run(['dead-letter', 'redrive', '--all', '--dry-run', ...connection])
    const sent = await run(['dead-letter', 'redrive', '--stage', 'json', ...connection, '-o', 'json'])
    const again = await run(['dead-letter', 'list', ...connection, '-o', 'json'])

    expect(list.out).toContain('1 dead letters: invalid-utf8 1')
    expect(list.out).toContain(`${VAULT}:0:0`)
    expect(shown.out).toContain('value      \\xff\\x00')
    expect(shown.out).toContain('header     h\\u{1b}[31m: v\\u{7}')
    expect(`${list.out}${shown.out}`).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/)
    expect(dry.out).toContain('2 dead letters would be sent back')
    expect(JSON.parse(sent.out)).toMatchObject({
      sentCount: 1,
      sent: [{ letter: 'dead-letter:0:1', record: `${VAULT}:0:2` }],
    })
    expect(JSON.parse(again.out)).toMatchObject({
      count: 2,
      letters: [{ redrivenAs: `${VAULT}:0:2` }, { redrivenAs: null }],
    })
    expect([list, shown, dry, sent, again].map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0, 0])
  })

  it('are asked for in a form that the command teaches', async () => {
    const connection = ['--broker-port', String(broker.port)]
    const none = await run(['dead-letter', 'redrive', ...connection])
    const place = await run(['dead-letter', 'show', 'somewhere', ...connection])
    const absent = await run(['dead-letter', 'show', `${VAULT}:0:9`, ...connection])
    const limit = await run(['dead-letter', 'list', '--limit', '0', ...connection])

    expect([none.exitCode, place.exitCode, absent.exitCode, limit.exitCode]).toEqual([2, 2, 1, 2])
    expect(none.err).toContain('or --all')
    expect(place.err).toContain('such as raw-vault.web:3:1200')
    expect(absent.err).toContain('no dead letter at or of raw-vault.web:0:9')
    expect(limit.err).toContain('from 1 to 10000')
  })
})

it('a place is parsed as it is formatted, and nothing else is one', () => {
  const place = { topic: 'raw-vault.a-b_c', partition: 12, offset: 123_456_789_012 }

  expect(parsePlace(formatPlace(place))).toEqual(place)
  for (const wrong of ['a', 'a:1', 'a:b:1', 'a:1:', ':1:1', 'a:-1:1', 'a:1:1:1', 'a b:1:1'])
    expect(parsePlace(wrong)).toBe(null)
})
