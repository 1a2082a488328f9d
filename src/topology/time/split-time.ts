/**
 * A time that stands in more than one field, as firewalls write it: Fortinet's `date=2019-05-10 time=11:37:47 tz="-0700"`,
 * with an `eventtime` since the epoch beside it in newer versions, and Sophos' `timezone`.
 */

import type { FieldMap } from '../field-map.ts'
import type { FoundTime } from './found-time.ts'
import { readTimeValue } from './read-time-value.ts'

const DATE = /^\d{4}-\d\d-\d\d$/
const CLOCK = /^\d\d:\d\d:\d\d(?:\.\d{1,9})?$/
/** No zone is further from UTC, give and take a slow log. */
const ZONE_SECONDS_MAX = 15 * 3600
const EPOCH = /^\d{10}(?:\d{3}){0,3}$/

/** Fills `found` and takes the fields that it is made of; false when there is no such time, and `found` is to be cleared. */
export function takeSplitTime(attributes: FieldMap, found: FoundTime): boolean {
  const date = attributes.get('date')
  const clock = attributes.get('time')
  if (typeof date !== 'string' || typeof clock !== 'string' || !DATE.test(date) || !CLOCK.test(clock))
    return false
  const zoneName = attributes.has('tz') ? 'tz' : 'timezone'
  const zone = attributes.get(zoneName)
  if (zone !== undefined && typeof zone !== 'string') return false
  if (zone === undefined && takeEpoch(attributes, found, Date.parse(`${date}T${clock}Z`) / 1000)) return true
  if (!readTimeValue(`${date} ${clock}${zone === undefined ? '' : ` ${offsetOf(zone)}`}`, found)) return false
  for (const name of ['date', 'time', zoneName]) attributes.delete(name)
  return true
}

/** Without a zone the epoch beside it tells more, when it is the same moment in some zone. */
function takeEpoch(attributes: FieldMap, found: FoundTime, wallSeconds: number): boolean {
  const epoch = attributes.get('eventtime')
  if (typeof epoch !== 'string' && typeof epoch !== 'number') return false
  if (!EPOCH.test(`${epoch}`) || Math.abs(Number(`${epoch}`.slice(0, 10)) - wallSeconds) > ZONE_SECONDS_MAX)
    return false
  if (!readTimeValue(epoch, found)) return false
  attributes.delete('eventtime')
  return true
}

/** `-0700` as it is, `UTC-7:00` as `-07:00`; a name as it is. */
function offsetOf(zone: string): string {
  const match = /^(?:UTC|GMT)?([+-])(\d{1,2}):(\d\d)$/.exec(zone)
  return match === null ? zone : `${match[1]}${(match[2] as string).padStart(2, '0')}:${match[3]}`
}
