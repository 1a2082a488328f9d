/** The stages that read fields and pairs: container, logfmt, key-value, severity, trace-context, glance. */

import { describe, expect, it } from 'vitest'
import { enrich } from '../enrich-line.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

describe('the container stage', () => {
  it('unwraps CRI and keeps the inner text whole', () => {
    expect(enrich('2016-10-06T00:17:09.669794202Z stderr P 2023-01-02 12:00:00 ERROR part')).toMatchObject({
      timestamp: '2016-10-06T00:17:09.669794202Z',
      severityText: 'ERROR',
      body: '2023-01-02 12:00:00 ERROR part',
      attributes: { 'log.iostream': 'stderr', 'cri.partial': true },
    })
  })

  it('unwraps Docker and keeps its other fields', () => {
    const line =
      '{"log":"{\\"level\\":\\"warn\\",\\"msg\\":\\"m\\"}\\n","stream":"stdout","attrs":{"tag":"x"},"time":"2016-10-06T00:17:09.669794202Z"}'

    expect(enrich(line)).toMatchObject({
      timestamp: '2016-10-06T00:17:09.669794202Z',
      severityText: 'warn',
      body: 'm',
      attributes: { 'log.iostream': 'stdout', attrs: { tag: 'x' } },
    })
  })

  it("leaves a program's own JSON with such fields alone", () => {
    expect(enrich('{"log":"m","stream":"stdout","time":"now"}')).toMatchObject({
      body: 'm',
      attributes: { stream: 'stdout', time: 'now' },
    })
  })

  it('undoes one wrapping, not a tower of them', () => {
    const inner = '2016-10-06T00:17:09Z stdout F m'

    expect(enrich(`2016-10-06T00:17:08Z stdout F ${inner}`).body).toBe(inner)
  })

  it('reads the inner access log', () => {
    const line = '203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1'

    expect(enrich(`2016-10-06T00:17:08Z stdout F ${line}`)).toMatchObject({
      timestamp: '2016-10-06T00:17:08.000Z',
      body: line,
      attributes: { 'log.iostream': 'stdout', 'url.path': '/a' },
    })
  })
})

describe('the logfmt stage', () => {
  it('undoes escapes and keeps values as text', () => {
    expect(enrich('msg="a \\"b\\"\\n\\u00e9" n=007 empty= q=""')).toMatchObject({
      body: 'a "b"\né',
      attributes: { n: '007', empty: '', q: '' },
    })
  })

  it.each(['one=pair', 'a=1 and text', 'a=1 b="open', 'a=1 b="x"y'])('leaves %s as text', (line) => {
    expect(enrich(line).body).toBe(line)
  })

  it('keeps a duration called service as it is', () => {
    expect(enrich('at=info method=GET service=2ms status=200')).toMatchObject({
      severityText: 'info',
      attributes: { method: 'GET', service: '2ms', status: '200' },
      resource: {},
    })
  })
})

describe('the key-value stage', () => {
  it('takes pairs out of a message and leaves them in the body', () => {
    const message = 'authentication failure; logname= uid=0 euid=0 tty=NODEVssh rhost=218.188.2.4'

    expect(enrich(`Jun 14 15:16:01 combo sshd[1]: ${message}`)).toMatchObject({
      body: message,
      attributes: { 'process.pid': 1, uid: '0', euid: '0', tty: 'NODEVssh', rhost: '218.188.2.4' },
    })
  })

  it.each([
    ['a single pair', 'seen id=7'],
    ['URLs', 'GET http://x.example/?a=1&b=2 and /p?c=3'],
    ['comparisons', 'a==1 b==2'],
    ['cut out expressions', 'now state=Foo{a b=Bar(c'],
  ])('takes nothing from %s', (_what, line) => {
    expect(enrich(line).attributes).toEqual({})
  })

  it('takes quoted values, and those in brackets and lists', () => {
    expect(enrich('done (user="a b", ms=12, ok=true).').attributes).toEqual({
      user: 'a b',
      ms: '12',
      ok: 'true',
    })
  })

  it('leaves an attribute that is there already', () => {
    expect(enrich('2023-01-02 12:00:00 7 INFO x.y: process.pid=9 a=1').attributes['process.pid']).toBe(7)
  })

  it('gives the level that a pair says, when the line has no other', () => {
    expect(enrich('request done level=warn ms=3')).toMatchObject({ severityText: 'warn', severityNumber: 13 })
    expect(enrich('2023-01-02 12:00:00 INFO a level=warn ms=3')).toMatchObject({ severityText: 'INFO' })
  })
})

describe('the severity stage', () => {
  it.each([
    ['{"level":"TRACE","msg":""}', 'TRACE', 1],
    ['{"level":"Information","msg":""}', 'Information', 9],
    ['{"level":"fatal","msg":""}', 'fatal', 21],
    ['{"level":10,"msg":""}', '10', 1],
    ['{"level":60,"msg":""}', '60', 21],
    ['{"level":"50","msg":""}', '50', 17],
    ['{"severity":"CRITICAL","message":""}', 'CRITICAL', 21],
    ['{"log.level":"warn","message":""}', 'warn', 13],
    ['{"log":{"level":"warn"},"message":""}', 'warn', 13],
    ['{"@l":"Warning","@m":""}', 'Warning', 13],
    ['{"s":"I","msg":""}', 'I', 9],
    ['{"PRIORITY":"3","MESSAGE":""}', '3', 17],
    ['{"version":"1.1","short_message":"m","level":4}', '4', 13],
    ['{"level":"chatty","msg":""}', 'chatty', null],
    ['{"level":"WARN ","msg":""}', 'WARN', 13],
    ['{"level":"   ","msg":""}', null, null],
    ['{"level":35,"msg":""}', '35', null],
    ['{"severityNumber":14,"msg":""}', null, 14],
    ['{"severityText":"W","severityNumber":14,"msg":""}', 'W', 13],
    ['{"priority":"high","msg":""}', null, null],
    ['{"level":{"value":3},"msg":""}', null, null],
    ['{"level":null,"msg":""}', null, null],
    ['{"level":"","msg":""}', null, null],
    ['{"msg":"ERROR"}', null, null],
  ])('reads %s', (line, severityText, severityNumber) => {
    expect(enrich(line)).toMatchObject({ severityText, severityNumber })
  })
})

