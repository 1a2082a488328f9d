/** Partial density against full: what it finds is the same, or it finds nothing. */

import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { CompiledTopology } from '../../src/topology/compile.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import type { Density } from '../../src/topology/declaration.ts'
import { createEnricher } from '../../src/topology/enricher.ts'
import type { EnrichedEvent } from '../../src/topology/event-schema.ts'
import { defineStage } from '../../src/topology/stage.ts'
import { SHIPPED_STAGES } from '../../src/topology/stages/index.ts'
import { ARRIVAL_MS, densityTier } from './enrich-line.ts'

const shipped = densityTier('Europe/Berlin')
/** The same partial tier with one stage more, so that the stages run and not the short way through the bytes. */
const byStages = withIdleStage(shipped)
const seed = Number(process.env['GOPHERSHIP_SEED'] ?? 20240630)

const full = createEnricher(shipped)
const partials = [createEnricher(shipped), createEnricher(byStages)]

function withIdleStage(topology: CompiledTopology): CompiledTopology {
  const idle = defineStage({
    name: 'idle',
    summary: 'Does nothing.',
    options: z.strictObject({}),
    create: () => () => {},
  })
  const stages = [...topology.declaration.stages, { stage: 'idle', tiers: ['partial' as const] }]
  return compileTopology(
    { ...topology.declaration, stages },
    { stages: [...SHIPPED_STAGES, idle], timeZone: topology.timeZone },
  )
}

let offset = 0
/** The event of bytes that stand in the middle of others, as in a batch; null for a dead letter. */
function eventOf(
  enricher: typeof full,
  line: Uint8Array,
  density: Density,
  recordTimestampMs = ARRIVAL_MS,
): EnrichedEvent | null {
  const bytes = Buffer.concat([Buffer.from('"}'), line, Buffer.from('":1}')])
  const text = enricher.enrichToJson(
    bytes,
    2,
    2 + line.length,
    recordTimestampMs,
    `raw-vault.${'s'.repeat(offset % 60)}`,
    offset % 3,
    offset,
    null,
    density,
  )
  return typeof text === 'string' ? (JSON.parse(text) as EnrichedEvent) : null
}

/** How many of time and level were found. Throws when one is not full density's, or anything else is wrong. */
function checkLine(line: Uint8Array): number {
  offset = (offset * 7 + 1) % 100_000_000
  const whole = eventOf(full, line, 'full')
  let foundCount = 0
  for (const enricher of offset % 5 === 0 ? [createEnricher(shipped)] : partials) {
    // Events of both densities are written over one another.
    if (offset % 2 === 0) eventOf(enricher, line, 'full')
    const event = eventOf(enricher, line, 'partial')
    if (whole === null || event === null) {
      expect(event).toBe(whole)
      continue
    }
    const timestamp = event.timestamp === null ? null : whole.timestamp
    const hasLevel = event.severityText !== null || event.severityNumber !== null
    expect(event).toEqual({
      ...whole,
      timestamp,
      severityText: hasLevel ? whole.severityText : null,
      severityNumber: hasLevel ? whole.severityNumber : null,
      body: Buffer.from(line)
        .toString()
        .replace(/^\ufeff/, '')
        .replace(/\r*\n?$/, ''),
      attributes: {},
      resource: {},
      traceId: null,
      spanId: null,
      density: 'partial',
    })
    foundCount += (timestamp === null ? 0 : 1) + (hasLevel ? 1 : 0)
  }
  return foundCount
}

