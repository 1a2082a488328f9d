/**
 * Messages of Cisco's operating systems, with syslog's <PRI> in front or without it ("System Message Format" in the
 * guides of IOS, IOS XR and NX-OS; "Syslog Messages" of ASA and Firepower):
 *
 *     29: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: Configured from console                  IOS
 *     47: router1: 000046: Mar  1 18:46:11.123: %LINK-3-UPDOWN: Interface …                   IOS, with origin id
 *     RP/0/RP0/CPU0:Jun 20 12:22:33.123 UTC: ifmgr[403]: %PKT_INFRA-LINK-3-UPDOWN : …         IOS XR
 *     2024 May 17 12:00:00 switch1 %ETHPORT-5-IF_UP: …                                        NX-OS
 *     Oct 10 2018 12:34:56 host : %ASA-4-106023: Deny tcp …                                   ASA
 *
 * A colon follows, save for some of ASA's. `%FACILITY-SEVERITY-MNEMONIC` is part of the message; the digit is the level, as syslog counts. The numbers in front
 * are the message's own (`log.record.id`), never a program's name. What stands between the time and the mark and is
 * not understood stays in the message, and so does a time since the start, which is no instant.
 */

import type { EventDraft } from './event-draft.ts'
import { matchAt } from './match-at.ts'
import { SYSLOG_KEYWORDS } from './severity-number.ts'
import { placeHost, placeTag } from './syslog-tag.ts'
import { FoundTime } from './time/found-time.ts'
import { countDigits, NO_TIME, scanAnyDate, scanMonthName } from './time/scan-time.ts'
import { wholeNumber } from './whole-number.ts'

const SPACE = 0x20
const COLON = 0x3a
/** How far into the line the mark is looked for. */
const HEAD_CHARS_MAX = 256

const MARK = /%[A-Z][A-Z0-9_]*(?:-[A-Za-z0-9_]+){0,3}-([0-7])-(?:[A-Z0-9_]{1,64} ?:|\d{6} )/y
/** ASA may write its host with a colon, as IOS writes its origin. */
const HOST_AND_COLON = /([^\s:%]{1,255}): (?=%)/y
const NUMBER_OR_ORIGIN = /(?:(\d{1,10}): )?(?:([A-Za-z][\w.-]{0,254}): )?(?:(\d{1,10}): )?/y
/** A line card of IOS XR, which runs into the time. */
const CARD = /[A-Z]{2,3}\d{0,2}\/\w{1,8}\/\w{1,8}\/CPU\d{1,2}:/y
/** What may stand before the mark and stays: a relayed message's own head, a time in no known zone, a time since the start. */
const STAYS =
  /^(?:(?:\d{1,10}: )?[*.]?(?:\d{4} )?[A-Z][a-z]{2} {1,2}\d{1,2} [\d:. ]{8,20}(?:[A-Z]{2,5})?: |(?:\d{1,4}[ywdhms]){1,4}: |\d{1,4}:\d\d:\d\d: )?$/

/** The index of `%FACILITY-SEVERITY-MNEMONIC:` in the head of a line, from `start` on; -1 for none. */
function markAt(text: string, start: number): number {
  for (
    let at = text.indexOf('%', start);
    at >= 0 && at - start < HEAD_CHARS_MAX;
    at = text.indexOf('%', at + 1)
  ) {
    MARK.lastIndex = at
    if (MARK.test(text)) return at
  }
  return -1
}

/** Reads a line that is such a message; false leaves the draft as it was. */
export function readCisco(draft: EventDraft): boolean {
  const time = new FoundTime()
  const messageAt = readCiscoHead(draft, time, 0)
  if (messageAt < 0) return false
  draft.keepTime(time)
  draft.body = draft.rest.slice(messageAt)
  return true
}

/**
 * Reads what stands before the message, from `start` on, behind syslog's <PRI>. `time` is filled, or cleared when there
 * is none. The index where the message starts; -1, with nothing set, when it is no such message.
 */
export function readCiscoHead(draft: EventDraft, time: FoundTime, start: number): number {
  const line = draft.rest
  const mark = markAt(line, start)
  if (mark < 0) return -1
  let at = start
  if (line.charCodeAt(at) === COLON) at += line.charCodeAt(at + 1) === SPACE ? 2 : 1
  const [lead = '', first, origin, second] = matchAt(NUMBER_OR_ORIGIN, line, at)
  const cardAt = at + lead.length
  const [card = ''] = matchAt(CARD, line, cardAt)
  const clockAt = cardAt + card.length
  const timeEnd = scanDeviceTime(line, clockAt, time)
  if (timeEnd === NO_TIME) {
    time.clear()
    // A word and a colon in front of the mark are a device's name only behind its number.
    if (origin !== undefined && first === undefined) return -1
    if (!STAYS.test(line.slice(clockAt, mark))) return -1
    at = cardAt
  } else {
    at = skipColon(line, timeEnd)
    if (clockAt > cardAt) at = cardAt
    else if (at < mark) at = readHost(draft, at, mark)
    if (at < 0) return -1
  }
  const number = [first, second].filter((text) => text !== undefined).join(' ')
  if (number !== '') draft.attributes.setIfAbsent('log.record.id', number)
  if (origin !== undefined) draft.resource.setIfAbsent('host.name', origin)
  placeLevel(draft, levelAt(line, mark))
  return at
}

/** The host, and a program in front of the mark (`CiscoASA[999]: `); -1 when something else stands there. */
function readHost(draft: EventDraft, at: number, mark: number): number {
  const line = draft.rest
  const [whole, host] = matchAt(HOST_AND_COLON, line, at)
  if (host !== undefined && at + (whole as string).length === mark) {
    draft.resource.setIfAbsent('host.name', host)
    return mark
  }
  const between = /^(?:[\w.:/-]{1,255} )?(?:: )?(.*)$/.exec(line.slice(at, mark))?.[1] ?? ''
  if (!/^\w{1,32}\[\d{1,10}\]: $/.test(between) && !STAYS.test(between)) return -1
  const behindHost = mark - between.length === at ? at : placeHost(draft, at)
  const next = skipColon(line, behindHost)
  return /^[A-Za-z]\w*\[/.test(between) ? placeTag(draft, next) : next
}

/** A date with or without its year, marked when the clock is not set; NX-OS writes the year first. */
function scanDeviceTime(line: string, from: number, time: FoundTime): number {
  const first = line.charCodeAt(from)
  const at = first === 0x2a || first === 0x2e ? from + 1 : from
  if (countDigits(line, at, 5) !== 4 || line.charCodeAt(at + 4) !== SPACE) return scanAnyDate(line, at, time)
  const end = scanMonthName(line, at + 5, time)
  time.year = wholeNumber(line, at, at + 4)
  return end !== NO_TIME && time.isValidCivil() ? end : NO_TIME
}

/** Behind `: `, ` : ` and spaces. */
function skipColon(line: string, from: number): number {
  let at = from
  if (line.charCodeAt(at) === SPACE && line.charCodeAt(at + 1) === COLON) at += 1
  if (line.charCodeAt(at) === COLON) at += 1
  while (line.charCodeAt(at) === SPACE) at += 1
  return at
}

function levelAt(line: string, mark: number): string {
  return matchAt(MARK, line, mark)[1] as string
}

/** A relay's <PRI> may be its own; where the two agree, its keyword stands. */
function placeLevel(draft: EventDraft, digit: string): void {
  if (draft.severityText === SYSLOG_KEYWORDS[Number(digit)]) return
  draft.severityText = digit
  draft.severityScheme = 'syslog'
}
