/**
 * `key=value` pairs in text. Keys are letters, digits and `_-.@/`; a value is bare up to the next space, or quoted with
 * `"` and backslash escapes.
 */

/** One pair, as positions in the text; reused from pair to pair. */
export class PairCursor {
  #text = ''
  #at = 0
  key = ''
  value = ''

  /** Starts on a text. */
  open(text: string): void {
    this.#text = text
    this.#at = 0
  }

  /** True when the whole text has been read. */
  isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** Reads the pair that stands right here, after spaces; false when none does (the cursor then stays). */
  next(): boolean {
    const text = this.#text
    let at = this.#at
    while (text.charCodeAt(at) === 0x20) at += 1
    const keyStart = at
    while (isKeyChar(text.charCodeAt(at))) at += 1
    if (at === keyStart || text.charCodeAt(at) !== 0x3d || at - keyStart > PAIR_KEY_CHARS_MAX) return false
    this.key = text.slice(keyStart, at)
    return this.#readValue(at + 1)
  }

  #readValue(start: number): boolean {
    const text = this.#text
    if (text.charCodeAt(start) === 0x22) {
      const end = closingQuote(text, start + 1)
      if (end < 0) return false
      const after = text.charCodeAt(end + 1)
      if (!(Number.isNaN(after) || after === 0x20)) return false
      const value = text.slice(start + 1, end)
      this.value = value.includes('\\') ? undoEscapes(value) : value
      this.#at = end + 1
    } else {
      // `==` compares, it sets nothing.
      if (text.charCodeAt(start) === 0x3d) return false
      let end = text.indexOf(' ', start)
      if (end < 0) end = text.length
      // `a=1, b=2` is a list in a message, not logfmt.
      const last = text.charCodeAt(end - 1)
      if (end < text.length && (last === 0x2c || last === 0x3b)) return false
      this.value = text.slice(start, end)
      this.#at = end
    }
    while (text.charCodeAt(this.#at) === 0x20) this.#at += 1
    return true
  }
}

/** Longest key of a pair. */
export const PAIR_KEY_CHARS_MAX = 128

export function isKeyChar(char: number): boolean {
  return (
    (char >= 0x61 && char <= 0x7a) ||
    (char >= 0x40 && char <= 0x5a) ||
    (char >= 0x2d && char <= 0x39) ||
    char === 0x5f
  )
}

function closingQuote(text: string, at: number): number {
  for (let end = at; end < text.length; end += 1) {
    const char = text.charCodeAt(end)
    if (char === 0x5c) end += 1
    else if (char === 0x22) return end
  }
  return -1
}

/** The escapes of Go's %q, which logfmt writers use. */
function undoEscapes(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|.)/g, (whole, sign: string) => {
    switch (sign[0]) {
      case 'n':
        return '\n'
      case 't':
        return '\t'
      case 'r':
        return '\r'
      case '"':
      case '\\':
        return sign
      case 'u':
        return sign.length === 5 ? String.fromCharCode(Number.parseInt(sign.slice(1), 16)) : whole
      default:
        return whole
    }
  })
}
