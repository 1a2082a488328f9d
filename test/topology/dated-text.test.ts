import { describe, expect, it } from 'vitest'
import type { Reading } from './enrich-line.ts'
import { enrich, expectReading } from './enrich-line.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const DATE = '2023-01-02 12:00:00.123'
const TIMESTAMP = '2023-01-02T12:00:00.123Z'
const INVOCATION = '8f507cfc-1111-4697-b07a-ac58fc914c95'

const LINES: Reading[] = [
  // PostgreSQL
  [
    '2023-01-02 12:00:00 UTC:192.0.2.1(4711):app@shop:[1234]:LOG:  duration: 0.123 ms',
    '2023-01-02T12:00:00.000Z',
    'LOG',
    9,
    'duration: 0.123 ms',
    {
      'process.pid': 1234,
      'client.address': '192.0.2.1',
      'client.port': 4711,
      'user.name': 'app',
      'db.namespace': 'shop',
    },
  ],
  [
    '2023-01-02 12:00:00 UTC::@:[1234]:ERROR:  m',
    '2023-01-02T12:00:00.000Z',
    'ERROR',
    17,
    'm',
    { 'process.pid': 1234 },
  ],
  [
    '2023-01-02 12:00:00 UTC:[local]:[unknown]@[unknown]:[1234]:STATEMENT:  SELECT 1',
    '2023-01-02T12:00:00.000Z',
    null,
    null,
    'STATEMENT:  SELECT 1',
    { 'process.pid': 1234 },
  ],
  [
    `${DATE} UTC [1234]: [3-1] user=app,db=shop,client=192.0.2.1 WARNING:  m`,
    TIMESTAMP,
    'WARNING',
    13,
    'user=app,db=shop,client=192.0.2.1 WARNING:  m',
    { 'process.pid': 1234, user: 'app', db: 'shop', client: '192.0.2.1' },
  ],
  [`${DATE} UTC [1234]: [3-1] LOG:  m`, TIMESTAMP, 'LOG', 9, 'm', { 'process.pid': 1234 }],
  [
    `${DATE} UTC [1234] app@shop [unknown] FATAL:  m`,
    TIMESTAMP,
    'FATAL',
    21,
    'm',
    { 'process.pid': 1234, 'user.name': 'app', 'db.namespace': 'shop' },
  ],
  [`${DATE} +03 [1234] LOG:  m`, '2023-01-02T09:00:00.123Z', 'LOG', 9, 'm', { 'process.pid': 1234 }],
  [
    `${DATE} UTC,"app","shop",1234,"192.0.2.1:4711",63b2c7a0.4d2,3,"SELECT",${DATE} UTC,3/12,0,ERROR,42P01,"relation ""x"", no",`,
    TIMESTAMP,
    'ERROR',
    17,
    `${DATE} UTC,"app","shop",1234,"192.0.2.1:4711",63b2c7a0.4d2,3,"SELECT",${DATE} UTC,3/12,0,ERROR,42P01,"relation ""x"", no",`,
    { 'process.pid': 1234, 'user.name': 'app', 'db.namespace': 'shop' },
  ],
  [`${DATE} UTC [1234] [unknown]@[unknown] LOG:  m`, TIMESTAMP, 'LOG', 9, 'm', { 'process.pid': 1234 }],
  // MySQL
  [
    '2023-01-02T12:00:00.123456Z 0 [System] [MY-010116] [Server] starting',
    '2023-01-02T12:00:00.123456Z',
    'System',
    9,
    '[MY-010116] [Server] starting',
    { 'thread.id': 0 },
  ],
  // Spring Boot
  [
    `${DATE}  INFO 12345 --- [shop] [           main] c.e.d.DemoApplication                    : Started`,
    TIMESTAMP,
    'INFO',
    9,
    'Started',
    { 'process.pid': 12345, 'thread.name': 'main', 'otel.scope.name': 'c.e.d.DemoApplication' },
    { 'service.name': 'shop' },
  ],
  [
    `${DATE} ERROR 1 --- [nio-8080-exec-1] o.a.c.c.C.[.[.[/].[dispatcherServlet]    : m : n`,
    TIMESTAMP,
    'ERROR',
    17,
    'm : n',
    {
      'process.pid': 1,
      'thread.name': 'nio-8080-exec-1',
      'otel.scope.name': 'o.a.c.c.C.[.[.[/].[dispatcherServlet]',
    },
  ],
  [
    `${DATE} DEBUG 1 --- [main] Runner : `,
    TIMESTAMP,
    'DEBUG',
    5,
    '',
    { 'process.pid': 1, 'thread.name': 'main', 'otel.scope.name': 'Runner' },
  ],
  // AWS Lambda
  [
    `${TIMESTAMP}\t${INVOCATION}\tERROR\tInvoke Error \t{"errorType":"Error"}`,
    TIMESTAMP,
    'ERROR',
    17,
    'Invoke Error \t{"errorType":"Error"}',
    { 'faas.invocation_id': INVOCATION },
  ],
  [`${TIMESTAMP}\tundefined\tINFO\tm`, TIMESTAMP, 'INFO', 9, 'm'],
  [
    `2023-01-02 12:00:00 ${INVOCATION} INFO  Handler:12 - m`,
    '2023-01-02T12:00:00.000Z',
    'INFO',
    9,
    'Handler:12 - m',
    { 'faas.invocation_id': INVOCATION },
  ],
  // .NET
  ['2023-01-02 12:00:00.1234|0|WARN|a.B|m', '2023-01-02T12:00:00.1234Z', 'WARN', 13, '0|WARN|a.B|m'],
  // none of them
  [`${DATE} UTC [1234] DETAIL:  Key (id)=(1)`, TIMESTAMP, null, null, '[1234] DETAIL:  Key (id)=(1)'],
  [`${DATE}, ERROR, 7, m`, TIMESTAMP, 'ERROR', 17, '7, m'],
  [`${DATE} [System] m`, TIMESTAMP, null, null, '[System] m'],
  [`${DATE} ${INVOCATION} Task timed out`, TIMESTAMP, null, null, `${INVOCATION} Task timed out`],
]

describe('text behind a date', () => {
  it.each(LINES)('is read: %s', (...reading) => expectReading(...reading))

  it.each([
    ['Sleuth', `INFO [shop,${TRACE},${SPAN}] 1 --- [main] a.B : m`, TRACE],
    ['Sleuth with 64 bits', `INFO [shop,${SPAN},${SPAN},true] 1 --- [main] a.B : m`, SPAN.padStart(32, '0')],
    ['Spring Boot 3', `INFO 1 --- [shop] [main] [${TRACE}-${SPAN}] a.B : m`, TRACE],
  ])('has the trace of %s', (_what, rest, traceId) => {
    expect(enrich(`${DATE}  ${rest}`)).toMatchObject({
      traceId,
      spanId: SPAN,
      body: 'm',
      attributes: { 'process.pid': 1, 'thread.name': 'main', 'otel.scope.name': 'a.B' },
      resource: { 'service.name': 'shop' },
    })
  })

  it.each(['INFO [shop,,] 1 --- [main] a.B : m', `INFO 1 --- [shop] [main] [${' '.repeat(49)}] a.B : m`])(
    'has none where Spring leaves it empty: %s',
    (rest) => {
      expect(enrich(`${DATE}  ${rest}`)).toMatchObject({
        traceId: null,
        body: 'm',
        attributes: { 'thread.name': 'main' },
        resource: { 'service.name': 'shop' },
      })
    },
  )
})
