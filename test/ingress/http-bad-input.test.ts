// Bad input over HTTP, row by row of the catalogue (H1–H11, H13–H16), each on a real socket.

import { connect } from 'node:net'
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { DEFAULT_HTTP_LIMITS } from '../../src/ingress/http/http-limits.ts'
import type { DiagnosticFields, Diagnostics } from '../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { eventually } from '../support/eventually.ts'
import { allowedUnderAttack, p99OfRoundTrips } from '../support/round-trips.ts'
import type { HttpFixture } from './http-fixture.ts'
import { errorOf, head, rawExchange, startHttp } from './http-fixture.ts'

const POST = 'POST /v1/streams/web HTTP/1.1'
const LINES = 'Content-Type: text/plain'
const ZEROS = gzipSync(Buffer.alloc(200_000))

/** Whatever a test sent, the server still works and holds nothing. */
async function expectUnharmed({ url, admission }: HttpFixture): Promise<void> {
  await eventually(
    'every byte was given back',
    () => admission.bytesHeld === 0 && admission.waitingCount === 0,
  )
  const response = await fetch(url('unharmed'), { method: 'POST', body: 'x' })
  expect(response.status).toBe(200)
  await response.arrayBuffer()
}

describe('with the default limits', () => {
  let http: HttpFixture
  beforeEach(async () => {
    http = await startHttp()
  })
  afterEach(() => expectUnharmed(http))

  describe('H1: the header block', () => {
    test('of more than 16 KiB is 431 and closes', async () => {
      const answer = await rawExchange(http.port, [head(POST, [`X-Large: ${'x'.repeat(17_000)}`])])
      expect(answer).toMatchObject({ status: 431, closed: true })
      expect(errorOf(answer.body)).toMatchObject({ code: 'headers_too_large', limitBytes: 16_384 })
      expect(await http.rejected('headers_too_large')).toBe(1)
    })

    test('of more than 100 fields is 431 and closes', async () => {
      const many = Array.from({ length: 100 }, (_, index) => `X-${index}: 1`)
      const answer = await rawExchange(http.port, [head(POST, [...many, 'Content-Length: 1']), 'x'])
      expect(answer).toMatchObject({ status: 431, closed: true })
      const fine = await rawExchange(http.port, [head(POST, [...many.slice(2), 'Content-Length: 1']), 'x'])
      expect(fine.status).toBe(200)
    })
  })

  describe('H3: a stated length over the limit', () => {
    test('is 413 before a byte of the body is read', async () => {
      const answer = await rawExchange(http.port, [head(POST, ['Content-Length: 16777217'])])
      expect(answer.status).toBe(413)
      expect(errorOf(answer.body)).toMatchObject({ code: 'body_too_large', limitBytes: 16_777_216 })
    })

    test('is 413 and never 100 for a client that asks first', async () => {
      const answer = await rawExchange(http.port, [
        head(POST, ['Content-Length: 99999999999', 'Expect: 100-continue']),
      ])
      expect(answer.head).toMatch(/^HTTP\/1\.1 413 /)
    })

    test('is readable by a client that is still sending its body', async () => {
      const answer = await rawExchange(
        http.port,
        [head(POST, ['Content-Length: 20000000']), ...Array.from({ length: 40 }, () => Buffer.alloc(65_536))],
        { silentMs: 400 },
      )
      expect(answer).toMatchObject({ status: 413, closed: true })
      expect(errorOf(answer.body).code).toBe('body_too_large')
    })
  })

  test('a client that asks first is told to go on, then stored', async () => {
    const answer = await rawExchange(
      http.port,
      [head(POST, [LINES, 'Content-Length: 3', 'Expect: 100-continue']), 'a\nb'],
      { pieceDelayMs: 50 },
    )
    expect(answer.head).toMatch(/^HTTP\/1\.1 100 /)
    expect(answer.body).toMatch(/^HTTP\/1\.1 200 /)
    expect(http.vault.values()).toEqual(['a', 'b'])
  })

  test('an expectation nobody knows is 417', async () => {
    const answer = await rawExchange(http.port, [head(POST, ['Content-Length: 1', 'Expect: tea']), 'x'])
    expect(answer.status).toBe(417)
  })

  describe('H4: a chunked body', () => {
    const chunked = head(POST, [LINES, 'Transfer-Encoding: chunked'])
    test('with a bad chunk size is 400, closed, and not stored', async () => {
      const answer = await rawExchange(http.port, [chunked, '3\r\nab\n\r\nzz\r\n'], { pieceDelayMs: 20 })
      expect(answer).toMatchObject({ status: 400, closed: true })
      expect(http.vault.appendCount).toBe(0)
    })

    test('without its last chunk is not stored', async () => {
      const answer = await rawExchange(http.port, [chunked, '3\r\nab\n\r\n'], { end: true })
      expect(answer.status).not.toBe(200)
      expect(http.vault.appendCount).toBe(0)
    })
  })

  describe('H5: a head that two servers could read differently is 400 and closes', () => {
    test.each([
      [
        'Content-Length beside Transfer-Encoding',
        head(POST, ['Content-Length: 3', 'Transfer-Encoding: chunked']),
      ],
      ['two Content-Lengths', head(POST, ['Content-Length: 3', 'Content-Length: 4'])],
      ['a list of Content-Lengths', head(POST, ['Content-Length: 3, 4'])],
      ['a Content-Length that is no number', head(POST, ['Content-Length: 0x3'])],
      ['a negative Content-Length', head(POST, ['Content-Length: -3'])],
      ['an unknown transfer coding', head(POST, ['Transfer-Encoding: xchunked'])],
      ['chunked not last', head(POST, ['Transfer-Encoding: chunked, gzip'])],
      ['a folded header', `${POST}\r\nHost: a\r\nX-Folded: a\r\n b\r\nContent-Length: 3\r\n\r\n`],
      ['bare LF', `${POST}\nHost: a\nContent-Length: 3\n\n`],
      ['NUL in a value', head(POST, ['X-Bad: a\0b', 'Content-Length: 3'])],
      ['CR in a value', head(POST, ['X-Bad: a\rb', 'Content-Length: 3'])],
      ['a space before the colon', head(POST, ['Content-Length : 3'])],
      ['no Host', `${POST}\r\nContent-Length: 3\r\n\r\n`],
      ['bytes that are no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
      ['a Kafka frame', Buffer.from([0, 0, 0, 20, 0, 18, 0, 3, 0, 0, 0, 1, 255, 255])],
    ])('%s', async (_, request) => {
      const answer = await rawExchange(http.port, [request, 'abc'])
      expect(answer).toMatchObject({ status: 400, closed: true })
      expect(errorOf(answer.body).code).toBe('malformed_request')
      expect(await http.rejected('malformed_request')).toBe(1)
      expect(http.vault.appendCount).toBe(0)
    })
  })

  test('H6: a transfer coding beside chunked is 415: the bytes would not be those of the body', async () => {
    const answer = await rawExchange(http.port, [
      head(POST, ['Transfer-Encoding: gzip, chunked']),
      '3\r\nabc\r\n0\r\n\r\n',
    ])
    expect(answer.status).toBe(415)
    expect(errorOf(answer.body).code).toBe('unsupported_encoding')
    expect(http.vault.appendCount).toBe(0)
  })

  describe('H6: a content encoding', () => {
    test.each(['compress', 'gzip, gzip', 'gzip,zstd', 'identity, gzip', '__proto__'])(
      '%j is 415',
      async (encoding) => {
        const answer = await rawExchange(http.port, [
          head(POST, [`Content-Encoding: ${encoding}`, 'Content-Length: 3']),
          'abc',
        ])
        expect(answer.status).toBe(415)
        expect(errorOf(answer.body)).toMatchObject({
          code: 'unsupported_encoding',
          accepted: expect.any(String),
        })
      },
    )
  })

  describe('H7: a compressed body', () => {
    const CODECS = [
      ['gzip', gzipSync],
      ['deflate', deflateSync],
      ['zstd', zstdCompressSync],
      [
        'br',
        (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }),
      ],
    ] as const

    const send = (encoding: string, body: Buffer) =>
      rawExchange(
        http.port,
        [head(POST, [LINES, `Content-Encoding: ${encoding}`, `Content-Length: ${body.length}`]), body],
        { silentMs: 400 },
      )

    test.each(CODECS)(
      '%s that inflates past the limit is 413, without the memory for it',
      async (encoding, compress) => {
        const bomb = compress(Buffer.alloc(128 * 1024 * 1024))
        const before = process.memoryUsage().rss
        const answer = await send(encoding, bomb)
        expect(answer.status).toBe(413)
        expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
        expect(http.vault.appendCount).toBe(0)
      },
    )

    test.each(CODECS)('%s that is cut short is 400', async (encoding, compress) => {
      const whole = compress(Buffer.from('a\nb\nc\n'.repeat(100)))
      const answer = await send(encoding, whole.subarray(0, whole.length - 3))
      expect(answer.status).toBe(400)
      expect(errorOf(answer.body).code).toBe('invalid_body')
      expect(http.vault.appendCount).toBe(0)
    })

    test.each(CODECS)('%s with bytes after its end is 400', async (encoding, compress) => {
      const answer = await send(
        encoding,
        Buffer.concat([compress(Buffer.from('a\nb')), Buffer.from('garbage')]),
      )
      expect(answer.status).toBe(400)
      expect(http.vault.appendCount).toBe(0)
    })

    test.each(CODECS)('%s that is no such stream is 400', async (encoding) => {
      const answer = await send(encoding, Buffer.from('this is plain text and was never compressed'))
      expect(answer.status).toBe(400)
    })

    test('many gzip members count in one budget', async () => {
      const member = gzipSync(Buffer.alloc(1024 * 1024))
      const answer = await send('gzip', Buffer.concat(Array.from({ length: 20 }, () => member)))
      expect(answer.status).toBe(413)
    })

    test('a zstd frame that wants a window of 1 GiB is refused', async () => {
      // Magic, descriptor without single-segment, window exponent 20 (2^30), then an empty last raw block.
      const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00])
      const answer = await send('zstd', frame)
      expect(answer.status).toBe(400)
    })
  })

  describe('H8: the content type does not matter to whether bytes are taken', () => {
    test.each([
      ['missing', []],
      ['a tab', ['Content-Type: \ttext/plain']],
      ['a leading space', ['Content-Type:  text/plain']],
      ['trailing text', ['Content-Type: text/plain garbage']],
      ['10 KiB', [`Content-Type: text/plain; x=${'y'.repeat(10_000)}`]],
      ['empty', ['Content-Type: ']],
      ['two of them', ['Content-Type: text/plain', 'Content-Type: application/json']],
    ])('%s: stored', async (_, headers) => {
      const answer = await rawExchange(http.port, [head(POST, [...headers, 'Content-Length: 3']), 'a b'])
      expect(answer.status).toBe(200)
      expect(http.vault.values()).toEqual(['a b'])
      const kept = http.vault.records[0]?.headers['content-type'] ?? ''
      expect(kept.length).toBeLessThanOrEqual(256)
    })
  })

  describe('H9: JSON nobody could parse is stored as it is', () => {
    test.each([
      ['depth', '['.repeat(100_000)],
      ['keys', `{${'"a":1,'.repeat(50_000)}"a":1}`],
      ['__proto__', '{"__proto__":{"polluted":true},"constructor":{"prototype":{}}}'],
      ['1e999', '{"a":1e999,"b":NaN}'],
      ['a lone surrogate', '{"a":"\\ud800"}'],
      ['a BOM and invalid UTF-8', '\xef\xbb\xbf{"a":"\xff\xfe"}'],
    ])('%s', async (_, body) => {
      const answer = await rawExchange(http.port, [
        head(POST, ['Content-Type: application/json', `Content-Length: ${body.length}`]),
        body,
      ])
      expect(answer.status).toBe(200)
      expect(http.vault.values()).toEqual([body])
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    })
  })

  describe('H10: lines', () => {
    const send = (body: string) =>
      rawExchange(http.port, [head(POST, [LINES, `Content-Length: ${body.length}`]), body], { silentMs: 500 })

    test('a line over the limit is 413 for the whole body: nothing of it is stored', async () => {
      const answer = await send(`first\n${'x'.repeat(1_000_001)}\nlast`)
      expect(answer.status).toBe(413)
      expect(errorOf(answer.body)).toMatchObject({
        code: 'record_too_large',
        atByte: 6,
        limitBytes: 1_000_000,
      })
      expect(http.vault.appendCount).toBe(0)
    })

    test('the largest line allowed is stored', async () => {
      const answer = await send(`${'x'.repeat(1_000_000)}\n`)
      expect(answer.status).toBe(200)
      expect(http.vault.records[0]?.value?.length).toBe(1_000_000)
    })

    test('mixed line ends and no last LF keep every other byte', async () => {
      await send('a\r\nb\nc\r')
      expect(http.vault.values()).toEqual(['a\r', 'b', 'c\r'])
    })

    test('a million empty lines are no records, quickly', async () => {
      const answer = await send('\n'.repeat(1_000_000))
      expect(JSON.parse(answer.body).records).toBe(0)
    })
  })

  describe('H11: paths and methods', () => {
    test.each(['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY'])(
      '%s on the stream is 405 and says what is allowed',
      async (method) => {
        const answer = await rawExchange(http.port, [head(`${method} /v1/streams/web HTTP/1.1`)])
        expect(answer.status).toBe(405)
        expect(answer.head.toLowerCase()).toContain('allow: post')
      },
    )

    test.each([
      '/',
      '/v1/streams',

      '/v1/streams/a/b',
      '//v1/streams/web',
      '/v2/streams/web',
      '/v1//streams/web',
    ])('%s is 404', async (path) => {
      const answer = await rawExchange(http.port, [head(`POST ${path} HTTP/1.1`, ['Content-Length: 1']), 'x'])
      expect(answer.status).toBe(404)
      expect(errorOf(answer.body).code).toBe('not_found')
    })

    test('a body changes nothing about it', async () => {
      for (const method of ['PUT', 'QUERY']) {
        const answer = await rawExchange(http.port, [
          head(`${method} /v1/streams/web HTTP/1.1`, ['Content-Length: 1']),
          'x',
        ])
        expect(answer.status).toBe(405)
      }
    })

    test('a method override header changes nothing', async () => {
      const answer = await rawExchange(http.port, [
        head('GET /v1/streams/web HTTP/1.1', ['X-HTTP-Method-Override: POST']),
      ])
      expect(answer.status).toBe(405)
    })
  })

  describe('H14: names in the path', () => {
    test.each([
      ['%2e%2e', 400],
      ['', 400],
      ['..', 400],
      ['%00', 400],
      ['a%2Fb', 400],
      ['a%0Ab', 400],
      ['%zz', 400],
      ['%C3%BC', 400],
      ['x'.repeat(250), 400],
      ['x'.repeat(10_240), 414],
      ['raw-vault.web', 403],
      ['enriched.web', 403],
      ['__consumer_offsets', 403],
      ['gophership.debt', 403],
    ])('%.40s is %d', async (name, status) => {
      const answer = await rawExchange(http.port, [
        head(`POST /v1/streams/${name} HTTP/1.1`, ['Content-Length: 1']),
        'x',
      ])
      expect(answer.status).toBe(status)
      expect(http.vault.appendCount).toBe(0)
    })

    test('the longest stream name is stored', async () => {
      const answer = await rawExchange(http.port, [
        head(`POST /v1/streams/${'x'.repeat(230)} HTTP/1.1`, ['Content-Length: 1']),
        'x',
      ])
      expect(answer.status).toBe(200)
    })
  })

  describe('the query', () => {
    test.each([
      'token=secret',
      'key=a&key=b',
      'partition=-1',
      'partition=x',
      'partition=4',
      'partition=99999999999',
      'partition=1e1',
      `key=${'k'.repeat(8_193)}`,
    ])('%.40s is 400', async (query) => {
      const answer = await rawExchange(http.port, [
        head(`POST /v1/streams/web?${query} HTTP/1.1`, ['Content-Length: 1']),
        'x',
      ])
      expect(answer.status).toBe(400)
      expect(errorOf(answer.body).code).toBe('invalid_query')
      expect(http.vault.appendCount).toBe(0)
    })
  })

  describe('H15: a client that goes away', () => {
    test('in the middle of its body has stored nothing', async () => {
      await rawExchange(http.port, [head(POST, [LINES, 'Content-Length: 100']), 'a\nb\n'], { waitMs: 100 })
      await eventually('the request is over', () => http.ingress.status().requestsInFlight === 0)
      expect(http.vault.appendCount).toBe(0)
    })

    test('with a reset does not harm the server', async () => {
      const socket = connect({ host: '127.0.0.1', port: http.port })
      await new Promise((resolve) => socket.once('connect', resolve))
      socket.write(head(POST, [LINES, 'Content-Length: 100']))
      await eventually('the request has begun', () => http.ingress.status().requestsInFlight === 1)
      socket.resetAndDestroy()
      await eventually('the request is over', () => http.ingress.status().requestsInFlight === 0)
    })

    test.each([
      ['whole', [head(POST, ['Content-Length: 40000']), Buffer.alloc(40_000)]],
      ['compressed', [head(POST, ['Content-Encoding: gzip', `Content-Length: ${ZEROS.length}`]), ZEROS]],
    ])('while its %s body waits for room holds nothing, and is not stored', async (_, pieces) => {
      const full = await startHttp({ admissionBytesMax: 100_000 })
      const { promise, resolve } = Promise.withResolvers<void>()
      full.vault.onAppend = () => promise
      const stored = fetch(full.url('web'), { method: 'POST', body: Buffer.alloc(100_000) })
      await eventually('one is being stored', () => full.vault.appendCount === 1)
      const leaving = Array.from({ length: 5 }, () => rawExchange(full.port, pieces, { waitMs: 300 }))
      await eventually('the others wait', () => full.admission.waitingCount === 5)
      await Promise.all(leaving)
      await eventually('they are over', () => full.ingress.status().requestsInFlight === 1)
      expect(full.admission.waitingCount).toBe(0)
      resolve()
      expect((await stored).status).toBe(200)
      await expectUnharmed(full)
      expect(full.vault.records).toHaveLength(2)
    })

    test('before reading the answer has its bytes stored once, and costs nothing more', async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      http.vault.onAppend = () => promise
      await rawExchange(http.port, [head(POST, [LINES, 'Content-Length: 1']), 'a'], { waitMs: 100 })
      resolve()
      http.vault.onAppend = () => {}
      await eventually('the append is through', () => http.vault.values().includes('a'))
    })
  })

  describe('what is malformed behind a request that is under way', () => {
    /** A request whose append is held until the refusal of what came behind it has been counted. */
    async function answersOf(pieces: readonly string[], reason: string) {
      const { promise, resolve } = Promise.withResolvers<void>()
      http.vault.onAppend = () => promise
      const exchange = rawExchange(http.port, pieces, { untilClosed: true, pieceDelayMs: 20 })
      await eventually('what came behind is refused', async () => (await http.rejected(reason)) === 1)
      resolve()
      const { head: first, body, closed } = await exchange
      expect(closed).toBe(true)
      return [first, ...body.matchAll(/HTTP\/1\.1 (\d+)/g)].map((found) =>
        Number(/\d{3}/.exec(String(found))?.[0]),
      )
    }

    test('is refused behind its answer: a stated length that is too short costs nobody the truth', async () => {
      const request = `${head(POST, ['Content-Length: 5'])}hello, and more than was stated\r\n\r\n`
      expect(await answersOf([request], 'malformed_request')).toEqual([200, 400])
      expect(http.vault.values()).toEqual(['hello'])
    })

    test('is refused behind its answer when it comes later, and again and again', async () => {
      const request = `${head(POST, ['Content-Length: 1'])}x`
      const garbage = Array.from({ length: 5 }, () => '\u0001\r\n\r\n')
      expect(await answersOf([request, ...garbage], 'malformed_request')).toEqual([200, 400])
    })

    test('in the body of the next request refuses that one only', async () => {
      const request = `${head(POST, ['Content-Length: 1'])}x`
      const next = `${head(POST, ['Transfer-Encoding: chunked'])}zz\r\n`
      expect(await answersOf([request + next], 'malformed_request')).toEqual([200, 400])
      expect(http.vault.values()).toEqual(['x'])
    })

    test('keeps what comes after it from being stored', async () => {
      const request = `${head(POST, ['Content-Length: 1'])}x`
      expect(await answersOf([`${request}\u0001`, request], 'malformed_request')).toEqual([200, 400])
      expect(http.vault.values()).toEqual(['x'])
    })
  })

  test('tiny requests pipelined on every connection there may be hold a bounded part of the memory', async () => {
    // Some 16 KiB each, which no budget counts: 64 on each connection came to a gigabyte.
    const { connectionsMax, pipelinedRequestsMax } = DEFAULT_HTTP_LIMITS
    expect(connectionsMax * pipelinedRequestsMax * 16 * 1024).toBeLessThanOrEqual(256 * 1024 * 1024)
    http.vault.onAppend = () => new Promise((resolve) => setTimeout(resolve, 300))
    const one = `${head(POST, [LINES, 'Content-Length: 1'])}x`
    const { head: first, body } = await rawExchange(http.port, [one.repeat(pipelinedRequestsMax + 4)], {
      untilClosed: true,
    })
    const answers = `${first}${body}`.match(/HTTP\/1\.1 \d+/g)
    expect(answers?.slice(0, pipelinedRequestsMax + 1)).toEqual([
      ...Array(pipelinedRequestsMax).fill('HTTP/1.1 200'),
      'HTTP/1.1 429',
    ])
  })

  test('many requests pipelined without reading an answer are cut off', async () => {
    http.vault.onAppend = () => new Promise((resolve) => setTimeout(resolve, 300))
    const one = `${head(POST, [LINES, 'Content-Length: 1'])}x`
    const answer = await rawExchange(http.port, [one.repeat(100)], { untilClosed: true })
    expect(answer.closed).toBe(true)
    expect(await http.rejected('too_many_pipelined')).toBeGreaterThan(0)
  })
})

