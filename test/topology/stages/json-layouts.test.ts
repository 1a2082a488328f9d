/** The JSON that widespread loggers and services write: time, level, message and trace, each where it stands. */

import { describe, expect, it } from 'vitest'
import { enrich, enrichAtBoth } from '../enrich-line.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

const LAYOUTS: [
  what: string,
  line: string,
  timestamp: string | null,
  severityText: string | null,
  severityNumber: number | null,
  body: string | null,
  attributes: Record<string, unknown>,
][] = [
  [
    'bunyan',
    '{"name":"app","hostname":"h","pid":7,"level":30,"msg":"m","time":"2013-01-04T18:46:23.851Z","v":0}',
    '2013-01-04T18:46:23.851Z',
    '30',
    9,
    'm',
    { name: 'app', v: 0, 'process.pid': 7 },
  ],
  [
    'zap',
    '{"level":"info","ts":1574839034.1241527,"caller":"zap/main.go:12","msg":"m"}',
    '2019-11-27T07:17:14.1241527Z',
    'info',
    9,
    'm',
    { caller: 'zap/main.go:12' },
  ],
  [
    'zap, in milliseconds',
    '{"level":"info","ts":1574839034124.152,"msg":"m"}',
    '2019-11-27T07:17:14.124152Z',
    'info',
    9,
    'm',
    {},
  ],
  [
    "logrus with Go's own time",
    '{"level":"warning","msg":"m","time":"2014-03-10 19:57:38.562264131 -0400 EDT m=+0.000012"}',
    '2014-03-10T23:57:38.562264131Z',
    'warning',
    13,
    'm',
    {},
  ],
  [
    'slog between two levels',
    '{"time":"2022-11-08T15:28:26Z","level":"INFO+2","msg":"m"}',
    '2022-11-08T15:28:26.000Z',
    'INFO+2',
    11,
    'm',
    {},
  ],
  [
    'slog below its lowest level',
    '{"time":"2022-11-08T15:28:26Z","level":"DEBUG-4","msg":"m"}',
    '2022-11-08T15:28:26.000Z',
    'DEBUG-4',
    1,
    'm',
    {},
  ],
  [
    'winston with colours',
    '{"level":"\\u001b[32minfo\\u001b[39m","message":"m","timestamp":"2020-01-01T12:00:00Z"}',
    '2020-01-01T12:00:00.000Z',
    'info',
    9,
    'm',
    {},
  ],
  [
    'Serilog without a level',
    '{"@t":"2016-06-07T03:44:57.8532799Z","@m":"Hello n","@i":"7a8b","User":"n"}',
    '2016-06-07T03:44:57.8532799Z',
    null,
    9,
    'Hello n',
    { '@i': '7a8b', User: 'n' },
  ],
  [
    'Serilog with a template',
    '{"@t":"2016-06-07T03:44:57.8532799Z","@mt":"Hello {User}","@l":"Verbose","User":"n"}',
    '2016-06-07T03:44:57.8532799Z',
    'Verbose',
    1,
    'Hello {User}',
    { User: 'n' },
  ],
  [
    'Serilog, rendered',
    '{"Timestamp":"2016-06-07T13:44:57.8532799+10:00","Level":"Fatal","MessageTemplate":"Hello {User}","RenderedMessage":"Hello n"}',
    '2016-06-07T03:44:57.8532799Z',
    'Fatal',
    21,
    'Hello n',
    { MessageTemplate: 'Hello {User}' },
  ],
  [
    'ECS',
    '{"@timestamp":"2020-05-17T12:00:00.123Z","log.level":"INFO","message":"m","ecs.version":"1.2.0"}',
    '2020-05-17T12:00:00.123Z',
    'INFO',
    9,
    'm',
    { 'ecs.version': '1.2.0' },
  ],
  [
    'ECS, nested',
    '{"@timestamp":"2020-05-17T12:00:00.123Z","log":{"level":"error","logger":"a.B"},"message":"m"}',
    '2020-05-17T12:00:00.123Z',
    'error',
    17,
    'm',
    { log: { level: 'error', logger: 'a.B' }, 'otel.scope.name': 'a.B' },
  ],
  [
    'Google Cloud',
    '{"insertId":"x","textPayload":"m","timestamp":"2020-05-17T12:00:00.123456789Z","severity":"NOTICE"}',
    '2020-05-17T12:00:00.123456789Z',
    'NOTICE',
    10,
    'm',
    { insertId: 'x' },
  ],
  [
    'Google Cloud with a payload',
    '{"jsonPayload":{"message":"m","a":1},"timestamp":"2020-05-17T12:00:00Z","severity":"ERROR"}',
    '2020-05-17T12:00:00.000Z',
    'ERROR',
    17,
    'm',
    { jsonPayload: { message: 'm', a: 1 } },
  ],
  [
    'CloudTrail',
    '{"eventVersion":"1.05","eventTime":"2014-03-06T21:22:54Z","eventName":"StartInstances"}',
    '2014-03-06T21:22:54.000Z',
    null,
    null,
    null,
    { eventVersion: '1.05', eventName: 'StartInstances' },
  ],
  [
    'Docker with its fields in another order',
    '{"stream":"stderr","log":"[ERROR] m\\n","time":"2020-01-01T12:00:00.123456789Z"}',
    '2020-01-01T12:00:00.123456789Z',
    'ERROR',
    17,
    '[ERROR] m',
    { 'log.iostream': 'stderr' },
  ],
  [
    'Docker with spaces',
    '{"log": "{\\"level\\":\\"warn\\",\\"msg\\":\\"m\\"}\\n", "stream": "stdout", "time": "2020-01-01T12:00:00.1Z"}',
    '2020-01-01T12:00:00.100Z',
    'warn',
    13,
    'm',
    { 'log.iostream': 'stdout' },
  ],
  [
    'journald',
    '{"__REALTIME_TIMESTAMP":"1423944916375353","PRIORITY":"4","_PID":"12","MESSAGE":"m"}',
    '2015-02-14T20:15:16.375353Z',
    '4',
    13,
    'm',
    { 'process.pid': 12 },
  ],
  [
    'journald with a message in bytes',
    '{"__REALTIME_TIMESTAMP":"1423944916375353","PRIORITY":"6","MESSAGE":[27,91,109,195,169]}',
    '2015-02-14T20:15:16.375353Z',
    '6',
    9,
    '\u001b[mé',
    {},
  ],
  [
    'journald with bytes that are no text',
    '{"__REALTIME_TIMESTAMP":"1423944916375353","PRIORITY":"6","MESSAGE":[255]}',
    '2015-02-14T20:15:16.375353Z',
    '6',
    9,
    null,
    { MESSAGE: [255] },
  ],
  [
    'log4j2 with a level object',
    '{"level":{"standardLevel":300,"name":"WARN"},"instant":{"epochSecond":1577876400,"nanoOfSecond":123456789},"message":"m"}',
    '2020-01-01T11:00:00.123456789Z',
    'WARN',
    13,
    'm',
    { level: { standardLevel: 300, name: 'WARN' } },
  ],
  [
    'logback with a level object',
    '{"level":{"levelInt":40000,"levelStr":"ERROR"},"message":"m"}',
    null,
    'ERROR',
    17,
    'm',
    { level: { levelInt: 40000, levelStr: 'ERROR' } },
  ],
  [
    'a level object that names no level',
    '{"level":{"name":"three"},"message":"m"}',
    null,
    null,
    null,
    'm',
    { level: { name: 'three' } },
  ],
  [
    'loguru',
    '{"text":"t","record":{"level":{"name":"ERROR","no":40},"message":"m","time":{"repr":"x","timestamp":1577876400.123456}}}',
    '2020-01-01T11:00:00.123456Z',
    'ERROR',
    17,
    'm',
    {
      text: 't',
      record: {
        level: { name: 'ERROR', no: 40 },
        message: 'm',
        time: { repr: 'x', timestamp: 1577876400.123456 },
      },
    },
  ],
  [
    'structlog',
    '{"event":"m","level":"warning","timestamp":"2020-01-01T12:00:00Z","a":1}',
    '2020-01-01T12:00:00.000Z',
    'warning',
    13,
    'm',
    { a: 1 },
  ],
  [
    'analytics, whose event is a name',
    '{"event":"clicked","timestamp":"2020-01-01T12:00:00Z","a":1}',
    '2020-01-01T12:00:00.000Z',
    null,
    null,
    null,
    { event: 'clicked', a: 1 },
  ],
  [
    'Rust tracing',
    '{"timestamp":"2020-01-01T12:00:00Z","level":"INFO","fields":{"message":"m","a":1},"target":"a::b"}',
    '2020-01-01T12:00:00.000Z',
    'INFO',
    9,
    'm',
    { fields: { message: 'm', a: 1 }, target: 'a::b' },
  ],
  [
    'Monolog, whose level is a number as well',
    '{"message":"m","level":400,"level_name":"ERROR","datetime":"2020-01-01T12:00:00.123456+00:00"}',
    '2020-01-01T12:00:00.123456Z',
    'ERROR',
    17,
    'm',
    { level: 400 },
  ],
  [
    "Monolog with PHP's date",
    '{"message":"m","level_name":"INFO","datetime":{"date":"2020-01-01 12:00:00.123456","timezone_type":1,"timezone":"+02:00"}}',
    '2020-01-01T10:00:00.123456Z',
    'INFO',
    9,
    'm',
    {},
  ],
  [
    "PHP's date in a zone that only has a name",
    '{"message":"m","datetime":{"date":"2020-01-01 12:00:00.123456","timezone_type":3,"timezone":"Europe/Berlin"}}',
    null,
    null,
    null,
    'm',
    { datetime: { date: '2020-01-01 12:00:00.123456', timezone_type: 3, timezone: 'Europe/Berlin' } },
  ],
  [
    '.NET with a space behind the time',
    '{"LogLevel":"Information","Message":"m","Timestamp":"2020-01-01T12:00:00.1234567Z "}',
    '2020-01-01T12:00:00.1234567Z',
    'Information',
    9,
    'm',
    {},
  ],
  [
    'MongoDB at a debug level',
    '{"t":{"$date":"2020-05-18T20:18:12.724+02:00"},"s":"D2","c":"COMMAND","msg":"m"}',
    '2020-05-18T18:18:12.724Z',
    'D2',
    5,
    'm',
    { c: 'COMMAND' },
  ],
  [
    'an audit log of Kubernetes',
    '{"auditID":"x","requestReceivedTimestamp":"2020-01-01T12:00:00.123456Z","stage":"ResponseComplete"}',
    '2020-01-01T12:00:00.123456Z',
    null,
    null,
    null,
    { auditID: 'x', stage: 'ResponseComplete' },
  ],
]

