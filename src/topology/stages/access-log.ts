/**
 * The access-log stage: the common and combined formats of Apache, nginx and the rest, and the same with a virtual
 * host in front. The body stays the whole line. A line may be cut short anywhere, or carry a request that is no HTTP:
 * what is there is read, what is not stays absent, `-` means absent.
 *
 *     host ident user [17/May/2015:10:05:03 +0000] "GET /path?query HTTP/1.1" 200 1234 "referer" "user agent" …
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import type { FieldMap } from '../field-map.ts'
import { placeRequest } from '../http-request.ts'
import { clfBracketAt } from '../line-format.ts'
import { defineStage } from '../stage.ts'
import { NO_TIME, scanClf } from '../time/scan-time.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const DASH = 0x2d

export const accessLogStage = defineStage({
  name: 'access-log',
  summary: 'Reads common and combined access logs into HTTP attributes; the body stays the line.',
  options: z.strictObject({}),
  create: () => (draft) => {
    if (draft.format !== 'access-log') return
    draft.format = readAccessLog(draft) ? 'done' : 'text'
  },
})

function readAccessLog(draft: EventDraft): boolean {
  const line = draft.rest
  const { attributes, foundTime } = draft
  const bracketAt = clfBracketAt(line)
  if (bracketAt === 0) return false
  if (!draft.hasTime() && scanClf(line, bracketAt + 1, foundTime) === NO_TIME) {
    foundTime.clear()
    return false
  }
  if (!readClient(line, bracketAt - 1, draft)) {
    foundTime.clear()
    return false
  }
  draft.body = line

  const requestAt = line.indexOf(']', bracketAt) + 3
  const requestEnd = quotedEnd(line, requestAt)
  placeRequest(attributes, line, requestAt, requestEnd)
  let at = requestEnd + 2
  if (at >= line.length) return true

  const statusEnd = tokenEnd(line, at)
  const status = wholeNumber(line, at, statusEnd)
  if (statusEnd - at === 3 && status >= 100) attributes.add('http.response.status_code', status)
  at = statusEnd + 1
  const bytesEnd = tokenEnd(line, at)
  const bytes = wholeNumber(line, at, bytesEnd)
  if (bytes >= 0) attributes.add('http.response.body.size', bytes)
  at = bytesEnd + 1

  if (line.charCodeAt(at) !== QUOTE) return true
  const refererEnd = quotedEnd(line, at + 1)
  if (!isAbsent(line, at + 1, refererEnd)) {
    attributes.add('http.request.header.referer', [unescaped(line, at + 1, refererEnd)])
  }
  at = refererEnd + 2
  if (line.charCodeAt(at) !== QUOTE) return true
  const agentEnd = quotedEnd(line, at + 1)
  if (!isAbsent(line, at + 1, agentEnd))
    attributes.add('user_agent.original', unescaped(line, at + 1, agentEnd))
  return true
}

/** `host ident user`, or `vhost:port host ident user`, before `end`. A user name may contain spaces. */
function readClient(line: string, end: number, draft: EventDraft): boolean {
  const { attributes } = draft
  const firstEnd = line.indexOf(' ')
  if (firstEnd <= 0 || firstEnd >= end) return false
  let clientAt = 0
  let clientEnd = firstEnd
  const secondEnd = tokenEnd(line, firstEnd + 1)
  if (secondEnd < end && isVirtualHost(line, firstEnd, secondEnd)) {
    const colon = line.lastIndexOf(':', firstEnd)
    attributes.add('server.address', line.slice(0, colon))
    attributes.add('server.port', wholeNumber(line, colon + 1, firstEnd))
    clientAt = firstEnd + 1
    clientEnd = secondEnd
  }
  placeClient(attributes, line, clientAt, clientEnd)
  const identEnd = tokenEnd(line, clientEnd + 1)
  // A user of its own needs both tokens; with one only (some proxies) it is the user.
  const userAt = identEnd < end ? identEnd + 1 : clientEnd + 1
  if (userAt < end && !isAbsent(line, userAt, end)) attributes.add('user.name', line.slice(userAt, end))
  return true
}

/** The first token ends in `:port` and the second is an address, which an ident never is. */
function isVirtualHost(line: string, firstEnd: number, secondEnd: number): boolean {
  const colon = line.lastIndexOf(':', firstEnd)
  if (colon <= 0 || wholeNumber(line, colon + 1, firstEnd) < 0) return false
  for (let at = firstEnd + 1; at < secondEnd; at += 1) {
    const char = line.charCodeAt(at)
    if (char === 0x2e || char === 0x3a) return true
  }
  return false
}

/** An address or a host name; `1.2.3.4:56789` and `[::1]:56789` carry the client's port. */
function placeClient(attributes: FieldMap, line: string, at: number, end: number): void {
  if (isAbsent(line, at, end)) return
  const colon = line.lastIndexOf(':', end - 1)
  if (colon > at && line.indexOf(':', at) === colon) {
    const port = wholeNumber(line, colon + 1, end)
    if (port >= 0) {
      attributes.add('client.address', line.slice(at, colon))
      attributes.add('client.port', port)
      return
    }
  }
  attributes.add('client.address', line.slice(at, end))
}

/** Index of the closing quote of text that starts at `at`, or the end of the line when it is cut short. */
export function quotedEnd(line: string, at: number): number {
  let end = line.indexOf('"', at)
  while (end > at && line.charCodeAt(end - 1) === BACKSLASH) {
    let backslashes = 1
    while (end - 1 - backslashes >= at && line.charCodeAt(end - 1 - backslashes) === BACKSLASH)
      backslashes += 1
    if (backslashes % 2 === 0) break
    end = line.indexOf('"', end + 1)
  }
  return end < 0 ? line.length : end
}

/** The text of a quoted field with `\"` and `\\` undone; other escapes (`\xe4`) stay, they are not UTF-8. */
export function unescaped(line: string, at: number, end: number): string {
  const text = line.slice(at, end)
  return text.includes('\\') ? text.replace(/\\(["\\])/g, '$1') : text
}

function tokenEnd(line: string, at: number): number {
  const end = line.indexOf(' ', at)
  return end < 0 ? line.length : end
}

/** Digits as a number; -1 for anything else. */
export function wholeNumber(line: string, at: number, end: number): number {
  if (end <= at || end - at > 15) return -1
  let value = 0
  for (let index = at; index < end; index += 1) {
    const digit = line.charCodeAt(index) - 0x30
    if (!(digit >= 0 && digit <= 9)) return -1
    value = value * 10 + digit
  }
  return value
}

function isAbsent(line: string, at: number, end: number): boolean {
  return end <= at || (end - at === 1 && line.charCodeAt(at) === DASH)
}
