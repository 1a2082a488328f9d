import { describe, expect, it } from 'vitest'
import { enrich } from '../enrich-line.ts'

describe('the syslog stage', () => {
  it.each([
    ['emerg', 0, 21],
    ['alert', 1, 19],
    ['crit', 2, 18],
    ['err', 3, 17],
    ['warning', 4, 13],
    ['notice', 5, 10],
    ['info', 6, 9],
    ['debug', 7, 5],
  ])('gives %s, code %d, the number %d', (severityText, code, severityNumber) => {
    const event = enrich(`<${23 * 8 + code}>Oct 11 22:14:15 h t: m`)

    expect(event).toMatchObject({ severityText, severityNumber, attributes: { 'syslog.facility.code': 23 } })
  })

  it.each(['<192>x', '<>x', '<1234>x', '<a>x', '<-1>x', '<34'])('takes no priority from %s', (line) => {
    expect(enrich(line)).toMatchObject({ severityNumber: null, body: line })
  })

  it.each([
    ['without <PRI>', '1 2003-10-11T22:14:15.003Z h app 12 - - m', { service: 'app', body: 'm' }],
    ['with nil values all over', '<14>1 - - - - - - m', { service: undefined, body: 'm' }],
    [
      'with a byte order mark',
      '<14>1 2003-10-11T22:14:15.003Z h app - - - \ufeffm',
      { service: 'app', body: 'm' },
    ],
    ['without a message', '<14>1 2003-10-11T22:14:15.003Z h app - - -', { service: 'app', body: '' }],
  ])('reads RFC 5424 %s', (_what, line, { service, body }) => {
    const event = enrich(line)

    expect(event.body).toBe(body)
    expect(event.resource['service.name']).toBe(service)
  })

  it('keeps a process id that is no number', () => {
    expect(enrich('<14>1 2003-10-11T22:14:15.003Z h app worker-1 - - m').attributes).toMatchObject({
      'syslog.procid': 'worker-1',
    })
  })

  it.each([
    ['is not closed', '[e k="v m'],
    ['has an element without a name', '[ k="v"] m'],
    ['has a value without quotes', '[e k=v] m'],
    ['has more items than are read', `${'[e k="v"]'.repeat(200)} m`],
  ])('leaves structured data in the message when it %s', (_what, rest) => {
    const event = enrich(`<14>1 2003-10-11T22:14:15.003Z h app - - ${rest}`)

    expect(event.body).toBe(rest)
    expect(event.attributes['syslog.structured_data']).toBeUndefined()
  })

  it('keeps an element called __proto__ as data', () => {
    const text = JSON.stringify(
      enrich('<14>1 2003-10-11T22:14:15.003Z h app - - [__proto__ a="b"] m').attributes,
    )

    expect(text).toContain('"__proto__":{"a":"b"}')
  })

  it.each([
    ['a tag with a module', 'Jun 14 15:16:01 combo sshd(pam_unix)[19939]: m', 'sshd(pam_unix)', 19939, 'm'],
    ['a tag without a process', 'Jul 27 14:41:58 combo kernel: m', 'kernel', undefined, 'm'],
    [
      'a tag with a version',
      'Jun 19 04:09:11 combo syslogd 1.4.1: restart.',
      'syslogd',
      undefined,
      'restart.',
    ],
    ['a tag of two words', 'Jul  1 09:01:05 mac Microsoft Word[14463]: m', 'Microsoft Word', 14463, 'm'],
    [
      'a tag with a second process',
      'Jul  1 09:01:05 mac com.apple.xpc.launchd[1] (com.apple.x[9]): m',
      'com.apple.xpc.launchd',
      1,
      '(com.apple.x[9]): m',
    ],
    [
      'no tag',
      'Jul  7 08:06:15 combo  -- root[2421]: ROOT LOGIN ON tty2',
      undefined,
      undefined,
      '-- root[2421]: ROOT LOGIN ON tty2',
    ],
    ['a sentence with a colon', 'Jul  7 08:06:15 combo this is it: m', undefined, undefined, 'this is it: m'],
    [
      'a repeat',
      'Jul  7 08:06:15 mac --- last message repeated 1 time ---',
      undefined,
      undefined,
      '--- last message repeated 1 time ---',
    ],
    ['nothing behind the host', 'Jul  7 08:06:15 combo', undefined, undefined, 'combo'],
  ])('reads %s', (_what, line, service, pid, body) => {
    const event = enrich(line)

    expect(event.body).toBe(body)
    expect(event.resource['service.name']).toBe(service)
    expect(event.attributes['process.pid']).toBe(pid)
    expect(event.timestamp).not.toBeNull()
  })

  it("reads rsyslog's high-precision time", () => {
    expect(enrich('2023-01-02T12:00:00.123456+01:00 web-1 sshd[1234]: m')).toMatchObject({
      timestamp: '2023-01-02T11:00:00.123456Z',
      body: 'm',
      resource: { 'host.name': 'web-1', 'service.name': 'sshd' },
    })
  })

  it.each([
    ['<189>Jun 14 2005 15:16:01: %SYS-5-CONFIG_I: m', '2005-06-14T15:16:01.000Z'],
    ['<189>*Jun 14 15:16:01.123: %SYS-5-CONFIG_I: m', '2024-06-14T15:16:01.123Z'],
    ['<13>Jun 14 15:16:01 2005 host tag: m', '2005-06-14T15:16:01.000Z'],
  ])('reads the time of %s', (line, timestamp) => {
    expect(enrich(line).timestamp).toBe(timestamp)
  })

  it('has no time when the line has none', () => {
    expect(enrich('<13>just a message')).toMatchObject({
      timestamp: null,
      severityText: 'notice',
      body: 'just a message',
    })
  })

  it('reads a message that is JSON on', () => {
    expect(enrich('<14>Jun 14 15:16:01 h app[7]: {"level":"error","msg":"m","x":1}')).toMatchObject({
      severityText: 'error',
      body: 'm',
      attributes: { 'process.pid': 7, x: 1 },
      timestamp: '2024-06-14T15:16:01.000Z',
    })
  })

  it('takes a level in front of the message only where there is no <PRI>', () => {
    expect(enrich('Jun 14 15:16:01 h app[7]: [WARN] m')).toMatchObject({
      severityText: 'WARN',
      body: '[WARN] m',
    })
    expect(enrich('Jun 14 15:16:01 h app[7]: ERROR: m')).toMatchObject({ severityText: 'ERROR' })
    expect(enrich('Jun 14 15:16:01 h app[7]: error in module')).toMatchObject({ severityText: null })
    expect(enrich('<14>Jun 14 15:16:01 h app[7]: [WARN] m')).toMatchObject({ severityText: 'info' })
  })
})
