/**
 * What a line looks like, told from its first characters. Detection is a pure function of the line: it remembers
 * nothing from line to line, so a replay of the vault gives the same events in any order. It only picks which stage
 * tries first; a stage whose parse fails hands the line on as text.
 */

import type { LineFormat } from './event-draft.ts'
import { auditHeadOf, isEventFormat, isPaloAlto } from './line-shapes.ts'
import { FoundTime } from './time/found-time.ts'
import { monthAt, NO_TIME, scanEpoch, scanMonthName, scanYearFirst } from './time/scan-time.ts'

const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const LESS_THAN = 0x3c
const SPACE = 0x20
const TAB = 0x09
const SLASH = 0x2f
const QUOTE = 0x22
const COMMA = 0x2c

const isDigit = (char: number) => char >= 0x30 && char <= 0x39

const scratch = new FoundTime()

/** The format of a whole line, or of a line inside a CRI or Docker wrapping. */
export function detectFormat(text: string, contentType: string | null): LineFormat {
  const first = text.charCodeAt(0)
  if (first === OPEN_BRACE) return isDocker(text) ? 'docker' : 'json'
  if (first === OPEN_BRACKET) return detectBracket(text, contentType)
  if (first === LESS_THAN) return priEnd(text) > 0 ? 'syslog' : 'text'
  if (first === SPACE || first === TAB) return text.trimStart().startsWith('{') ? 'json' : 'text'
  if (isDigit(first)) {
    if (isRfc5424At(text, 0)) return 'syslog'
    const timeEnd = scanYearFirst(text, 0, scratch)
    if (timeEnd === NO_TIME) return clfBracketAt(text) > 0 ? 'access-log' : 'text'
    if (isCriAt(text, timeEnd)) return 'cri'
    return text.charCodeAt(10) === 0x54 && isHostAndTagAt(text, timeEnd) ? 'syslog' : 'text'
  }
  if (monthAt(text, 0) > 0 && isRfc3164At(text, 0)) return 'syslog'
  if (clfBracketAt(text) > 0) return 'access-log'
  return startsWithPair(text) && auditHeadOf(text) === null ? 'logfmt' : 'text'
}

/** How Docker's lines may start: its own order, and what forwarders make of it. */
export const DOCKER_STARTS: readonly string[] = ['{"log":"', '{"log": "', '{"stream":"std', '{"stream": "std']

/** {"log":…,"stream":"stdout",…}; whether it has a time as well is for the container stage to see. */
function isDocker(text: string): boolean {
  const third = text.charCodeAt(2)
  if ((third !== 0x6c && third !== 0x73) || !DOCKER_STARTS.some((start) => text.startsWith(start)))
    return false
  return /"stream": ?"std(?:out|err)"/.test(text) && /"log": ?"/.test(text)
}

/** The format of a syslog message: only what cannot be mistaken, since most messages are plain text. */
export function detectMessageFormat(text: string): LineFormat {
  if (text.charCodeAt(0) === OPEN_BRACE) return 'json'
  if (auditHeadOf(text) !== null || isEventFormat(text) || isPaloAlto(text)) return 'text'
  return clfBracketAt(text) > 0 ? 'access-log' : 'message'
}

function detectBracket(text: string, contentType: string | null): LineFormat {
  const second = text.charCodeAt(1)
  if (second === OPEN_BRACE || second === QUOTE) return 'json'
  // A list in a list, unless it is Fluent Bit's time.
  if (second === OPEN_BRACKET) return scanEpoch(text, 2, scratch) === NO_TIME ? 'json' : 'text'
  return contentType?.startsWith('application/json') ? 'json' : 'text'
}

/** Index after `<PRI>` when the line starts with one from 0 to 191, otherwise 0. */
export function priEnd(text: string): number {
  if (text.charCodeAt(0) !== LESS_THAN) return 0
  let value = 0
  for (let at = 1; at <= 4; at += 1) {
    const char = text.charCodeAt(at)
    if (char === 0x3e) return at > 1 && value <= 191 ? at + 1 : 0
    if (!isDigit(char)) return 0
    value = value * 10 + char - 0x30
  }
  return 0
}

