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
import type { EventDraft } from '../event-draft.ts'
import { detectMessageFormat, isRfc5424At, priEnd } from '../line-format.ts'
import { SYSLOG_KEYWORDS, severityOfWord } from '../severity-number.ts'
import { defineStage } from '../stage.ts'
import { readStructuredData } from '../structured-data.ts'
import { YEAR_UNKNOWN } from '../time/found-time.ts'
import { NO_TIME, scanAnyDate, scanMonthName } from '../time/scan-time.ts'
import { wholeNumber } from './access-log.ts'

const SPACE = 0x20
const COLON = 0x3a
const OPEN = 0x5b
const TAG_CHARS_MAX = 64
const HOST_CHARS_MAX = 255

export const syslogStage = defineStage({
  name: 'syslog',
  summary:
    'Reads RFC 5424 and RFC 3164 syslog, with and without <PRI>, into host, service, process and message.',
  options: z.strictObject({}),
  create: () => (draft) => {
    if (draft.format !== 'syslog') return
    const line = draft.rest
    const start = priEnd(line)
    if (start > 0) placePri(draft, wholeNumber(line, 1, start - 1))
    const messageAt = isRfc5424At(line, start) ? readRfc5424(draft, start) : readRfc3164(draft, start)
    const message = messageAt === 0 ? line : line.slice(messageAt)
    draft.body = message
    draft.rest = message
    draft.format = detectMessageFormat(message)
  },
})

function placePri(draft: EventDraft, pri: number): void {
  draft.foundLevel(SYSLOG_KEYWORDS[pri & 7] as string, 'syslog')
  draft.attributes.add('syslog.facility.code', pri >> 3)
}

/** Reads the header from VERSION on; the index where MSG starts. */
function readRfc5424(draft: EventDraft, start: number): number {
  const line = draft.rest
  const { attributes, resource } = draft
  let at = start + 2
  let end = fieldEnd(line, at)
  if (line.charCodeAt(at) !== 0x2d && !draft.hasTime() && scanAnyDate(line, at, draft.foundTime) !== end) {
    draft.foundTime.clear()
  }
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
    if (pid >= 0) attributes.add('process.pid', pid)
    else attributes.add('syslog.procid', line.slice(at, end))
  }
  at = end + 1
  end = fieldEnd(line, at)
  if (isPresent(line, at, end)) attributes.add('syslog.msgid', line.slice(at, end))
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
function readRfc3164(draft: EventDraft, start: number): number {
  const line = draft.rest
  let at = start
  // Cisco numbers its messages (`<189>47: `) and marks an unsynchronised clock (`*Mar  1 …`).
  if (line.charCodeAt(at) === 0x2a || line.charCodeAt(at) === 0x2e) at += 1
  const isNamedMonth = scanMonthName(line, at, draft.foundTime) !== NO_TIME
  const timeEnd = scanAnyDate(line, at, draft.foundTime)
  if (timeEnd === NO_TIME) {
    draft.foundTime.clear()
    return placeTag(draft, start)
  }
  at = timeEnd
  // `Jun 14 15:16:01 2005 host`: some daemons append the year.
  if (isNamedMonth && draft.foundTime.year === YEAR_UNKNOWN && isYearAt(line, at + 1)) {
    draft.foundTime.year = wholeNumber(line, at + 1, at + 5)
    at += 5
    if (!draft.foundTime.isValidCivil()) draft.foundTime.clear()
  }
  if (line.charCodeAt(at) === COLON) at += 1
  while (line.charCodeAt(at) === SPACE) at += 1
  return placeTag(draft, readHost(draft, at))
}

function isYearAt(line: string, at: number): boolean {
  const year = wholeNumber(line, at, at + 4)
  return year >= 1990 && year <= 2100 && line.charCodeAt(at + 4) === SPACE
}

