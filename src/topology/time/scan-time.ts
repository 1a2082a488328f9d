/**
 * Finds the time at a given place of a line, in the formats real logs write. Each scanner reads characters (no
 * regular expression runs per line), fills a `FoundTime`, and answers with the index just after the time, or
 * `NO_TIME`. Scanners are strict: ranges are checked, the time must not run into further digits or letters, and a
 * date whose order of day and month cannot be told is no date. A wrong time is worse than none.
 */

import type { FoundTime } from './found-time.ts'
import { FRACTION_DIGITS_MAX, OFFSET_UNKNOWN, YEAR_UNKNOWN } from './found-time.ts'

/** The answer of a scanner that found nothing. */
export const NO_TIME = -1

const ZERO = 0x30
const SPACE = 0x20
const TAB = 0x09
const DASH = 0x2d
const DOT = 0x2e
const SLASH = 0x2f
const COLON = 0x3a
const COMMA = 0x2c
const PLUS = 0x2b
const UNDERSCORE = 0x5f
const BAR = 0x7c

const isDigit = (char: number) => char >= 0x30 && char <= 0x39
const isLetter = (char: number) => (char >= 0x41 && char <= 0x5a) || (char >= 0x61 && char <= 0x7a)

/** How many digits stand at `at`, up to `most`. */
export function countDigits(text: string, at: number, most: number): number {
  let count = 0
  while (count < most && isDigit(text.charCodeAt(at + count))) count += 1
  return count
}

/** The number that `count` digits at `at` make; NaN or nonsense when they are not digits: count them first. */
function digits(text: string, at: number, count: number): number {
  let value = 0
  for (let index = at; index < at + count; index += 1) value = value * 10 + text.charCodeAt(index) - ZERO
  return value
}

/** Two digits as a number; -1 when they are not two digits. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO
  const ones = text.charCodeAt(at + 1) - ZERO
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1
}

/** The month that an English three-letter abbreviation (`Jan`, `jan`, `JAN`) at `at` names, 0 for none. */
export function monthAt(text: string, at: number): number {
  const key =
    ((text.charCodeAt(at) | 0x20) << 16) |
    ((text.charCodeAt(at + 1) | 0x20) << 8) |
    (text.charCodeAt(at + 2) | 0x20)
  switch (key) {
    case 0x6a616e:
      return 1
    case 0x666562:
      return 2
    case 0x6d6172:
      return 3
    case 0x617072:
      return 4
    case 0x6d6179:
      return 5
    case 0x6a756e:
      return 6
    case 0x6a756c:
      return 7
    case 0x617567:
      return 8
    case 0x736570:
      return 9
    case 0x6f6374:
      return 10
    case 0x6e6f76:
      return 11
    case 0x646563:
      return 12
    default:
      return 0
  }
}

const WEEKDAYS = new Set(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])

function isWeekdayAt(text: string, at: number): boolean {
  return WEEKDAYS.has(text.slice(at, at + 3).toLowerCase())
}

/**
 * Abbreviations with one meaning, in seconds east of UTC. Those with several (CST, IST, BST) are not here, and a
 * time that carries one of them is no time.
 */
const ZONE_OFFSETS: ReadonlyMap<string, number> = new Map([
  ['Z', 0],
  ['UTC', 0],
  ['GMT', 0],
  ['UT', 0],
  ['WET', 0],
  ['WEST', 3600],
  ['CET', 3600],
  ['CEST', 7200],
  ['EET', 7200],
  ['EEST', 10800],
  ['MSK', 10800],
  ['JST', 32400],
  ['KST', 32400],
  ['AEST', 36000],
  ['AEDT', 39600],
  ['NZST', 43200],
  ['NZDT', 46800],
  ['EST', -18000],
  ['EDT', -14400],
  ['MST', -25200],
  ['MDT', -21600],
  ['PST', -28800],
  ['PDT', -25200],
])
const ZONES_AMBIGUOUS: ReadonlySet<string> = new Set(['CST', 'CDT', 'IST', 'BST', 'AST', 'ADT', 'SST', 'PKT'])

/** A time that ends at `at` must not run on into more of a word or number. */
function isBoundary(text: string, at: number): boolean {
  const char = text.charCodeAt(at)
  return !isDigit(char) && !isLetter(char)
}

