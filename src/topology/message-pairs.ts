/**
 * `key=value` pairs inside a message, between words: `authentication failure; uid=0 user="a b" from='web 1'`. A key starts a
 * word; a value is bare up to a space or a separator, or in quotes that open right behind the equals sign and close in
 * front of a separator. Any other quote is a character as any other: `can't open file=o'brien.txt`.
 *
 * No pair is what stands in markup (`<a href="x">`, and between an opening and a closing tag), a condition of SQL, a
 * comparison (`a==b`), part of a larger expression (`state=Foo{a`), or a value whose quotes do not close.
 */

import { isKeyChar, PAIR_KEY_CHARS_MAX } from './pairs.ts'

/** Most pairs that are taken from one message. */
export const PAIRS_MAX = 128

const QUOTE = 0x22
const APOSTROPHE = 0x27
const EQUALS = 0x3d
const BACKSLASH = 0x5c

/** A tag, or its start when the text ends within it; escaped once as well. */
const TAG = /(?:<|&lt;)[A-Za-z/!?](?:[^<>&]|&(?![lg]t;))*(?:>|&gt;|$)/g
const CLOSING_TAG = /^(?:<|&lt;)\//
const TAGS_MAX = 1024
/** How far the other half of an apostrophe is looked for. */
const APOSTROPHE_CHARS_MAX = 1024
/** The words of SQL in front of a comparison. */
const SQL_WORD = /(?:WHERE|AND|OR|SET|ON|HAVING) $/

/** Finds the pairs of one message after the other; holds those of the last. */
export class MessagePairs {
  readonly keys: string[] = []
  readonly values: string[] = []
  #text = ''
  #value = ''
  /** Where markup starts and ends, in turn. */
  readonly #markup: number[] = []

  /** Fills `keys` and `values` from their start; the number of pairs found. */
  find(text: string): number {
    this.#text = text
    this.#findMarkup()
    let count = 0
    let markup = 0
    let from = 0
    for (let equals = text.indexOf('='); equals >= 0 && count < PAIRS_MAX; equals = text.indexOf('=', from)) {
      while (markup < this.#markup.length && (this.#markup[markup + 1] as number) <= equals) markup += 2
      if (markup < this.#markup.length && (this.#markup[markup] as number) <= equals) {
        from = this.#markup[markup + 1] as number
        continue
      }
      const keyStart = this.#startOfKey(equals, from)
      from = keyStart < equals ? this.#readValue(equals + 1) : equals + 1
      if (keyStart === equals || this.#value === '') continue
      this.keys[count] = text.slice(keyStart, equals)
      this.values[count] = this.#value
      count += 1
    }
    return count
  }

  #findMarkup(): void {
    const { length } = this.#markup
    if (length > 0) this.#markup.length = 0
    if (!this.#text.includes('<') && !this.#text.includes('&lt;')) return
    let hasClosing = false
    for (const { 0: tag, index } of this.#text.matchAll(TAG)) {
      hasClosing ||= CLOSING_TAG.test(tag)
      this.#markup.push(index, index + tag.length)
      if (this.#markup.length > TAGS_MAX) break
    }
    // What stands between the tags belongs to them.
    if (hasClosing) this.#markup.splice(1, this.#markup.length - 2)
  }

  /** The key's first character, `equals` itself when no key ends there. It starts the text or follows a separator. */
  #startOfKey(equals: number, from: number): number {
    const text = this.#text
    let start = equals
    while (start > from && isKeyChar(text.charCodeAt(start - 1)) && equals - start < PAIR_KEY_CHARS_MAX)
      start -= 1
    const first = text.charCodeAt(start)
    const isName = (first >= 0x61 && first <= 0x7a) || (first >= 0x41 && first <= 0x5a) || first === 0x5f
    if (!isName || text.charCodeAt(equals + 1) === EQUALS) return equals
    if (start > 0 && !isBeforeKey(text.charCodeAt(start - 1))) return equals
    return SQL_WORD.test(text.slice(Math.max(0, start - 7), start)) ? equals : start
  }

  /** Reads the value into `#value`, '' for one that says nothing; the index behind it. */
  #readValue(start: number): number {
    const text = this.#text
    const quote = text.charCodeAt(start)
    this.#value = ''
    if (quote === QUOTE || quote === APOSTROPHE) {
      const close = this.#closingQuote(start)
      // An apostrophe without its other half is none. A double quote was cut off with the rest of the line, unless more
      // of a word runs on behind its other half.
      if (close < 0) return quote === APOSTROPHE || text.includes('"', start + 1) ? start + 1 : text.length
      const value = text.slice(start + 1, close)
      this.#value = quote === QUOTE && value.includes('\\') ? value.replace(/\\(["\\])/g, '$1') : value
      return close + 1
    }
    let end = start
    while (end < text.length && !isBehindValue(text.charCodeAt(end))) end += 1
    // A full stop that ends the sentence is not part of the value.
    const isSentence = end > start && end === text.length && text.charCodeAt(end - 1) === 0x2e
    const value = text.slice(start, isSentence ? end - 1 : end)
    // With an opening bracket it is cut out of a larger expression.
    if (!/[([{]/.test(value)) this.#value = value
    return end
  }

  /** The quote that closes the one at `open`: no backslash before it, a separator or the end behind it; -1 for none. */
  #closingQuote(open: number): number {
    const text = this.#text
    const quote = text.charAt(open)
    for (let close = text.indexOf(quote, open + 1); close >= 0; close = text.indexOf(quote, close + 1)) {
      let backslashes = 0
      while (text.charCodeAt(close - 1 - backslashes) === BACKSLASH) backslashes += 1
      if (backslashes % 2 === 1) continue
      const next = text.charCodeAt(close + 1)
      if (close + 1 === text.length || isBehindValue(next) || next === 0x2e || next === 0x3a) return close
      // A double quote always closes; what then runs on is no pair. An apostrophe may be one within a word.
      if (quote === '"' || close - open > APOSTROPHE_CHARS_MAX) return -1
    }
    return -1
  }
}

/** Space, tab, line feed, comma, semicolon and the bar; with the brackets of its side. */
function isSeparator(char: number): boolean {
  return char === 0x20 || char === 0x09 || char === 0x0a || char === 0x2c || char === 0x3b || char === 0x7c
}

/** A separator, one of ( [ { or the ] of a label: `[LAN-default-A]IN=eth0` */
function isBeforeKey(char: number): boolean {
  return isSeparator(char) || char === 0x28 || char === 0x5b || char === 0x7b || char === 0x5d
}

/** A separator, or one of ) ] } */
function isBehindValue(char: number): boolean {
  return isSeparator(char) || char === 0x29 || char === 0x5d || char === 0x7d
}
