/**
 * The timestamp stage: turns the time that a parser found, or the time field of a structured line, into the event's
 * timestamp. A time without an offset is wall-clock time in `timeZone`; a time without a year gets the year that puts
 * it closest to the record's own timestamp but not more than one day after it. A line without a time has a null
 * timestamp: the time of arrival is observedTimestamp, and is never passed off as the time of the event.
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import { isWeakName, ROLE } from '../field-roles.ts'
import type { JsonValue } from '../json-value.ts'
import { defineStage } from '../stage.ts'
import { readTimeValue } from '../time/read-time-value.ts'
import { Rfc3339 } from '../time/rfc3339.ts'
import { takeSplitTime } from '../time/split-time.ts'
import { timeZoneOf } from '../time/time-zone.ts'

export const timestampStage = defineStage({
  name: 'timestamp',
  summary: 'Resolves the time found in the line to an instant in UTC.',
  options: z.strictObject({
    timeZone: z
      .string()
      .optional()
      .describe(
        'IANA zone of times that carry no offset. Default: the zone the topology is started with (UTC).',
      ),
  }),
  create: (options, context) => {
    const zone = timeZoneOf(options.timeZone ?? context.timeZone)
    const commonest = new Rfc3339()
    return (draft) => {
      const { foundFields, foundTime } = draft
      if (foundTime.kind === 'none') {
        const value = foundFields.valueOf(ROLE.time)
        if (value === undefined && !readPairs(draft)) return
        if (typeof value === 'string' && commonest.read(value)) {
          draft.timestampSeconds = commonest.seconds
          draft.timestampFraction = commonest.fractionOf(value)
          foundFields.take(ROLE.time)
          return
        }
        if (value !== undefined && !takeField(draft, value)) {
          foundTime.clear()
          return
        }
      }
      const seconds = foundTime.resolve(zone, draft.recordTimestampMs)
      if (Number.isNaN(seconds)) return
      draft.timestampSeconds = seconds
      draft.timestampFraction = foundTime.fraction
    }
  },
})

/** True when the field is a time, by itself or together with others. */
function takeField({ attributes, foundFields, foundTime }: EventDraft, value: JsonValue): boolean {
  if (readTimeValue(value, foundTime, isWeakName(foundFields.keyOf(ROLE.time)))) {
    foundFields.take(ROLE.time)
    return true
  }
  return takeSplitTime(attributes, foundTime)
}

/** The time among the pairs of a message that starts with one: behind a <PRI>, firewalls write nothing else. */
function readPairs({ attributes, body, foundTime }: EventDraft): boolean {
  if (attributes.isUntouched || typeof body !== 'string' || !/^\s*[A-Za-z_]\w{0,63}=/.test(body)) return false
  if (takeSplitTime(attributes, foundTime)) return true
  const time = attributes.get('time')
  if (typeof time === 'string' && readTimeValue(time, foundTime, true)) return true
  foundTime.clear()
  return false
}
