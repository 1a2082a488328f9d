/** What the level field of a structured line says, by its name and its value as text. */

import { isWeakName } from './field-roles.ts'
import type { SeverityScheme } from './severity-number.ts'
import { severityOf } from './severity-number.ts'
import { withoutColours } from './terminal-colours.ts'

export interface LevelOfField {
  /** The level as it stands in the line; null for a number that is OpenTelemetry's own. */
  readonly text: string | null
  /** OpenTelemetry's number; null for a level that nobody knows. */
  readonly number: number | null
}

/** OpenTelemetry's own number, when a line has it in place of a word. */
const NUMBER_NAMES: ReadonlySet<string> = new Set(['severityNumber', 'severity_number', 'SeverityNumber'])

/** Null when the value says nothing of a level. `countsAsSyslog`: the line's format counts levels from 0 to 7. */
export function levelOfField(key: string, text: string, countsAsSyslog: boolean): LevelOfField | null {
  if (text === '') return null
  if (NUMBER_NAMES.has(key)) {
    const number = Number(text)
    return Number.isInteger(number) && number >= 1 && number <= 24 ? { text: null, number } : null
  }
  // Layouts pad it: `%-5p` gives `INFO `.
  const level = withoutColours(text).trim()
  if (level === '') return null
  // Serilog's Verbose lies below Debug; elsewhere it lies above.
  const isSerilogVerbose = key === '@l' && level === 'Verbose'
  const severity = isSerilogVerbose ? 1 : severityOf(level, schemeOf(key, level, countsAsSyslog))
  if (severity === 0 && isWeakName(key)) return null
  return { text: level, number: severity > 0 ? severity : null }
}

/** Digits are pino's tens, except where the format is known to carry syslog's: journald and GELF. */
function schemeOf(key: string, text: string, countsAsSyslog: boolean): SeverityScheme {
  const first = text.charCodeAt(0)
  if (first < 0x30 || first > 0x39) return 'word'
  return (key === 'PRIORITY' || countsAsSyslog) && text.length === 1 ? 'syslog' : 'tens'
}
