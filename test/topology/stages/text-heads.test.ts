/** Heads of widespread programs, each with all that is read and nothing else. */

import { describe, expect, it } from 'vitest'
import type { Reading } from '../enrich-line.ts'
import { densityTier, enrich, expectReading } from '../enrich-line.ts'

const SECOND = '2023-01-02T12:00:00.000Z'
const MILLIS = '2023-01-02T12:00:00.123Z'

const LINES: Reading[] = [
  // Monolog
  [
    '[2020-01-01T00:00:00.000000+00:00] app.ERROR: m {"k":"v"} []',
    '2020-01-01T00:00:00.000000Z',
    'ERROR',
    17,
    'm {"k":"v"} []',
    { 'otel.scope.name': 'app' },
  ],
  [
    '[2020-01-01 00:00:00] my-app.jobs.EMERGENCY: SQLSTATE[HY000] [2002] m',
    '2020-01-01T00:00:00.000Z',
    'EMERGENCY',
    21,
    'SQLSTATE[HY000] [2002] m',
    { 'otel.scope.name': 'my-app.jobs' },
  ],
  ['2023-01-02 12:00:00 settings.DEBUG: True', SECOND, null, null, 'settings.DEBUG: True'],
  // Icinga
  [
    '[2017-04-04 11:16:34 +0200] information/Notification: m',
    '2017-04-04T09:16:34.000Z',
    'information',
    9,
    'm',
    { 'otel.scope.name': 'Notification' },
  ],
  ['[2017-04-04 11:16:34 +0200] and/Or: m', '2017-04-04T09:16:34.000Z', null, null, 'and/Or: m'],
  // PHP
  ['[02-Jan-2023 12:00:00 Europe/Berlin] PHP Warning:  m', '2023-01-02T11:00:00.000Z', 'Warning', 13, 'm'],
  ['[02-Jul-2023 12:00:00 America/New_York] m', '2023-07-02T16:00:00.000Z', null, null, 'm'],
  ['[02-Jan-2023 12:00:00 UTC] PHP Fatal error:  m', SECOND, 'Fatal', 21, 'm'],
  ['[02-Jan-2023 12:00:00 UTC] PHP Parse error:  m', SECOND, 'Parse', 21, 'm'],
  ['[02-Jan-2023 12:00:00 UTC] PHP Deprecated:  m', SECOND, 'Deprecated', 10, 'm'],
  ['[02-Jan-2023 12:00:00 UTC] PHP Stack trace:', SECOND, null, null, 'PHP Stack trace:'],
  ['PHP Deprecated:  m', null, 'Deprecated', 10, 'm'],
  ['PHP is nice', null, null, null, 'PHP is nice'],
  ['[02-Jan-2023 12:00:00 Mars/Base] m', null, null, null, '[02-Jan-2023 12:00:00 Mars/Base] m'],
  [
    '192.0.2.1 -  02/Jan/2023:12:00:00 +0000 "GET /index.php" 200',
    SECOND,
    null,
    null,
    '192.0.2.1 -  02/Jan/2023:12:00:00 +0000 "GET /index.php" 200',
    {
      'client.address': '192.0.2.1',
      'http.request.method': 'GET',
      'url.path': '/index.php',
      'http.response.status_code': 200,
    },
  ],
  // Java
  [
    '2023-01-02 12:00:00.123 [main] DEBUG a.b.C -- m -- n',
    MILLIS,
    'DEBUG',
    5,
    'm -- n',
    { 'thread.name': 'main', 'otel.scope.name': 'a.b.C' },
  ],
  [
    '2023-01-02 12:00:00,123 INFO  [org.jboss.as] (MSC service thread 1-7) WFLYSRV0049: m',
    MILLIS,
    'INFO',
    9,
    'WFLYSRV0049: m',
    { 'thread.name': 'MSC service thread 1-7', 'otel.scope.name': 'org.jboss.as' },
  ],
  // Python
  ['2023-01-02 12:00:00,123 root WARNING m', MILLIS, 'WARNING', 13, 'm', { 'otel.scope.name': 'root' }],
  ['2023-01-02 12:00:00,123 a.b ERROR    m', MILLIS, 'ERROR', 17, 'm', { 'otel.scope.name': 'a.b' }],
  ['2023-01-02 12:00:00,123 web-1 ERROR m', MILLIS, 'ERROR', 17, 'web-1 ERROR m'],
  ['2023-01-02 12:00:00,123 an error: ERROR', MILLIS, null, null, 'an error: ERROR'],
  [
    '2023-01-02 12:00:00.123 | ERROR    | a.b:<module>:12 - m',
    MILLIS,
    'ERROR',
    17,
    'm',
    { 'otel.scope.name': 'a.b', 'code.function.name': '<module>', 'code.line.number': 12 },
  ],
  [
    '[02/Jan/2023 12:00:00] "GET /a HTTP/1.1" 404 1234',
    SECOND,
    null,
    null,
    '[02/Jan/2023 12:00:00] "GET /a HTTP/1.1" 404 1234',
    {
      'http.request.method': 'GET',
      'url.path': '/a',
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'http.response.status_code': 404,
    },
  ],
  [
    '192.0.2.1 - - [02/Jan/2023 12:00:00] "GET /a HTTP/1.1" 200 -',
    SECOND,
    null,
    null,
    '192.0.2.1 - - [02/Jan/2023 12:00:00] "GET /a HTTP/1.1" 200 -',
    {
      'client.address': '192.0.2.1',
      'http.request.method': 'GET',
      'url.path': '/a',
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'http.response.status_code': 200,
    },
  ],
  // Go
  ['2023-01-02 12:00:00.123456 W | etcdserver: m', '2023-01-02T12:00:00.123456Z', 'W', 13, 'etcdserver: m'],
  ['1.672660800123e+09\tinfo\tm', MILLIS, 'info', 9, 'm'],
  ['1.6726608e+09\tERROR\tm', SECOND, 'ERROR', 17, 'm'],
  ['1.672660800123e+09 apples', null, null, null, '1.672660800123e+09 apples'],
  [
    '2023/01/02 12:00:00 a/main.go:12: ERROR: m',
    SECOND,
    'ERROR',
    17,
    'm',
    { 'code.file.path': 'a/main.go', 'code.line.number': 12 },
  ],
  // PostgreSQL with the client behind the database
  [
    '2023-01-02 12:00:00.123 UTC [1234] app@shop(192.0.2.1) LOG:  m',
    MILLIS,
    'LOG',
    9,
    'm',
    {
      'process.pid': 1234,
      'user.name': 'app',
      'db.namespace': 'shop',
      'client.address': '192.0.2.1',
    },
  ],
  // .NET
  ['trce: a.B[0]', null, 'trce', 1, 'a.B[0]'],
  // MySQL of old, MongoDB of old
  ['230102 12:00:00 mysqld_safe m', SECOND, null, null, 'mysqld_safe m'],
  ['230102 12:00:00\t    1 Query\tselect 1', SECOND, null, null, '1 Query\tselect 1'],
  ['230102 12:00:00 a message', null, null, null, '230102 12:00:00 a message'],
  [
    '2023-01-02T12:00:00.123+0000 D2 COMMAND  [conn1] m',
    MILLIS,
    'D2',
    5,
    'm',
    { 'otel.scope.name': 'COMMAND', 'thread.name': 'conn1' },
  ],
  // VMware
  [
    '2022-06-02T11:58:12.193Z info vpxd[45715] [Originator@6876 sub=vpxLro opID=7e12] m',
    '2022-06-02T11:58:12.193Z',
    'info',
    9,
    'vpxd[45715] [Originator@6876 sub=vpxLro opID=7e12] m',
    { sub: 'vpxLro', opID: '7e12' },
  ],
  // the HPC cluster's log, of the whole machine
  [
    '2274013 full partition status 1060340885 -1 running',
    '2003-08-08T11:08:05.000Z',
    null,
    null,
    'running',
    {
      'log.source': 'full',
      'otel.scope.name': 'partition',
      'log.state': 'status',
      'log.record.id': '2274013',
    },
  ],
  // colours
  [
    '\u001b[2m2023-01-02T12:00:00.123Z\u001b[0m \u001b[32m INFO\u001b[0m \u001b[2ma::b\u001b[0m\u001b[2m:\u001b[0m m',
    MILLIS,
    'INFO',
    9,
    'm',
    { 'otel.scope.name': 'a::b' },
  ],
  ['just \u001b[31mred\u001b[0m', null, null, null, 'just \u001b[31mred\u001b[0m'],
]

describe('the head of a text line', () => {
  it.each(LINES)('is read: %s', (...reading) => expectReading(...reading))

  it('has the zone that PHP names, whatever the zone of the topology', () => {
    const topology = densityTier('Asia/Tokyo')

    expect(enrich('[02-Jan-2023 12:00:00 Europe/Berlin] m', { topology }).timestamp).toBe(
      '2023-01-02T11:00:00.000Z',
    )
    expect(enrich('[02-Jan-2023 12:00:00] m', { topology }).timestamp).toBe('2023-01-02T03:00:00.000Z')
  })

  it('has the level that PHP says in syslog', () => {
    expect(enrich('Jan  2 12:00:00 web php[7]: PHP Warning:  m')).toMatchObject({
      severityText: 'Warning',
      body: 'PHP Warning:  m',
    })
  })
})
