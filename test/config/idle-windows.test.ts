import { describe, expect, test } from 'vitest'
import { IdleWindows, idleWindowProblem } from '../../src/config/idle-windows.ts'
import { loadConfig } from '../../src/config/load-config.ts'

const at = (windows: IdleWindows, time: string) => windows.at(Date.parse(time)).isIdle

describe('windows', () => {
  test('a range over midnight is open from its start to before its end', () => {
    const windows = new IdleWindows(['22:00-06:00'], 'UTC')

    expect(at(windows, '2026-01-05T21:59:59.999Z')).toBe(false)
    expect(at(windows, '2026-01-05T22:00:00.000Z')).toBe(true)
    expect(at(windows, '2026-01-06T00:00:00.000Z')).toBe(true)
    expect(at(windows, '2026-01-06T05:59:59.999Z')).toBe(true)
    expect(at(windows, '2026-01-06T06:00:00.000Z')).toBe(false)
  })

  test('a range is by the wall clock of its time zone, also when daylight saving moves it', () => {
    const windows = new IdleWindows(['22:00-06:00'], 'Europe/Berlin')

    expect(at(windows, '2026-01-05T20:59:00Z')).toBe(false)
    expect(at(windows, '2026-01-05T21:00:00Z')).toBe(true)
    // The night of 29 March 2026 has seven hours here, and ends at 04:00 UTC instead of 05:00.
    expect(at(windows, '2026-03-29T03:59:00Z')).toBe(true)
    expect(at(windows, '2026-03-29T04:00:00Z')).toBe(false)
  })

  test('a cron expression opens a window for as long as it says', () => {
    const windows = new IdleWindows(['0 22 * * 1-5 for 8h'], 'UTC')

    expect(at(windows, '2026-01-05T22:00:00Z')).toBe(true) // Monday
    expect(at(windows, '2026-01-06T05:59:59Z')).toBe(true)
    expect(at(windows, '2026-01-06T06:00:00Z')).toBe(false)
    expect(at(windows, '2026-01-10T05:00:00Z')).toBe(true) // the end of Friday's
    expect(at(windows, '2026-01-10T23:00:00Z')).toBe(false) // Saturday
  })

  test('a cron expression that fires again while its window is open keeps it open', () => {
    const windows = new IdleWindows(['*/10 1 * * * for 15m'], 'UTC')

    for (const minute of ['00', '14', '15', '16', '24', '25', '59']) {
      expect(at(windows, `2026-01-05T01:${minute}:00Z`), minute).toBe(true)
    }
    expect(at(windows, '2026-01-05T02:04:59Z')).toBe(true)
    expect(at(windows, '2026-01-05T02:05:00Z')).toBe(false)
  })

  test('any of several windows will do, and the whole day is always open', () => {
    const two = new IdleWindows(['01:00-02:00', '0 12 * * * for 30m'], 'UTC')
    const always = new IdleWindows(['00:00-24:00'], 'UTC')

    expect(at(two, '2026-01-05T12:15:00Z')).toBe(true)
    expect(at(two, '2026-01-05T11:15:00Z')).toBe(false)
    expect(at(always, '2026-01-05T00:00:00Z')).toBe(true)
    expect(at(always, '2026-01-05T23:59:59Z')).toBe(true)
  })

  test('with none, every hour is idle', () => {
    expect(new IdleWindows([], 'UTC').at(0)).toMatchObject({ isIdle: true, opensMs: null })
  })

  test('a closed window says when it opens', () => {
    const windows = new IdleWindows(['22:00-06:00', '0 20 * * * for 1h'], 'UTC')

    expect(windows.at(Date.parse('2026-01-05T12:00:00Z')).opensMs).toBe(Date.parse('2026-01-05T20:00:00Z'))
    expect(windows.at(Date.parse('2026-01-05T21:00:00Z')).opensMs).toBe(Date.parse('2026-01-05T22:00:00Z'))
  })

  test('a clock that is set back is believed', () => {
    const windows = new IdleWindows(['22:00-06:00'], 'UTC')

    expect(at(windows, '2026-01-05T23:00:00Z')).toBe(true)
    expect(at(windows, '2026-01-05T12:00:00Z')).toBe(false)
  })
})

describe('what cannot be a window is refused with the right form', () => {
  test.each([
    ['25:00-26:00', /neither/],
    ['22-6', /neither/],
    ['08:00-08:00', /00:00-24:00/],
    ['0 22 * * *', /duration is missing/],
    ['0 22 * * * for 0h', /from 1m to 7d/],
    ['0 22 * * * for 30d', /from 1m to 7d/],
    ['0 22 * * * for ever', /neither/],
    ['61 22 * * * for 1h', /Invalid value for minute/],
    ['0 0 30 2 * for 1h', /never comes/],
    ['', /neither/],
  ])('%s', (text, reason) => {
    const problem = idleWindowProblem(text)

    expect(problem).toMatch(reason)
    expect(problem).toMatch(/expected hours such as "22:00-06:00", or a cron expression/)
  })

  test.each(['22:00-06:00', '00:00-24:00', '0 22 * * 1-5 for 8h', '@daily for 90m'])('%s is one', (text) => {
    expect(idleWindowProblem(text)).toBeNull()
  })

  test.each([
    [{ 'compactor.idleWindows': '22:00-06:00,nights' }, /idleWindows.*expected hours such as.*"nights"/s],
    [{ 'compactor.timeZone': 'Mars/Olympus' }, /timeZone.*UTC or Europe\/Berlin/s],
    [{ 'compactor.rateBytes': '10' }, /rateBytes.*at least 1KiB/s],
    [{ 'compactor.rateBytes': '-1' }, /rateBytes.*at least 1KiB/s],
    [{ 'compactor.rateRecords': '-5' }, /rateRecords/],
    [{ 'compactor.urgentRateRecords': '0' }, /urgentRateRecords/],
    [{ 'compactor.urgentPercent': '100' }, /urgentPercent/],
  ])('as configuration: %o', (flags, shown) => {
    expect(() => loadConfig({ flags: new Map(Object.entries(flags)) })).toThrow(shown)
  })
})