describe('JSON of widespread loggers', () => {
  it.each(LAYOUTS)(
    'is read as %s writes it',
    (_what, line, timestamp, severityText, severityNumber, body, attributes) => {
      const event = enrichAtBoth(line)

      expect(event).toMatchObject({ timestamp, severityText, severityNumber, body })
      expect(event.attributes).toEqual(attributes)
    },
  )

  it.each([
    ['a level object', '{"level":{"name":"WARN"},"message":"m"}'],
    ['a payload', '{"record":{"level":"WARN","message":"m"}}'],
    ['ECS', '{"log":{"level":"WARN"},"message":"m"}'],
  ])('has the level of syslog in front of %s', (_what, line) => {
    expect(enrichAtBoth(`<34>Oct 11 22:14:15 host app[1]: ${line}`)).toMatchObject({
      severityText: 'crit',
      body: 'm',
    })
  })

  it.each([
    ['Google Cloud', `{"message":"m","trace":"projects/p/traces/${TRACE}","spanId":"${SPAN}"}`, {}],
    ['Serilog', `{"@m":"m","@tr":"${TRACE}","@sp":"${SPAN}"}`, {}],
    [
      "log4j2's context",
      `{"message":"m","contextMap":{"traceId":"${TRACE}","spanId":"${SPAN}"}}`,
      { contextMap: { traceId: TRACE, spanId: SPAN } },
    ],
    [
      "logback's context",
      `{"message":"m","context":"default","mdc":{"trace_id":"${TRACE}","span_id":"${SPAN}"}}`,
      { context: 'default', mdc: { trace_id: TRACE, span_id: SPAN } },
    ],
    [
      'a map with hexadecimal prefixes',
      `{"message":"m","context":{"trace_id":"0x${TRACE}","span_id":"0x${SPAN}"}}`,
      { context: { trace_id: `0x${TRACE}`, span_id: `0x${SPAN}` } },
    ],
    [
      'a map called trace',
      `{"message":"m","trace":{"traceId":"${TRACE}","spanId":"${SPAN}"}}`,
      { trace: { traceId: TRACE, spanId: SPAN } },
    ],
  ])('has its trace read from %s', (_what, line, attributes) => {
    const event = enrich(line)

    expect(event).toMatchObject({ traceId: TRACE, spanId: SPAN, body: 'm' })
    expect(event.attributes).toEqual(attributes)
  })

  it.each([
    ['{"message":"m","trace":"at a.b.C"}', { trace: 'at a.b.C' }],
    ['{"message":"m","context":{"trace_id":"x"}}', { context: { trace_id: 'x' } }],
    ['{"stream":"stdout","log":"m\\n"}', { stream: 'stdout' }],
    ['{"record":{"id":7},"fields":["message"]}', { record: { id: 7 }, fields: ['message'] }],
    ['{"t":1531171074.5}', { t: 1531171074.5 }],
  ])('keeps the fields of %s, which play no part', (line, attributes) => {
    const event = enrichAtBoth(line)

    expect(event).toMatchObject({ timestamp: null, traceId: null })
    expect(event.attributes).toEqual(attributes)
  })
})
