import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FoundTime } from '../../../src/topology/time/found-time.ts'
import { InstantWriter } from '../../../src/topology/time/instant-writer.ts'
import { scanAnyDate } from '../../../src/topology/time/scan-time.ts'
import { timeZoneOf } from '../../../src/topology/time/time-zone.ts'

function resolve(text: string, zoneName: string, recordTimestampMs = Date.UTC(2024, 5, 30)): string | null {
  const found = new FoundTime()
  scanAnyDate(text, 0, found)
  const seconds = found.resolve(timeZoneOf(zoneName), recordTimestampMs)
  return Number.isNaN(seconds) ? null : new Date(seconds * 1000).toISOString()
}

describe('a time without a year', () => {
  it.each([
    ['Dec 31 23:59:00', Date.UTC(2024, 0, 1), '2023-12-31T23:59:00.000Z'],
    ['Jan  1 00:01:00', Date.UTC(2024, 0, 1), '2024-01-01T00:01:00.000Z'],
    // A clock that is ahead of the broker's by less than a day.
    ['Jan  1 00:01:00', Date.UTC(2023, 11, 31, 23, 59), '2024-01-01T00:01:00.000Z'],
    ['Jan  2 00:00:00', Date.UTC(2024, 0, 1), '2024-01-02T00:00:00.000Z'],
    // One second more than a day ahead is taken for last year.
    ['Jan  2 00:00:01', Date.UTC(2024, 0, 1), '2023-01-02T00:00:01.000Z'],
    ['Feb 29 12:00:00', Date.UTC(2027, 5, 1), '2024-02-29T12:00:00.000Z'],
    ['Feb 29 12:00:00', Date.UTC(2103, 5, 1), '2096-02-29T12:00:00.000Z'],
  ])('%s, arrived at %d, is %s', (text, arrivalMs, instant) => {
    expect(resolve(text, 'UTC', arrivalMs)).toBe(instant)
  })

  it('has no instant when the record has no timestamp', () => {
    expect(resolve('Jun 14 15:16:01', 'UTC', -1)).toBeNull()
  })

  it('is within a year before the record and a day after it', () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1990, 0, 1), max: Date.UTC(2090, 0, 1) }), (arrivalMs) => {
        const instant = Date.parse(resolve('Aug 17 12:00:00', 'UTC', arrivalMs) as string)

        expect(instant - arrivalMs).toBeLessThanOrEqual(86_400_000)
        expect(arrivalMs - instant).toBeLessThan(366 * 86_400_000 - 86_400_000)
      }),
    )
  })
})

describe('a time without an offset', () => {
  it.each([
    ['2024-01-15 12:00:00', 'Europe/Berlin', '2024-01-15T11:00:00.000Z'],
    ['2024-07-15 12:00:00', 'Europe/Berlin', '2024-07-15T10:00:00.000Z'],
    ['2024-07-15 12:00:00', 'Asia/Kolkata', '2024-07-15T06:30:00.000Z'],
    ['2024-07-15 12:00:00', 'America/New_York', '2024-07-15T16:00:00.000Z'],
    ['2024-07-15 12:00:00', 'Pacific/Chatham', '2024-07-14T23:15:00.000Z'],
    // The clock goes forward from 02:00 to 03:00: half past two never is, and the offset before the change counts.
    ['2024-03-31 01:59:59', 'Europe/Berlin', '2024-03-31T00:59:59.000Z'],
    ['2024-03-31 02:30:00', 'Europe/Berlin', '2024-03-31T01:30:00.000Z'],
    ['2024-03-31 03:00:00', 'Europe/Berlin', '2024-03-31T01:00:00.000Z'],
    // The clock goes back from 03:00 to 02:00: half past two is twice, and the first one is meant.
    ['2024-10-27 01:59:59', 'Europe/Berlin', '2024-10-26T23:59:59.000Z'],
    ['2024-10-27 02:30:00', 'Europe/Berlin', '2024-10-27T00:30:00.000Z'],
    ['2024-10-27 03:00:00', 'Europe/Berlin', '2024-10-27T02:00:00.000Z'],
    ['2024-11-03 01:30:00', 'America/New_York', '2024-11-03T05:30:00.000Z'],
    ['2024-10-06 02:15:00', 'Australia/Lord_Howe', '2024-10-05T15:45:00.000Z'],
  ])('%s in %s is %s', (text, zone, instant) => {
    expect(resolve(text, zone)).toBe(instant)
  })

  it('keeps the offset that the line has, whatever the zone', () => {
    expect(resolve('2024-07-15T12:00:00Z', 'Europe/Berlin')).toBe('2024-07-15T12:00:00.000Z')
  })

  it('is refused in a zone that does not exist', () => {
    expect(() => timeZoneOf('Europe/Berlim')).toThrow(
      expect.objectContaining({ code: 'GS_TOPOLOGY_INVALID' }),
    )
  })
})

describe('the instant formatter', () => {
  it('writes what Date writes, in any order of instants', () => {
    const writer = new InstantWriter()
    const bytes = Buffer.alloc(64)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (epochMs) => {
        const end = writer.writeMs(bytes, 1, epochMs)

        expect(bytes.toString('latin1', 1, end)).toBe(new Date(epochMs).toISOString())
      }),
      { numRuns: 2_000 },
    )
  })
})
