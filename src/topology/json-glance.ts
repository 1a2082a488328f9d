/**
 * A look at the top level of a JSON object without parsing it: member names and scalar values are read where they stand,
 * nested values are stepped over. What is found is noted by its part (time, level, trace); nothing becomes an attribute.
 * The text need not be valid JSON: the look ends where it stops making sense.
 */

import type { EventDraft } from './event-draft.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Longest scalar that is read; longer ones are messages. */
const SCALAR_CHARS_MAX = 64
/** Characters of a line that are looked at. */
const GLANCE_CHARS_MAX = 4096
const MEMBERS_MAX = 64

export function glanceAtJson(draft: EventDraft): void {
  const text = draft.rest
  const limit = Math.min(text.length, GLANCE_CHARS_MAX)
  let at = text.indexOf('{') + 1
  for (let member = 0; member < MEMBERS_MAX && at > 0 && at < limit; member += 1) {
    const keyAt = text.indexOf('"', at)
    if (keyAt < 0 || keyAt >= limit) return
    const keyEnd = stringEnd(text, keyAt, limit)
    const colon = skipBlanks(text, keyEnd + 1)
    if (keyEnd < 0 || text.charCodeAt(colon) !== 0x3a) return
    const valueAt = skipBlanks(text, colon + 1)
    const valueEnd = endOfValue(text, valueAt, limit)
    if (valueEnd < 0) return
    noteScalar(draft, text.slice(keyAt + 1, keyEnd), text.slice(valueAt, valueEnd).trimEnd())
    at = skipBlanks(text, valueEnd)
    if (text.charCodeAt(at) !== 0x2c) return
    at += 1
  }
}

function noteScalar(draft: EventDraft, key: string, value: string): void {
  if (value.length > SCALAR_CHARS_MAX + 2) return
  if (value.charCodeAt(0) === QUOTE) {
    if (!value.includes('\\')) draft.foundFields.note(key, value.slice(1, -1))
    return
  }
  // Digits as text are understood wherever digits as a number are, and keep all of their places.
  if (/^-?\d+(\.\d+)?$/.test(value)) draft.foundFields.note(key, value)
}

/** The index behind a value of any kind, -1 when it does not end within the limit. */
function endOfValue(text: string, at: number, limit: number): number {
  const first = text.charCodeAt(at)
  if (first === QUOTE) {
    const end = stringEnd(text, at, limit)
    return end < 0 ? -1 : end + 1
  }
  const isNested = first === 0x7b || first === 0x5b
  let depth = 0
  for (let index = at; index < limit; index += 1) {
    const char = text.charCodeAt(index)
    if (char === QUOTE) {
      const end = stringEnd(text, index, limit)
      if (end < 0) return -1
      index = end
    } else if (char === 0x7b || char === 0x5b) depth += 1
    else if (char === 0x7d || char === 0x5d) {
      depth -= 1
      if (isNested && depth === 0) return index + 1
      if (depth < 0) return index
    } else if (!isNested && char === 0x2c) return index
  }
  return -1
}

/** The index of the quote that closes the string whose opening quote is at `at`, -1 for none within the limit. */
function stringEnd(text: string, at: number, limit: number): number {
  for (let index = at + 1; index < limit; index += 1) {
    const char = text.charCodeAt(index)
    if (char === BACKSLASH) index += 1
    else if (char === QUOTE) return index
  }
  return -1
}

function skipBlanks(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) === 0x20 || text.charCodeAt(at) === 0x09) at += 1
  return at
}
