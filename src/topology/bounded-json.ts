/**
 * JSON from outside, parsed within bounds: what nests deeper or has longer keys than the limits is refused (the line
 * then stays text, nothing is lost), and numbers that a double cannot hold keep their digits.
 */

import type { JsonObject, JsonValue } from './json-text.ts'
import { rawNumber } from './json-text.ts'

/** Deepest nesting that is parsed; the outermost object counts as one. */
export const JSON_DEPTH_MAX = 64
/** Longest key that is parsed, in characters. */
export const JSON_KEY_CHARS_MAX = 1024

/** The parsed object or array; undefined for what is neither, is not JSON, or is out of bounds. Never throws. */
export function parseBoundedJson(text: string): JsonObject | readonly JsonValue[] | undefined {
  let value: JsonValue
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  switch (examine(value, 1)) {
    case 'plain':
      return value
    case 'wide-numbers':
      return parseKeepingDigits(text) as JsonObject
    default:
      return undefined
  }
}

type Finding = 'plain' | 'wide-numbers' | 'out-of-bounds'

function examine(value: JsonObject | readonly JsonValue[], depth: number): Finding {
  if (depth > JSON_DEPTH_MAX) return 'out-of-bounds'
  let finding: Finding = 'plain'
  for (const key in value) {
    if (key.length > JSON_KEY_CHARS_MAX) return 'out-of-bounds'
    const member = (value as JsonObject)[key]
    if (typeof member === 'number') {
      if (!(member <= Number.MAX_SAFE_INTEGER && member >= Number.MIN_SAFE_INTEGER)) finding = 'wide-numbers'
    } else if (typeof member === 'object' && member !== null) {
      const inner = examine(member as JsonObject, depth + 1)
      if (inner === 'out-of-bounds') return inner
      if (inner === 'wide-numbers') finding = inner
    }
  }
  return finding
}

type SourceReviver = (
  this: unknown,
  key: string,
  value: unknown,
  context: { readonly source?: string },
) => unknown

/** Integers up to this many digits are kept as numbers; longer ones are kept as text. */
const INTEGER_DIGITS_MAX = 64
const INTEGER = /^-?\d+$/

/** Rare and slower: parses again with each number's own text at hand. */
function parseKeepingDigits(text: string): unknown {
  const revive: SourceReviver = (_key, value, { source }) =>
    typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER && source !== undefined
      ? exactNumber(value, source)
      : value
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown)
}

/** An integer keeps its digits; 1e999, which readers of JSON refuse or turn into infinity, is kept as text. */
function exactNumber(value: number, source: string): JsonValue {
  if (INTEGER.test(source) && source.length <= INTEGER_DIGITS_MAX) return rawNumber(source)
  return Number.isFinite(value) ? value : source
}
