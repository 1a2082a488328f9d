/** Where a replay begins and ends, as people write it: a time or an offset. */

import { parseDurationMs } from '../config/option-text.ts'
import { invalidReplay } from './replay-error.ts'

/** `time`: the first record at or after it. `offset`: that very record. */
export type ReplayPoint =
  | { readonly kind: 'time'; readonly timestampMs: number }
  | { readonly kind: 'offset'; readonly offset: number }

/** What a message shows of the forms. */
const FORMS =
  '2026-05-01T10:00:00Z (RFC 3339, with Z or an offset), -2h (before now), 1777629600000 (ms since 1970), or offset:1200'

/** RFC 3339 with its mandatory offset; `Date.parse` alone takes much more, and reads a time without one as local. */
const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/
/** Milliseconds have this many digits since 1973; no offset will. */
const EPOCH_DIGITS_MIN = 12

/**
 * Parses `--from` or `--to`. A plain number is an offset, or milliseconds since 1970 from twelve digits on. Throws
 * GS_REPLAY_INVALID with the right forms.
 */
export function parseReplayPoint(flag: string, text: string, nowMs: number): ReplayPoint {
  const found = text.trim()
  const refuse = (why: string) => invalidReplay(`expected ${flag} to be ${FORMS}; found "${text}"${why}`)
  if (/^(offset:)?\d+$/.test(found)) {
    const digits = found.replace('offset:', '')
    const value = Number(digits)
    if (!Number.isSafeInteger(value)) throw refuse(', which is too large')
    const isOffset = found.startsWith('offset:') || digits.length < EPOCH_DIGITS_MIN
    return isOffset ? { kind: 'offset', offset: value } : { kind: 'time', timestampMs: value }
  }
  if (found === 'now') return { kind: 'time', timestampMs: nowMs }
  if (found.startsWith('-')) {
    const beforeMs = parseDurationMs(found.slice(1))
    if (beforeMs === null || beforeMs <= 0)
      throw refuse('; a time before now is written like -90s, -15m, -2h or -1d')
    return { kind: 'time', timestampMs: Math.max(0, nowMs - beforeMs) }
  }
  const parts = RFC_3339.exec(found)
  if (parts === null) {
    const isZoneless = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?$/.test(found)
    throw refuse(isZoneless ? ', which does not say its time zone' : '')
  }
  const timestampMs = Date.parse(found.replace(' ', 'T').toUpperCase())
  // 30 February is parsed as 2 March by some; a date that does not come back as itself does not exist.
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const isDate = new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day && month >= 1 && month <= 12
  if (!isDate || hour > 23 || minute > 59 || second > 59 || Number.isNaN(timestampMs)) {
    throw refuse(', which is no date or time that exists')
  }
  if (timestampMs < 0) throw refuse(', which is before 1970')
  return { kind: 'time', timestampMs }
}

/** Parses `--rate`: records a second. Throws GS_REPLAY_INVALID. */
export function parseRate(text: string): number {
  const found = /^(\d+)(?:\/s)?$/.exec(text.trim())
  const rate = found === null ? 0 : Number(found[1])
  if (rate >= 1 && rate <= RATE_MAX) return rate
  throw invalidReplay(
    `expected --rate to be records a second, from 1 to ${RATE_MAX}, such as 5000; found "${text}". Without --rate it goes as fast as it can.`,
  )
}

const RATE_MAX = 100_000_000
