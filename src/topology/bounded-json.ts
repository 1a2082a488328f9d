/**
 * JSON from outside, parsed within bounds: what nests deeper or has longer keys than the limits is refused (the line
 * then stays text, nothing is lost), and numbers that a double cannot hold keep their digits.
 */

import type { JsonObject, JsonValue } from './json-value.ts'
import { rawNumber } from './json-value.ts'

/** Deepest nesting that is parsed; the outermost object counts as one. */
export const JSON_DEPTH_MAX = 64
/** Longest key that is parsed, in characters. */
export const JSON_KEY_CHARS_MAX = 1024

/** The parsed object or array, not yet examined; undefined for what is neither or is not JSON. Never throws. */
export function parseJson(text: string): JsonObject | readonly JsonValue[] | undefined {
  try {
    const value: JsonValue = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** What a value holds that needs care. */
export type Finding = 'plain' | 'wide-numbers' | 'out-of-bounds'

/** Examines a value and all it holds, `depth` containers deep already. */
export function examineMember(value: JsonValue | undefined, depth: number): Finding {
  if (typeof value === 'number') {
    return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER ? 'plain' : 'wide-numbers'
  }
  return typeof value === 'object' && value !== null ? examine(value as JsonObject, depth + 1) : 'plain'
}

function examine(value: JsonObject, depth: number): Finding {
  if (depth > JSON_DEPTH_MAX) return 'out-of-bounds'
  let finding: Finding = 'plain'
  for (const key in value) {
    if (key.length > JSON_KEY_CHARS_MAX) return 'out-of-bounds'
    const inner = examineMember(value[key], depth)
    if (inner === 'out-of-bounds') return inner
    if (inner === 'wide-numbers') finding = inner
  }
  return finding
}

/** `parseJson` and `examineMember` in one; undefined also for what is out of bounds. */
export function parseBoundedJson(text: string): JsonObject | readonly JsonValue[] | undefined {
  const value = parseJson(text)
  if (value === undefined) return undefined
  const finding = examineMember(value, 0)
  if (finding === 'out-of-bounds') return undefined
  return finding === 'plain' ? value : parseKeepingDigits(text)
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

/** Rare and slower: parses again, text that `parseJson` took, with each number's own digits at hand. */
export function parseKeepingDigits(text: string): JsonObject | readonly JsonValue[] {
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
