/**
 * HOSTNAME and TAG of RFC 3164, read from the text of `draft.rest`. That document describes what was seen, not a
 * grammar, so each reader takes only what is unmistakable and answers where the rest starts.
 */

import type { EventDraft } from './event-draft.ts'
import { severityOfWord } from './severity-number.ts'
import { wholeNumber } from './whole-number.ts'

const SPACE = 0x20
const COLON = 0x3a
const OPEN = 0x5b
const TAG_CHARS_MAX = 64
const HOST_CHARS_MAX = 255

/** The host is a word that is no tag and no level; the index after it and its space, or where it is not. */
export function placeHost(draft: EventDraft, at: number): number {
  const line = draft.rest
  const end = line.indexOf(' ', at)
  if (end <= at || end - at > HOST_CHARS_MAX) return at
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
export function placeTag(draft: EventDraft, at: number): number {
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
