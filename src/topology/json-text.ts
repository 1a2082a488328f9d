/**
 * JSON text, written piece by piece: the event is a string concatenation whose fixed parts are constants, and these
 * functions write the variable parts. Everything returned is well-formed JSON (RFC 8259), whatever the input: lone
 * surrogates are escaped, numbers that JSON cannot say become null.
 */

/** What a JSON document can hold, and so what an attribute or a body can be. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
/** A JSON object. Read its own keys only: `__proto__` and `constructor` are data like any other key. */
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** A number kept as it was written, because a double cannot hold it: 64-bit ids, nanosecond epochs, 1e999. */
export interface RawNumber {
  readonly rawJSON: string
}

interface JsonWithRawText {
  rawJSON(text: string): RawNumber
  isRawJSON(value: unknown): value is RawNumber
}
/** ES2026 source text access, in every Node this project supports; TypeScript's es2024 library lacks its types. */
const jsonWithRawText = JSON as unknown as JsonWithRawText

/** A number in its own digits, to be written into the output verbatim. `text` is a JSON number. */
export function rawNumber(text: string): JsonValue {
  return jsonWithRawText.rawJSON(text) as unknown as JsonValue
}

/** The digits of a number that `rawNumber` made, null for any other value. */
export function rawNumberText(value: JsonValue): string | null {
  return typeof value === 'object' && jsonWithRawText.isRawJSON(value) ? value.rawJSON : null
}

const LOOPED_CHARS_MAX = 512

/**
 * A JSON string literal. Most text needs no escape, and a loop over its characters finds that out sooner than
 * `JSON.stringify` does; for long text the engine's own scan wins.
 */
export function quoteJson(text: string): string {
  if (text.length > LOOPED_CHARS_MAX) return JSON.stringify(text)
  for (let index = 0; index < text.length; index += 1) {
    const char = text.charCodeAt(index)
    if (char < 0x20 || char === 0x22 || char === 0x5c || (char >= 0xd800 && char <= 0xdfff)) {
      return JSON.stringify(text)
    }
  }
  return `"${text}"`
}

/** Any value as JSON text. */
export function encodeJson(value: JsonValue): string {
  switch (typeof value) {
    case 'string':
      return quoteJson(value)
    case 'number':
      return Number.isFinite(value) ? `${value}` : 'null'
    case 'boolean':
      return value ? 'true' : 'false'
    default:
      return value === null ? 'null' : JSON.stringify(value)
  }
}

const KEYS_CACHED_MAX = 4096
const KEY_CACHED_CHARS_MAX = 64
const quotedKeys = new Map<string, string>()

/** A key and its colon: `"key":`. Keys repeat from line to line, so the short ones are remembered (a bounded number). */
export function encodeKey(key: string): string {
  const known = quotedKeys.get(key)
  if (known !== undefined) return known
  const quoted = `${quoteJson(key)}:`
  if (key.length <= KEY_CACHED_CHARS_MAX && quotedKeys.size < KEYS_CACHED_MAX) quotedKeys.set(key, quoted)
  return quoted
}
