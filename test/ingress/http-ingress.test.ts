import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { GopherShipError } from '../../src/core/errors.ts'
import {
  KafkaDisconnectedError,
  KafkaResponseError,
  KafkaTimeoutError,
} from '../../src/kafka/kafka-errors.ts'
import { eventually } from '../support/eventually.ts'
import { head, rawExchange, startHttp } from './http-fixture.ts'

const NDJSON = { 'content-type': 'application/x-ndjson' }

interface Answer {
  readonly stream: string
  readonly records: number
  readonly partitions: readonly { readonly partition: number; readonly firstOffset: number }[]
  readonly error: {
    readonly code: string
    readonly storedRecords: number
    readonly stored: readonly object[]
  }
}

async function post(
  url: string,
  body: string | Buffer<ArrayBuffer>,
  headers: Record<string, string> = NDJSON,
) {
  const response = await fetch(url, { method: 'POST', headers, body })
  return { status: response.status, headers: response.headers, json: (await response.json()) as Answer }
}

describe('what is stored', () => {
  test('lines become one record each, with the content type and the listener as headers', async () => {
    const { url, vault } = await startHttp()
    const answer = await post(url('web'), '{"a":1}\r\n\n{"a":2}')
    expect(answer.status).toBe(200)
    expect(answer.json).toEqual({
      stream: 'web',
      topic: 'raw-vault.web',
      records: 2,
      bytes: 17,
      partitions: [{ partition: expect.any(Number), firstOffset: 0, lastOffset: 1, records: 2 }],
    })
    expect(vault.values()).toEqual(['{"a":1}\r', '{"a":2}'])
    expect(vault.records[0]?.headers).toEqual({
      'content-type': 'application/x-ndjson',
      'gophership-listener': 'http',
    })
  })

  test.each([
    ['application/json', '{"a":\n1}\n'],
    ['application/octet-stream', '\n\0\n'],
    ['application/x-www-form-urlencoded', 'a=1&b=2\n'],
    ['nonsense without a slash', 'x\ny'],
  ])('a body of type %j is one record, byte for byte', async (contentType, body) => {
    const { url, vault } = await startHttp()
    const answer = await post(url('web'), body, { 'content-type': contentType })
    expect(answer.status).toBe(200)
    expect(vault.values()).toEqual([body])
    expect(vault.records[0]?.headers['content-type']).toBe(contentType)
  })

  test('a body without a content type is one record without that header', async () => {
    const { port, vault } = await startHttp()
    const answer = await rawExchange(port, [
      head('POST /v1/streams/web HTTP/1.1', ['Content-Length: 4']),
      'a\nb\n',
    ])
    expect(answer.status).toBe(200)
    expect(vault.values()).toEqual(['a\nb\n'])
    expect(vault.records[0]?.headers).toEqual({ 'gophership-listener': 'http' })
  })

  test.each(['', '\n\n\n'])('a body without a single record (%j) is 200 with none', async (body) => {
    const { url, vault } = await startHttp()
    const answer = await post(url('web'), body)
    expect(answer).toMatchObject({ status: 200, json: { records: 0, partitions: [] } })
    expect(vault.appendCount).toBe(0)
  })

  test('a body larger than a batch is stored in several, in order, with every offset in the answer', async () => {
    const { url, vault } = await startHttp()
    const lines = Array.from({ length: 30_000 }, (_, index) => `${index} ${'x'.repeat(190)}`)
    const answer = await post(url('web'), lines.join('\n'))
    expect(answer.json.records).toBe(30_000)
    expect(answer.json.partitions[0]).toMatchObject({ firstOffset: 0, lastOffset: 29_999 })
    expect(vault.batches.length).toBeGreaterThan(5)
    expect(vault.values()).toEqual(lines)
  })

  test.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['zstd', zstdCompressSync],
    ['br', brotliCompressSync],
  ])('a %s body is inflated first', async (encoding, compress) => {
    const { url, vault, admission } = await startHttp()
    const lines = Array.from({ length: 2_000 }, (_, index) => `line ${index}`)
    const body = compress(Buffer.from(lines.join('\n')))
    const answer = await post(url('web'), body, { ...NDJSON, 'content-encoding': encoding })
    expect(answer.json.records).toBe(2_000)
    expect(vault.values()).toEqual(lines)
    expect(admission.bytesHeld).toBe(0)
  })

  test('several gzip members and several zstd frames are one body', async () => {
    const { url, vault } = await startHttp()
    for (const [encoding, compress] of [
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
    ] as const) {
      const body = Buffer.concat([compress(Buffer.from('a\nb')), compress(Buffer.from('c\nd\n'))])
      await post(url('web'), body, { ...NDJSON, 'content-encoding': encoding })
    }
    expect(vault.values()).toEqual(['a', 'bc', 'd', 'a', 'bc', 'd'])
  })

  test('a chunked body of any chunk sizes is the same body', async () => {
    const { port, vault } = await startHttp()
    const answer = await rawExchange(
      port,
      [
        head('POST /v1/streams/web HTTP/1.1', ['Content-Type: text/plain', 'Transfer-Encoding: chunked']),
        '3\r\nab\n\r\n',
        '1\r\nc\r\n2\r\n\nd\r\n0\r\n\r\n',
      ],
      { pieceDelayMs: 5 },
    )
    expect(answer.status).toBe(200)
    expect(vault.values()).toEqual(['ab', 'c', 'd'])
  })
})