/** Sockets that each send these bytes and then say nothing; closed when the test is over. */
async function silentClients(port: number, count: number, bytes: string | Buffer): Promise<void> {
  const sockets = Array.from({ length: count }, () => connect({ host: '127.0.0.1', port }))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  await Promise.all(
    sockets.map((socket) => {
      socket.on('error', () => {})
      return new Promise((sent) => socket.on('connect', () => socket.write(bytes, sent)))
    }),
  )
}

describe('H16: an honest client keeps its pace beside', () => {
  test.each([
    [
      '64 clients that promise 16 MiB and send 1 KiB',
      64,
      head(POST, [LINES, 'Content-Length: 16777216']) + 'x'.repeat(1024),
    ],
    [
      '64 clients that promise a chunk of 16 MiB and send 1 KiB',
      64,
      `${head(POST, [LINES, 'Transfer-Encoding: chunked'])}1000000\r\n${'x'.repeat(1024)}`,
    ],
    ['400 clients that stop in their headers', 400, 'POST /v1/streams/web HTT'],
    [
      '400 clients that stop in a body of 60 KB',
      400,
      head(POST, [LINES, 'Content-Length: 60000']) + 'x'.repeat(30_000),
    ],
  ])('%s', async (_, count, bytes) => {
    const http = await startHttp()
    const roundTrip = async () => {
      const response = await fetch(http.url('web'), { method: 'POST', body: 'x'.repeat(16_000) })
      expect(response.status).toBe(200)
      await response.arrayBuffer()
    }
    await p99OfRoundTrips(50, roundTrip)
    const before = await p99OfRoundTrips(150, roundTrip)

    await silentClients(http.port, count, bytes)
    await eventually('they are in', () => http.ingress.status().connectionCount > count)
    const after = await p99OfRoundTrips(150, roundTrip)

    expect(after).toBeLessThan(allowedUnderAttack(before))
    expect(http.admission.bytesHeld).toBeLessThan(count * 8192)
  })
})

