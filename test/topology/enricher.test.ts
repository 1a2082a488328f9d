import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { EVENT_BYTES_MAX } from '../../src/core/limits.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import type { TopologyDeclaration } from '../../src/topology/declaration.ts'
import { createEnricher } from '../../src/topology/enricher.ts'
import { enrichedEventSchema } from '../../src/topology/event-schema.ts'
import { defineStage } from '../../src/topology/stage.ts'
import { SHIPPED_STAGES } from '../../src/topology/stages/index.ts'
import { TopologyDriver } from '../../src/topology/topology-driver.ts'
import { ARRIVAL_MS, densityTier, enrich } from './enrich-line.ts'

const shipped = densityTier()
const driver = () => new TopologyDriver(shipped, { recordTimestampMs: ARRIVAL_MS })

/** The text of an event, as the processor gets it. */
function enrichBytes(bytes: Buffer, start = 0, end = bytes.length): string {
  const result = createEnricher(shipped).enrichToJson(
    bytes,
    start,
    end,
    ARRIVAL_MS,
    'raw-vault.s',
    3,
    41,
    null,
    'full',
  )
  return typeof result === 'string' ? result : JSON.stringify(result)
}

describe('an event', () => {
  it('has all its keys, in order, whatever the line', () => {
    const keys = [
      'eventId',
      'timestamp',
      'observedTimestamp',
      'severityText',
      'severityNumber',
      'body',
      'attributes',
      'resource',
      'traceId',
      'spanId',
      'density',
      'vault',
    ]

    for (const line of ['', 'x', '{"msg":"x"}', '<34>x', null])
      expect(Object.keys(enrich(line))).toEqual(keys)
  })

  it('says where its record lies and when it arrived', () => {
    expect(JSON.parse(enrichBytes(Buffer.from('xxhellozz'), 2, 7))).toMatchObject({
      eventId: 'raw-vault.s:3:41',
      observedTimestamp: '2024-06-30T12:00:00.000Z',
      body: 'hello',
      vault: { topic: 'raw-vault.s', partition: 3, offset: 41 },
    })
  })

  it('of a record without a value has a null body', () => {
    expect(enrich(null)).toMatchObject({ body: null, timestamp: null, attributes: {} })
  })

  it('of a record with an empty value has an empty body', () => {
    expect(enrich('').body).toBe('')
  })

  it.each([-1, Number.NaN, 2 ** 63, 253_402_300_800_000])(
    'has no time of arrival when the record timestamp is %d',
    (timestampMs) => {
      const result = createEnricher(shipped).enrichToJson(
        Buffer.from('Jun 14 15:16:01 h t: x'),
        0,
        22,
        timestampMs,
        't',
        0,
        0,
        null,
        'full',
      )

      expect(JSON.parse(result as string)).toMatchObject({ observedTimestamp: null, timestamp: null })
    },
  )

  it('has the line without its ending and without a byte order mark', () => {
    expect(enrich('hello\r').body).toBe('hello')
    expect(enrich('hello\r\n').body).toBe('hello')
    expect(enrich('one\r\ntwo\r\n').body).toBe('one\r\ntwo')
    expect(enrich('\ufeffhello').body).toBe('hello')
    expect(enrich('\ufeff{"msg":"hello"}').body).toBe('hello')
  })

  it('keeps a replacement character that the line itself has', () => {
    expect(enrich('caf\ufffd é 漢字 \u{1f600}').body).toBe('caf\ufffd é 漢字 \u{1f600}')
  })

  it('at passthrough density is the line and nothing else', () => {
    expect(enrich('{"level":"info","msg":"x"}', { density: 'passthrough' })).toMatchObject({
      body: '{"level":"info","msg":"x"}',
      severityText: null,
      attributes: {},
      density: 'passthrough',
    })
  })

  it('does not depend on the lines before it', () => {
    const lines = [
      '{"time":"2024-05-17T10:05:03Z","level":"warn","msg":"a","x":1,"service":"s","pid":1}',
      '203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1',
      '<34>Oct 11 22:14:15 host su[12]: message uid=0 gid=0',
      '2015-10-18 18:01:47,978 ERROR [main] a.b.C: m',
      'time=2023-01-02T12:00:00Z level=info msg=x trace_id=4bf92f3577b34da6a3ce929d0e0e4736',
      '2016-10-06T00:17:09.669794202Z stderr P part',
      'I0102 12:00:00.000000 123 file.go:12] m',
      'plain',
      '{"broken',
      '',
    ]
    const alone = lines.map((line) => ({ ...enrich(line), eventId: '', vault: null }))
    fc.assert(
      fc.property(fc.array(fc.nat(lines.length - 1), { maxLength: 30 }), (order) => {
        const shared = driver()
        for (const index of order) shared.pipe(lines[index] as string)

        expect(shared.events.map((event) => ({ ...event, eventId: '', vault: null }))).toEqual(
          order.map((index) => alone[index]),
        )
      }),
      { numRuns: 50 },
    )
  })
})