describe('the trace-context stage', () => {
  it.each([
    ['W3C', `{"msg":"","traceparent":"00-${TRACE}-${SPAN}-01"}`, TRACE, SPAN],
    ['OpenTelemetry', `{"msg":"","trace_id":"${TRACE}","span_id":"${SPAN}"}`, TRACE, SPAN],
    [
      'upper case',
      `{"msg":"","traceId":"${TRACE.toUpperCase()}","spanId":"${SPAN.toUpperCase()}"}`,
      TRACE,
      SPAN,
    ],
    ['ECS', `{"msg":"","trace":{"id":"${TRACE}"},"span":{"id":"${SPAN}"}}`, TRACE, SPAN],
    ['ECS with dots', `{"msg":"","trace.id":"${TRACE}","span.id":"${SPAN}"}`, TRACE, SPAN],
    [
      'Datadog',
      '{"msg":"","dd":{"trace_id":"1234567890123456789","span_id":"18446744073709551615"}}',
      '0000000000000000112210f47de98115',
      'ffffffffffffffff',
    ],
    [
      'Datadog with numbers',
      '{"msg":"","dd.trace_id":1234567890123456789,"dd.span_id":255}',
      '0000000000000000112210f47de98115',
      '00000000000000ff',
    ],
    ['.NET', `{"msg":"","TraceId":"00-${TRACE}-${SPAN}-01"}`, TRACE, SPAN],
    [".NET's console", `=> SpanId:${SPAN}, TraceId:${TRACE}, ParentId:0000000000000000`, TRACE, SPAN],
    ['B3 with 64 bits', `{"msg":"","x-b3-traceid":"${SPAN}"}`, `0000000000000000${SPAN}`, null],
    ['a UUID', '{"msg":"","trace_id":"4bf92f35-77b3-4da6-a3ce-929d0e0e4736"}', TRACE, null],
    [
      'X-Ray',
      '{"msg":"","xray_trace_id":"1-5759e988-bd862e3fe1be46a994272793"}',
      '5759e988bd862e3fe1be46a994272793',
      null,
    ],
    [
      'Google Cloud',
      `{"message":"","logging.googleapis.com/trace":"projects/p/traces/${TRACE}","logging.googleapis.com/spanId":"${SPAN}"}`,
      TRACE,
      SPAN,
    ],
    ['pairs in text', `done trace_id=${TRACE} span_id=${SPAN} ms=3`, TRACE, SPAN],
    ['a traceparent in text', `call traceparent: 00-${TRACE}-${SPAN}-01 done`, TRACE, SPAN],
    ['logfmt', `msg=x traceID=${TRACE}`, TRACE, null],
  ])('reads the ids of %s', (_what, line, traceId, spanId) => {
    expect(enrich(line)).toMatchObject({ traceId, spanId })
  })

  it.each([
    ['all zero', '{"msg":"","trace_id":"00000000000000000000000000000000"}'],
    ['too short', '{"msg":"","trace_id":"4bf9"}'],
    ['not hexadecimal', `{"msg":"","trace_id":"${'g'.repeat(32)}"}`],
    ['a number', '{"msg":"","trace_id":7}'],
    ['a Datadog id beyond 64 bits', '{"msg":"","dd.trace_id":"18446744073709551616"}'],
    ['a broken traceparent', `{"msg":"","traceparent":"00-${TRACE}-${SPAN}"}`],
    ['an invalid version', `{"msg":"","traceparent":"ff-${TRACE}-${SPAN}-01"}`],
  ])('leaves an id that is %s where it was', (_what, line) => {
    const event = enrich(line)

    expect(event).toMatchObject({ traceId: null, spanId: null })
    expect(Object.keys(event.attributes)).toHaveLength(1)
  })
})

describe('the glance stage', () => {
  it.each([
    '{"time":"2024-05-17T10:05:03.5Z","level":"warn","msg":"m"}',
    '{ "msg" : "a \\"level\\":\\"error\\" b" , "nested" : { "level" : "fatal", "x" : ["]", "}"] } , "level" : 40 , "ts" : 1531171074.25 }',
    '{"a":[1,{"time":"2001-01-01T00:00:00Z"}],"time":1531171074631123457,"level":"debug"}',
    'ts=2024-05-17T10:05:03Z level=info msg="m"',
    '{"broken',
    '{}',
    '{"msg":"m"}',
  ])('finds in %s what a full parse finds', (line) => {
    const { timestamp, severityText, severityNumber } = enrich(line)

    expect(enrich(line, { density: 'partial' })).toMatchObject({
      timestamp,
      severityText,
      severityNumber,
      body: line,
      attributes: {},
      density: 'partial',
    })
  })

  it('finds the time of a container wrapping and of an access log', () => {
    expect(enrich('2016-10-06T00:17:09.669794202Z stdout F x', { density: 'partial' }).timestamp).toBe(
      '2016-10-06T00:17:09.669794202Z',
    )
    expect(
      enrich('203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET /a', { density: 'partial' }).timestamp,
    ).toBe('2015-05-17T10:05:03.000Z')
  })
})
