/** A record's value as text: UTF-8, checked; without its line ending and byte order mark. */

import { isUtf8 } from 'node:buffer'

const CARRIAGE_RETURN = 0x0d
const LINE_FEED = 0x0a
const REPLACEMENT = '\ufffd'
const BYTE_ORDER_MARK = 0xfeff

/** The text of `bytes[start, end)`; null when the bytes are not UTF-8. */
export function decodeLine(bytes: Buffer, start: number, end: number): string | null {
  let last = end
  if (last > start && bytes[last - 1] === LINE_FEED) last -= 1
  while (last > start && bytes[last - 1] === CARRIAGE_RETURN) last -= 1
  const text = bytes.toString('utf8', start, last)
  // The decoder puts U+FFFD where the bytes are wrong, so only text that has one needs the second look.
  if (text.includes(REPLACEMENT) && !isUtf8(bytes.subarray(start, last))) return null
  return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text
}