describe('with small limits', () => {
  test('H2: bodies that stop in the middle are 408 once others wait for what they hold, and not before', async () => {
    const http = await startHttp({ admissionBytesMax: 4_000_000, limits: { blockingBodyMsMax: 400 } })
    const stuck = Array.from({ length: 2 }, () =>
      rawExchange(http.port, [head(POST, ['Content-Length: 2000000']), Buffer.alloc(400_000)], {
        untilClosed: true,
      }),
    )
    await eventually('both hold what they sent', () => http.admission.bytesHeld >= 800_000)
    await new Promise((wake) => setTimeout(wake, 200))
    expect(await http.rejected('slow_request')).toBe(0)
    // One that brings its bytes steadily goes over what bodies may hold, and the next has to wait for room.
    const pieces = Array.from({ length: 9 }, () => Buffer.alloc(100_000))
    const steady = rawExchange(http.port, [head(POST, ['Content-Length: 900000']), ...pieces], {
      pieceDelayMs: 150,
    })
    await eventually('it holds more than a lane', () => http.admission.bytesHeld > 1_000_000)
    const waiting = fetch(http.url('web'), { method: 'POST', body: Buffer.alloc(900_000) })
    expect((await steady).status).toBe(200)
    expect((await waiting).status).toBe(200)
    expect((await Promise.all(stuck)).map(({ status }) => status)).toContain(408)
  })

  test('H2: headers slower than their limit are 408 and close', async () => {
    const http = await startHttp({ limits: { headersMsMax: 200 } })
    const answer = await rawExchange(http.port, ['POST /v1/str', 'eams/web HT'], {
      pieceDelayMs: 100,
      silentMs: 3_000,
    })
    expect(answer).toMatchObject({ status: 408, closed: true })
    expect(errorOf(answer.body).code).toBe('slow_request')
  })

  test('H2: a connection on which nothing comes is closed', async () => {
    const http = await startHttp({ limits: { headersMsMax: 200 } })
    const answer = await rawExchange(http.port, [], { silentMs: 3_000 })
    expect(answer.closed).toBe(true)
  })

  test('H2: a body that stops is 408, closed, and not stored', async () => {
    const http = await startHttp({ limits: { bodyMsMax: 200, headersMsMax: 5_000 } })
    const answer = await rawExchange(http.port, [head(POST, [LINES, 'Content-Length: 100']), 'a\nb\n'], {
      silentMs: 1_000,
    })
    expect(answer).toMatchObject({ status: 408, closed: true })
    expect(errorOf(answer.body)).toMatchObject({ code: 'slow_request', bytesReceived: 4 })
    expect(http.vault.appendCount).toBe(0)
    await expectUnharmed(http)
  })

  test('H2: a body that trickles below the least rate is 408 long before its time is up', async () => {
    const http = await startHttp({
      limits: { bodyMsMax: 60_000, bodyRateGraceMs: 200, bodyBytesPerSecondMin: 1_000 },
    })
    const startedMs = performance.now()
    const answer = await rawExchange(
      http.port,
      [head(POST, [LINES, 'Content-Length: 1000']), ...Array.from({ length: 100 }, () => 'x')],
      { pieceDelayMs: 20, silentMs: 1_000 },
    )
    expect(answer.status).toBe(408)
    expect(performance.now() - startedMs).toBeLessThan(2_500)
  })

  test('H4: a chunked body beyond the limit is 413 and not stored', async () => {
    const http = await startHttp({ limits: { bodyBytesMax: 10_000, lingerMsMax: 300 } })
    const chunk = `1000\r\n${'x'.repeat(0x1000)}\r\n`
    const answer = await rawExchange(
      http.port,
      [head(POST, [LINES, 'Transfer-Encoding: chunked']), chunk, chunk, chunk, chunk],
      { silentMs: 1_000, pieceDelayMs: 10 },
    )
    expect(answer).toMatchObject({ status: 413, closed: true })
    expect(http.vault.appendCount).toBe(0)
    await expectUnharmed(http)
  })

  test('H13: while stopping, new requests get 503 with Retry-After and a closed connection, those under way their answer', async () => {
    const http = await startHttp()
    const { promise, resolve } = Promise.withResolvers<void>()
    http.vault.onAppend = () => promise
    const underWay = fetch(http.url('web'), { method: 'POST', body: 'a' })
    await eventually('the append has begun', () => http.vault.appendCount === 1)
    const stopped = http.ingress.stop({ drainMs: 5_000 })
    const refused = await rawExchange(http.port, [head(POST, ['Content-Length: 1']), 'x'])
    expect(refused).toMatchObject({ status: 503, closed: true })
    expect(refused.head.toLowerCase()).toContain('retry-after: 1')
    expect(refused.head.toLowerCase()).toContain('connection: close')
    resolve()
    expect((await underWay).status).toBe(200)
    await stopped
    expect((await rawExchange(http.port, [head(POST)])).status).toBe(0)
  })

  test('H16: connections that only hold on cost others nothing, and are bounded', async () => {
    const http = await startHttp({ limits: { connectionsMax: 40 } })
    const idle = Array.from({ length: 200 }, () => {
      const socket = connect({ host: '127.0.0.1', port: http.port })
      socket.on('error', () => {})
      return socket
    })
    const agentLike = connect({ host: '127.0.0.1', port: http.port })
    agentLike.on('error', () => {})
    await eventually('the surplus was refused', async () => (await http.rejected('connections-max')) >= 160)
    expect(http.ingress.status().connectionCount).toBeLessThanOrEqual(40)
    for (const socket of [...idle, agentLike]) socket.destroy()
    await eventually('the connections are gone', () => http.ingress.status().connectionCount === 0)
    await expectUnharmed(http)
  })

  test('H16: a connection that is in keeps being served while hundreds try to get in', async () => {
    const http = await startHttp({ limits: { connectionsMax: 20 } })
    const { Agent, request } = await import('node:http')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const once = () =>
      new Promise<number>((resolve, reject) => {
        const sent = request(http.url('web'), { method: 'POST', agent }, (response) => {
          response.resume()
          response.on('end', () => resolve(response.statusCode ?? 0))
        })
        sent.on('error', reject)
        sent.end('x')
      })
    expect(await once()).toBe(200)
    const others = Array.from({ length: 300 }, () =>
      connect({ host: '127.0.0.1', port: http.port }).on('error', () => {}),
    )
    for (let index = 0; index < 50; index += 1) expect(await once()).toBe(200)
    for (const socket of others) socket.destroy()
    agent.destroy()
  })
})

test('refusals are counted by reason and printed with escaped bytes, not once per request', async () => {
  const lines: DiagnosticFields[] = []
  const diagnostics: Diagnostics = { ...silentDiagnostics, warn: (fields) => void lines.push(fields) }
  const http = await startHttp({ diagnostics })
  for (let index = 0; index < 20; index += 1) {
    await rawExchange(http.port, [head('GET /%1B%5B31mred\x1b[31m HTTP/1.1')], { silentMs: 30 })
    await rawExchange(http.port, [head('GET /nowhere HTTP/1.1')], { silentMs: 30 })
  }
  expect(await http.rejected('not_found')).toBeGreaterThanOrEqual(20)
  expect(lines.filter((line) => line['reason'] === 'not_found').length).toBe(1)
  expect(JSON.stringify(lines)).not.toContain('\x1b')
})
