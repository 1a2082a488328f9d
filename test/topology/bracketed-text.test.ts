import { describe, it } from 'vitest'
import type { Reading } from './enrich-line.ts'
import { expectReading } from './enrich-line.ts'

const INVOCATION = '8f507cfc-1111-4697-b07a-ac58fc914c95'

const LINES: Reading[] = [
  ['[1234] 01 Jan 12:00:00.123 * m', '2024-01-01T12:00:00.123Z', '*', 10, 'm', { 'process.pid': 1234 }],
  ['[1234] 01 Jan 12:00:00 # m', '2024-01-01T12:00:00.000Z', '#', 13, 'm', { 'process.pid': 1234 }],
  [
    '[1] 2019/02/06 07:19:40.624334 [DBG] 192.0.2.1:38630 - cid:1 - m',
    '2019-02-06T07:19:40.624334Z',
    'DBG',
    5,
    '192.0.2.1:38630 - cid:1 - m',
    { 'process.pid': 1 },
  ],
  [
    '[I 230102 12:00:00 web:2271] 200 GET /',
    '2023-01-02T12:00:00.000Z',
    'I',
    9,
    '200 GET /',
    { 'otel.scope.name': 'web', 'code.line.number': 2271 },
  ],
  [
    '[W 2023-01-02 12:00:00.123 NotebookApp] m',
    '2023-01-02T12:00:00.123Z',
    'W',
    13,
    'm',
    { 'otel.scope.name': 'NotebookApp' },
  ],
  [
    `[ERROR]\t2023-01-02T12:00:00.123Z\t${INVOCATION}\ta\tb`,
    '2023-01-02T12:00:00.123Z',
    'ERROR',
    17,
    'a\tb',
    { 'faas.invocation_id': INVOCATION },
  ],
  ['[WARNING]\t2023-01-02T12:00:00.123Z\t\tm', '2023-01-02T12:00:00.123Z', 'WARNING', 13, 'm'],
  ['[12:00:00 INF] m', null, 'INF', 9, '[12:00:00 INF] m'],
  ['WARN[2023-01-02T12:00:00Z] m    a=b', '2023-01-02T12:00:00.000Z', 'WARN', 13, 'm    a=b'],
  ['ERRO[0012] m', null, 'ERRO', 17, 'ERRO[0012] m'],
  [
    'INFO [01-02|12:00:00.123] Imported   blocks=1 txs=0',
    '2024-01-02T12:00:00.123Z',
    'INFO',
    9,
    'Imported   blocks=1 txs=0',
    { blocks: '1', txs: '0' },
  ],
  ['ERROR[01-02|12:00:00] m', '2024-01-02T12:00:00.000Z', 'ERROR', 17, 'm'],
  [
    '####<Jan 2, 2023 12:00:00 PM CET> <Notice> <WebLogicServer> <h> <m>',
    '2023-01-02T11:00:00.000Z',
    'Notice',
    10,
    '####<Jan 2, 2023 12:00:00 PM CET> <Notice> <WebLogicServer> <h> <m>',
  ],
  [
    '# Time: 2023-01-02T12:00:00.123456Z\n# User@Host: root[root]\nselect 1;',
    '2023-01-02T12:00:00.123456Z',
    null,
    null,
    '# Time: 2023-01-02T12:00:00.123456Z\n# User@Host: root[root]\nselect 1;',
  ],
  ['# Time: 230102  7:00:00', '2023-01-02T07:00:00.000Z', null, null, '# Time: 230102  7:00:00'],
  [
    '[pid: 7|app: 0|req: 1/1] 192.0.2.1 () {38 vars in 696 bytes} [Sun Mar 13 22:49:12 2016] POST /a?b=c => generated 47 bytes in 129 msecs (HTTP/1.1 200) 9 headers',
    '2016-03-13T22:49:12.000Z',
    null,
    null,
    '[pid: 7|app: 0|req: 1/1] 192.0.2.1 () {38 vars in 696 bytes} [Sun Mar 13 22:49:12 2016] POST /a?b=c => generated 47 bytes in 129 msecs (HTTP/1.1 200) 9 headers',
    {
      'process.pid': 7,
      'client.address': '192.0.2.1',
      'http.request.method': 'POST',
      'url.path': '/a',
      'url.query': 'b=c',
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'http.response.status_code': 200,
    },
  ],
  // none of them
  ['[1234] 01 Jan 12:00:00 m', null, null, null, '[1234] 01 Jan 12:00:00 m'],
  ['[I am here] m', null, null, null, '[I am here] m'],
  ['[12:00:00 the] m', null, null, null, '[12:00:00 the] m'],
  ['WORK[0012] m', null, null, null, 'WORK[0012] m'],
  ['INFO[x] m', null, null, null, 'INFO[x] m'],
  ['# Time: now', null, null, null, '# Time: now'],
  ['####<a> <Notice> <', null, null, null, '####<a> <Notice> <'],
]

describe('text with a bracket at its start', () => {
  it.each(LINES)('is read: %s', (...reading) => expectReading(...reading))
})