/**
 * `hh:mm:ss`, its fraction after a dot or comma (or, as three digits, after a colon), ` AM`/` PM`, and the offset.
 * Fills everything but the date.
 */
function scanClock(text: string, at: number, found: FoundTime, hourDigitsMin = 2): number {
  let next = at
  const hourDigits = countDigits(text, next, 2)
  if (hourDigits < hourDigitsMin) return NO_TIME
  found.hour = digits(text, next, hourDigits)
  next += hourDigits
  if (text.charCodeAt(next) !== COLON || text.charCodeAt(next + 3) !== COLON) return NO_TIME
  found.minute = twoDigits(text, next + 1)
  found.second = twoDigits(text, next + 4)
  if (found.minute < 0 || found.second < 0) return NO_TIME
  next += 6
  next = scanFraction(text, next, found)
  next = scanHalfDay(text, next, found)
  return scanOffset(text, next, found)
}

/** A fraction is optional: without one the answer is `at` itself. */
function scanFraction(text: string, at: number, found: FoundTime): number {
  const separator = text.charCodeAt(at)
  if (separator === DOT || separator === COMMA) {
    const count = countDigits(text, at + 1, 32)
    if (count > 0) {
      found.fraction = text.slice(at + 1, at + 1 + Math.min(count, FRACTION_DIGITS_MAX))
      return at + 1 + count
    }
  } else if (separator === COLON && countDigits(text, at + 1, 4) === 3) {
    found.fraction = text.slice(at + 1, at + 4)
    return at + 4
  }
  found.fraction = ''
  return at
}

function scanHalfDay(text: string, at: number, found: FoundTime): number {
  const start = text.charCodeAt(at) === SPACE ? at + 1 : at
  const letter = text.charCodeAt(start) | 0x20
  if ((letter !== 0x61 && letter !== 0x70) || (text.charCodeAt(start + 1) | 0x20) !== 0x6d) return at
  if (!isBoundary(text, start + 2) || found.hour < 1 || found.hour > 12) return at
  found.hour = (found.hour % 12) + (letter === 0x70 ? 12 : 0)
  return start + 2
}

/** `Z`, `+hh:mm`, `-hhmm`, `+hh`, ` +hhmm`, ` UTC`, ` CET`. Optional; NO_TIME when there is one that cannot be told. */
function scanOffset(text: string, at: number, found: FoundTime): number {
  found.offsetSeconds = OFFSET_UNKNOWN
  const char = text.charCodeAt(at)
  if ((char === 0x5a || char === 0x7a) && isBoundary(text, at + 1)) {
    found.offsetSeconds = 0
    return at + 1
  }
  if (char === PLUS || char === DASH) {
    const end = scanNumericOffset(text, at, found)
    if (end !== NO_TIME) return end
    // A dash may well be the separator of what follows: `12:00:00-INFO`.
    return isDigit(text.charCodeAt(at + 1)) ? NO_TIME : at
  }
  if (char === SPACE) {
    const sign = text.charCodeAt(at + 1)
    if (sign === PLUS || sign === DASH) {
      // Only the unmistakable forms: ` -5` or ` - name` is the line going on.
      const count = countDigits(text, at + 2, 5)
      // PostgreSQL writes ` +03 [1234]` for a zone that has no name.
      const isHours = count === 2 && text.charCodeAt(at + 4) === SPACE && text.charCodeAt(at + 5) === 0x5b
      if (isHours || count === 4 || (count === 2 && text.charCodeAt(at + 4) === COLON)) {
        const end = scanNumericOffset(text, at + 1, found)
        if (end !== NO_TIME) return end
      }
      return at
    }
    if (sign >= 0x41 && sign <= 0x5a) return scanNamedOffset(text, at, found)
    return at
  }
  return isBoundary(text, at) ? at : NO_TIME
}

