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
import { wholeNumber } from '../whole-number.ts'

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

  const requestAt = line.indexOf(']', bracketAt) + 2
  const at = placeRequestStatusBytes(attributes, line, requestAt)
  placeRefererAndAgent(attributes, line, at)
  return true
}

/**
 * Envoy's `[time] "GET /path HTTP/1.1" 200 - …`: the request whose quote stands at `at`, and the status behind it. False, and
 * nothing is set, when it is no request.
 */
export function placeRequestAndStatus(draft: EventDraft, line: string, at: number): boolean {
  const { attributes } = draft
  if (attributes.has('http.request.method')) return false
  const end = quotedEnd(line, at + 1)
  placeRequest(attributes, line, at + 1, end)
  if (!attributes.has('http.request.method')) return false
  const status = wholeNumber(line, end + 2, tokenEnd(line, end + 2))
  if (status >= 100 && status <= 999) attributes.setIfAbsent('http.response.status_code', status)
  return true
}

/** `"request" status bytes`, the request's quote at `at`; the index behind them. */
function placeRequestStatusBytes(attributes: FieldMap, line: string, at: number): number {
  const requestEnd = quotedEnd(line, at + 1)
  placeRequest(attributes, line, at + 1, requestEnd)
  const statusAt = requestEnd + 2
  if (statusAt >= line.length) return line.length
  const statusEnd = tokenEnd(line, statusAt)
  const status = wholeNumber(line, statusAt, statusEnd)
  if (statusEnd - statusAt === 3 && status >= 100) attributes.set('http.response.status_code', status)
  const bytesEnd = tokenEnd(line, statusEnd + 1)
  const bytes = wholeNumber(line, statusEnd + 1, bytesEnd)
  if (bytes >= 0) attributes.set('http.response.body.size', bytes)
  return bytesEnd + 1
}

/** `"referer" "user agent"`, the first quote at `at`; either may be missing or cut short. */
function placeRefererAndAgent(attributes: FieldMap, line: string, start: number): void {
  let at = start
  if (line.charCodeAt(at) !== QUOTE) return
  const refererEnd = quotedEnd(line, at + 1)
  if (!isAbsent(line, at + 1, refererEnd)) {
    attributes.set('http.request.header.referer', [unescaped(line, at + 1, refererEnd)])
  }
  at = refererEnd + 2
  if (line.charCodeAt(at) !== QUOTE) return
  const agentEnd = quotedEnd(line, at + 1)
  if (!isAbsent(line, at + 1, agentEnd))
    attributes.set('user_agent.original', unescaped(line, at + 1, agentEnd))
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
    attributes.set('server.address', line.slice(0, colon))
    attributes.set('server.port', wholeNumber(line, colon + 1, firstEnd))
    clientAt = firstEnd + 1
    clientEnd = secondEnd
  }
  placeClient(attributes, line, clientAt, clientEnd)
  const identEnd = tokenEnd(line, clientEnd + 1)
  // A user of its own needs both tokens; with one only (some proxies) it is the user.
  const userAt = identEnd < end ? identEnd + 1 : clientEnd + 1
  if (userAt < end && !isAbsent(line, userAt, end)) attributes.set('user.name', line.slice(userAt, end))
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
      attributes.set('client.address', line.slice(at, colon))
      attributes.set('client.port', port)
      return
    }
  }
  attributes.set('client.address', line.slice(at, end))
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

function isAbsent(line: string, at: number, end: number): boolean {
  return end <= at || (end - at === 1 && line.charCodeAt(at) === DASH)
}
