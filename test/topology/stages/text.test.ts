import { describe, expect, it } from 'vitest'
import { densityTier, enrich } from '../enrich-line.ts'

type Expected = [
  timestamp: string | null,
  level: string | null,
  number: number | null,
  body: string,
  attributes?: Record<string, unknown>,
]

const LINES: [line: string, ...expected: Expected][] = [
  // log4j, logback, Spring, Zookeeper, Cassandra, Tomcat
  [
    '2015-10-18 18:01:47,978 INFO [main] a.b.C: m',
    '2015-10-18T18:01:47.978Z',
    'INFO',
    9,
    'm',
    { 'thread.name': 'main', 'otel.scope.name': 'a.b.C' },
  ],
  [
    '2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]/0:0:0:0:2181:FastLeaderElection@774] - Notification time out: 3200',
    '2015-07-29T17:41:44.747Z',
    'INFO',
    9,
    'Notification time out: 3200',
    { 'thread.name': 'QuorumPeer[myid=1]/0:0:0:0:2181:FastLeaderElection@774' },
  ],
  [
    '2023-01-02 12:00:00.123  WARN 12345 --- [           main] c.e.d.DemoApplication   : m',
    '2023-01-02T12:00:00.123Z',
    'WARN',
    13,
    'm',
    { 'process.pid': 12345, 'thread.name': 'main', 'otel.scope.name': 'c.e.d.DemoApplication' },
  ],
  [
    'INFO  [main] 2023-01-02 12:00:00,123 CassandraDaemon.java:123 - m',
    '2023-01-02T12:00:00.123Z',
    'INFO',
    9,
    'CassandraDaemon.java:123 - m',
    { 'thread.name': 'main' },
  ],
  [
    '02-Jan-2023 12:00:00.123 SEVERE [main] org.apache.catalina.startup.Catalina.start m m',
    '2023-01-02T12:00:00.123Z',
    'SEVERE',
    17,
    'm m',
    { 'otel.scope.name': 'org.apache.catalina.startup.Catalina.start' },
  ],
  [
    '[2023-01-02T12:00:00,123][INFO ][o.e.n.Node               ] [node-1] started',
    '2023-01-02T12:00:00.123Z',
    'INFO',
    9,
    '[node-1] started',
    { 'otel.scope.name': 'o.e.n.Node' },
  ],
  [
    '17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: m',
    '2017-06-09T20:10:40.000Z',
    'INFO',
    9,
    'm',
    { 'otel.scope.name': 'executor.CoarseGrainedExecutorBackend' },
  ],
  [
    '081109 203615 148 INFO dfs.DataNode$PacketResponder: m',
    '2008-11-09T20:36:15.000Z',
    'INFO',
    9,
    'm',
    { 'process.pid': 148, 'otel.scope.name': 'dfs.DataNode$PacketResponder' },
  ],
  [
    'Jan 02, 2023 12:00:00 PM com.foo.Bar method\nWARNING: m',
    '2023-01-02T12:00:00.000Z',
    'WARNING',
    13,
    'm',
    { 'code.function.name': 'com.foo.Bar.method' },
  ],
  // Python
  [
    '2023-01-02 12:00:00,123 - my.logger - ERROR - m',
    '2023-01-02T12:00:00.123Z',
    'ERROR',
    17,
    'm',
    { 'otel.scope.name': 'my.logger' },
  ],
  ['2023-01-02 12:00:00,123 INFO name: m', '2023-01-02T12:00:00.123Z', 'INFO', 9, 'name: m'],
  [
    '[2023-01-02 12:00:00,123: WARNING/MainProcess] m',
    '2023-01-02T12:00:00.123Z',
    'WARNING',
    13,
    'm',
    { 'thread.name': 'MainProcess' },
  ],
  [
    '[2023-01-02 12:00:00 +0100] [123] [INFO] m',
    '2023-01-02T11:00:00.000Z',
    'INFO',
    9,
    'm',
    { 'process.pid': 123 },
  ],
  [
    '[2023-01-02 12:00:00,123] {taskinstance.py:901} INFO - m',
    '2023-01-02T12:00:00.123Z',
    'INFO',
    9,
    'm',
    { 'code.file.path': 'taskinstance.py', 'code.line.number': 901 },
  ],
  ['2023-01-02 12:00:00.123 | DEBUG    | m', '2023-01-02T12:00:00.123Z', 'DEBUG', 5, 'm'],
  ['WARNING:root:m', null, 'WARNING', 13, 'root:m'],
  [
    'nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 WARNING nova.x [req-1 - -] m',
    '2017-05-16T00:00:00.008Z',
    'WARNING',
    13,
    '[req-1 - -] m',
    {
      'log.file.name': 'nova-api.log.1.2017-05-16_13:53:08',
      'process.pid': 25746,
      'otel.scope.name': 'nova.x',
    },
  ],
  // Go, Rust, Ruby, PHP
  [
    'I0102 12:00:00.123456     123 dir/file.go:12] m',
    '2024-01-02T12:00:00.123456Z',
    'I',
    9,
    'm',
    { 'thread.id': 123, 'code.file.path': 'dir/file.go', 'code.line.number': 12 },
  ],
  ['E20230102 12:00:00.123456 123 file.cc:12] m', '2023-01-02T12:00:00.123456Z', 'E', 17, 'm'],
  [
    '2023/01/02 12:00:00 main.go:12: m',
    '2023-01-02T12:00:00.000Z',
    null,
    null,
    'm',
    { 'code.file.path': 'main.go', 'code.line.number': 12 },
  ],
  ['2023/01/02 12:00:00.123456 hello: world', '2023-01-02T12:00:00.123456Z', null, null, 'hello: world'],
  [
    '[2023-01-02T12:00:00Z INFO  crate::mod] m',
    '2023-01-02T12:00:00.000Z',
    'INFO',
    9,
    'm',
    { 'otel.scope.name': 'crate::mod' },
  ],
  [
    '2023-01-02T12:00:00.123456Z  INFO my_crate::server: m',
    '2023-01-02T12:00:00.123456Z',
    'INFO',
    9,
    'm',
    { 'otel.scope.name': 'my_crate::server' },
  ],
  [
    'I, [2023-01-02T12:00:00.123456 #1234]  INFO -- prog: m',
    '2023-01-02T12:00:00.123456Z',
    'INFO',
    9,
    'm',
    { 'process.pid': 1234, 'otel.scope.name': 'prog' },
  ],
  ['[02-Jan-2023 12:00:00 UTC] PHP Warning:  m', '2023-01-02T12:00:00.000Z', 'Warning', 13, 'm'],
  // servers
  ['[Sun Dec 04 04:47:44 2005] [notice] m', '2005-12-04T04:47:44.000Z', 'notice', 10, 'm'],
  [
    '[Sun Dec 04 04:47:44.123456 2005] [core:error] [pid 123:tid 456] [client 1.2.3.4:5] AH1: m',
    '2005-12-04T04:47:44.123456Z',
    'error',
    17,
    'AH1: m',
    {
      'process.pid': 123,
      'thread.id': 456,
      'client.address': '1.2.3.4',
      'client.port': 5,
      'otel.scope.name': 'core',
    },
  ],
  [
    '2023/01/02 12:00:00 [crit] 123#7: *1 m',
    '2023-01-02T12:00:00.000Z',
    'crit',
    18,
    '*1 m',
    { 'process.pid': 123, 'thread.id': 7 },
  ],
  [
    '2023-01-02 12:00:00.123 UTC [123] LOG:  m',
    '2023-01-02T12:00:00.123Z',
    'LOG',
    9,
    'm',
    { 'process.pid': 123 },
  ],
  [
    '2023-01-02 12:00:00 UTC [123-1] postgres@db FATAL:  m',
    '2023-01-02T12:00:00.000Z',
    'FATAL',
    21,
    'm',
    { 'process.pid': 123 },
  ],
  [
    '2023-01-02T12:00:00.123456Z 9 [Warning] [MY-010068] [Server] m',
    '2023-01-02T12:00:00.123456Z',
    'Warning',
    13,
    '[MY-010068] [Server] m',
    { 'thread.id': 9 },
  ],
  ['081109  7:05:01 [ERROR] m', '2008-11-09T07:05:01.000Z', 'ERROR', 17, 'm'],
  ['1:M 01 Jan 2023 12:00:00.123 # m', '2023-01-01T12:00:00.123Z', '#', 13, 'm', { 'process.pid': 1 }],
  [
    '2019-01-02T12:00:00.123+0000 I NETWORK  [conn1] m',
    '2019-01-02T12:00:00.123Z',
    'I',
    9,
    'm',
    { 'otel.scope.name': 'NETWORK', 'thread.name': 'conn1' },
  ],
  ['2023-01-02T12:00:00.123Z [INFO]  agent: m', '2023-01-02T12:00:00.123Z', 'INFO', 9, 'agent: m'],
  [
    '[2023-01-02 12:00:00.123][1][warning][main] [source/server.cc:1] m',
    '2023-01-02T12:00:00.123Z',
    'warning',
    13,
    '[source/server.cc:1] m',
    { 'process.pid': 1, 'otel.scope.name': 'main' },
  ],
  ['2023-01-02T12:00:00.000Z info: m', '2023-01-02T12:00:00.000Z', 'info', 9, 'm'],
  ['2023-01-02 12:00:00.123 +01:00 [ERR] m', '2023-01-02T11:00:00.123Z', 'ERR', 17, 'm'],
  [
    '1066036250.603    310 192.0.2.1 TCP_MISS/200 m',
    '2003-10-13T09:10:50.603Z',
    null,
    null,
    '310 192.0.2.1 TCP_MISS/200 m',
  ],
  ['1531171074 ERROR m', '2018-07-09T21:17:54.000Z', 'ERROR', 17, 'm'],
  // Android, Windows, health, proxies, supercomputers
  [
    '03-17 16:13:38.811  1702  2395 D WindowManager: m',
    '2024-03-17T16:13:38.811Z',
    'D',
    5,
    'm',
    { 'process.pid': 1702, 'thread.id': 2395, 'otel.scope.name': 'WindowManager' },
  ],
  [
    '03-17 16:13:38.811 W/Tag( 1702): m',
    '2024-03-17T16:13:38.811Z',
    'W',
    13,
    'm',
    { 'process.pid': 1702, 'otel.scope.name': 'Tag' },
  ],
  ['2016-09-28 04:30:30, Info                  CBS    m', '2016-09-28T04:30:30.000Z', 'Info', 9, 'CBS    m'],
  [
    '20171223-22:15:29:606|Step_LSC|30002312|m',
    '2017-12-23T22:15:29.606Z',
    null,
    null,
    'm',
    { 'otel.scope.name': 'Step_LSC', 'process.pid': 30002312 },
  ],
  ['[10.30 16:49:06] chrome.exe - m', '2023-10-30T16:49:06.000Z', null, null, 'chrome.exe - m'],
  [
    '- 1117838570 2005.06.03 R02 2005-06-03-15.42.50.675872 R02 RAS KERNEL INFO m',
    '2005-06-03T22:42:50.675872Z',
    'INFO',
    9,
    'm',
    { 'otel.scope.name': 'RAS.KERNEL' },
  ],
  [
    'APPREAD 1117869872 2005.06.04 R23 2005-06-04-00.24.32.398284 R23 RAS APP FATAL m',
    '2005-06-04T07:24:32.398284Z',
    'FATAL',
    21,
    'm',
    { 'log.alert.label': 'APPREAD' },
  ],
  [
    '- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: m',
    '2005-11-09T20:01:01.000Z',
    null,
    null,
    'm',
    { 'process.pid': 2915 },
  ],
  [
    '134681 node-246 unix.hw state_change.unavailable 1077804742 1 m',
    '2004-02-26T14:12:22.000Z',
    null,
    null,
    'm',
    { 'otel.scope.name': 'unix.hw' },
  ],
  [
    'http 2018-07-02T22:23:00.186641Z app/x 192.168.131.39:2817 200',
    '2018-07-02T22:23:00.186641Z',
    null,
    null,
    'http 2018-07-02T22:23:00.186641Z app/x 192.168.131.39:2817 200',
  ],
  [
    '10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750',
    '2009-02-06T12:14:14.655Z',
    null,
    null,
    '10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750',
  ],
  [
    '12:00:00.123 [main] INFO  com.foo.Bar - m',
    null,
    'INFO',
    9,
    '12:00:00.123 [main] INFO  com.foo.Bar - m',
    { 'thread.name': 'main' },
  ],
]

