/**
 * The key-value stage: pairs inside a text message (`authentication failure; uid=0 euid=0 user=root`) become
 * attributes under their own names, as text; the body keeps them. Only a message with at least `pairsMin` pairs is
 * read, a key must start a word, and an attribute that is there already is left alone.
 */

import { z } from 'zod'
import type { FieldMap } from '../field-map.ts'
import { isKeyChar, PAIR_KEY_CHARS_MAX } from '../pairs.ts'
import { defineStage } from '../stage.ts'

/** Most pairs that are taken from one message. */
const PAIRS_MAX = 128
const MESSAGE_CHARS_MAX = 65_536

export const keyValueStage = defineStage({
  name: 'key-value',
  summary: 'Takes key=value pairs out of text messages as attributes; the body keeps them.',
  options: z.strictObject({
    pairsMin: z
      .number()
      .int()
      .min(1)
      .max(PAIRS_MAX)
      .default(2)
      .describe('Fewest pairs that make a message worth reading.'),
  }),
  create: ({ pairsMin }) => {
    const keys: string[] = []
    const values: string[] = []
    return (draft) => {
      const { body, format } = draft
      // Of structured lines and access logs nothing is left to find: there an `=` is part of a value or a URL.
      if (format !== 'message' && format !== 'text') return
      if (typeof body !== 'string' || body.length > MESSAGE_CHARS_MAX || !body.includes('=')) return
      const count = findPairs(body, keys, values)
      if (count < pairsMin) return
      place(draft.attributes, keys, values, count)
    }
  },
})

function place(
  attributes: FieldMap,
  keys: readonly string[],
  values: readonly string[],
  count: number,
): void {
  for (let index = 0; index < count; index += 1) {
    attributes.setIfAbsent(keys[index] as string, values[index] as string)
  }
}

/** Fills the two arrays from the start; the number of pairs found. */
function findPairs(text: string, keys: string[], values: string[]): number {
  let count = 0
  let equals = text.indexOf('=')
  let from = 0
  while (equals >= 0 && count < PAIRS_MAX) {
    const keyStart = startOfKey(text, equals, from)
    if (keyStart < equals) {
      const end = endOfValue(text, equals + 1)
      const isQuoted = text.charCodeAt(equals + 1) === 0x22 && end > equals + 2
      const value = isQuoted ? text.slice(equals + 2, end - 1) : text.slice(equals + 1, end)
      // An empty value says nothing, and one with an opening bracket is cut out of a larger expression.
      if (value !== '' && (isQuoted || !/[([{]/.test(value))) {
        keys[count] = text.slice(keyStart, equals)
        values[count] = value
        count += 1
      }
      from = end
      equals = text.indexOf('=', end)
    } else {
      from = equals + 1
      equals = text.indexOf('=', from)
    }
  }
  return count
}

/** The key's first character, `equals` itself when no key ends there. It starts the text or follows a separator. */
function startOfKey(text: string, equals: number, from: number): number {
  let start = equals
  while (start > from && isKeyChar(text.charCodeAt(start - 1)) && equals - start < PAIR_KEY_CHARS_MAX)
    start -= 1
  const first = text.charCodeAt(start)
  const isName = (first >= 0x61 && first <= 0x7a) || (first >= 0x41 && first <= 0x5a) || first === 0x5f
  const before = start === 0 ? 0x20 : text.charCodeAt(start - 1)
  // space, tab, comma, semicolon, ( [ { and the bar
  const isSeparated =
    before === 0x20 ||
    before === 0x09 ||
    before === 0x2c ||
    before === 0x3b ||
    before === 0x28 ||
    before === 0x5b ||
    before === 0x7b ||
    before === 0x7c
  // `==` compares, it does not assign.
  return isName && isSeparated && text.charCodeAt(equals + 1) !== 0x3d ? start : equals
}

/** The index after the value: after its closing quote, or before a space, comma, semicolon or closing bracket. */
function endOfValue(text: string, start: number): number {
  if (text.charCodeAt(start) === 0x22) {
    const close = text.indexOf('"', start + 1)
    if (close >= 0) return close + 1
  }
  let end = start
  for (; end < text.length; end += 1) {
    const char = text.charCodeAt(end)
    if (
      char === 0x20 ||
      char === 0x09 ||
      char === 0x2c ||
      char === 0x3b ||
      char === 0x29 ||
      char === 0x5d ||
      char === 0x7d ||
      char === 0x7c ||
      char === 0x0a
    )
      break
  }
  // A full stop that ends the sentence is not part of the value.
  return end > start && end === text.length && text.charCodeAt(end - 1) === 0x2e ? end - 1 : end
}
