/**
 * A time as it was found in a line, before anyone decides what it means: calendar fields (with or without a year,
 * with or without an offset) or seconds since the epoch. Scanners fill it, the timestamp stage resolves it to an
 * instant with its own time zone and year rule. One object per enricher, reused for every line.
 */

import {
  daysFromCivil,
  daysInMonth,
  INSTANT_SECONDS_MAX,
  INSTANT_SECONDS_MIN,
  isLeapYear,
  yearOfSeconds,
} from './civil.ts'
import type { TimeZone } from './time-zone.ts'

/** Digits of a second's fraction that are kept: nanoseconds. */
export const FRACTION_DIGITS_MAX = 9
/** No year in the line. */
export const YEAR_UNKNOWN = -1
/** No offset in the line: the wall clock of the configured zone. */
export const OFFSET_UNKNOWN = Number.NaN

const DAY_SECONDS = 86400
/** Years to go back for a 29 February without a year: leap years are at most eight apart. */
const YEARS_BACK_MAX = 9

export class FoundTime {
  /** Nothing, calendar fields, or an epoch. */
  kind: 'none' | 'civil' | 'epoch' = 'none'
  year = YEAR_UNKNOWN
  month = 0
  day = 0
  hour = 0
  minute = 0
  second = 0
  /** Seconds east of UTC, or `OFFSET_UNKNOWN`. */
  offsetSeconds = OFFSET_UNKNOWN
  /** Whole seconds since the epoch, when `kind` is 'epoch'. */
  epochSeconds = 0
  /** The fraction's digits as given, at most nine. */
  fraction = ''

  clear(): void {
    this.kind = 'none'
  }

  /** Becomes what another one is. */
  copyFrom(other: FoundTime): void {
    this.kind = other.kind
    this.year = other.year
    this.month = other.month
    this.day = other.day
    this.hour = other.hour
    this.minute = other.minute
    this.second = other.second
    this.offsetSeconds = other.offsetSeconds
    this.epochSeconds = other.epochSeconds
    this.fraction = other.fraction
  }

  /** Sets an epoch; refuses one that is outside the span we believe. */
  setEpoch(seconds: number, fraction: string): boolean {
    if (!(seconds >= INSTANT_SECONDS_MIN && seconds <= INSTANT_SECONDS_MAX)) return false
    this.kind = 'epoch'
    this.epochSeconds = seconds
    this.fraction = fraction
    return true
  }

  /** True when the calendar fields name a real moment (a leap second counts as one). */
  isValidCivil(): boolean {
    const { year, month, day } = this
    return (
      (year === YEAR_UNKNOWN || (year >= 1970 && year <= 2261)) &&
      month >= 1 &&
      day >= 1 &&
      // A year-less 29 February may be real, so it is held against a leap year.
      day <= daysInMonth(year === YEAR_UNKNOWN ? 2000 : year, month) &&
      this.hour <= 23 &&
      this.minute <= 59 &&
      this.second <= 60
    )
  }

  /**
   * The instant in whole seconds since the epoch, NaN when there is none. A time without an offset is wall-clock time
   * in `zone`. A time without a year is given the year that puts it closest to `recordTimestampMs`, but not more than
   * one day after it: a line cannot have arrived before it was written, give or take a clock.
   */
  resolve(zone: TimeZone, recordTimestampMs: number): number {
    if (this.kind === 'epoch') return this.epochSeconds
    if (this.kind === 'none') return Number.NaN
    if (this.year !== YEAR_UNKNOWN) return this.#inYear(this.year, zone)
    if (!(recordTimestampMs >= 0 && recordTimestampMs <= INSTANT_SECONDS_MAX * 1000)) return Number.NaN
    const latest = recordTimestampMs / 1000 + DAY_SECONDS
    const newest = yearOfSeconds(latest) + 1
    for (let year = newest; year > newest - YEARS_BACK_MAX; year -= 1) {
      if (this.month === 2 && this.day === 29 && !isLeapYear(year)) continue
      const seconds = this.#inYear(year, zone)
      if (seconds <= latest) return seconds
    }
    return Number.NaN
  }

  /** Takes the offset that the zone has at these calendar fields; false for a time without a year, or with an offset. */
  takeOffset(zone: TimeZone): boolean {
    if (this.kind !== 'civil' || this.year === YEAR_UNKNOWN || !Number.isNaN(this.offsetSeconds)) return false
    this.offsetSeconds = zone.offsetAtWall(this.#wallIn(this.year))
    return true
  }

  #wallIn(year: number): number {
    return (
      daysFromCivil(year, this.month, this.day) * DAY_SECONDS +
      this.hour * 3600 +
      this.minute * 60 +
      this.second
    )
  }

  #inYear(year: number, zone: TimeZone): number {
    const wall = this.#wallIn(year)
    const offset = this.offsetSeconds
    const seconds = wall - (Number.isNaN(offset) ? zone.offsetAtWall(wall) : offset)
    return seconds >= INSTANT_SECONDS_MIN && seconds <= INSTANT_SECONDS_MAX ? seconds : Number.NaN
  }
}