/** Lines of which nothing may be read but what stands beside them. */
const NOTHING_TO_READ: [line: string, timestamp: string | null, body: string][] = [
  ['plain text with INFO in it', null, 'plain text with INFO in it'],
  [
    'Error: something happened at 2023-01-02 12:00:00',
    null,
    'Error: something happened at 2023-01-02 12:00:00',
  ],
  ['ERROR IN CONTACTING RM', null, 'ERROR IN CONTACTING RM'],
  ['2023-01-02 12:00:00 Error opening file', '2023-01-02T12:00:00.000Z', 'Error opening file'],
  ['2023-01-02 12:00:00 Error: cannot open', '2023-01-02T12:00:00.000Z', 'Error: cannot open'],
  ['2023-01-02 12:00:00 the ERROR was seen', '2023-01-02T12:00:00.000Z', 'the ERROR was seen'],
  ['2023-01-02 12:00:00 [plugin] debug mode is on', '2023-01-02T12:00:00.000Z', '[plugin] debug mode is on'],
  ['2023-01-02 12:00:00 info about things', '2023-01-02T12:00:00.000Z', 'info about things'],
  ['2023-01-02 12:00:00 3 errors found', '2023-01-02T12:00:00.000Z', '3 errors found'],
  ['\tat com.example.Foo.bar(Foo.java:12)', null, '\tat com.example.Foo.bar(Foo.java:12)'],
  ['1234567890123 widgets', null, '1234567890123 widgets'],
  ['1531171074 widgets', null, '1531171074 widgets'],
  ['06/09/17 20:10:40 a message', null, '06/09/17 20:10:40 a message'],
  ['081109 203615 a message', null, '081109 203615 a message'],
  ['10.30 16:49:06 not in brackets', null, '10.30 16:49:06 not in brackets'],
  ['[12345.678901] usb 1-1: new device', null, '[12345.678901] usb 1-1: new device'],
  ['[2023-01-02 12:00:00 and no end', null, '[2023-01-02 12:00:00 and no end'],
  ['May the force be with you', null, 'May the force be with you'],
  ['12:00:00 lunch', null, '12:00:00 lunch'],
]

