/**
 * Severity words, letters and numbers to the OpenTelemetry severity number (1 to 24), after the example mappings in
 * the appendix of the OpenTelemetry logs data model; where that is silent, after the logger that uses the word.
 */

/** Where the number of a level is to be looked up. */
export type SeverityScheme =
  /** A word: INFO, warn, SEVERE. */
  | 'word'
  /** Syslog's 0 (emergency) to 7 (debug), as a digit. */
  | 'syslog'
  /** pino's and bunyan's 10 (trace) to 60 (fatal). */
  | 'tens'

const WORDS: ReadonlyMap<string, number> = new Map([
  // OpenTelemetry's own short names, and the loggers' words beside them.
  ['TRACE', 1],
  ['TRACE2', 2],
  ['TRACE3', 3],
  ['TRACE4', 4],
  ['TRC', 1],
  ['TRCE', 1],
  ['FINEST', 1],
  ['SILLY', 1],
  ['DEBUG', 5],
  ['DEBUG2', 6],
  ['DEBUG3', 7],
  ['DEBUG4', 8],
  ['DEBUG1', 5],
  ['DEBUG5', 5],
  ['DBG', 5],
  ['DBUG', 5],
  ['DEBG', 5],
  ['VERBOSE', 5],
  ['VRB', 1],
  ['FINER', 5],
  ['FINE', 6],
  ['CONFIG', 7],
  ['INFO', 9],
  ['INFO2', 10],
  ['INFO3', 11],
  ['INFO4', 12],
  ['INF', 9],
  ['INFORMATION', 9],
  ['INFORMATIONAL', 9],
  ['LOG', 9],
  ['NOTE', 9],
  ['NOTICE', 10],
  ['WARN', 13],
  ['WARN2', 14],
  ['WARN3', 15],
  ['WARN4', 16],
  ['WARNING', 13],
  ['WRN', 13],
  ['ERROR', 17],
  ['ERROR2', 18],
  ['ERROR3', 19],
  ['ERROR4', 20],
  ['ERR', 17],
  ['EROR', 17],
  ['FAIL', 17],
  ['SEVERE', 17],
  ['CRIT', 18],
  ['DPANIC', 18],
  ['ALERT', 19],
  ['PANIC', 19],
  ['FATAL', 21],
  ['FATAL2', 22],
  ['FATAL3', 23],
  ['FATAL4', 24],
  ['FTL', 21],
  ['CRITICAL', 21],
  ['EMERG', 21],
  ['EMERGENCY', 21],
])

const WORD_CHARS_MAX = 13
const SYSLOG = [21, 19, 18, 17, 13, 10, 9, 5]
/** The severities' keywords in syslog.conf and journalctl, 0 to 7. */
export const SYSLOG_KEYWORDS: readonly string[] = [
  'emerg',
  'alert',
  'crit',
  'err',
  'warning',
  'notice',
  'info',
  'debug',
]
const TENS = new Map([
  ['10', 1],
  ['20', 5],
  ['30', 9],
  ['40', 13],
  ['50', 17],
  ['60', 21],
])
/** Android's, klog's and MongoDB's letters; an E is an error in all of them, and F is fatal. */
const LETTERS: ReadonlyMap<string, number> = new Map([
  ['V', 1],
  ['T', 1],
  ['D', 5],
  ['D1', 5],
  ['D2', 5],
  ['D3', 5],
  ['D4', 5],
  ['D5', 5],
  ['I', 9],
  ['N', 10],
  ['W', 13],
  ['E', 17],
  ['C', 18],
  ['A', 21],
  ['F', 21],
])

const knownSpellings = new Map<string, number>()
const SPELLINGS_MAX = 1024

/** The severity number of a level word in any case, 0 when it is none. */
export function severityOfWord(word: string): number {
  if (word.length > WORD_CHARS_MAX || word.length < 3) return 0
  const known = knownSpellings.get(word)
  if (known !== undefined) return known
  const severity = WORDS.get(word.toUpperCase()) ?? severityWithOffset(word)
  if (knownSpellings.size < SPELLINGS_MAX) knownSpellings.set(word, severity)
  return severity
}

/** Go's log/slog between and beyond its four levels: `INFO+2`, `DEBUG-4`. Its numbers are OpenTelemetry's less nine. */
function severityWithOffset(word: string): number {
  const match = /^(DEBUG|INFO|WARN|ERROR)([+-]\d{1,2})$/.exec(word)
  if (match === null) return 0
  const severity = (WORDS.get(match[1] as string) as number) + Number(match[2])
  return severity >= 1 && severity <= 24 ? severity : 0
}

/** The severity number of a one-letter level (klog, Android, MongoDB), 0 when it is none. */
export function severityOfLetter(letter: string): number {
  return LETTERS.get(letter) ?? 0
}

/** The severity number of a level as it stands in the line, 0 when it cannot be told. */
export function severityOf(text: string, scheme: SeverityScheme): number {
  switch (scheme) {
    case 'syslog': {
      const keyword = SYSLOG_KEYWORDS.indexOf(text)
      if (keyword >= 0) return SYSLOG[keyword] as number
      return text.length === 1 ? (SYSLOG[text.charCodeAt(0) - 0x30] ?? 0) : 0
    }
    case 'tens':
      return TENS.get(text) ?? 0
    default:
      return text.length <= 2 ? severityOfLetter(text) : severityOfWord(text)
  }
}
