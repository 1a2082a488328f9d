/** Which records a replay takes: all of them, those with a key, or those whose value matches a pattern. */

import type { RecordCursor } from '../batch/record-cursor.ts'
import { invalidReplay } from './replay-error.ts'

/** Decides about the record that the cursor stands on. */
export type RecordFilter = (cursor: RecordCursor) => boolean

export interface FilterOptions {
  /** The whole key, as text. */
  readonly key: string | null
  /** A regular expression for the value as text; may be written `/…/i`. */
  readonly match: string | null
}

/** Longest pattern: longer ones are programs. */
const PATTERN_CHARS_MAX = 1_000

/** Null when every record is taken, so that batches can stay as they are. Throws GS_REPLAY_INVALID. */
export function recordFilter({ key, match }: FilterOptions): RecordFilter | null {
  if (key === null && match === null) return null
  const keyBytes = key === null ? null : Buffer.from(key)
  const pattern = match === null ? null : compilePattern(match)
  return ({ bytes, keyStart, keyEnd, valueStart, valueEnd }) => {
    if (keyBytes !== null) {
      if (keyStart < 0 || keyBytes.compare(bytes, keyStart, keyEnd) !== 0) return false
    }
    if (pattern === null) return true
    return valueStart >= 0 && pattern.test(bytes.toString('utf8', valueStart, valueEnd))
  }
}

function compilePattern(text: string): RegExp {
  const written = /^\/(.+)\/([a-z]*)$/s.exec(text)
  const [source, flags] = written === null ? [text, ''] : [written[1] ?? '', written[2] ?? '']
  const form = 'such as "status=5[0-9]{2}" or "/error|fatal/i"'
  if (source === '' || source.length > PATTERN_CHARS_MAX) {
    throw invalidReplay(
      `expected --match to be a regular expression of 1 to ${PATTERN_CHARS_MAX} characters, ${form}`,
    )
  }
  if (/[^imsu]/.test(flags)) {
    throw invalidReplay(
      `expected --match to be a regular expression with the flags i, m, s or u, ${form}; found "${text}"`,
    )
  }
  try {
    return new RegExp(source, flags.includes('u') ? flags : `${flags}u`)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw invalidReplay(`expected --match to be a regular expression, ${form}; found "${text}": ${why}`)
  }
}
