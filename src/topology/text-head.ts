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
import { matchAt } from './match-at.ts'
import { severityOfLetter, severityOfWord } from './severity-number.ts'
import { placeUserAndDatabase } from './user-and-database.ts'

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

const PHP_LEVEL = /PHP ([A-Z][a-z]{3,12}(?: Standards)?)(?: error)?:\s*/y
/** Those of PHP's words that nobody else uses: parse errors are fatal, the others are notices. */
const PHP_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['Parse', 21],
  ['Deprecated', 10],
  ['Strict Standards', 10],
])
const MONOLOG_LEVEL = /([\w.-]{1,100})\.([A-Z]{4,9}): ?/y
/** Icinga's `information/Notification: `. */
const ICINGA_LEVEL = /([a-z]{4,11})\/([A-Z]\w{1,64}): ?/y
/** The database behind PostgreSQL's `[unknown]`. */
const AT_DATABASE = /@(\[unknown\]|[^\s[\]]{1,64})/y
const PYTHON_LEVEL = / +(DEBUG|INFO|WARNING|ERROR|CRITICAL) +/y
/** `ERROR: `, which Go's programs put in front of what they log. */
const SHOUTED_LEVEL = /([A-Z]{4,8}): /y
/** ` program[123] ` */
const PROGRAM = / [A-Za-z][\w.-]{0,63}\[\d{1,10}\]:? /y
/** loguru's `module:function:12 - `. */
const LOGURU_PLACE = /([\w.]{1,200}):([\w.<>]{1,100}):(\d{1,7}) - /y
/** WildFly's `[org.jboss.as] (MSC service thread 1-7) `. */
const WILDFLY_THREAD = /\(([^()\n]{1,100})\) /y

const isDigit = (char: number) => char >= 0x30 && char <= 0x39
const isLetter = (char: number) => (char >= 0x41 && char <= 0x5a) || (char >= 0x61 && char <= 0x7a)
const isBlank = (char: number) => char === SPACE || char === TAB

/** Reads heads, one after another. Holds no state between lines. */
export class TextHead {
  #text = ''
  #at = 0
  #level = ''
  /** OpenTelemetry's number of the level, where its word alone does not tell it. */
  #levelNumber = 0
  #pid = -1
  #threadId = -1
  #thread = ''
  #logger = ''
  #client = ''
  #file = ''
  #lineNumber = -1
  #function = ''
  #user = ''
  #database = ''
  /** The time stands in a bracket of its own. */
  #isBracketed = false
  /** The time has milliseconds behind a comma, as Python's logging and log4j write. */
  #hasCommaMillis = false