/** `1 ` and a timestamp (or the nil value) stand at `at`: RFC 5424's version and what must follow it. */
export function isRfc5424At(text: string, at: number): boolean {
  if (text.charCodeAt(at) !== 0x31 || text.charCodeAt(at + 1) !== SPACE) return false
  if (text.charCodeAt(at + 2) === 0x2d && text.charCodeAt(at + 3) === SPACE) return true
  return text.charCodeAt(at + 12) === 0x54 && scanYearFirst(text, at + 2, scratch) !== NO_TIME
}

/** `Mmm dd hh:mm:ss ` (or Cisco's `Mmm dd yyyy hh:mm:ss `) stands at `at`; with commas it is java.util.logging's. */
function isRfc3164At(text: string, at: number): boolean {
  const end = scanMonthName(text, at, scratch)
  if (end === NO_TIME || text.charCodeAt(end) !== SPACE) return false
  return text.charCodeAt(at + 5) !== COMMA && text.charCodeAt(at + 6) !== COMMA
}

/** ` stdout F ` after the time: what containerd and CRI-O write. */
function isCriAt(text: string, at: number): boolean {
  if (text.charCodeAt(at) !== SPACE) return false
  if (!text.startsWith('stdout ', at + 1) && !text.startsWith('stderr ', at + 1)) return false
  const tag = text.charCodeAt(at + 8)
  return (tag === 0x46 || tag === 0x50) && (text.charCodeAt(at + 9) === SPACE || text.length === at + 9)
}

/** ` host tag[123]: ` or ` host kernel: ` after an ISO time: syslog daemons' high-precision format. */
function isHostAndTagAt(text: string, at: number): boolean {
  if (text.charCodeAt(at) !== SPACE) return false
  const hostEnd = text.indexOf(' ', at + 1)
  if (hostEnd < 0 || hostEnd - at > 256) return false
  const tagEnd = text.indexOf(' ', hostEnd + 1)
  const end = tagEnd < 0 ? text.length : tagEnd
  if (text.charCodeAt(end - 1) !== 0x3a) return false
  if (text.charCodeAt(end - 2) !== 0x5d) return text.startsWith('kernel:', hostEnd + 1)
  const open = text.lastIndexOf('[', end)
  return open > hostEnd + 1 && isDigit(text.charCodeAt(open + 1))
}

const CLF_BRACKET_WITHIN = 512

/**
 * Index of the `[` that opens `[17/May/2015:10:05:03 +0000] "`, 0 when the line has none. That date and the quote
 * after it are what every common, combined and virtual-host access log has.
 */
export function clfBracketAt(text: string): number {
  let at = text.indexOf(' [')
  while (at > 0 && at < CLF_BRACKET_WITHIN) {
    if (
      text.charCodeAt(at + 4) === SLASH &&
      text.charCodeAt(at + 8) === SLASH &&
      (text.charCodeAt(at + 13) === 0x3a || text.charCodeAt(at + 13) === SPACE) &&
      isDigit(text.charCodeAt(at + 2))
    ) {
      const close = text.indexOf(']', at + 14)
      if (
        close > 0 &&
        close - at < 40 &&
        text.charCodeAt(close + 1) === SPACE &&
        text.charCodeAt(close + 2) === QUOTE
      ) {
        return at + 1
      }
    }
    at = text.indexOf(' [', at + 1)
  }
  return 0
}

/** A key of letters, digits and `_-.@/` and then `=`. */
function startsWithPair(text: string): boolean {
  for (let at = 0; at < text.length && at < 64; at += 1) {
    const char = text.charCodeAt(at)
    if (char === 0x3d) return at > 0
    const isKeyChar =
      (char >= 0x61 && char <= 0x7a) ||
      (char >= 0x40 && char <= 0x5a) ||
      (char >= 0x2d && char <= 0x39) ||
      char === 0x5f
    if (!isKeyChar) return false
  }
  return false
}