/** The host is a word that is no tag and no level; the index after it and its space, or where it is not. */
function readHost(draft: EventDraft, at: number): number {
  const line = draft.rest
  const end = fieldEnd(line, at)
  if (end === at || end === line.length || end - at > HOST_CHARS_MAX) return at
  for (let index = at; index < end; index += 1) {
    const char = line.charCodeAt(index)
    const isHostChar =
      (char >= 0x30 && char <= 0x3a) ||
      (char >= 0x40 && char <= 0x5a) ||
      (char >= 0x61 && char <= 0x7a) ||
      char === 0x2d ||
      char === 0x2e ||
      char === 0x2f ||
      char === 0x5f
    if (!isHostChar) return at
  }
  const last = line.charCodeAt(end - 1)
  const host = line.slice(at, end)
  if (last === COLON || host.startsWith('--') || severityOfWord(host) > 0) return at
  draft.resource.setIfAbsent('host.name', host)
  let next = end + 1
  while (line.charCodeAt(next) === SPACE) next += 1
  return next
}

/**
 * `tag[pid]: `, `tag: `, `tag 1.4.1: ` (a version), `Two Words[pid]: ` (macOS). Service, process and version are set;
 * the index of the message is answered, `at` itself when no tag can be told.
 */
function placeTag(draft: EventDraft, at: number): number {
  const line = draft.rest
  const limit = Math.min(line.length, at + TAG_CHARS_MAX)
  if (!isTagStart(line.charCodeAt(at))) return at
  let end = at
  let spaceAt = -1
  for (; end < limit; end += 1) {
    const char = line.charCodeAt(end)
    if (char === COLON || char === OPEN) break
    if (char === SPACE) {
      if (spaceAt >= 0 && end - spaceAt === 1) return at
      if (spaceAt < 0) spaceAt = end
    } else if (char < SPACE || char === 0x3d || char === 0x22 || char === 0x2c) {
      return at
    }
  }
  if (end >= limit) return at
  const isBracket = line.charCodeAt(end) === OPEN
  if (!isBracket) {
    if (line.charCodeAt(end + 1) !== SPACE && end + 1 < line.length) return at
    return placeColonTag(draft, { at, end, spaceAt })
  }
  const close = line.indexOf(']', end)
  const pid = close < 0 ? -1 : wholeNumber(line, end + 1, close)
  if (pid < 0) return at
  const isColon = line.charCodeAt(close + 1) === COLON
  // Several words are a program's name only with the full `[pid]:` behind them.
  if (spaceAt >= 0 && !isColon) return at
  draft.resource.setIfAbsent('service.name', line.slice(at, end))
  draft.attributes.setIfAbsent('process.pid', pid)
  return skipSpace(line, isColon ? close + 2 : close + 1)
}

/** `tag: ` or `tag 1.4.1: `; any other second word means that the colon belongs to the message. */
function placeColonTag(draft: EventDraft, tag: { at: number; end: number; spaceAt: number }): number {
  const line = draft.rest
  const { at, end, spaceAt } = tag
  const nameEnd = spaceAt < 0 ? end : spaceAt
  const name = line.slice(at, nameEnd)
  if (spaceAt < 0 && severityOfWord(name) > 0) return at
  if (spaceAt >= 0) {
    const version = line.slice(spaceAt + 1, end)
    if (!/^v?\d+(\.\w+)+$/.test(version)) return at
    draft.resource.setIfAbsent('service.version', version)
  }
  draft.resource.setIfAbsent('service.name', name)
  return skipSpace(line, end + 1)
}

function isTagStart(char: number): boolean {
  return (
    (char >= 0x61 && char <= 0x7a) ||
    (char >= 0x41 && char <= 0x5a) ||
    (char >= 0x2e && char <= 0x39) ||
    char === 0x5f ||
    char === 0x28 ||
    char === 0x25
  )
}

function skipSpace(line: string, at: number): number {
  return line.charCodeAt(at) === SPACE ? at + 1 : Math.min(at, line.length)
}

function fieldEnd(line: string, at: number): number {
  const end = line.indexOf(' ', at)
  return end < 0 ? line.length : end
}

function isPresent(line: string, at: number, end: number): boolean {
  return end > at && !(end - at === 1 && line.charCodeAt(at) === 0x2d)
}