describe('the text stage', () => {
  it.each(LINES)('reads %s', (line, timestamp, severityText, severityNumber, body, attributes = {}) => {
    expect(enrich(line)).toMatchObject({ timestamp, severityText, severityNumber, body, attributes })
  })

  it.each(NOTHING_TO_READ)('invents nothing in %s', (line, timestamp, body) => {
    expect(enrich(line)).toMatchObject({
      timestamp,
      body,
      severityText: null,
      severityNumber: null,
      attributes: {},
    })
  })

  it('takes what stands behind a level for a logger only when it is a qualified name', () => {
    expect(enrich('2023-01-02 12:00:00 ERROR Timeout: no answer')).toMatchObject({
      body: 'Timeout: no answer',
    })
    expect(enrich('2023-01-02 12:00:00 ERROR java.io.IOException: no')).toMatchObject({
      body: 'java.io.IOException: no',
    })
    expect(enrich('2023-01-02 12:00:00,123 INFO [my plugin] says hello')).toMatchObject({
      body: '[my plugin] says hello',
    })
  })

  it('reads pairs behind a time as logfmt', () => {
    expect(enrich('2023-01-02T12:00:00Z level=error msg="boo" x=1')).toMatchObject({
      timestamp: '2023-01-02T12:00:00.000Z',
      severityText: 'error',
      body: 'boo',
      attributes: { x: '1' },
    })
  })

  it('reads a time in the configured zone', () => {
    const topology = densityTier('America/New_York')

    expect(enrich('2024-07-15 12:00:00,000 INFO m', { topology }).timestamp).toBe('2024-07-15T16:00:00.000Z')
    expect(
      enrich('2023-01-02 12:00:00 10.0.0.1 GET /p - 80 - 192.0.2.7 UA 200', { topology }).timestamp,
    ).toBe('2023-01-02T12:00:00.000Z')
  })

  it('keeps the whole stack trace of a record that holds one', () => {
    const trace = 'failed\njava.io.IOException: no\n\tat a.b.C.d(C.java:1)'

    expect(enrich(`2015-10-18 18:01:47,978 ERROR [main] a.b.C: ${trace}`).body).toBe(trace)
  })
})