function scanNumericOffset(text: string, at: number, found: FoundTime): number {
  const hours = twoDigits(text, at + 1)
  if (hours < 0 || hours > 18) return NO_TIME
  let end = at + 3
  let minutes = 0
  const separated = text.charCodeAt(end) === COLON ? 1 : 0
  const read = twoDigits(text, end + separated)
  if (read >= 0) {
    minutes = read
    end += separated + 2
  } else if (separated === 1 && isDigit(text.charCodeAt(end + 1))) return NO_TIME
  if (minutes > 59 || !isBoundary(text, end)) return NO_TIME
  const seconds = hours * 3600 + minutes * 60
  found.offsetSeconds = text.charCodeAt(at) === DASH ? -seconds : seconds
  return end
}

function scanNamedOffset(text: string, at: number, found: FoundTime): number {
  let end = at + 1
  while (end - at <= 5) {
    const char = text.charCodeAt(end)
    // Written so that the end of the text, which has no character, ends the name as well.
    if (!(char >= 0x41 && char <= 0x5a)) break
    end += 1
  }
  if (!isBoundary(text, end) || end - at < 3) return at
  const name = text.slice(at + 1, end)
  const offset = ZONE_OFFSETS.get(name)
  if (offset === undefined) return ZONES_AMBIGUOUS.has(name) ? NO_TIME : at
  found.offsetSeconds = offset
  return end
}

function finish(found: FoundTime, end: number): number {
  if (end === NO_TIME || !found.isValidCivil()) return NO_TIME
  found.kind = 'civil'
  return end
}

/**
 * Year first: `2023-01-02T12:00:00.123Z`, `2023-01-02 12:00:00,123`, `2023/01/02 12:00:00`, `2023.01.02 12:00:00`,
 * `2023-01-02_12:00:00`, `2023-01-02-12.00.00.123456`.
 */
export function scanYearFirst(text: string, at: number, found: FoundTime): number {
  const separator = text.charCodeAt(at + 4)
  if (separator !== DASH && separator !== SLASH && separator !== DOT) return NO_TIME
  if (text.charCodeAt(at + 7) !== separator || countDigits(text, at, 5) !== 4) return NO_TIME
  found.year = digits(text, at, 4)
  found.month = twoDigits(text, at + 5)
  found.day = twoDigits(text, at + 8)
  const joint = text.charCodeAt(at + 10)
  if (joint === DASH && text.charCodeAt(at + 13) === DOT)
    return finish(found, scanDottedClock(text, at + 11, found))
  let clockAt = at + 11
  if (joint === SPACE) {
    while (text.charCodeAt(clockAt) === SPACE && clockAt < at + 14) clockAt += 1
  } else if (
    joint !== 0x54 &&
    joint !== 0x74 &&
    joint !== UNDERSCORE &&
    joint !== DASH &&
    joint !== COLON &&
    joint !== TAB
  ) {
    return NO_TIME
  }
  return finish(found, scanClock(text, clockAt, found, joint === SPACE ? 1 : 2))
}

/** `12.00.00.123456`: DB2 and Blue Gene. */
function scanDottedClock(text: string, at: number, found: FoundTime): number {
  found.hour = twoDigits(text, at)
  found.minute = twoDigits(text, at + 3)
  found.second = twoDigits(text, at + 6)
  if (found.hour < 0 || found.minute < 0 || found.second < 0 || text.charCodeAt(at + 5) !== DOT)
    return NO_TIME
  const end = scanFraction(text, at + 8, found)
  found.offsetSeconds = OFFSET_UNKNOWN
  return isBoundary(text, end) ? end : NO_TIME
}

/**
 * Common log format: `17/May/2015:10:05:03 +0000`; HAProxy's is the same with a fraction and no offset, Django's and
 * Werkzeug's with a space and no offset.
 */
export function scanClf(text: string, at: number, found: FoundTime): number {
  if (text.charCodeAt(at + 2) !== SLASH || text.charCodeAt(at + 6) !== SLASH) return NO_TIME
  const joint = text.charCodeAt(at + 11)
  if ((joint !== COLON && joint !== SPACE) || countDigits(text, at + 7, 5) !== 4) return NO_TIME
  found.day = twoDigits(text, at)
  found.month = monthAt(text, at + 3)
  found.year = digits(text, at + 7, 4)
  return finish(found, scanClock(text, at + 12, found))
}

/**
 * `Jun 14 15:16:01`, `Jul  1 09:00:55.123`, `Jun 14 2005 15:16:01` (Cisco), `Jan 02, 2023 12:00:00 PM` and
 * `Jan 2, 2023, 12:00:00 PM` (java.util.logging).
 */