describe('a record that has no event', () => {
  it.each([[[0xff]], [[0xc3, 0x28]], [[0xed, 0xa0, 0x80]], [[0xf5, 0x80, 0x80, 0x80]], [[0x61, 0xe2, 0x82]]])(
    'is a dead letter when its bytes are not UTF-8: %j',
    (bytes) => {
      expect(driver().pipe(Uint8Array.from(bytes))).toEqual({
        deadLetter: { reason: 'invalid-utf8', stage: 'decode', message: expect.any(String) },
      })
    },
  )

  it('is a dead letter under the name of the stage that threw, and the next record is fine', () => {
    const strict = defineStage({
      name: 'refuse-secrets',
      summary: 'Throws on secrets.',
      options: z.strictObject({ word: z.string() }),
      create: (options) => (draft) => {
        if (draft.line.includes(options.word)) throw new Error('a secret')
      },
    })
    const topology = withStage(strict, { word: 'hunter2' })
    const driver = new TopologyDriver(topology)

    driver.pipe('password hunter2')
    driver.pipe('hello')

    expect(driver.deadLetters).toEqual([
      { reason: 'stage-failed', stage: 'refuse-secrets', message: 'a secret' },
    ])
    expect(driver.events).toHaveLength(1)
    expect(driver.events[0]).toMatchObject({ body: 'hello', vault: { offset: 1 } })
  })

  it('is a dead letter when a stage leaves what JSON cannot say', () => {
    const looped = defineStage({
      name: 'loop',
      summary: 'Makes a cycle.',
      options: z.strictObject({}),
      create: () => (draft) => {
        const cycle: { self?: unknown } = {}
        cycle.self = cycle
        draft.attributes.set('cycle', cycle as never)
      },
    })

    expect(new TopologyDriver(withStage(looped, {})).pipe('x')).toMatchObject({
      deadLetter: { reason: 'stage-failed', stage: 'encode' },
    })
  })

  it('is a dead letter when its event would not fit a batch', () => {
    const line = '\u0001'.repeat(Math.ceil(EVENT_BYTES_MAX / 5))

    expect(driver().pipe(line)).toMatchObject({ deadLetter: { reason: 'event-too-large', stage: 'encode' } })
  })

  it('is not what a line of the largest record size becomes', () => {
    expect(driver().pipe('a'.repeat(1_000_000))).toMatchObject({ event: { body: 'a'.repeat(1_000_000) } })
  })
})

