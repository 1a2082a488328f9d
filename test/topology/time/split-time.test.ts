import { describe, expect, it } from 'vitest'
import { densityTier, enrich, enrichAtBoth } from '../enrich-line.ts'

describe('a time in more than one field', () => {
  it.each([
    [
      'with an offset',
      'date=2019-05-10 time=11:37:47 tz="-0700" level="warning" x=1',
      '2019-05-10T18:37:47.000Z',
      { x: '1' },
    ],
    [
      'with an offset from UTC',
      'date=2019-05-10 time=11:37:47 tz="UTC-7:00" level="warning" x=1',
      '2019-05-10T18:37:47.000Z',
      { x: '1' },
    ],
    [
      'with the epoch beside it',
      'date=2019-05-10 time=11:37:47 eventtime=1557513467369913239 level="warning"',
      '2019-05-10T18:37:47.369913239Z',
      { date: '2019-05-10', time: '11:37:47' },
    ],
    [
      'with both, by its offset',
      'date=2019-05-10 time=11:37:47 tz="-0700" eventtime=1557513466369913239 level="warning"',
      '2019-05-10T18:37:47.000Z',
      { eventtime: '1557513466369913239' },
    ],
    [
      'with an epoch of another day beside it',
      'date=2019-05-10 time=11:37:47 eventtime=1557113467 level="warning"',
      '2019-05-10T11:37:47.000Z',
      { eventtime: '1557113467' },
    ],
    [
      'in the configured zone',
      'date=2019-05-10 time=11:37:47 level="warning" x=1',
      '2019-05-10T11:37:47.000Z',
      { x: '1' },
    ],
    [
      'in JSON',
      '{"date":"2019-05-10","time":"11:37:47.5","tz":"+0200","level":"warning","x":1}',
      '2019-05-10T09:37:47.500Z',
      { x: 1 },
    ],
  ])('is read %s', (_what, line, timestamp, attributes) => {
    const event = enrichAtBoth(line)

    expect(event).toMatchObject({ timestamp, severityText: 'warning', severityNumber: 13 })
    expect(event.attributes).toEqual(attributes)
  })

  it('comes from a firewall, whose hostname is not its own', () => {
    expect(enrichAtBoth('date=2019-05-10 time=11:37:47 devname="fw" hostname="shop.example"')).toMatchObject({
      attributes: { devname: 'fw', hostname: 'shop.example' },
      resource: {},
    })
  })

  it('is read in the zone of the topology where it has no offset', () => {
    const topology = densityTier('America/New_York')

    expect(enrich('date=2019-05-10 time=11:37:47 level=notice', { topology }).timestamp).toBe(
      '2019-05-10T15:37:47.000Z',
    )
  })

  it.each([
    ['date=2019-05-10 time=11:37:47 timezone="IST" x=1'],
    ['date=2019-02-30 time=11:37:47 x=1'],
    ['date=2019-05-10 time=12ms x=1'],
    ['date=2019-05-10 x=1'],
  ])('is no time in %s, and its fields stay', (line) => {
    const event = enrichAtBoth(line)

    expect(event.timestamp).toBeNull()
    expect(event.attributes).toMatchObject({ date: expect.any(String), x: '1' })
  })
})

describe('pairs behind a <PRI>', () => {
  it.each([
    [
      '<189>date=2019-05-10 time=11:37:47 devname="FG" tz="-0700" srcip=192.0.2.1',
      '2019-05-10T18:37:47.000Z',
    ],
    [
      '<134>  id=firewall time="2018-05-30 13:26:37 UTC" fw=192.0.2.1 msg="Closed"',
      '2018-05-30T13:26:37.000Z',
    ],
  ])('have their time in %s', (line, timestamp) => {
    expect(enrichAtBoth(line)).toMatchObject({ timestamp, body: line.slice(5) })
  })

  it('have none where the time is a word of a sentence', () => {
    expect(enrichAtBoth('<134>retry at time=2018-05-30T13:26:37Z x=1').timestamp).toBeNull()
  })
})