export function scanMonthName(text: string, at: number, found: FoundTime): number {
  found.month = monthAt(text, at)
  if (found.month === 0 || text.charCodeAt(at + 3) !== SPACE) return NO_TIME
  let next = at + 4
  if (text.charCodeAt(next) === SPACE) next += 1
  const dayDigits = countDigits(text, next, 3)
  if (dayDigits < 1 || dayDigits > 2) return NO_TIME
  found.day = digits(text, next, dayDigits)
  next += dayDigits
  if (text.charCodeAt(next) === COMMA) next += 1
  if (text.charCodeAt(next) !== SPACE) return NO_TIME
  next += 1
  found.year = YEAR_UNKNOWN
  if (countDigits(text, next, 5) === 4) {
    found.year = digits(text, next, 4)
    next += 4
    if (text.charCodeAt(next) === COMMA) next += 1
    if (text.charCodeAt(next) !== SPACE) return NO_TIME
    next += 1
  }
  return finish(found, scanClock(text, next, found, found.year === YEAR_UNKNOWN ? 2 : 1))
}

/**
 * `Sun Dec 04 04:47:44 2005`, `Sun Dec 04 04:47:44.123456 2005` (Apache), `Sun Dec  4 04:47:44 UTC 2005` (date),
 * `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 5322, HTTP).
 */
export function scanWeekday(text: string, at: number, found: FoundTime): number {
  if (!isWeekdayAt(text, at)) return NO_TIME
  if (text.charCodeAt(at + 3) === COMMA) return scanDayFirst(text, at + 5, found)
  if (text.charCodeAt(at + 3) !== SPACE) return NO_TIME
  const end = scanMonthName(text, at + 4, found)
  if (end === NO_TIME || found.year !== YEAR_UNKNOWN) return end
  if (text.charCodeAt(end) !== SPACE || countDigits(text, end + 1, 5) !== 4 || !isBoundary(text, end + 5))
    return end
  found.year = digits(text, end + 1, 4)
  return finish(found, end + 5)
}

/** `01 Jan 2023 12:00:00.123` (Redis, RFC 5322), `02-Jan-2023 12:00:00.123` (Tomcat, PHP). */
export function scanDayFirst(text: string, at: number, found: FoundTime): number {
  const dayDigits = countDigits(text, at, 3)
  if (dayDigits < 1 || dayDigits > 2) return NO_TIME
  found.day = digits(text, at, dayDigits)
  let next = at + dayDigits
  const separator = text.charCodeAt(next)
  if (separator !== SPACE && separator !== DASH) return NO_TIME
  found.month = monthAt(text, next + 1)
  next += 4
  if (found.month === 0 || text.charCodeAt(next) !== separator || countDigits(text, next + 1, 5) !== 4)
    return NO_TIME
  found.year = digits(text, next + 1, 4)
  next += 5
  const joint = text.charCodeAt(next)
  if (joint !== SPACE && joint !== COLON) return NO_TIME
  return finish(found, scanClock(text, next + 1, found))
}

/**
 * `31/12/2023 12:00:00`, `12/31/2023 12:00:00`, `31.12.2023 12:00:00`. With dots the day is first everywhere; with
 * slashes it is told by the one that cannot be a month, or by a 12-hour clock (only written with the month first).
 */
export function scanNumericDayFirst(text: string, at: number, found: FoundTime): number {
  const firstDigits = countDigits(text, at, 3)
  if (firstDigits < 1 || firstDigits > 2) return NO_TIME
  const separator = text.charCodeAt(at + firstDigits)
  if (separator !== SLASH && separator !== DOT) return NO_TIME
  const secondAt = at + firstDigits + 1
  const secondDigits = countDigits(text, secondAt, 3)
  if (secondDigits < 1 || secondDigits > 2) return NO_TIME
  let next = secondAt + secondDigits
  if (text.charCodeAt(next) !== separator || countDigits(text, next + 1, 5) !== 4) return NO_TIME
  const first = digits(text, at, firstDigits)
  const second = digits(text, secondAt, secondDigits)
  found.year = digits(text, next + 1, 4)
  next += 5
  if (text.charCodeAt(next) === COMMA) next += 1
  if (text.charCodeAt(next) !== SPACE) return NO_TIME
  found.day = first
  found.month = second
  const end = scanClock(text, next + 1, found, 1)
  if (end === NO_TIME) return NO_TIME
  if (separator === SLASH && first !== second && first <= 12) {
    const halfDay = text.charCodeAt(end - 1) | 0x20
    if (second <= 12 && halfDay !== 0x6d) return NO_TIME
    found.day = second
    found.month = first
  }
  return finish(found, end)
}