describe('the partition', () => {
  test("a key is every record's key and chooses the partition as Kafka's own partitioner does", async () => {
    const { url, vault } = await startHttp()
    await post(`${url('web')}?key=foobar`, 'a\nb')
    // murmur2('foobar') is -790332482; positive and modulo 4 that is 2.
    expect(vault.records.map(({ key, partition }) => ({ key, partition }))).toEqual([
      { key: 'foobar', partition: 2 },
      { key: 'foobar', partition: 2 },
    ])
  })

  test('a partition asked for is taken, and a key goes along', async () => {
    const { url, vault } = await startHttp()
    await post(`${url('web')}?partition=3&key=k%C3%BC`, 'a')
    expect(vault.records[0]).toMatchObject({ partition: 3, key: Buffer.from('kü').toString('latin1') })
  })

  test('without either, a request stays in one partition and requests take turns', async () => {
    const { url, vault } = await startHttp()
    for (let request = 0; request < 8; request += 1) await post(url('web'), 'a\nb\nc')
    const counts = [0, 1, 2, 3].map(
      (partition) => vault.records.filter((r) => r.partition === partition).length,
    )
    expect(counts).toEqual([6, 6, 6, 6])
  })
})

describe('the answer', () => {
  test('comes only when everything is durable', async () => {
    const { url, vault } = await startHttp()
    const { promise, resolve } = Promise.withResolvers<void>()
    vault.onAppend = () => promise
    let answered = false
    const answer = post(url('web'), 'a').then((result) => {
      answered = true
      return result
    })
    await eventually('the append has begun', () => vault.appendCount === 1)
    await new Promise((wake) => setTimeout(wake, 50))
    expect(answered).toBe(false)
    resolve()
    expect((await answer).status).toBe(200)
  })

  test('is 503 when the vault could not take it in time, and says that nothing is stored', async () => {
    const { url, vault, admission } = await startHttp()
    vault.onAppend = () => Promise.reject(new KafkaTimeoutError('late', { possiblyPersisted: false }))
    const answer = await post(url('web'), 'a')
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('2')
    expect(answer.json.error).toMatchObject({
      code: 'vault_unavailable',
      message: expect.stringContaining('nothing was stored'),
    })
    expect(admission.bytesHeld).toBe(0)
  })

  test.each([
    ['no answer', new KafkaTimeoutError('', {})],
    ['a connection that broke', new KafkaDisconnectedError('', {})],
    ['an answer that says nothing', new KafkaResponseError('CreateTopics', -1)],
  ])('is 503 when the stream could not be made for %s: no record was on its way', async (_, failure) => {
    const { url, vault } = await startHttp()
    vault.onOpen = () => Promise.reject(failure)
    const answer = await post(url('web'), 'a')
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('2')
    expect(answer.json.error.code).toBe('vault_unavailable')
  })

  test('is 504 when it may be stored', async () => {
    const { url, vault } = await startHttp()
    vault.onAppend = () => Promise.reject(new KafkaTimeoutError('late', { possiblyPersisted: true }))
    const answer = await post(url('web'), 'a')
    expect(answer.status).toBe(504)
    expect(answer.json.error.code).toBe('outcome_unknown')
  })

  test('is 504 with what is stored when only a part is', async () => {
    const { url, vault } = await startHttp()
    vault.onAppend = (index) =>
      index === 1 ? Promise.reject(new KafkaTimeoutError('late', { possiblyPersisted: false })) : undefined
    const body = Array.from({ length: 12_000 }, () => 'x'.repeat(199)).join('\n')
    const answer = await post(`${url('web')}?partition=1`, body)
    expect(answer.status).toBe(504)
    expect(answer.json.error.storedRecords).toBe(vault.records.length)
    expect(answer.json.error.stored[0]).toMatchObject({ partition: 1, firstOffset: 0 })
  })

  test('is 403 for a new stream that would be one too many', async () => {
    const { url, vault } = await startHttp()
    vault.onOpen = () => {
      throw new GopherShipError('GS_VAULT_STREAMS_MAX', '', { facts: { streamCountMax: 9 } })
    }
    const answer = await post(url('web'), 'a')
    expect(answer.status).toBe(403)
    expect(answer.json.error).toMatchObject({ code: 'too_many_streams', limitStreams: 9 })
  })

  test('is 502 when the vault refuses for good', async () => {
    const { url, vault } = await startHttp()
    vault.onAppend = () => Promise.reject(new KafkaResponseError('Produce', 87))
    const answer = await post(url('web'), 'a')
    expect(answer.status).toBe(502)
    expect(answer.json.error).toMatchObject({ code: 'vault_refused', kafkaError: 'INVALID_RECORD' })
  })
})

