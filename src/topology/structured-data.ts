/** RFC 5424's STRUCTURED-DATA: `[id key="value" …][id …]`, read into a map of maps. */

import type { FieldMap } from './field-map.ts'
import type { JsonValue } from './json-value.ts'

/** Most elements and parameters that are read; a line with more keeps its structured data in the message. */
export const STRUCTURED_ITEMS_MAX = 256

const SPACE = 0x20
const QUOTE = 0x22
const OPEN = 0x5b
const CLOSE = 0x5d
const BACKSLASH = 0x5c

/**
 * Reads the elements that start at `at` and sets `syslog.structured_data`; the index after the last one. What is not
 * well-formed, or too much, is left alone: the answer is then `at`, and the text stays in the message.
 */
export function readStructuredData(line: string, at: number, attributes: FieldMap): number {
  // No prototype, so that an element called __proto__ is an element.
  const elements: Record<string, JsonValue> = Object.create(null)
  let next = at
  let items = 0
  while (line.charCodeAt(next) === OPEN) {
    const idEnd = nameEnd(line, next + 1)
    if (idEnd === next + 1) return at
    const parameters: Record<string, JsonValue> = Object.create(null)
    elements[line.slice(next + 1, idEnd)] = parameters
    next = idEnd
    while (line.charCodeAt(next) === SPACE) {
      const keyEnd = nameEnd(line, next + 1)
      if (keyEnd === next + 1 || line.charCodeAt(keyEnd) !== 0x3d || line.charCodeAt(keyEnd + 1) !== QUOTE)
        return at
      const valueEnd = closingQuote(line, keyEnd + 2)
      if (valueEnd < 0) return at
      const value = line.slice(keyEnd + 2, valueEnd)
      parameters[line.slice(next + 1, keyEnd)] = value.includes('\\')
        ? value.replace(/\\(["\\\]])/g, '$1')
        : value
      next = valueEnd + 1
      items += 1
      if (items > STRUCTURED_ITEMS_MAX) return at
    }
    if (line.charCodeAt(next) !== CLOSE) return at
    next += 1
    items += 1
    if (items > STRUCTURED_ITEMS_MAX) return at
  }
  attributes.set('syslog.structured_data', elements)
  return next
}

/** The end of an SD-NAME: printable ASCII but `=`, space, `]` and `"`. */
function nameEnd(line: string, at: number): number {
  let end = at
  for (; end < line.length; end += 1) {
    const char = line.charCodeAt(end)
    if (char <= SPACE || char > 0x7e || char === 0x3d || char === CLOSE || char === QUOTE) break
  }
  return end
}

function closingQuote(line: string, at: number): number {
  for (let end = at; end < line.length; end += 1) {
    const char = line.charCodeAt(end)
    if (char === BACKSLASH) end += 1
    else if (char === QUOTE) return end
  }
  return -1
}
