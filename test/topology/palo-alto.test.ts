import { describe, expect, it } from 'vitest'
import { enrich, enrichAtBoth } from './enrich-line.ts'

const system = (severity: string) =>
  `1,2019/05/10 11:37:47,001801000000,SYSTEM,general,0,2019/05/10 11:37:46,,general,,0,0,general,${severity},"Login, ""x"" ok",1`

describe("a log of Palo Alto Networks' firewalls", () => {
  it('has the time at which it was generated, and stays the body', () => {
    const line = '1,2019/05/10 11:37:47,001801000000,TRAFFIC,end,2304,2019/05/10 11:37:46,192.0.2.1,192.0.2.2'

    expect(enrichAtBoth(line)).toMatchObject({
      timestamp: '2019-05-10T11:37:46.000Z',
      severityText: null,
      body: line,
      attributes: {},
    })
    expect(enrich(line, { density: 'partial' }).timestamp).toBe('2019-05-10T11:37:46.000Z')
  })

  it('has the time at which it was received, when it is cut short', () => {
    expect(enrichAtBoth('1,2019/05/10 11:37:47,0018,TRAFFIC,end').timestamp).toBe('2019-05-10T11:37:47.000Z')
  })

  it.each([
    ['informational', 9],
    ['low', 10],
    ['medium', 13],
    ['high', 17],
    ['critical', 21],
  ])('of the system has the severity %s', (severityText, severityNumber) => {
    expect(enrichAtBoth(system(severityText))).toMatchObject({ severityText, severityNumber })
  })

  it('of a threat has its severity in another column', () => {
    const columns = Array.from({ length: 36 }, (_, index) => (index === 34 ? 'high' : `"${index},"`))
    columns.splice(0, 7, '1', '2019/05/10 11:37:47', '0018', 'THREAT', 'url', '', '2019/05/10 11:37:46')

    expect(enrichAtBoth(columns.join(','))).toMatchObject({
      timestamp: '2019-05-10T11:37:46.000Z',
      severityText: 'high',
    })
  })

  it('in syslog has the time and level of syslog', () => {
    expect(enrichAtBoth(`<14>May 10 11:37:47 PA-220 ${system('critical')}`)).toMatchObject({
      timestamp: '2024-05-10T11:37:47.000Z',
      severityText: 'info',
      body: system('critical'),
      resource: { 'host.name': 'PA-220' },
    })
  })

  it.each([
    '1,2019/05/10 11:37:47',
    '1,2019/13/10 11:37:47,0018,TRAFFIC,end',
    'a,2019/05/10 11:37:47,x,SYSTEM,',
  ])('is not seen in %s', (line) => {
    expect(enrichAtBoth(line)).toMatchObject({ timestamp: null, severityText: null, body: line })
  })
})
