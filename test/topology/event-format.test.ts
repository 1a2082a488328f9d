import { describe, expect, it } from 'vitest'
import { enrichAtBoth } from './enrich-line.ts'

const CEF = 'CEF:0|Vendor|Product\\|s|1.0|100|worm stopped|10|'

describe('an event in CEF', () => {
  it('has each field whole, its time, and stays the body', () => {
    const line = `${CEF}src=192.0.2.1 msg=it's a=b \\= c\\\\d rt=May 10 2019 11:37:47.123 GMT cs1Label=a rule cs1=`
    const event = enrichAtBoth(line)

    expect(event).toMatchObject({ timestamp: '2019-05-10T11:37:47.123Z', severityText: null, body: line })
    expect(event.attributes).toEqual({
      src: '192.0.2.1',
      msg: "it's",
      a: 'b = c\\d',
      rt: 'May 10 2019 11:37:47.123 GMT',
      cs1Label: 'a rule',
      cs1: '',
    })
  })

  it('in syslog has the time and level of syslog', () => {
    expect(enrichAtBoth(`<134>May 10 11:37:47 host ${CEF}rt=1557513467000 msg=a b`)).toMatchObject({
      timestamp: '2024-05-10T11:37:47.000Z',
      severityText: 'info',
      body: `${CEF}rt=1557513467000 msg=a b`,
      attributes: { msg: 'a b', rt: '1557513467000' },
    })
  })

  it('of the time since the epoch has that time', () => {
    expect(enrichAtBoth(`${CEF}rt=1557513467123`).timestamp).toBe('2019-05-10T18:37:47.123Z')
  })

  it.each(['CEF:0|Vendor|Product', 'CEF: no event'])('is not seen in %s', (line) => {
    expect(enrichAtBoth(line)).toMatchObject({ timestamp: null, body: line, attributes: {} })
  })
})

describe('an event in LEEF', () => {
  it.each([
    ['tabs', 'LEEF:1.0|V|P|4.0|15345|src=192.0.2.0\tusrName=Joe Black\tdevTime=May 10 2019 11:37:47 GMT'],
    ['a sign', 'LEEF:2.0|V|P|4.0|15345|^|src=192.0.2.0^usrName=Joe Black^devTime=May 10 2019 11:37:47 GMT'],
    ['a code', 'LEEF:2.0|V|P|4.0|15345|x7c|src=192.0.2.0|usrName=Joe Black|devTime=May 10 2019 11:37:47 GMT'],
  ])('has its fields between %s', (_what, line) => {
    const event = enrichAtBoth(line)

    expect(event).toMatchObject({ timestamp: '2019-05-10T11:37:47.000Z', body: line })
    expect(event.attributes).toEqual({
      src: '192.0.2.0',
      usrName: 'Joe Black',
      devTime: 'May 10 2019 11:37:47 GMT',
    })
  })
})