  /**
   * Reads the pieces from `at` on, just behind the time, and puts what they are into the draft. Answers the index
   * where the message starts: `at` without its separators when no level was found. `isOpen` says that the time
   * stands in a bracket that is not closed yet.
   */
  read(draft: EventDraft, at: number, options: { readonly isOpen: boolean }): number {
    this.#begin(draft.rest, at)
    this.#isBracketed = options.isOpen
    this.#hasCommaMillis = this.#text.charCodeAt(at - 4) === COMMA
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
    if (word === 'PHP') return this.#readPhpLevel(0) ? { end: this.#at, isSetOff: true } : NO_LEADING_LEVEL
    if (severityOfWord(word) === 0 || isCapitalised(word)) return NO_LEADING_LEVEL
    const next = this.#text.charCodeAt(end)
    const isSetOff = next === COLON && !isDigit(this.#text.charCodeAt(end + 1))
    if (!isSetOff && !(isBlank(next) && isUpper(word))) return NO_LEADING_LEVEL
    this.#level = word
    return { end: this.#skipSeparators(end), isSetOff }
  }

  /** The level that was found last, '' for none. */
  get level(): string {
    return this.#level
  }

  /** Puts the level that was found last into the draft, unless an outer layer of the line had one already. */
  placeLevel(draft: EventDraft): void {
    const isFirst = draft.severityText === null
    draft.foundLevel(this.#level, 'word')
    if (isFirst && this.#levelNumber > 0) draft.severityNumber = this.#levelNumber
  }

  #begin(text: string, at: number): void {
    this.#text = text
    this.#at = at
    this.#forget()
  }

  #forget(): void {
    this.#level = ''
    this.#levelNumber = 0
    this.#user = ''
    this.#database = ''
    this.#pid = -1
    this.#threadId = -1
    this.#thread = ''
    this.#logger = ''
    this.#client = ''
    this.#file = ''
    this.#lineNumber = -1
    this.#function = ''
  }

  #place(draft: EventDraft): void {
    const { attributes } = draft
    if (this.#level !== '') this.placeLevel(draft)
    placeUserAndDatabase(draft, this.#user, this.#database)
    if (this.#function !== '') attributes.setIfAbsent('code.function.name', this.#function)
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
    const [database = '', name = ''] = content === 'unknown' ? matchAt(AT_DATABASE, this.#text, this.#at) : []
    if (database !== '') {
      this.#database = name
      this.#at += database.length
      return true
    }
    const place = /^([\w./-]+\.\w+):(\d+)$/.exec(content)
    if (place !== null) {
      this.#file = place[1] as string
      this.#lineNumber = Number(place[2])
      // PostgreSQL's application that gave no name.
    } else if (content !== '' && content !== 'unknown') this.#thread = content
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
    // PostgreSQL's `[1234]: [3-1] `: the second counts the session's lines.
    if (this.#pid >= 0 && content.includes('-')) return true
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
    if (this.#isBracketed && (this.#readMonologLevel(start) || this.#readIcingaLevel(start))) return true
    // etcd's capnslog: `I | package: message`.
    if (word.length === 1 && severityOfLetter(word) > 0 && this.#text.startsWith(' | ', end)) {
      this.#level = word
      this.#at = end
      return true
    }
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
    const database = name.indexOf('@')
    if (!isDashed && !isBarred && database < 0)
      return this.#hasCommaMillis && this.#readNameAndLevel(name, nameEnd)
    if (database < 0) this.#logger = name
    else {
      const client = name.indexOf('(', database)
      this.#user = name.slice(0, database)
      this.#database = name.slice(database + 1, client < 0 ? name.length : client)
      if (client > 0) this.#client = name.slice(client + 1).replace(')', '')
    }
    this.#at = nameEnd
    return true
  }

  /** `PHP Warning:  `, `PHP Fatal error:  `. */
  #readPhpLevel(start: number): boolean {
    const [head = '', level = ''] = matchAt(PHP_LEVEL, this.#text, start)
    const number = PHP_NUMBERS.get(level) ?? severityOfWord(level)
    if (number === 0) return false
    this.#level = level
    this.#levelNumber = number
    this.#at = start + head.length
    return true
  }

  /** `channel.ERROR: ` of Monolog, behind a time in brackets. */
  #readMonologLevel(start: number): boolean {
    const [head = '', channel = '', level = ''] = matchAt(MONOLOG_LEVEL, this.#text, start)
    if (severityOfWord(level) === 0) return false
    this.#logger = channel
    this.#level = level
    this.#at = start + head.length
    return true
  }

  /** `information/Notification: ` of Icinga, behind a time in brackets. */
  #readIcingaLevel(start: number): boolean {
    const [head = '', level = '', facility = ''] = matchAt(ICINGA_LEVEL, this.#text, start)
    if (severityOfWord(level) === 0) return false
    this.#level = level
    this.#logger = facility
    this.#at = start + head.length
    return true
  }

  /**
   * `name LEVEL message`, with nothing but spaces between: Python's logging. A name that is no qualified one may as well be
   * the host's or a word of the message, and stays in the message.
   */
  #readNameAndLevel(name: string, nameEnd: number): boolean {
    const [head, level = ''] = matchAt(PYTHON_LEVEL, this.#text, nameEnd)
    if (head === undefined || !/^[\w.-]+$/.test(name)) return false
    this.#level = level
    if (!name.includes('.') && name !== 'root' && name !== '__main__') return true
    this.#logger = name
    this.#at = nameEnd + head.length
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
    // VMware's `info vpxd[45715] message`: no sentence goes on like that.
    if (matchAt(PROGRAM, this.#text, end).length > 0) return !isCapitalised(word)
    return (after === DASH && this.#text.charCodeAt(end + 2) === SPACE) || before === BAR
  }

  #readBehindLevel(): void {
    this.#at = this.#skipSeparators(this.#at)
    this.#readNginxProcess()
    this.#readLoguruPlace()
    for (let piece = 0; piece < PIECES_MAX; piece += 1) {
      if (this.#text.charCodeAt(this.#at) !== OPEN || !this.#readGroupBehindLevel()) break
    }
    this.#readLogger()
  }

  #readLoguruPlace(): void {
    const [head = '', name = '', functionName = '', line] = matchAt(LOGURU_PLACE, this.#text, this.#at)
    if (head === '' || this.#logger !== '') return
    this.#logger = name
    this.#function = functionName
    this.#lineNumber = Number(line)
    this.#at += head.length
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
    const [thread = '', threadName = ''] = matchAt(WILDFLY_THREAD, this.#text, next)
    if (thread !== '' && this.#logger === '' && this.#thread === '' && /^[\w.$-]+$/.test(content)) {
      this.#logger = content
      this.#thread = threadName
      this.#at = next + thread.length
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
    else if (this.#isDoubleDash(next)) next += 2
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
    return isSeparated || separator === OPEN || this.#isDoubleDash(next) ? end : 0
  }

  /** `-- ` of logback 1.3 and later. */
  #isDoubleDash(at: number): boolean {
    return this.#text.startsWith('-- ', at)
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
    const [head = '', level = ''] = matchAt(SHOUTED_LEVEL, this.#text, this.#at)
    if (severityOfWord(level) === 0) return
    this.#level = level
    this.#at += head.length
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