describe('partial density finds what full density finds, or nothing', () => {
  const excerpts = new URL('./excerpts/', import.meta.url)
  it.each(readdirSync(excerpts).filter((name) => name.endsWith('.log')))('in %s', (name) => {
    for (const line of readFileSync(new URL(name, excerpts), 'latin1').split('\n')) {
      checkLine(Buffer.from(line, 'latin1'))
      // Cut short anywhere, it is another line, and full density may find nothing in it.
      checkLine(Buffer.from(line.slice(0, (line.length * 2) / 3), 'latin1'))
    }
  })

  const value = fc.oneof(
    fc.constantFrom(
      '"2024-05-17T10:05:03.123Z"',
      '"2024-05-17T10:05:03Z"',
      '"2024-05-17T10:05:03.1Z"',
      '"2024-05-17T10:05:03.123456789Z"',
      '"2024-05-17T10:05:03.1234567890Z"',
      '"2024-02-30T10:05:03Z"',
      '"2024-05-17T23:59:60Z"',
      '"2024-05-17 10:05:03,5"',
      '"May 17 10:05:03"',
      '"2024-05-17T10:05:03\\u002e123Z"',
      '1531171074631',
      '1531171074.250',
      '1531171074631123457',
      '-1',
      '1e3',
      '1.0',
      '-0',
      '01',
      '1.',
      'nul',
      'true',
      'null',
      '"info"',
      '"WARN"',
      '"Warning"',
      '"INFORMATIONAL"',
      '"w\\u0061rn"',
      '"loud"',
      '""',
      '30',
      '3',
      '17',
      '"3"',
      '12345678901234567890',
      '{"level":"error","a":[1, 2,{"b":null}]}',
      '[]',
      '{}',
      '["x",{"y":"]"}]',
      '"a\\"b\\\\"',
      '"a\\/b\\n"',
      '"\\x"',
      '"é \u{1f600}"',
      '{"$date":"2024-05-17T10:05:03Z"}',
      '"2024-05-17 10:05:03.5 +0200 CEST m=+0.1"',
      '1531171074631.25',
      '"INFO+2"',
      '"Verbose"',
      '"D1"',
      '{"name":"WARN"}',
      '{"message":"m","time":"2024-05-17T10:05:03Z","level":{"name":"ERROR"}}',
      '[72,105]',
    ),
    fc.json({ maxDepth: 3 }),
  )
  const names = [
    'time',
    '@timestamp',
    'ts',
    't',
    'date',
    'epoch',
    'level',
    'severity',
    'lvl',
    's',
    'at',
    'priority',
    'PRIORITY',
    'severityNumber',
    'severityText',
    '@t',
    '@l',
    '@mt',
    'level_name',
    'MESSAGE',
    'record',
    'short_message',
    'message',
    'msg',
    'log',
    'stream',
    'lev\\u0065l',
    'other',
    '1',
    '__proto__',
  ]
  const blank = fc.constantFrom('', '', '', '', ' ', '  ', '\t')
  const member = fc
    .tuple(fc.constantFrom(...names), blank, blank, value, blank)
    .map(([name, a, b, text, c]) => `"${name}"${a}:${b}${text}${c}`)
  const object = fc
    .tuple(blank, fc.array(member, { maxLength: 7 }), fc.constantFrom(',', ',', ', ', ' ,'), blank)
    .map(([a, members, comma, b]) => `{${a}${members.join(comma)}}${b}`)
  const wrapped = fc.oneof(
    object,
    object.map((text) => `2016-10-06T00:17:09.669794202Z stdout F ${text}`),
    object.map((text) => `<34>Oct 11 22:14:15 host su[12]: ${text}`),
    object.map((text) => `<34>1 - h a - - - ${text}`),
    object.map(
      (text) => `{"log":${JSON.stringify(`${text}\n`)},"stream":"stdout","time":"2016-10-06T00:17:09Z"}`,
    ),
    object.map((text) => `2024-05-17 10:05:03 ERROR ${text}`),
  )
  it('in JSON of every kind, whole and cut short, alone and wrapped', () => {
    let foundCount = 0
    fc.assert(
      fc.property(wrapped, fc.nat(400), fc.boolean(), (text, end, isWhole) => {
        foundCount += checkLine(Buffer.from(isWhole ? text : text.slice(0, end)))
      }),
      { numRuns: 6_000, seed },
    )
    expect(foundCount).toBeGreaterThan(3_000)
  })

  const client = fc.constantFrom(
    '203.0.113.9',
    '::1',
    '[::1]',
    'a',
    'abc',
    'www.example',
    '1',
    'Jun',
    '-',
    '2024-05-17',
    'é',
  )
  const clock = fc.constantFrom(
    '17/May/2015:10:05:03 +0200',
    '31/Apr/2015:10:05:03 +0000',
    '17/May/2015:24:05:03 +0000',
    '17/May/2015:10:05:03 -9900',
    '17/May/2015:10:05:03.123 +0000',
    '17/May/2015:10:05:03',
    '17/Mai/2015:10:05:03 +0000',
    '17/May/2015:1x:05:03 +0000',
  )
  const access = fc
    .tuple(
      client,
      fc.constantFrom(' - - ', ' - alice ', ' ', '  ', ' - [x ', ' x y z '),
      clock,
      fc.constantFrom(' "GET / HTTP/1.1" 200 1', ' "', ' x', ''),
    )
    .map(([host, middle, time, rest]) => `${host}${middle}[${time}]${rest}`)
  it('in access logs of every kind, whole and cut short', () => {
    let foundCount = 0
    fc.assert(
      fc.property(access, fc.nat(80), fc.boolean(), (text, end, isWhole) => {
        foundCount += checkLine(Buffer.from(isWhole ? text : text.slice(0, end)))
      }),
      { numRuns: 3_000, seed },
    )
    expect(foundCount).toBeGreaterThan(500)
  })

  const pieces = fc.constantFrom(
    'time=2023-01-02T12:00:00Z level=info msg="a \\"b\\"" x=1',
    'level=warn ts=1531171074 msg=audit(1364481363.243:24287)',
    'type=SYSCALL msg=audit(1364481363.243:24287): time=1531171074 level=error',
    "node=a type=USER_END msg=audit(1364481363.243:24287) : pid=7 msg='op=x res=y'",
    '2023-01-02 12:00:00,123 INFO [main] a.b.C: level=error k=v',
    '2023-01-02 12:00:00 level=error msg=x',
    '<13>Oct 11 22:14:15 host tag[1]: [WARN] m level=error',
    'I0102 12:00:00.000000 123 file.go:12] m',
    '<189>29: *Mar  1 18:46:11.123: %SYS-3-CONFIG_I: m',
    'Oct 10 2018 12:34:56 host : %ASA-4-106023: m',
    ' {"level":"info"}',
    '[{"level":"info"}]',
    '[1577876400.5, {"level":"info"}]',
    '[[1577876400.5, {}], {"level":"info"}]',
    'date=2019-05-10 time=11:37:47 level=error eventtime=1557513467',
    '[2020-01-01 00:00:00] app.ERROR: m {"level":"info"} []',
    '2023-01-02 12:00:00.123  INFO [a,4bf92f3577b34da6a3ce929d0e0e4736,00f067aa0ba902b7] 1 --- [b] c : m',
    '2023-01-02 12:00:00 UTC:192.0.2.1(4711):app@shop:[1234]:LOG:  m',
    '[02-Jan-2023 12:00:00 Europe/Berlin] PHP Deprecated:  m',
    '\u001b[32mINFO\u001b[0m[0012] m level=error',
    '1,2019/05/10 11:37:47,0018,SYSTEM,general,0,2019/05/10 11:37:46,',
    'CEF:0|V|P|1|1|n|1|rt=1557513467123 level=error',
    '\u0001\u001f"\\',
    '\r\n',
    '\ufeff',
  )
  it('in text of every kind', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(pieces, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 4 }),
        (parts) => {
          checkLine(Buffer.from(parts.join('')))
        },
      ),
      { numRuns: 3_000, seed },
    )
  })

  it('in any bytes, and what is not UTF-8 is a dead letter at both', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (noise, isJson) => {
        checkLine(isJson ? Buffer.concat([Buffer.from('{"time":"'), noise, Buffer.from('"}')]) : noise)
      }),
      { numRuns: 2_000, seed },
    )
  })
})

