import { describe, expect, it } from 'vitest'
import { enrich, enrichAtBoth } from './enrich-line.ts'

const RECORDS: [what: string, line: string, attributes: Record<string, unknown>][] = [
  [
    'a system call',
    'type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no exit=-13 pid=3538 comm="cat" key=(null)',
    {
      type: 'SYSCALL',
      arch: 'c000003e',
      syscall: '2',
      success: 'no',
      exit: '-13',
      'process.pid': 3538,
      comm: 'cat',
      key: '(null)',
    },
  ],
  [
    'a serial set off with a space',
    'type=PROCTITLE msg=audit(1364481363.243:24287) : proctitle=636174002F657463',
    { type: 'PROCTITLE', proctitle: '636174002F657463' },
  ],
  [
    'words among the fields',
    'type=DAEMON_START msg=audit(1364481363.243:24287): auditd start, ver=2.2 format=raw res=success',
    { type: 'DAEMON_START', ver: '2.2', format: 'raw', res: 'success' },
  ],
  [
    'an inner message',
    'type=USER_AUTH msg=audit(1364481363.243:24287): pid=3280 uid=1000 msg=\'op=PAM:authentication acct="root" hostname=? res=failed\'',
    {
      type: 'USER_AUTH',
      'process.pid': 3280,
      uid: '1000',
      op: 'PAM:authentication',
      acct: 'root',
      hostname: '?',
      res: 'failed',
    },
  ],
  [
    'names that auditd has looked up',
    'type=USER_END msg=audit(1364481363.243:24287): uid=0 msg=\'unit=x res=success\'\u001dUID="root" AUID="unset"',
    { type: 'USER_END', uid: '0', unit: 'x', res: 'success', UID: 'root', AUID: 'unset' },
  ],
  [
    'an apostrophe in an argument',
    'type=EXECVE msg=audit(1364481363.243:24287): argc=2 a0="echo" a1="it\'s" a2=""',
    { type: 'EXECVE', argc: '2', a0: 'echo', a1: "it's" },
  ],
  [
    'a denial in braces',
    'type=AVC msg=audit(1364481363.243:24287): avc:  denied  { getattr } for  pid=2465 comm="httpd" dev=dm-0',
    { type: 'AVC', 'process.pid': 2465, comm: 'httpd', dev: 'dm-0' },
  ],
  [
    'a record that the kernel prints',
    'audit: type=1400 audit(1364481363.243:24287): apparmor="DENIED" operation="open" name="/etc/x y"',
    { type: '1400', apparmor: 'DENIED', operation: 'open', name: '/etc/x y' },
  ],
  [
    'the date of ausearch',
    'type=USER_CMD msg=audit(03/28/2013 14:36:03.243:24287) : uid=root',
    { type: 'USER_CMD', uid: 'root' },
  ],
]

describe('an audit record', () => {
  it.each(RECORDS)('with %s is read, and stays the body', (_what, line, attributes) => {
    const event = enrichAtBoth(line)

    expect(event).toMatchObject({
      timestamp: '2013-03-28T14:36:03.243Z',
      severityText: null,
      severityNumber: null,
      body: line,
      resource: {},
    })
    expect(event.attributes).toEqual(attributes)
    expect(enrich(line, { density: 'partial' }).timestamp).toBe(event.timestamp)
  })

  it('names its node as the host', () => {
    expect(enrichAtBoth('node=web-1 type=CWD msg=audit(1364481363.243:24287): cwd="/"')).toMatchObject({
      timestamp: '2013-03-28T14:36:03.243Z',
      attributes: { type: 'CWD', cwd: '/' },
      resource: { 'host.name': 'web-1' },
    })
  })

  it('in syslog has the time, the level and the process that syslog gives', () => {
    const record = 'type=LOGIN msg=audit(1364481363.243:24287): pid=7 uid=0'

    expect(enrichAtBoth(`<13>Jun 14 15:16:01 web-1 audispd[12]: ${record}`)).toMatchObject({
      timestamp: '2024-06-14T15:16:01.000Z',
      severityText: 'notice',
      body: record,
      attributes: { 'process.pid': 12, type: 'LOGIN', pid: '7', uid: '0' },
      resource: { 'host.name': 'web-1', 'service.name': 'audispd' },
    })
  })

  it.each([
    'type=SYSCALL msg=audit(none): a=1 and text',
    'type=SYSCALL msg=audit(1364481363.243): a=1 and text',
    'type=SYSCALL msg=unaudit(1364481363.243:1): a=1 and text',
  ])('is not seen in %s', (line) => {
    expect(enrichAtBoth(line)).toMatchObject({ timestamp: null, body: line })
  })
})
