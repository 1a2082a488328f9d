/**
 * The syslog stage: RFC 5424 and RFC 3164, each with and without its <PRI> (files keep none).
 *
 *     <165>1 2003-10-11T22:14:15.003Z host app 1234 ID47 [id key="value"] message          RFC 5424
 *     <34>Oct 11 22:14:15 host sshd[1234]: message                                          RFC 3164
 *     2023-01-02T12:00:00.123456+00:00 host sshd[1234]: message                             rsyslog, high precision
 *
 * HOSTNAME is resource host.name, APP-NAME or TAG resource service.name, PROCID attribute process.pid (syslog.procid
 * when it is no number), MSGID syslog.msgid, STRUCTURED-DATA the map syslog.structured_data, the facility
 * syslog.facility.code, as the OpenTelemetry data model's appendix has it. A message that is JSON or an access log is
 * read on by the stage for it.
 */

import { z } from 'zod'
import { readCiscoHead } from '../cisco-message.ts'
import type { EventDraft } from '../event-draft.ts'
import { detectMessageFormat, isRfc5424At, priEnd } from '../line-format.ts'
import { SYSLOG_KEYWORDS } from '../severity-number.ts'
import { defineStage } from '../stage.ts'
import { readStructuredData } from '../structured-data.ts'
import { placeHost, placeTag } from '../syslog-tag.ts'
import { TextHead } from '../text-head.ts'
import { FoundTime, YEAR_UNKNOWN } from '../time/found-time.ts'
import { NO_TIME, scanAnyDate, scanMonthName } from '../time/scan-time.ts'
import { wholeNumber } from '../whole-number.ts'

const SPACE = 0x20
const COLON = 0x3a
const OPEN = 0x5b

export const syslogStage = defineStage({
  name: 'syslog',
  summary:
    'Reads RFC 5424 and RFC 3164 syslog, with and without <PRI>, into host, service, process and message.',
  options: z.strictObject({}),
  create: () => {
    const time = new FoundTime()
    const head = new TextHead()
    return (draft) => {
      if (draft.format !== 'syslog') return
      const line = draft.rest
      const start = priEnd(line)
      if (start > 0) placePri(draft, wholeNumber(line, 1, start - 1))
      time.clear()
      const messageAt = isRfc5424At(line, start)
        ? readRfc5424(draft, time, start)
        : readRfc3164(draft, time, start)
      // Inside a container's wrapping the runtime's time stands.
      draft.keepTime(time)
      const message = messageAt === 0 ? line : line.slice(messageAt)
      draft.body = message
      draft.rest = message
      draft.format = detectMessageFormat(message)
      // Without a <PRI>, `[WARN] …` or `ERROR: …` in front of the message is the level the line has.
      if (
        draft.severityText === null &&
        head.readLeadingLevel(draft).isSetOff &&
        isShouted(head.level, message)
      ) {
        head.placeLevel(draft)
      }
    }
  },
})

function isShouted(level: string, message: string): boolean {
  return message.charCodeAt(0) === OPEN || message.startsWith('PHP ') || level === level.toUpperCase()
}

function placePri(draft: EventDraft, pri: number): void {
  draft.foundLevel(SYSLOG_KEYWORDS[pri & 7] as string, 'syslog')
  draft.attributes.set('syslog.facility.code', pri >> 3)
}

/** Reads the header from VERSION on; the index where MSG starts. */
function readRfc5424(draft: EventDraft, time: FoundTime, start: number): number {
  const line = draft.rest
  const { attributes, resource } = draft
  let at = start + 2
  let end = fieldEnd(line, at)
  if (line.charCodeAt(at) !== 0x2d && scanAnyDate(line, at, time) !== end) time.clear()
  at = end + 1
  end = fieldEnd(line, at)
  if (isPresent(line, at, end)) resource.setIfAbsent('host.name', line.slice(at, end))
  at = end + 1
  end = fieldEnd(line, at)
  if (isPresent(line, at, end)) resource.setIfAbsent('service.name', line.slice(at, end))
  at = end + 1
  end = fieldEnd(line, at)
  if (isPresent(line, at, end)) {
    const pid = wholeNumber(line, at, end)
    if (pid >= 0) attributes.set('process.pid', pid)
    else attributes.set('syslog.procid', line.slice(at, end))
  }
  at = end + 1
  end = fieldEnd(line, at)
  if (isPresent(line, at, end)) attributes.set('syslog.msgid', line.slice(at, end))
  at = Math.min(end + 1, line.length)
  if (line.charCodeAt(at) === OPEN) at = readStructuredData(line, at, attributes)
  else if (line.charCodeAt(at) === 0x2d && (at + 1 >= line.length || line.charCodeAt(at + 1) === SPACE))
    at += 1
  if (line.charCodeAt(at) === SPACE) at += 1
  // A message in UTF-8 may announce itself with a byte order mark.
  return line.charCodeAt(at) === 0xfeff ? at + 1 : at
}

/**
 * Reads `time host tag[pid]: ` as far as it is there; the index where the message starts. RFC 3164 describes what was
 * seen, not a grammar: whatever cannot be told stays part of the message.
 */
function readRfc3164(draft: EventDraft, time: FoundTime, start: number): number {
  const line = draft.rest
  const ciscoAt = readCiscoHead(draft, time, start)
  if (ciscoAt >= 0) return ciscoAt
  let at = start
  const isNamedMonth = scanMonthName(line, at, time) !== NO_TIME
  const timeEnd = scanAnyDate(line, at, time)
  if (timeEnd === NO_TIME) {
    time.clear()
    return placeTag(draft, start)
  }
  at = timeEnd
  // `Jun 14 15:16:01 2005 host`: some daemons append the year.
  if (isNamedMonth && time.year === YEAR_UNKNOWN && isYearAt(line, at + 1)) {
    time.year = wholeNumber(line, at + 1, at + 5)
    at += 5
    if (!time.isValidCivil()) time.clear()
  }
  if (line.charCodeAt(at) === COLON) at += 1
  while (line.charCodeAt(at) === SPACE) at += 1
  return placeTag(draft, placeHost(draft, at))
}

function isYearAt(line: string, at: number): boolean {
  const year = wholeNumber(line, at, at + 4)
  return year >= 1990 && year <= 2100 && line.charCodeAt(at + 4) === SPACE
}

function fieldEnd(line: string, at: number): number {
  const end = line.indexOf(' ', at)
  return end < 0 ? line.length : end
}

function isPresent(line: string, at: number, end: number): boolean {
  return end > at && !(end - at === 1 && line.charCodeAt(at) === 0x2d)
}
