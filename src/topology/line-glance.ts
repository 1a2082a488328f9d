/**
 * Time and level of a line found in its bytes, for partial density: JSON objects and access logs, which are most of what
 * there is to shed. Nothing is parsed and no text is made of the line. What is found is what full density finds in the
 * same line; what would need more than a glance (escapes in a name, a time that is an object) is not found at all.
 *
 * A JSON line is held against RFC 8259 from end to end, because one that is cut short is text at full density and has no
 * time. The quotes that a `LineEscaper` noted make that cheap: a string is stepped over in one go.
 */

import { JSON_KEY_CHARS_MAX } from './bounded-json.ts'
import {
  isWeakName,
  knownName,
  knownNameAt,
  NAME_HASH_STEP,
  namesOfRoles,
  ROLE,
  rankOfKnown,
  roleOfKnown,
} from './field-roles.ts'
import type { LineEscaper } from './line-escaper.ts'
import { NOTED_QUOTES_MAX } from './line-escaper.ts'

/** Deepest nesting that is followed; one bit each. */
const DEPTH_MAX = 31

const SPACE = 0x20
const QUOTE = 0x22
const PLUS = 0x2b
const COMMA = 0x2c
const DASH = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const LESS_THAN = 0x3c
/** The first byte of one, in UTF-8. */
const BYTE_ORDER_MARK = 0xef

/** Longest number that is read. */
const NUMBER_BYTES_MAX = 32
const DECLINED = -1
const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const NULL = Buffer.from('null')

/** A member that plays a part, as places in the bytes; reused. */
export class GlancedField {
  /** Which well-known name it has; -1 while none was found. */
  known = -1
  /** Between the quotes, for a string. */
  at = 0
  end = 0
  kind: 'string' | 'number' | 'other' = 'other'
}

export class JsonGlance {
  readonly time = new GlancedField()
  readonly level = new GlancedField()
  /** The message field, of which only the name matters: GELF's says how its levels count. */
  readonly message = new GlancedField()

  /**
   * Looks at `bytes[start, end)`, whose quotes `noted` has seen. False when it is no JSON object, or one that needs more
   * than a glance; nothing is then known of it.
   */
  look(bytes: Buffer, start: number, end: number, noted: LineEscaper): boolean {
    this.time.known = -1
    this.level.known = -1
    this.message.known = -1
    if (noted.hasControl || !noted.isEscapedWell || noted.quoteCount > NOTED_QUOTES_MAX) return false
    const { quotes, quoteCount, hasBackslash } = noted
    if (bytes[start] !== OPEN_BRACE) return false
    let at = skipSpaces(bytes, (start + 1) | 0)
    if (bytes[at] === CLOSE_BRACE) return at + 1 === end
    // The first noted quote that has not been passed.
    let quote = 0
    let depth = 1
    let arrays = 0
    let isArray = false
    let field: GlancedField | null = null
    while (at < end) {
      if (!isArray) {
        if (quotes[quote] !== at || quote + 2 > quoteCount) return false
        const close = quotes[quote + 1] as number
        quote = (quote + 2) | 0
        if (close - at - 1 > JSON_KEY_CHARS_MAX) return false
        if (depth === 1) {
          if (hasBackslash && hasEscape(bytes, at + 1, close)) return false
          field = this.#fieldOf(bytes, at + 1, close)
        }
        at = (close + 1) | 0
        if (bytes[at] === SPACE) at = skipSpaces(bytes, at)
        if (bytes[at] !== COLON) return false
        at = (at + 1) | 0
        if (bytes[at] === SPACE) at = skipSpaces(bytes, at)
      }
      const first = bytes[at] as number
      if (first === QUOTE) {
        if (quotes[quote] !== at || quote + 2 > quoteCount) return false
        const close = quotes[quote + 1] as number
        quote = (quote + 2) | 0
        if (field !== null) {
          if (hasBackslash && field !== this.message && hasEscape(bytes, at + 1, close)) return false
          field.kind = 'string'
          field.at = at + 1
          field.end = close
          field = null
        }
        at = (close + 1) | 0
      } else if (first === OPEN_BRACE || first === OPEN_BRACKET) {
        if (depth === DEPTH_MAX) return false
        isArray = first === OPEN_BRACKET
        arrays = (arrays << 1) | (isArray ? 1 : 0)
        depth += 1
        field = null
        at = skipSpaces(bytes, (at + 1) | 0)
        if (bytes[at] !== (isArray ? CLOSE_BRACKET : CLOSE_BRACE)) continue
      } else {
        const valueEnd = scalarEnd(bytes, at)
        if (valueEnd === DECLINED) return false
        if (field !== null && (first === DASH || isDigit(first))) {
          if (valueEnd - at > NUMBER_BYTES_MAX || hasExponent(bytes, at, valueEnd)) return false
          field.kind = 'number'
          field.at = at
          field.end = valueEnd
        }
        field = null
        at = valueEnd
      }
      // Behind a value, or at the bracket that closes an empty container.
      for (;;) {
        if (bytes[at] === SPACE) at = skipSpaces(bytes, at)
        const separator = bytes[at]
        at = (at + 1) | 0
        if (separator === COMMA) {
          if (bytes[at] === SPACE) at = skipSpaces(bytes, at)
          break
        }
        if (separator !== (isArray ? CLOSE_BRACKET : CLOSE_BRACE)) return false
        depth -= 1
        if (depth === 0) return at === end
        arrays >>= 1
        isArray = (arrays & 1) === 1
      }
    }
    return false
  }