describe('hostile JSON', () => {
  it('keeps keys that are special to JavaScript as data', () => {
    const line =
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":"x","hasOwnProperty":1,"toJSON":"y","msg":"m"}'
    const text = enrichBytes(Buffer.from(line))

    expect(text).toContain('"__proto__":{"polluted":true}')
    expect(text).toContain('"constructor":{"prototype":{"polluted":true}}')
    expect(text).toContain('"toString":"x"')
    expect(text).toContain('"toJSON":"y"')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  it('in a container wrapping keeps such keys as well', () => {
    const text = enrichBytes(Buffer.from('2016-10-06T00:17:09Z stdout F {"__proto__":{"a":1},"msg":"m"}'))

    expect(text).toContain('"attributes":{"log.iostream":"stdout","__proto__":{"a":1}}')
  })

  it('keeps its digits where a double would lose them', () => {
    const text = enrichBytes(
      Buffer.from(
        '{"id":12345678901234567890,"in":{"n":-9007199254740993},"list":[9007199254740993],"big":1e999,"e":1e20}',
      ),
    )

    expect(text).toContain('"id":12345678901234567890')
    expect(text).toContain('"n":-9007199254740993')
    expect(text).toContain('[9007199254740993]')
    expect(text).toContain('"big":"1e999"')
    expect(text).toContain('"e":100000000000000000000')
  })

  it('gives the nanoseconds of a time that is a number', () => {
    expect(enrich('{"time":1531171074631123457,"msg":"m"}').timestamp).toBe('2018-07-09T21:17:54.631123457Z')
  })

  it('takes the later of two members of one name', () => {
    expect(enrich('{"a":1,"a":2,"msg":"x","msg":"y"}')).toMatchObject({ attributes: { a: 2 }, body: 'y' })
  })

  it('with lone surrogates gives well-formed text', () => {
    const text = enrichBytes(Buffer.from('{"msg":"\\ud800 x","\\udfff":"\\udc00"}'))

    expect(Buffer.from(text).toString()).toBe(text)
    expect(JSON.parse(text)).toMatchObject({ body: '\ud800 x', attributes: { '\udfff': '\udc00' } })
  })

  it.each([
    ['63 levels are parsed', `{"a":${'['.repeat(63)}${']'.repeat(63)}}`, true],
    ['64 levels below the first are text', `{"a":${'['.repeat(64)}${']'.repeat(64)}}`, false],
    ['a hundred thousand levels are text', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, false],
    ['a key of 1,024 characters is parsed', `{"${'k'.repeat(1024)}":1}`, true],
    ['a longer key is text', `{"${'k'.repeat(1025)}":1}`, false],
    ['a longer key further in is text', `{"a":[{"${'k'.repeat(1025)}":1}]}`, false],
    ['an unfinished document is text', '{"a":1', false],
    ['NaN is text', '{"a":NaN}', false],
  ])('is held to its bounds: %s', (_what, line, isParsed) => {
    expect(enrich(line).body).toBe(isParsed ? null : line)
  })

  it('with sixty thousand keys is read in no time to speak of', () => {
    const line = `{${Array.from({ length: 60_000 }, (_, index) => `"k${index}":1`).join(',')}}`
    const started = performance.now()

    expect(Object.keys(enrich(line).attributes)).toHaveLength(60_000)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

describe('any bytes at all', () => {
  const pieces = [
    '{"msg":"x","time":1531171074631}',
    '2023-01-02 12:00:00,123 INFO [main] a.b.C: message k=v uid=0',
    '<34>1 2003-10-11T22:14:15.003Z h a 1 ID [e k="v"] m',
    '<13>Oct 11 22:14:15 host tag[1]: m',
    '203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET /a?b HTTP/1.1" 200 1 "r" "u\\"a"',
    '[Sun Dec 04 04:47:44 2005] [error] [client 1.2.3.4] x',
    'time=2023-01-02T12:00:00Z level=info msg="a \\"b\\"" x=1',
    '2016-10-06T00:17:09.669794202Z stdout F {"msg":"hi"}',
    '{"log":"line\\n","stream":"stdout","time":"2016-10-06T00:17:09Z"}',
    '- 1117838570 2005.06.03 N 2005-06-03-15.42.50.675872 N RAS KERNEL INFO m',
    'I0102 12:00:00.000000 123 file.go:12] m',
    'traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  ]
  const cut = fc
    .tuple(fc.constantFrom(...pieces), fc.nat(100), fc.nat(100))
    .map(([piece, from, to]) => piece.slice(Math.min(from, to), Math.max(from, to)))
  const line = fc
    .array(
      fc.oneof(
        cut,
        fc.string({ unit: 'binary' }),
        fc.constantFrom(...pieces, '"', '\\', '[', ']', '{', '}', ' ', '=', ':', '\n', '\0'),
      ),
      { maxLength: 6 },
    )
    .map((parts) => parts.join(''))
  const seed = Number(process.env['GOPHERSHIP_SEED'] ?? 20240630)

  it('give an event that follows its schema, at every density', () => {
    fc.assert(
      fc.property(line, fc.constantFrom('full', 'partial', 'passthrough'), (text, density) => {
        const outcome = new TopologyDriver(shipped, { density, recordTimestampMs: ARRIVAL_MS }).pipe(text)

        expect('event' in outcome && enrichedEventSchema.safeParse(outcome.event).error).toBeUndefined()
      }),
      { numRuns: 4_000, seed },
    )
  })

  it('give an event or a dead letter, and twice the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const first = enrichBytes(Buffer.from(bytes))

        expect(JSON.parse(first)).toBeTypeOf('object')
        expect(enrichBytes(Buffer.from(bytes))).toBe(first)
      }),
      { numRuns: 1_000, seed },
    )
  })
})

function withStage(
  stage: { readonly name: string } & (typeof SHIPPED_STAGES)[number],
  options: Record<string, unknown>,
) {
  const declaration: TopologyDeclaration = {
    name: 'own',
    source: { streams: 'all' },
    stages: [{ stage: stage.name, tiers: ['full'], options }],
    sinks: { enriched: 'enriched.{stream}', deadLetter: 'dead-letter' },
  }
  return compileTopology(declaration, { stages: [...SHIPPED_STAGES, stage] })
}
