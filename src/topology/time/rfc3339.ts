/**
 * The commonest time of all, read without looking for any other: `2024-05-17T10:05:03.123Z`, with up to nine digits of a
 * fraction or none. What it declines (another offset, a leap second, a date that does not exist) is for `scan-time.ts`,
 * which reads all of it and gives the same instants.
 */

import { daysFromCivil, daysInMonth } from './civil.ts'
import { FRACTION_DIGITS_MAX } from './found-time.ts'

/** `2024-05-17T10:05:03` */
const SECOND_CHARS = 19
const YEAR_MIN = 1970
const YEAR_MAX = 2261

const ZERO = 0x30
const DASH = 0x2d
const DOT = 0x2e
const COLON = 0x3a

export class Rfc3339 {
  /** Seconds since the epoch. */
  seconds = 0
  #date = 0
  #daySeconds = 0
  /** The date and the T behind it, as bytes. */
  readonly #dateBytes = Buffer.alloc(11)

  /** Reads all of `text`; false when it is declined. */
  read(text: string): boolean {
    const end = text.length - 1
    if (end < SECOND_CHARS || end > SECOND_CHARS + 1 + FRACTION_DIGITS_MAX) return false
    if (text.charCodeAt(end) !== 0x5a || text.charCodeAt(10) !== 0x54) return false
    if (text.charCodeAt(4) !== DASH || text.charCodeAt(7) !== DASH) return false
    if (text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) return false
    if (end > SECOND_CHARS) {
      if (text.charCodeAt(SECOND_CHARS) !== DOT || end === SECOND_CHARS + 1) return false
      for (let at = SECOND_CHARS + 1; at < end; at += 1) if (!isDigit(text.charCodeAt(at))) return false
    }
    const century = twoDigits(text, 0)
    const yearOfCentury = twoDigits(text, 2)
    const month = twoDigits(text, 5)
    const day = twoDigits(text, 8)
    const hour = twoDigits(text, 11)
    const minute = twoDigits(text, 14)
    const second = twoDigits(text, 17)
    // Each is -1 when it is no number, and then so is this.
    if ((century | yearOfCentury | month | day | hour | minute | second) < 0) return false
    if (hour > 23 || minute > 59 || second > 59) return false
    const year = century * 100 + yearOfCentury
    const date = (year * 100 + month) * 100 + day
    if (date !== this.#date) {
      if (year < YEAR_MIN || year > YEAR_MAX || month < 1 || day < 1 || day > daysInMonth(year, month))
        return false
      this.#date = date
      this.#dateBytes.write(text, 'latin1')
      this.#daySeconds = daysFromCivil(year, month, day) * 86_400
    }
    this.seconds = this.#daySeconds + hour * 3600 + minute * 60 + second
    return true
  }

  /**
   * Whether `bytes[at, end)` is an instant as events have it already, with three to nine digits of a fraction, on the day
   * of the text that was read last. Lines come in time order, so it mostly is.
   */
  isSameDay(bytes: Buffer, at: number, end: number): boolean {
    const zoneAt = end - 1
    const digitsAt = at + SECOND_CHARS + 1
    if (zoneAt - digitsAt < 3 || zoneAt - digitsAt > FRACTION_DIGITS_MAX) return false
    const date = this.#dateBytes
    for (let index = 0; index < date.length; index += 1) if (bytes[at + index] !== date[index]) return false
    if (bytes[at + 13] !== COLON || bytes[at + 16] !== COLON || bytes[digitsAt - 1] !== DOT) return false
    if (bytes[zoneAt] !== 0x5a) return false
    for (let index = digitsAt; index < zoneAt; index += 1) if (!isDigit(bytes[index] as number)) return false
    return isBelow(bytes, at + 11, 24) && isBelow(bytes, at + 14, 60) && isBelow(bytes, at + 17, 60)
  }

  /** The digits of the fraction of a text that was read. */
  fractionOf(text: string): string {
    return text.slice(SECOND_CHARS + 1, -1)
  }
}

function isDigit(char: number): boolean {
  return char >= ZERO && char <= 0x39
}

/** Two digits that make a number below `limit`. */
function isBelow(bytes: Buffer, at: number, limit: number): boolean {
  const tens = (bytes[at] as number) - ZERO
  const ones = (bytes[at + 1] as number) - ZERO
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 && tens * 10 + ones < limit
}

function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO
  const ones = text.charCodeAt(at + 1) - ZERO
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1
}