describe('pressure', () => {
  test('beyond the budget requests wait, none fails, and the bytes held stay in bounds', async () => {
    const bytesMax = 300_000
    const { url, vault, admission } = await startHttp({ admissionBytesMax: bytesMax })
    const { promise, resolve } = Promise.withResolvers<void>()
    vault.onAppend = () => promise
    const body = `${'x'.repeat(99_999)}\n`
    const answers = Array.from({ length: 10 }, () => post(url('web'), body))
    await eventually(
      'some are in and the others wait',
      () => admission.waitingCount >= 5 && vault.appendCount >= 2,
    )
    // One body may go over.
    expect(admission.bytesHeld).toBeLessThanOrEqual(bytesMax + 100_000)
    resolve()
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect(admission.bytesHeld).toBe(0)
  })

  describe('many small requests do not hold what their own bodies wait for:', () => {
    const POST = 'POST /v1/streams/web HTTP/1.1'
    const compressed = gzipSync('x'.repeat(99_999))

    test.each([
      ['bodies as they are', 4_096 * 16, `${head(POST, ['Content-Length: 1'])}x`],
      [
        'compressed bodies',
        4_096 * 80,
        head(POST, ['Content-Encoding: gzip', `Content-Length: ${compressed.length}`]) +
          compressed.toString('latin1'),
      ],
    ])('%s', async (_, admissionBytesMax, one) => {
      const limits = { connectionsMax: 3, pipelinedRequestsMax: 64 }
      const { vault, admission, port } = await startHttp({ admissionBytesMax, limits })
      const { promise, resolve } = Promise.withResolvers<void>()
      vault.onAppend = () => promise
      // As many as may be pipelined, on each of three connections.
      const options = { untilClosed: true, waitMs: 2_000 }
      const exchanges = [1, 2, 3].map(() => rawExchange(port, [one.repeat(60)], options))
      await eventually('some are being stored', () => vault.appendCount > 0)
      await new Promise((wake) => setTimeout(wake, 200))
      resolve()
      await eventually('all are stored', () => vault.records.length === 180)
      for (const { body } of await Promise.all(exchanges)) {
        expect(body.match(/HTTP\/1\.1 200/g)).toHaveLength(59)
      }
      expect(admission.bytesHeld).toBe(0)
    })
  })

  test('chunked and compressed bodies that together need more than the budget all finish', async () => {
    const { url, vault, admission } = await startHttp({ admissionBytesMax: 1_000_000 })
    const body = 'x'.repeat(199).concat('\n').repeat(4_000)
    const bodies = Array.from({ length: 8 }, (_, index) =>
      index % 2 === 0
        ? fetch(url('web'), {
            method: 'POST',
            headers: { ...NDJSON, 'content-encoding': 'gzip' },
            body: gzipSync(body),
          })
        : fetch(url('web'), {
            method: 'POST',
            headers: NDJSON,
            body: new Blob([body]).stream(),
            duplex: 'half',
          } as RequestInit),
    )
    const statuses = await Promise.all(bodies.map(async (answer) => (await answer).status))
    expect(statuses).toEqual(Array(8).fill(200))
    expect(vault.records.length).toBe(32_000)
    expect(admission.bytesHeld).toBe(0)
  })

  test('time in which the body is not read for pressure does not count against the client', async () => {
    const { url, vault, admission } = await startHttp({
      admissionBytesMax: 300_000,
      limits: { bodyMsMax: 100, bodyRateGraceMs: 50, headersMsMax: 200 },
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    vault.onAppend = () => promise
    const body = 'x'.repeat(200_000)
    // One is stored, one may go over the limit for bodies under way, the others wait in the middle.
    const answers = Array.from({ length: 4 }, () => post(url('web'), body))
    await eventually('some wait', () => admission.waitingCount >= 1)
    await new Promise((wake) => setTimeout(wake, 500))
    resolve()
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(4).fill(200))
  })
})

describe('metrics', () => {
  test('are there, at zero, before anything came, so that the first increase is seen as one', async () => {
    const { registry } = await startHttp()
    const page = await registry.metrics()
    expect(page).toContain('gophership_ingress_records_total{listener="http"} 0')
    expect(page).toContain('gophership_ingress_bytes_total{listener="http"} 0')
    expect(page).toContain('gophership_ingress_ack_seconds_count{listener="http"} 0')
  })

  test('count requests, records, bytes and latency of this listener', async () => {
    const { url, registry } = await startHttp()
    await post(url('web'), 'a\nb')
    const page = await registry.metrics()
    expect(page).toContain(
      'gophership_ingress_requests_total{listener="http",operation="post",outcome="ok"} 1',
    )
    expect(page).toContain('gophership_ingress_records_total{listener="http"} 2')
    expect(page).toContain('gophership_ingress_bytes_total{listener="http"} 3')
    expect(page).toContain('gophership_ingress_ack_seconds_count{listener="http"} 1')
    expect(page).toContain('gophership_ingress_in_flight_bytes 0')
    expect(page).toMatch(/gophership_ingress_connections\{listener="http"\} [1-9]/)
  })
})

test('a port that is taken is GS_LISTEN_FAILED, with the port in its facts', async () => {
  const { port } = await startHttp()
  await expect(startHttp({ port })).rejects.toMatchObject({ code: 'GS_LISTEN_FAILED', facts: { port } })
})
