/**
 * The head of a text line: what loggers print before the message. Log frameworks let everyone arrange it freely, so
 * this is a small grammar over the pieces they share, read from left to right:
 *
 *     time  [thread]  LEVEL  pid  logger:  message          in nearly any order, with - | : , [ ] between
 *
 * A piece is only taken for what it is where its shape and its neighbours say so. A level is an upper-case word, or
 * any word in brackets, or one set off by a colon, bars or wide spacing; a word inside the message never is. If no
 * level turns up, nothing behind the time is taken, and the message starts there.
 */

import type { EventDraft } from './event-draft.ts'
import { severityOfLetter, severityOfWord } from './severity-number.ts'

const SPACE = 0x20
const TAB = 0x09
const COLON = 0x3a
const DASH = 0x2d
const BAR = 0x7c
const COMMA = 0x2c
const SLASH = 0x2f
const OPEN = 0x5b
const CLOSE = 0x5d

const GROUP_CHARS_MAX = 256
const PIECES_MAX = 6
const LOGGER_CHARS_MAX = 200

const isDigit = (char: number) => char >= 0x30 && char <= 0x39
const isLetter = (char: number) => (char >= 0x41 && char <= 0x5a) || (char >= 0x61 && char <= 0x7a)
const isBlank = (char: number) => char === SPACE || char === TAB

/** Reads heads, one after another. Holds no state between lines. */
export class TextHead {
  #text = ''
  #at = 0
  #level = ''
  #pid = -1
  #threadId = -1
  #thread = ''
  #logger = ''
  #client = ''
  #file = ''
  #lineNumber = -1