describe('partial density', () => {
  it.each([
    ['{"time":"2024-05-17T10:05:03.123Z","level":"warn","msg":"x"}', '2024-05-17T10:05:03.123Z', 'warn', 13],
    ['{"level":30,"time":1531171074631,"pid":657,"msg":"a \\"b\\""}', '2018-07-09T21:17:54.631Z', '30', 9],
    [
      '{"@timestamp": "2024-05-17T10:05:03+02:00", "log.level": "ERROR", "message": "é"}',
      '2024-05-17T08:05:03.000Z',
      'ERROR',
      17,
    ],
    [
      '203.0.113.9 - - [17/May/2015:10:05:03 +0200] "GET / HTTP/1.1" 200 1',
      '2015-05-17T08:05:03.000Z',
      null,
      null,
    ],
    [
      '2016-10-06T00:17:09.669794202Z stdout F {"level":"info","msg":"hi"}',
      '2016-10-06T00:17:09.669794202Z',
      'info',
      9,
    ],
    [
      '{"log":"a \\"time\\" INFO\\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}',
      '2016-10-06T00:17:09.669794202Z',
      null,
      null,
    ],
    ['2015-10-18 18:01:47,978 INFO [main] a.b.C: Created', '2015-10-18T16:01:47.978Z', 'INFO', 9],
    ['<34>Oct 11 22:14:15 host su[12]: message', '2023-10-11T20:14:15.000Z', 'crit', 18],
    ['level=error time=2023-01-02T12:00:00Z msg=x', '2023-01-02T12:00:00.000Z', 'error', 17],
  ])(
    'finds time and level of %s, and keeps the line as its body',
    (line, timestamp, severityText, severityNumber) => {
      for (const enricher of partials)
        expect(eventOf(enricher, Buffer.from(line), 'partial')).toMatchObject({
          timestamp,
          severityText,
          severityNumber,
          body: line,
          attributes: {},
          density: 'partial',
        })
    },
  )

  it('has the same event id and place as full density, line for line', () => {
    for (const line of ['{"a":1}', 'x', '{"a":']) {
      const [event, whole] = (['partial', 'full'] as const).map((density) =>
        eventOf(full, Buffer.from(line), density),
      )

      expect(event?.eventId).toBe(whole?.eventId)
      expect(event?.vault).toEqual(whole?.vault)
    }
  })

  it('takes lines of every length, one after the other', () => {
    for (const length of [0, 1, 5_000, 3, 400_000, 2, 1_000_000])
      for (const filler of ['a', '"', '\u0001', 'é'])
        if (filler.length * length * 6 < 2_500_000)
          checkLine(Buffer.from(`{"level":"info","m":${JSON.stringify(filler.repeat(length))}}`))
  })
})
