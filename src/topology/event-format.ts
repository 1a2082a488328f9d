/**
 * ArcSight's Common Event Format and IBM's Log Event Extended Format, which firewalls and the like send, alone or as a
 * syslog message. The fields of their last part become attributes under their own names, whole: their values have
 * spaces in them. The body stays the line.
 *
 *     CEF:0|Vendor|Product|1.0|100|worm stopped|10|src=192.0.2.1 msg=a text rt=May 10 2019 11:37:47 GMT
 *     LEEF:2.0|Vendor|Product|1.0|100|^|src=192.0.2.1^usrName=Joe Black^devTime=May 10 2019 11:37:47 GMT
 *
 * Their severities rate a threat from 0 to 10 and are no level. The time is that of receipt by the device.
 */

import type { EventDraft } from './event-draft.ts'
import { isEventFormat } from './line-shapes.ts'
import { FoundTime } from './time/found-time.ts'
import { readTimeValue } from './time/read-time-value.ts'

const CEF_PARTS = 7
const LEEF_PARTS = 5
const FIELDS_MAX = 128
/** A key of CEF stands behind a space; `\=` is no equals sign. */
const CEF_KEY = /(?:^| )([A-Za-z_][\w.[\]-]{0,127})(?<!\\)=/g
const LEEF_FIELD = /^\s*([A-Za-z_][\w.-]{0,127})=(.*)$/s
/** LEEF 2 may name its separator: a character, or its code as x09 or 0x09. */
const LEEF_SEPARATOR = /^(?:0?x([0-9a-fA-F]{2,4})|([^|=\w\s]))?\|/

/** Reads the draft's rest when it is in one of the formats; false leaves the draft as it was. */
export function readEventFormat(draft: EventDraft): boolean {
  const text = draft.rest
  if (!isEventFormat(text)) return false
  const isCef = text.startsWith('CEF:')
  const at = behindParts(text, isCef ? CEF_PARTS : LEEF_PARTS)
  if (at < 0) return false
  const fields = isCef ? cefFields(text, at) : leefFields(text, at)
  const time = new FoundTime()
  for (const [key, value] of fields) {
    if (key === (isCef ? 'rt' : 'devTime') && time.kind === 'none' && !readTimeValue(value, time))
      time.clear()
    draft.attributes.setIfAbsent(key, value)
  }
  draft.keepTime(time)
  draft.body = text
  draft.format = 'done'
  return true
}

/** The index behind so many parts, each closed by a bar that has no backslash before it; -1 when there are fewer. */
function behindParts(text: string, count: number): number {
  let at = 0
  for (let part = 0; part < count; part += 1) {
    do at = text.indexOf('|', at) + 1
    while (at > 1 && text.charAt(at - 2) === '\\')
    if (at === 0) return -1
  }
  return at
}

function cefFields(text: string, from: number): [key: string, value: string][] {
  const extension = text.slice(from)
  const fields: [string, string][] = []
  let key = ''
  let valueAt = 0
  for (const match of extension.matchAll(CEF_KEY)) {
    if (key !== '') fields.push([key, unescaped(extension.slice(valueAt, match.index))])
    if (fields.length === FIELDS_MAX) return fields
    key = match[1] as string
    valueAt = match.index + match[0].length
  }
  if (key !== '') fields.push([key, unescaped(extension.slice(valueAt))])
  return fields
}

function unescaped(value: string): string {
  return value
    .trim()
    .replace(/\\([=|\\nr])/g, (_whole, sign: string) => (sign === 'n' ? '\n' : sign === 'r' ? '\r' : sign))
}

function leefFields(text: string, from: number): [key: string, value: string][] {
  const named = LEEF_SEPARATOR.exec(text.slice(from, from + 8))
  const separator =
    named?.[1] === undefined ? (named?.[2] ?? '\t') : String.fromCharCode(Number.parseInt(named[1], 16))
  const parts = text.slice(from + (named?.[0].length ?? 0)).split(separator, FIELDS_MAX)
  return parts.flatMap((part): [string, string][] => {
    const match = LEEF_FIELD.exec(part)
    return match === null ? [] : [[match[1] as string, (match[2] as string).trim()]]
  })
}