  /** True for a line whose message has GELF's name for it. */
  isGelf(): boolean {
    const { known, kind } = this.message
    return known >= 0 && kind === 'string' && knownName(known) === 'short_message'
  }

  /** The field that the member of that name is, when no better name was seen; null for a name that does not matter. */
  #fieldOf(bytes: Buffer, at: number, end: number): GlancedField | null {
    if (MAY_MATTER[slotOf(end - at, bytes[at] as number)] === 0) return null
    const known = knownNameAt(bytes, at, end, nameHash(bytes, at, end))
    if (known < 0) return null
    const role = roleOfKnown(known)
    const field =
      role === ROLE.time
        ? this.time
        : role === ROLE.level
          ? this.level
          : role === ROLE.message
            ? this.message
            : null
    if (field === null || (field.known >= 0 && rankOfKnown(field.known) < rankOfKnown(known))) return null
    field.known = known
    field.kind = 'other'
    return field
  }
}

/** Which lengths and first letters the names have that matter here: most others are told apart by these two. */
const MAY_MATTER = new Uint8Array(4096)
for (const name of namesOfRoles([ROLE.time, ROLE.level, ROLE.message]))
  MAY_MATTER[slotOf(name.length, name.charCodeAt(0))] = 1

function slotOf(length: number, first: number): number {
  return ((length << 7) ^ first) & 4095
}

/** A field as text, in the form in which time and level are read; null for what is neither text nor a number. */
export function textOfField(bytes: Buffer, { known, kind, at, end }: GlancedField): string | null {
  if (known < 0 || kind === 'other') return null
  const text = bytes.toString('utf8', at, end)
  if (kind === 'string') return text
  // An integer that a double cannot hold keeps its digits, and JavaScript writes any other number in its own way.
  return isWideInteger(text) ? text : `${Number(text)}`
}

function isWideInteger(text: string): boolean {
  return !text.includes('.') && Math.abs(Number(text)) > Number.MAX_SAFE_INTEGER
}

/** The time field as `readTimeValue` is to have it; null for none. */
export function timeTextOf(bytes: Buffer, field: GlancedField): string | null {
  return field.kind === 'number' && isWeakName(knownName(field.known)) ? null : textOfField(bytes, field)
}

/** The level field as `levelOfField` is to have it; null for none. */
export function levelTextOf(bytes: Buffer, field: GlancedField): string | null {
  const text = textOfField(bytes, field)
  // A number that keeps its digits is no level.
  return text !== null && field.kind === 'number' && isWideInteger(text) ? null : text
}