  /**
   * Reads the pieces from `at` on, just behind the time, and puts what they are into the draft. Answers the index
   * where the message starts: `at` without its separators when no level was found. `isOpen` says that the time
   * stands in a bracket that is not closed yet.
   */
  read(draft: EventDraft, at: number, options: { readonly isOpen: boolean }): number {
    this.#begin(draft.rest, at)
    if (options.isOpen && !this.#readOpenBracket()) return at
    const afterTime = this.#skipSeparators(this.#at)
    this.#at = afterTime
    if (this.#level === '') this.#readToLevel()
    if (this.#level === '') {
      this.#forget()
      this.#at = afterTime
      this.#readFileAndLine()
    } else {
      this.#readBehindLevel()
    }
    this.#place(draft)
    return Math.min(this.#at, this.#text.length)
  }

  /** The index behind a level that starts the line (`[INFO] `, `WARN: `, `ERROR `), and the level; 0 for none. */
  readLeadingLevel(draft: EventDraft): { readonly end: number; readonly isSetOff: boolean } {
    this.#begin(draft.rest, 0)
    const char = this.#text.charCodeAt(0)
    if (char === OPEN) {
      const end = this.#groupEnd(0)
      const word = end < 0 ? '' : this.#text.slice(1, end).trim()
      if (severityOfWord(word) === 0) return NO_LEADING_LEVEL
      this.#level = word
      return { end: this.#skipSeparators(end + 1), isSetOff: true }
    }
    if (!isLetter(char)) return NO_LEADING_LEVEL
    const end = this.#wordEnd(0)
    const word = this.#text.slice(0, end)
    if (severityOfWord(word) === 0 || isCapitalised(word)) return NO_LEADING_LEVEL
    const next = this.#text.charCodeAt(end)
    const isSetOff = next === COLON && !isDigit(this.#text.charCodeAt(end + 1))
    if (!isSetOff && !(isBlank(next) && isUpper(word))) return NO_LEADING_LEVEL
    this.#level = word
    return { end: this.#skipSeparators(end), isSetOff }
  }

  /** The level that `readLeadingLevel` found. */
  get level(): string {
    return this.#level
  }

  #begin(text: string, at: number): void {
    this.#text = text
    this.#at = at
    this.#forget()
  }

  #forget(): void {
    this.#level = ''
    this.#pid = -1
    this.#threadId = -1
    this.#thread = ''
    this.#logger = ''
    this.#client = ''
    this.#file = ''
    this.#lineNumber = -1
  }

  #place(draft: EventDraft): void {
    const { attributes } = draft
    if (this.#level !== '') draft.foundLevel(this.#level, 'word')
    if (this.#pid >= 0) attributes.setIfAbsent('process.pid', this.#pid)
    if (this.#threadId >= 0) attributes.setIfAbsent('thread.id', this.#threadId)
    if (this.#thread !== '') attributes.setIfAbsent('thread.name', this.#thread)
    if (this.#logger !== '') attributes.setIfAbsent('otel.scope.name', this.#logger)
    if (this.#client !== '') placeAddress(draft, this.#client)
    if (this.#file !== '') attributes.setIfAbsent('code.file.path', this.#file)
    if (this.#lineNumber >= 0) attributes.setIfAbsent('code.line.number', this.#lineNumber)
  }

  /** `[time: INFO/MainProcess]`, `[time INFO  crate::module]`, `[time]`: what stands in the bracket behind the time. */
  #readOpenBracket(): boolean {
    const close = this.#text.indexOf(']', this.#at)
    if (close < 0 || close - this.#at > GROUP_CHARS_MAX) return false
    if (close > this.#at) {
      const at = this.#skipSeparators(this.#at)
      const end = this.#wordEnd(at)
      const word = this.#text.slice(at, end)
      if (severityOfWord(word) === 0) return false
      this.#level = word
      const rest = this.#text.slice(end, close).replace(/^[\s/:|-]+/, '')
      if (this.#text.charCodeAt(end) === SLASH) this.#thread = rest
      else this.#logger = rest
    }
    this.#at = close + 1
    return true
  }

  #readToLevel(): void {
    for (let piece = 0; piece < PIECES_MAX; piece += 1) {
      const char = this.#text.charCodeAt(this.#at)
      const hasMore =
        char === OPEN || char === 0x7b || char === 0x28
          ? this.#readGroup()
          : isDigit(char)
            ? this.#readNumber()
            : isLetter(char) || char === 0x5f
              ? this.#readWord()
              : false
      if (this.#level !== '' || !hasMore) return
      this.#at = this.#skipSeparators(this.#at)
    }
  }

  /** A bracketed piece before the level: the level itself, a process, a place in the source, or a thread. */
  #readGroup(): boolean {
    const end = this.#groupEnd(this.#at)
    if (end < 0) return false
    const content = this.#text.slice(this.#at + 1, end).trim()
    this.#at = end + 1
    if (this.#readLevelGroup(content) || this.#readProcessGroup(content)) return true
    const place = /^([\w./-]+\.\w+):(\d+)$/.exec(content)
    if (place !== null) {
      this.#file = place[1] as string
      this.#lineNumber = Number(place[2])
    } else if (content !== '') this.#thread = content
    return true
  }

  /** `error`, `core:error`, `W`. */
  #readLevelGroup(content: string): boolean {
    if (severityOfWord(content) > 0 || (content.length === 1 && severityOfLetter(content) > 0)) {
      this.#level = content
      // MySQL puts the thread before its bracketed level; pids stand before bare ones.
      if (this.#pid >= 0 && this.#threadId < 0 && this.#isNumberBare) {
        this.#threadId = this.#pid
        this.#pid = -1
      }
      return true
    }
    const colon = content.indexOf(':')
    if (colon <= 0 || severityOfWord(content.slice(colon + 1)) === 0 || content.includes(' ')) return false
    this.#logger = content.slice(0, colon)
    this.#level = content.slice(colon + 1)
    return true
  }

  /** `123`, `123-1` (PostgreSQL), `pid 123`, `pid 123:tid 456` (Apache). */
  #readProcessGroup(content: string): boolean {
    const match = /^(?:pid )?(\d{1,10})(?::tid (\d{1,15})|-\d+)?$/.exec(content)
    if (match === null) return false
    this.#pid = Number(match[1])
    this.#isNumberBare = false
    if (match[2] !== undefined) this.#threadId = Number(match[2])
    return true
  }

  #isNumberBare = false

  #readNumber(): boolean {
    let end = this.#at
    while (isDigit(this.#text.charCodeAt(end))) end += 1
    if (end - this.#at > 10 || !isBlank(this.#text.charCodeAt(end))) return false
    this.#pid = Number(this.#text.slice(this.#at, end))
    this.#isNumberBare = true
    this.#at = end
    return true
  }

  #readWord(): boolean {
    const start = this.#at
    const end = this.#wordEnd(start)
    const word = this.#text.slice(start, end)
    if (word === 'PHP') return this.#readPhpLevel(start)
    if (severityOfWord(word) > 0) {
      if (!this.#isLevelSetOff(word, start, end)) return false
      this.#level = word
      this.#at = end
      return true
    }
    // A name before the level must be set off by dashes or bars, or be PostgreSQL's user@database.
    let nameEnd = end
    while (
      nameEnd < this.#text.length &&
      !isBlank(this.#text.charCodeAt(nameEnd)) &&
      this.#text.charCodeAt(nameEnd) !== BAR
    ) {
      nameEnd += 1
    }
    if (nameEnd - start > LOGGER_CHARS_MAX) return false
    const name = this.#text.slice(start, nameEnd)
    const isDashed = this.#text.startsWith(' - ', nameEnd)
    const isBarred = this.#text.charCodeAt(nameEnd) === BAR || this.#text.startsWith(' | ', nameEnd)
    if (!isDashed && !isBarred && !name.includes('@')) return false
    if (!name.includes('@')) this.#logger = name
    this.#at = nameEnd
    return true
  }

  /** `PHP Warning:  `, `PHP Fatal error:  `. */
  #readPhpLevel(start: number): boolean {
    const match = /^PHP (\w+)(?: error)?:\s*/.exec(this.#text.slice(start, start + 40))
    if (match === null || severityOfWord(match[1] as string) === 0) return false
    this.#level = match[1] as string
    this.#at = start + match[0].length
    return true
  }

  /** Whether a level word stands as a level and not as the message's first word. */
  #isLevelSetOff(word: string, start: number, end: number): boolean {
    const next = this.#text.charCodeAt(end)
    const isAtEnd = end >= this.#text.length
    if (isUpper(word)) {
      return (
        isAtEnd ||
        isBlank(next) ||
        next === COLON ||
        next === BAR ||
        next === DASH ||
        next === COMMA ||
        next === SLASH ||
        next === OPEN
      )
    }
    if (next === COLON) return !isCapitalised(word)
    if (next === BAR || next === TAB) return true
    if (next !== SPACE) return false
    const after = this.#text.charCodeAt(end + 1)
    if (after === SPACE || after === TAB || after === BAR) return true
    const before = this.#text.charCodeAt(start - 1)
    return (after === DASH && this.#text.charCodeAt(end + 2) === SPACE) || before === BAR
  }

  #readBehindLevel(): void {
    this.#at = this.#skipSeparators(this.#at)
    this.#readSpringProcess()
    this.#readNginxProcess()
    for (let piece = 0; piece < PIECES_MAX; piece += 1) {
      if (this.#text.charCodeAt(this.#at) !== OPEN || !this.#readGroupBehindLevel()) break
    }
    this.#readLogger()
  }

  /** `12345 --- ` of Spring Boot. */
  #readSpringProcess(): void {
    let end = this.#at
    while (isDigit(this.#text.charCodeAt(end))) end += 1
    if (end === this.#at || end - this.#at > 10 || !this.#text.startsWith(' --- ', end)) return
    this.#pid = Number(this.#text.slice(this.#at, end))
    this.#at = end + 5
  }

  /** `123#0: ` of nginx: process and thread. */
  #readNginxProcess(): void {
    const match = isDigit(this.#text.charCodeAt(this.#at))
      ? /^(\d{1,10})#(\d{1,15}): ?/.exec(this.#text.slice(this.#at, this.#at + 32))
      : null
    if (match === null) return
    this.#pid = Number(match[1])
    this.#threadId = Number(match[2])
    this.#at += match[0].length
  }

  /** A bracket behind the level is the message's own unless it is a process, a client, or stands before a logger. */
  #readGroupBehindLevel(): boolean {
    const start = this.#at
    const end = this.#groupEnd(start)
    if (end < 0) return false
    const content = this.#text.slice(start + 1, end).trim()
    const next = this.#skipSeparators(end + 1)
    if (content.startsWith('pid ') && this.#readProcessGroup(content)) {
      this.#at = next
      return true
    }
    if (content.startsWith('client ')) {
      this.#client = content.slice(7)
      this.#at = next
      return true
    }
    // `[INFO ][o.e.n.Node ]`: written without a space, it belongs to the head.
    if (this.#text.charCodeAt(start - 1) === CLOSE && this.#logger === '' && /^[\w.$-]+$/.test(content)) {
      this.#logger = content
      this.#at = next
      return true
    }
    const isBeforeMessage = this.#text.startsWith(' - ', end + 1) || this.#loggerEnd(next) > 0
    if (this.#thread !== '' || !isBeforeMessage) return false
    this.#thread = content
    this.#at = next
    return true
  }

  #readLogger(): void {
    const end = this.#loggerEnd(this.#at)
    if (end === 0 || this.#logger !== '') return
    this.#logger = this.#text.slice(this.#at, end)
    let next = end
    while (isBlank(this.#text.charCodeAt(next))) next += 1
    const char = this.#text.charCodeAt(next)
    if (char === COLON || (char === DASH && isBlank(this.#text.charCodeAt(next + 1)))) next += 1
    while (isBlank(this.#text.charCodeAt(next))) next += 1
    this.#at = next
  }

  /**
   * The end of a logger's name at `at`, 0 for none: a qualified name (with a dot, `$` or `::`) before `: `, ` - `,
   * ` : ` or a bracket. A single word before a colon is more often the message's: `ERROR Timeout: no answer`. An
   * exception's name belongs to the message as well.
   */
  #loggerEnd(at: number): number {
    if (!isLetter(this.#text.charCodeAt(at)) && this.#text.charCodeAt(at) !== 0x5f) return 0
    const limit = Math.min(this.#text.length, at + LOGGER_CHARS_MAX)
    let end = at
    let isQualified = false
    for (; end < limit; end += 1) {
      const char = this.#text.charCodeAt(end)
      if (char === 0x2e || char === 0x24) isQualified = true
      else if (char === COLON) {
        if (this.#text.charCodeAt(end + 1) !== COLON) break
        isQualified = true
        end += 1
      } else if (!isLetter(char) && !isDigit(char) && char !== 0x5f && char !== DASH) break
    }
    if (!isQualified || end >= limit) return 0
    if (/(?:Exception|Error)$/.test(this.#text.slice(at, end))) return 0
    const char = this.#text.charCodeAt(end)
    if (char === COLON)
      return isBlank(this.#text.charCodeAt(end + 1)) || end + 1 >= this.#text.length ? end : 0
    if (!isBlank(char)) return 0
    // Tomcat sets nothing between the two; a name of four parts is no word of a sentence.
    if (this.#text.slice(at, end).split('.').length >= 4) return end
    let next = end
    while (isBlank(this.#text.charCodeAt(next))) next += 1
    const separator = this.#text.charCodeAt(next)
    const isSeparated =
      (separator === COLON || separator === DASH) && isBlank(this.#text.charCodeAt(next + 1))
    return isSeparated || separator === OPEN ? end : 0
  }

  /** `main.go:12: ` of Go's log package, behind the time. */
  #readFileAndLine(): void {
    const match = isLetter(this.#text.charCodeAt(this.#at))
      ? /^([\w./-]{1,200}\.\w{1,5}):(\d{1,7}): /.exec(this.#text.slice(this.#at, this.#at + 220))
      : null
    if (match === null) return
    this.#file = match[1] as string
    this.#lineNumber = Number(match[2])
    this.#at += match[0].length
  }

  /** Spaces, and the marks that loggers put between pieces; a dash only where a space follows. */
  #skipSeparators(from: number): number {
    let at = from
    for (;;) {
      const char = this.#text.charCodeAt(at)
      const isMark = char === COLON || char === BAR || char === COMMA
      const isDash = char === DASH && (isBlank(this.#text.charCodeAt(at + 1)) || at + 1 >= this.#text.length)
      if (!isBlank(char) && !isMark && !isDash) return at
      at += 1
    }
  }

  #wordEnd(at: number): number {
    let end = at
    while (isLetter(this.#text.charCodeAt(end)) || isDigit(this.#text.charCodeAt(end))) end += 1
    return end
  }

  /** The index of the bracket that closes the one at `at`, -1 when it is not closed within the line's head. */
  #groupEnd(at: number): number {
    const open = this.#text.charCodeAt(at)
    const close = open === 0x28 ? 0x29 : open + 2
    const limit = Math.min(this.#text.length, at + GROUP_CHARS_MAX)
    let depth = 0
    for (let end = at; end < limit; end += 1) {
      const char = this.#text.charCodeAt(end)
      if (char === 0x0a) return -1
      if (char === open) depth += 1
      else if (char === close) {
        depth -= 1
        if (depth === 0) return end
      }
    }
    return -1
  }
}

const NO_LEADING_LEVEL = { end: 0, isSetOff: false } as const

function isUpper(word: string): boolean {
  return word === word.toUpperCase()
}

function isCapitalised(word: string): boolean {
  return !isUpper(word) && word.charCodeAt(0) < 0x61
}

/** `1.2.3.4`, `1.2.3.4:56789`, `2001:db8::1`. */
function placeAddress(draft: EventDraft, text: string): void {
  const match = /^([^:]+):(\d{1,5})$/.exec(text)
  draft.attributes.setIfAbsent('client.address', match === null ? text : (match[1] as string))
  if (match !== null) draft.attributes.setIfAbsent('client.port', Number(match[2]))
}
