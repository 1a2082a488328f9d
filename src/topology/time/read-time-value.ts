/** A time as the value of a field: a string or a number, or one of the objects that loggers write. */

import type { JsonObject, JsonValue } from '../json-value.ts'
import { ownMember, ownString, rawNumberText } from '../json-value.ts'
import type { FoundTime } from './found-time.ts'
import { NO_TIME, scanAnyDate, scanEpoch } from './scan-time.ts'

/**
 * Fills `found` from a field's value; false when it is no time, and `found` is then to be cleared. The whole value
 * must be the time. With `datesOnly` a bare number is no time: its field's name is too weak a sign.
 */
export function readTimeValue(value: JsonValue, found: FoundTime, datesOnly = false): boolean {
  if (typeof value === 'string') return readText(value, found, datesOnly)
  if (typeof value === 'number') return !datesOnly && readText(`${value}`, found, false)
  if (typeof value !== 'object' || value === null) return false
  const raw = rawNumberText(value)
  if (raw !== null) return !datesOnly && readText(raw, found, false)
  return !Array.isArray(value) && readObject(value as JsonObject, found)
}

function readText(text: string, found: FoundTime, datesOnly: boolean): boolean {
  const end = scanAnyDate(text, 0, found)
  if (end !== NO_TIME) return end === text.length || isRestOfTime(text.slice(end), found)
  if (datesOnly) return false
  const epochEnd = scanEpoch(text, 0, found)
  return epochEnd !== NO_TIME && epochEnd === text.length
}

/** The zone's name behind its offset, and the monotonic clock, of Go's Time.String (logrus); .NET's trailing space. */
const REST_OF_TIME = /^(?<zone> (?:[A-Z]{3,5}|[+-]\d{2,4}))?(?: m=[+-]\d+\.\d+)? *$/

function isRestOfTime(rest: string, found: FoundTime): boolean {
  const match = REST_OF_TIME.exec(rest)
  return match !== null && (match.groups?.['zone'] === undefined || !Number.isNaN(found.offsetSeconds))
}

/** {"seconds","nanos"} (Google), {"epochSecond","nanoOfSecond"} (log4j2), {"$date"} (MongoDB), {"date","timezone"} (PHP), {"timestamp"} (loguru). */
function readObject(object: JsonObject, found: FoundTime): boolean {
  const date = ownMember(object, '$date')
  if (date !== undefined) {
    const long =
      typeof date === 'object' && date !== null ? ownMember(date as JsonObject, '$numberLong') : undefined
    const plain = long ?? date
    return typeof plain === 'object' ? false : readTimeValue(plain, found)
  }
  const phpDate = ownString(object, 'date')
  if (phpDate !== undefined)
    return readText(`${phpDate} ${ownString(object, 'timezone') ?? '-'}`, found, true)
  const timestamp = ownMember(object, 'timestamp')
  if (typeof timestamp === 'number') return readTimeValue(timestamp, found)
  const seconds = Number(ownMember(object, 'seconds') ?? ownMember(object, 'epochSecond') ?? Number.NaN)
  const nanos = Number(ownMember(object, 'nanos') ?? ownMember(object, 'nanoOfSecond') ?? 0)
  if (!Number.isInteger(seconds) || !Number.isInteger(nanos) || nanos < 0 || nanos > 999_999_999) return false
  return found.setEpoch(seconds, `${nanos}`.padStart(9, '0'))
}