/** Where the time of an access log stands, behind its `[`; -1 for a line that is none, or none at a glance. */
export function clfTimeAt(bytes: Buffer, start: number, end: number): number {
  const first = bytes[start] as number
  if (!mayStartAccessLog(bytes, start, first)) return -1
  const limit = Math.min(end - CLF_BYTES, start + CLIENT_BYTES_MAX)
  let at = start
  let spaceCount = 0
  for (; at < limit; at += 1) {
    if (bytes[at] !== SPACE) continue
    if (bytes[at + 1] === OPEN_BRACKET) break
    spaceCount += 1
  }
  // Before the time stands the client, and a token or two behind it.
  return at < limit && spaceCount > 0 && at + 2 + CLF_BYTES + 3 <= end && isClfAt(bytes, at + 2) ? at + 2 : -1
}

/** False for a line that full density may take for something else: JSON, syslog, a time in front. */
function mayStartAccessLog(bytes: Buffer, start: number, first: number): boolean {
  if (first <= SPACE || first === OPEN_BRACKET || first === LESS_THAN || first === BYTE_ORDER_MARK)
    return false
  if (!isDigit(first)) return bytes[start + 3] !== SPACE || first === COLON
  const fifth = bytes[start + 4]
  return bytes[start + 1] !== SPACE && (fifth !== bytes[start + 7] || isDigit(fifth as number))
}

const CLIENT_BYTES_MAX = 256
/** `17/May/2015:10:05:03 +0000` */
export const CLF_BYTES = 26

/** `17/May/2015:10:05:03 +0000] "` stands at `at`, its digits where digits belong. */
function isClfAt(bytes: Buffer, at: number): boolean {
  if (bytes[at + 2] !== 0x2f || bytes[at + 6] !== 0x2f || bytes[at + 11] !== COLON) return false
  if (bytes[at + 14] !== COLON || bytes[at + 17] !== COLON || bytes[at + 20] !== SPACE) return false
  const sign = bytes[at + 21]
  if (sign !== PLUS && sign !== DASH) return false
  return bytes[at + 26] === CLOSE_BRACKET && bytes[at + 27] === SPACE && bytes[at + 28] === QUOTE
}

/** The index behind a number, true, false or null; DECLINED for what is none. */
function scalarEnd(bytes: Buffer, start: number): number {
  const first = bytes[start] as number
  if (first === DASH || isDigit(first)) return numberEnd(bytes, start)
  if (first === 0x74) return isWord(bytes, start, TRUE) ? start + 4 : DECLINED
  if (first === 0x66) return isWord(bytes, start, FALSE) ? start + 5 : DECLINED
  return first === 0x6e && isWord(bytes, start, NULL) ? start + 4 : DECLINED
}

function numberEnd(bytes: Buffer, start: number): number {
  const integerAt = bytes[start] === DASH ? start + 1 : start
  let end = bytes[integerAt] === ZERO ? integerAt + 1 : digitsEnd(bytes, integerAt)
  if (end === integerAt) return DECLINED
  if (bytes[end] === DOT) {
    const fractionAt = end + 1
    end = digitsEnd(bytes, fractionAt)
    if (end === fractionAt) return DECLINED
  }
  if (((bytes[end] as number) | 0x20) !== 0x65) return end
  const sign = bytes[end + 1]
  const exponentAt = sign === DASH || sign === PLUS ? end + 2 : end + 1
  end = digitsEnd(bytes, exponentAt)
  return end === exponentAt ? DECLINED : end
}

function hasExponent(bytes: Buffer, at: number, end: number): boolean {
  for (let index = at; index < end; index += 1) if (((bytes[index] as number) | 0x20) === 0x65) return true
  return false
}

function hasEscape(bytes: Buffer, at: number, end: number): boolean {
  for (let index = at; index < end; index += 1) if (bytes[index] === 0x5c) return true
  return false
}

function nameHash(bytes: Buffer, at: number, end: number): number {
  let hash = 0
  for (let index = at; index < end; index += 1)
    hash = (Math.imul(hash, NAME_HASH_STEP) + (bytes[index] as number)) | 0
  return hash
}

function digitsEnd(bytes: Buffer, at: number): number {
  let end = at
  while (isDigit(bytes[end] as number)) end += 1
  return end
}

function skipSpaces(bytes: Buffer, from: number): number {
  let at = from
  while (bytes[at] === SPACE) at += 1
  return at
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39
}

function isWord(bytes: Buffer, at: number, word: Uint8Array): boolean {
  for (let index = 0; index < word.length; index += 1) if (bytes[at + index] !== word[index]) return false
  return true
}