/** `17/06/09 20:10:40`: log4j's `yy/MM/dd HH:mm:ss` (Spark). The caller knows that it is this layout. */
export function scanShortYear(text: string, at: number, found: FoundTime): number {
  if (
    text.charCodeAt(at + 2) !== SLASH ||
    text.charCodeAt(at + 5) !== SLASH ||
    text.charCodeAt(at + 8) !== SPACE
  ) {
    return NO_TIME
  }
  const year = twoDigits(text, at)
  if (year < 0) return NO_TIME
  found.year = 2000 + year
  found.month = twoDigits(text, at + 3)
  found.day = twoDigits(text, at + 6)
  return finish(found, scanClock(text, at + 9, found))
}

/** `081109 203615` (HDFS) and `081109 20:36:15` (old MySQL). The caller knows that it is this layout. */
export function scanCompactShortYear(text: string, at: number, found: FoundTime): number {
  if (countDigits(text, at, 7) !== 6 || text.charCodeAt(at + 6) !== SPACE) return NO_TIME
  found.year = 2000 + twoDigits(text, at)
  found.month = twoDigits(text, at + 2)
  found.day = twoDigits(text, at + 4)
  let clockAt = at + 7
  if (text.charCodeAt(clockAt) === SPACE) clockAt += 1
  if (countDigits(text, clockAt, 7) !== 6) return finish(found, scanClock(text, clockAt, found, 1))
  found.hour = twoDigits(text, clockAt)
  found.minute = twoDigits(text, clockAt + 2)
  found.second = twoDigits(text, clockAt + 4)
  found.fraction = ''
  found.offsetSeconds = OFFSET_UNKNOWN
  return finish(found, clockAt + 6)
}

/** `20230102T120000Z`, `20230102T120000.123+0100` (ISO 8601 basic), `20230102 12:00:00`. */
export function scanCompactDate(text: string, at: number, found: FoundTime): number {
  if (countDigits(text, at, 9) !== 8) return NO_TIME
  found.year = digits(text, at, 4)
  found.month = twoDigits(text, at + 4)
  found.day = twoDigits(text, at + 6)
  const joint = text.charCodeAt(at + 8)
  if (joint !== 0x54 && joint !== SPACE && joint !== DASH) return NO_TIME
  if (countDigits(text, at + 9, 7) !== 6) return finish(found, scanClock(text, at + 9, found))
  if (joint !== 0x54) return NO_TIME
  found.hour = twoDigits(text, at + 9)
  found.minute = twoDigits(text, at + 11)
  found.second = twoDigits(text, at + 13)
  return finish(found, scanOffset(text, scanFraction(text, at + 15, found), found))
}

/** `20171223-22:15:29:606`, where hours to milliseconds come without leading zeros (HealthApp). */
export function scanUnpadded(text: string, at: number, found: FoundTime): number {
  if (countDigits(text, at, 9) !== 8 || text.charCodeAt(at + 8) !== DASH) return NO_TIME
  found.year = digits(text, at, 4)
  found.month = twoDigits(text, at + 4)
  found.day = twoDigits(text, at + 6)
  let next = at + 9
  for (const field of ['hour', 'minute', 'second'] as const) {
    const count = countDigits(text, next, 3)
    if (count < 1 || count > 2 || text.charCodeAt(next + count) !== COLON) return NO_TIME
    found[field] = digits(text, next, count)
    next += count + 1
  }
  const millisDigits = countDigits(text, next, 4)
  if (millisDigits < 1 || millisDigits > 3) return NO_TIME
  found.fraction = text.slice(next, next + millisDigits).padStart(3, '0')
  found.offsetSeconds = OFFSET_UNKNOWN
  return finish(found, next + millisDigits)
}

