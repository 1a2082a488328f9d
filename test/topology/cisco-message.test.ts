import { describe, expect, it } from 'vitest'
import { enrich, enrichAtBoth } from './enrich-line.ts'

const LINES: [
  line: string,
  timestamp: string | null,
  severityText: string,
  severityNumber: number,
  body: string,
  others?: { attributes?: Record<string, unknown>; resource?: Record<string, unknown> },
][] = [
  // IOS
  [
    '<189>29: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured from console',
    '2024-03-01T18:46:11.123Z',
    'notice',
    10,
    '%SYS-5-CONFIG_I: Configured from console',
    { attributes: { 'syslog.facility.code': 23, 'log.record.id': '29' } },
  ],
  [
    '000019: *Mar  1 18:46:11 UTC: %SYS-5-CONFIG_I: Configured from console',
    '2024-03-01T18:46:11.000Z',
    '5',
    10,
    '%SYS-5-CONFIG_I: Configured from console',
    { attributes: { 'log.record.id': '000019' } },
  ],
  [
    'Mar  1 18:46:11.123: %LINK-3-UPDOWN: Interface x',
    '2024-03-01T18:46:11.123Z',
    '3',
    17,
    '%LINK-3-UPDOWN: Interface x',
  ],
  [
    '.Mar  1 2018 18:46:11.123 PST: %NTP-4-PEERUNREACH: Peer x',
    '2018-03-02T02:46:11.123Z',
    '4',
    13,
    '%NTP-4-PEERUNREACH: Peer x',
  ],
  [
    '<189>47: router1: 000046: Mar  1 18:46:11.123: %SYS-5-CONFIG_I: m',
    '2024-03-01T18:46:11.123Z',
    'notice',
    10,
    '%SYS-5-CONFIG_I: m',
    {
      attributes: { 'syslog.facility.code': 23, 'log.record.id': '47 000046' },
      resource: { 'host.name': 'router1' },
    },
  ],
  ['00:00:46: %LINK-3-UPDOWN: m', null, '3', 17, '00:00:46: %LINK-3-UPDOWN: m'],
  ['2w3d: %SYS-5-CONFIG_I: m', null, '5', 10, '2w3d: %SYS-5-CONFIG_I: m'],
  ['*Mar  1 18:46:11 IST: %SYS-5-X: m', null, '5', 10, '*Mar  1 18:46:11 IST: %SYS-5-X: m'],
  // IOS XR, NX-OS
  [
    'RP/0/RP0/CPU0:Jun 20 12:22:33.123 UTC: ifmgr[403]: %PKT_INFRA-LINK-3-UPDOWN : m',
    '2024-06-20T12:22:33.123Z',
    '3',
    17,
    'RP/0/RP0/CPU0:Jun 20 12:22:33.123 UTC: ifmgr[403]: %PKT_INFRA-LINK-3-UPDOWN : m',
  ],
  [
    '<187>: 2024 May 17 12:00:00.123 CEST: %ETHPORT-3-IF_DOWN: m',
    '2024-05-17T10:00:00.123Z',
    'err',
    17,
    '%ETHPORT-3-IF_DOWN: m',
    { attributes: { 'syslog.facility.code': 23 } },
  ],
  [
    '2024 May 17 12:00:00 switch1 %ETHPORT-5-IF_UP: m',
    '2024-05-17T12:00:00.000Z',
    '5',
    10,
    '%ETHPORT-5-IF_UP: m',
    { resource: { 'host.name': 'switch1' } },
  ],
  // ASA
  [
    'Oct 10 2018 12:34:56 host : %ASA-4-106023: Deny tcp src outside:192.0.2.1/1234',
    '2018-10-10T12:34:56.000Z',
    '4',
    13,
    '%ASA-4-106023: Deny tcp src outside:192.0.2.1/1234',
    { resource: { 'host.name': 'host' } },
  ],
  [
    '<164>Oct 10 2018 12:34:56: %ASA-4-106023: m',
    '2018-10-10T12:34:56.000Z',
    'warning',
    13,
    '%ASA-4-106023: m',
    { attributes: { 'syslog.facility.code': 20 } },
  ],
  [
    'Oct 10 2018 12:34:56 fw CiscoASA[999]: %ASA-6-305011: m',
    '2018-10-10T12:34:56.000Z',
    '6',
    9,
    '%ASA-6-305011: m',
    {
      attributes: { 'process.pid': 999 },
      resource: { 'host.name': 'fw', 'service.name': 'CiscoASA' },
    },
  ],
  [
    '<166>2018-06-27T12:17:46Z asa : %ASA-session-6-302014: m',
    '2018-06-27T12:17:46.000Z',
    'info',
    9,
    '%ASA-session-6-302014: m',
    { attributes: { 'syslog.facility.code': 20 }, resource: { 'host.name': 'asa' } },
  ],
  [
    '<165>%ASA-5-111010: m',
    null,
    'notice',
    10,
    '%ASA-5-111010: m',
    { attributes: { 'syslog.facility.code': 20 } },
  ],
  [
    'Aug 15 2012 23:30:09 : %ASA-6-302016 Teardown UDP connection 40',
    '2012-08-15T23:30:09.000Z',
    '6',
    9,
    '%ASA-6-302016 Teardown UDP connection 40',
  ],
  [
    'Dec 11 2018 08:01:24 10.1.1.1: %ASA-6-302015: m',
    '2018-12-11T08:01:24.000Z',
    '6',
    9,
    '%ASA-6-302015: m',
    { resource: { 'host.name': '10.1.1.1' } },
  ],
  // relayed by another daemon, with its own <PRI>
  [
    '<13>Jun 20 12:22:33 10.1.2.3 1234: *Jun 20 12:22:32.999 UTC: %LINEPROTO-3-UPDOWN: m',
    '2024-06-20T12:22:33.000Z',
    '3',
    17,
    '1234: *Jun 20 12:22:32.999 UTC: %LINEPROTO-3-UPDOWN: m',
    { attributes: { 'syslog.facility.code': 1 }, resource: { 'host.name': '10.1.2.3' } },
  ],
]

describe('a message of a Cisco device', () => {
  it.each(LINES)('is read: %s', (line, timestamp, severityText, severityNumber, body, others = {}) => {
    const event = enrichAtBoth(line)

    expect(event).toMatchObject({ timestamp, severityText, severityNumber, body })
    expect(event.attributes).toEqual(others.attributes ?? {})
    expect(event.resource).toEqual(others.resource ?? {})
    expect(enrich(line, { density: 'partial' })).toMatchObject({ timestamp, severityText, severityNumber })
  })

  it.each([
    ['no known level %ASA-4-106023: m', 'no known level %ASA-4-106023: m'],
    ['Error: %ASA-4-106023: m', 'Error: %ASA-4-106023: m'],
    ['a %SYS-9-X: m', 'a %SYS-9-X: m'],
    ['Jun 20 12:22:33 host app: 100%OFF-5-X: m', '100%OFF-5-X: m'],
  ])('is not seen in %s', (line, body) => {
    expect(enrichAtBoth(line)).toMatchObject({ severityText: null, severityNumber: null, body })
  })
})
