/**
 * A line's bytes as the inside of a JSON string, without making a string of them: four bytes are looked at and copied
 * at once, and the few that need a backslash are stepped over one by one. The same pass notes where the quotes are and
 * what else there is, so that whoever reads the line next need not look at every byte again.
 */

/** Most bytes that one byte of a line becomes: a control character. */
export const ESCAPED_BYTES_MAX = 6
/** Bytes that may be written behind the last one that counts. */
export const ESCAPE_SLACK_BYTES = 8
/** Quotes whose places are noted; of a line with more than so many, only the last ones are. A power of two. */
export const NOTED_QUOTES_MAX = 1024
const NOTED_QUOTES_MASK = NOTED_QUOTES_MAX - 1

const SPACE = 0x20
const QUOTE = 0x22
const BACKSLASH = 0x5c
const LOWER_U = 0x75

/** The second byte of the short escapes; 0 for a character that has none. */
const SHORT_ESCAPES = new Uint8Array(SPACE)
SHORT_ESCAPES[0x08] = 0x62
SHORT_ESCAPES[0x09] = 0x74
SHORT_ESCAPES[0x0a] = 0x6e
SHORT_ESCAPES[0x0c] = 0x66
SHORT_ESCAPES[0x0d] = 0x72

/** What may stand behind a backslash in JSON: `"` `\` `/` `b` `f` `n` `r` `t` `u`. */
const JSON_ESCAPES = new Uint8Array(256)
for (const char of '"\\/bfnrtu') JSON_ESCAPES[char.charCodeAt(0)] = 1

export class LineEscaper {
  /** Where the quotes stand in the source, but for those behind a backslash. */
  readonly quotes = new Int32Array(NOTED_QUOTES_MAX)
  quoteCount = 0
  /** Whether there is a backslash, and whether each stands before what may follow it in JSON. */
  hasBackslash = false
  isEscapedWell = true
  hasControl = false
  /** Whether all bytes are below 0x80. */
  isAscii = true

  /**
   * Writes `source[start, end)` from `at` on and returns the index behind it. The target has room for
   * `ESCAPED_BYTES_MAX` bytes for each of the source and `ESCAPE_SLACK_BYTES` more.
   */
  write(source: DataView, start: number, end: number, target: DataView, at: number): number {
    this.quoteCount = 0
    this.hasBackslash = false
    this.isEscapedWell = true
    this.hasControl = false
    const { quotes } = this
    const lastWord = end - 4
    let quoteCount = 0
    let seen = 0
    // Each `| 0` here keeps a machine integer a machine integer, which makes a quarter of the pass.
    let from = start | 0
    let to = at | 0
    while (from <= lastWord) {
      const word = source.getInt32(from, true)
      target.setInt32(to, word, true)
      // In each of these the lowest byte whose top bit is set is the first that is a quote, a backslash, a control
      // character; higher ones may be set by a borrow. Bytes above 0x7f set none.
      const likeQuote = word ^ 0x22222222
      const likeBackslash = word ^ 0x5c5c5c5c
      const special =
        (((likeQuote - 0x01010101) & ~likeQuote) |
          ((likeBackslash - 0x01010101) & ~likeBackslash) |
          ((word - 0x20202020) & ~word)) &
        0x80808080
      seen |= word
      if (special === 0) {
        from = (from + 4) | 0
        to = (to + 4) | 0
        continue
      }
      const topBit = 31 - Math.clz32(special & -special)
      const clean = topBit >> 3
      from = (from + clean) | 0
      to = (to + clean) | 0
      if (((word >>> (topBit - 7)) & 0xff) === QUOTE) {
        target.setUint16(to, 0x225c, true)
        quotes[quoteCount & NOTED_QUOTES_MASK] = from
        quoteCount = (quoteCount + 1) | 0
        from = (from + 1) | 0
        to = (to + 2) | 0
      } else {
        const escaped = this.#writeSpecial(source, from, end, target, to)
        to = escaped >> 1
        from += escaped & 1 ? 2 : 1
      }
    }
    for (; from < end; from += 1) {
      const byte = source.getUint8(from)
      seen |= byte
      if (byte === QUOTE) {
        target.setUint16(to, 0x225c, true)
        quotes[quoteCount & NOTED_QUOTES_MASK] = from
        quoteCount += 1
        to += 2
      } else if (byte === BACKSLASH || byte < SPACE) {
        const escaped = this.#writeSpecial(source, from, end, target, to)
        to = escaped >> 1
        from += escaped & 1
      } else {
        target.setUint8(to, byte)
        to += 1
      }
    }
    this.quoteCount = quoteCount
    this.isAscii = (seen & 0x80808080) === 0
    return to
  }

  /**
   * Writes the backslash or control character at `from`, and with a backslash the quote or backslash behind it. The
   * answer is twice the index behind what was written, and one more when two bytes were read.
   */
  #writeSpecial(source: DataView, from: number, end: number, target: DataView, to: number): number {
    const byte = source.getUint8(from)
    if (byte !== BACKSLASH) {
      this.hasControl = true
      return writeControl(target, to, byte) << 1
    }
    this.hasBackslash = true
    target.setUint16(to, 0x5c5c, true)
    const next = from + 1 < end ? source.getUint8(from + 1) : 0
    if (JSON_ESCAPES[next] === 0 || (next === LOWER_U && !areHexDigits(source, from + 2, end)))
      this.isEscapedWell = false
    if (next !== QUOTE && next !== BACKSLASH) return (to + 2) << 1
    target.setUint8(to + 2, BACKSLASH)
    target.setUint8(to + 3, next)
    return ((to + 4) << 1) | 1
  }
}

/** `\n` and its like where there is one, otherwise `\u001f`, as JSON.stringify has it. */
function writeControl(target: DataView, to: number, byte: number): number {
  const short = SHORT_ESCAPES[byte] as number
  target.setUint8(to, BACKSLASH)
  if (short !== 0) {
    target.setUint8(to + 1, short)
    return to + 2
  }
  target.setUint8(to + 1, LOWER_U)
  target.setUint8(to + 2, 0x30)
  target.setUint8(to + 3, 0x30)
  target.setUint8(to + 4, 0x30 + (byte >> 4))
  target.setUint8(to + 5, (byte & 15) + ((byte & 15) < 10 ? 0x30 : 0x57))
  return to + 6
}

function areHexDigits(source: DataView, at: number, end: number): boolean {
  if (at + 4 > end) return false
  for (let index = at; index < at + 4; index += 1) {
    const byte = source.getUint8(index)
    const lower = byte | 0x20
    if (!((byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66))) return false
  }
  return true
}