/** `03-17 16:13:38.811` (Android), `01-02|12:00:00.123` (go-ethereum), `10.30 16:49:06` (Proxifier). No year. */
export function scanMonthDay(text: string, at: number, found: FoundTime): number {
  const separator = text.charCodeAt(at + 2)
  const joint = text.charCodeAt(at + 5)
  if ((separator !== DASH && separator !== DOT) || (joint !== SPACE && joint !== BAR)) return NO_TIME
  found.year = YEAR_UNKNOWN
  found.month = twoDigits(text, at)
  found.day = twoDigits(text, at + 3)
  return finish(found, scanClock(text, at + 6, found))
}

/** `0102 12:00:00.123456`: the date of klog and glog, after its letter. No year. */
export function scanKlog(text: string, at: number, found: FoundTime): number {
  if (countDigits(text, at, 5) !== 4 || text.charCodeAt(at + 4) !== SPACE) return NO_TIME
  found.year = YEAR_UNKNOWN
  found.month = twoDigits(text, at)
  found.day = twoDigits(text, at + 2)
  return finish(found, scanClock(text, at + 5, found))
}

/** Any unmistakable date and time that a value or a line can start with; epochs are `scanEpoch`'s. */
export function scanAnyDate(text: string, at: number, found: FoundTime): number {
  const char = text.charCodeAt(at)
  if (isDigit(char)) {
    // The commonest by far goes first.
    const fifth = text.charCodeAt(at + 4)
    if (fifth === DASH || fifth === SLASH || fifth === DOT) {
      const end = scanYearFirst(text, at, found)
      if (end !== NO_TIME) return end
    }
    switch (countDigits(text, at, 9)) {
      case 1:
      case 2: {
        const clf = scanClf(text, at, found)
        if (clf !== NO_TIME) return clf
        const named = scanDayFirst(text, at, found)
        return named === NO_TIME ? scanNumericDayFirst(text, at, found) : named
      }
      case 8: {
        const compact = scanCompactDate(text, at, found)
        return compact === NO_TIME ? scanUnpadded(text, at, found) : compact
      }
      default:
        return NO_TIME
    }
  }
  if (!isLetter(char)) return NO_TIME
  const weekday = scanWeekday(text, at, found)
  return weekday === NO_TIME ? scanMonthName(text, at, found) : weekday
}

/**
 * Seconds, milliseconds, microseconds or nanoseconds since the epoch, told by the number of digits (10, 13, 16, 19), with an
 * optional fraction. Reads from 2001 to 2286, where that rule is unmistakable.
 */
export function scanEpoch(text: string, at: number, found: FoundTime): number {
  const count = countDigits(text, at, 20)
  if (count === 1) return scanScientificEpoch(text, at, found)
  const end = at + count
  if ((count !== 10 && count !== 13 && count !== 16 && count !== 19) || text.charCodeAt(at) === ZERO)
    return NO_TIME
  const seconds = digits(text, at, 10)
  const decimals = text.charCodeAt(end) === DOT ? countDigits(text, end + 1, 32) : 0
  const after = decimals > 0 ? end + 1 + decimals : end
  const fraction = (text.slice(at + 10, end) + text.slice(end + 1, after)).slice(0, FRACTION_DIGITS_MAX)
  return isBoundary(text, after) && found.setEpoch(seconds, fraction) ? after : NO_TIME
}

/** `1.672660800123e+09`: how zap's console encoder, and with it Kubernetes' controllers, write seconds since the epoch. */
function scanScientificEpoch(text: string, at: number, found: FoundTime): number {
  if (text.charCodeAt(at + 1) !== DOT || text.charCodeAt(at) === ZERO) return NO_TIME
  const count = countDigits(text, at + 2, 19)
  const end = at + 2 + count + 4
  if (count < 1 || count > 18 || text.slice(end - 4, end) !== 'e+09' || !isBoundary(text, end)) return NO_TIME
  const all = (text.charAt(at) + text.slice(at + 2, at + 2 + count)).padEnd(10, '0')
  return found.setEpoch(digits(all, 0, 10), all.slice(10)) ? end : NO_TIME
}
