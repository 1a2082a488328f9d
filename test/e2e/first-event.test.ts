/**
 * The main job, from outside: real clients produce, the vault holds exactly their bytes, enriched events follow.
 */

import { readFile } from 'node:fs/promises'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'
import { consumeValues, kcat } from '../support/kcat.ts'

interface EnrichedEvent {
  readonly eventId: string
  readonly timestamp: string | null
  readonly observedTimestamp: string
  readonly severityText: string | null
  readonly severityNumber: number | null
  readonly body: unknown
  readonly attributes: Record<string, unknown>
  readonly resource: Record<string, unknown>
  readonly density: string
  readonly vault: { topic: string; partition: number; offset: number }
}

const excerpt = (name: string) => readFile(new URL(`../topology/excerpts/${name}`, import.meta.url))

let gophership: GopherShipProcess

beforeAll(async () => {
  gophership = await GopherShipProcess.prepare()
  await gophership.start()
})

afterAll(async () => {
  await gophership.destroy()
})

async function eventsOf(stream: string, count: number): Promise<EnrichedEvent[]> {
  return await eventually(
    `${count} events in enriched.${stream}`,
    async () => {
      const values = await consumeValues(gophership.brokerAddress, `enriched.${stream}`)
      return values.length >= count && values.map((value) => JSON.parse(value) as EnrichedEvent)
    },
    { withinMs: 15_000, everyMs: 250 },
  )
}

const generatedAccessLines = (count: number) =>
  Array.from({ length: count }, (_, index) => {
    const second = String(index % 60).padStart(2, '0')
    const minute = String(Math.floor(index / 60) % 60).padStart(2, '0')
    return `203.0.113.${index % 250} - - [17/May/2015:10:${minute}:${second} +0000] "GET /page/${index}?q=1 HTTP/1.1" 200 ${1000 + index} "http://example.org/" "agent/${index}"`
  })

describe('the main job', () => {
  it('gives back every byte that kcat produced, and one event for each line', async () => {
    const lines = generatedAccessLines(2_000)

    const produced = await kcat(['-P', '-b', gophership.kafkaAddress, '-t', 'web'], {
      input: `${lines.join('\n')}\n`,
    })

    expect(produced.exitCode, produced.stderr).toBe(0)
    const vault = await consumeValues(gophership.brokerAddress, 'raw-vault.web')
    expect(vault.toSorted()).toEqual(lines.toSorted())
    const events = await eventsOf('web', lines.length)
    expect(new Set(events.map((event) => event.eventId)).size).toBe(lines.length)
    const byPath = new Map(events.map((event) => [event.attributes['url.path'], event]))
    const event = byPath.get('/page/61')
    expect(event).toMatchObject({
      timestamp: expect.stringMatching(/^2015-05-17T10:01:01(\.0+)?Z$/),
      density: 'full',
      attributes: {
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'http.response.body.size': 1061,
        'client.address': '203.0.113.61',
        'user_agent.original': 'agent/61',
      },
      vault: { topic: 'raw-vault.web' },
    })
  })

  it('answers an HTTP request with counts and offsets only, and the lines are then in the vault', async () => {
    const body = await excerpt('linux.log')
    const lines = body
      .toString('latin1')
      .split('\n')
      .filter((line) => line !== '')

    const response = await fetch(`${gophership.httpUrl}/v1/streams/linux`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: new Uint8Array(body),
    })

    expect(response.status).toBe(200)
    const answer = (await response.json()) as {
      records: number
      partitions: { firstOffset: number; lastOffset: number }[]
    }
    expect(answer.records).toBe(lines.length)
    expect(answer.partitions.reduce((sum, part) => sum + part.lastOffset - part.firstOffset + 1, 0)).toBe(
      lines.length,
    )
    const vault = await consumeValues(gophership.brokerAddress, 'raw-vault.linux')
    expect(vault.toSorted()).toEqual(lines.toSorted())
    const events = await eventsOf('linux', lines.length)
    expect(events.every((event) => event.timestamp !== null)).toBe(true)
  })

  it('shows the first event of a brand-new stream within two seconds', async () => {
    const kafka = new Kafka({
      clientId: 'test',
      brokers: [gophership.brokerAddress],
      logLevel: logLevel.NOTHING,
    })
    const sentAt = performance.now()
    const response = await fetch(`${gophership.httpUrl}/v1/streams/brand-new`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ message: 'first', level: 'warn', time: '2024-05-01T10:00:00Z' }),
    })
    expect(response.status).toBe(200)

    const admin = kafka.admin()
    await admin.connect()
    await eventually(
      'an event in enriched.brand-new',
      async () => {
        const offsets = await admin.fetchTopicOffsets('enriched.brand-new')
        return offsets.some((partition) => Number(partition.high) > 0)
      },
      { withinMs: 5_000, everyMs: 20 },
    )
    const tookMs = performance.now() - sentAt
    await admin.disconnect()

    expect(tookMs).toBeLessThan(2_000)
    const [event] = await eventsOf('brand-new', 1)
    expect(event).toMatchObject({
      body: 'first',
      severityNumber: 13,
      timestamp: expect.stringContaining('2024-05-01T10:00:00'),
    })
  })

  it('keeps the key of the vault record on its event', async () => {
    const produced = await kcat(['-P', '-b', gophership.kafkaAddress, '-t', 'keyed', '-K', ':'], {
      input: 'alpha:one\nbeta:two\n',
    })
    expect(produced.exitCode).toBe(0)
    await eventsOf('keyed', 2)

    const read = await kcat([
      '-C',
      '-b',
      gophership.brokerAddress,
      '-t',
      'enriched.keyed',
      '-e',
      '-q',
      '-f',
      '%k %s\n',
    ])

    const pairs = read.stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => [
        line.slice(0, line.indexOf(' ')),
        (JSON.parse(line.slice(line.indexOf(' ') + 1)) as EnrichedEvent).body,
      ])
    expect(pairs.toSorted()).toEqual([
      ['alpha', 'one'],
      ['beta', 'two'],
    ])
  })

  it('sends a record that is not text to the dead letters, with the reason and its place in the vault', async () => {
    const response = await fetch(`${gophership.httpUrl}/v1/streams/binary`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array([0xff, 0xfe, 0x00, 0x80]),
    })
    expect(response.status).toBe(200)

    const letters = await eventually(
      'a dead letter',
      async () => {
        const read = await kcat([
          '-C',
          '-b',
          gophership.brokerAddress,
          '-t',
          'dead-letter',
          '-e',
          '-q',
          '-f',
          '%h|%s\n',
        ])
        const text = read.stdout.toString('latin1')
        return text.includes('raw-vault.binary') && text
      },
      { withinMs: 10_000, everyMs: 200 },
    )
    expect(letters).toContain('gophership-reason=invalid-utf8')
    expect(letters).toContain('\xff\xfe\x00\x80')
  })

  it('drains and exits 0 on SIGTERM, and goes on from where it was after a restart', async () => {
    const code = await gophership.stop()
    expect(code, gophership.output).toBe(0)
    await gophership.start()
    const produced = await kcat(['-P', '-b', gophership.kafkaAddress, '-t', 'keyed', '-K', ':'], {
      input: 'gamma:three\n',
    })
    expect(produced.exitCode).toBe(0)

    const events = await eventsOf('keyed', 3)

    expect(events.map((event) => event.body).toSorted()).toEqual(['one', 'three', 'two'])
  })
})
