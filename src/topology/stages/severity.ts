/**
 * The severity stage: the level that a parser found, or the level field of a structured line, as text and as
 * OpenTelemetry's number. The text stays as the line has it (`WARN`, `30`, `W`; for a syslog <PRI>, its keyword). A
 * level that nobody knows keeps its text and has no number. A line without a level has neither: words in the message
 * are never taken for one.
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import { isWeakName, ROLE } from '../field-roles.ts'
import type { JsonValue } from '../json-value.ts'
import type { SeverityScheme } from '../severity-number.ts'
import { severityOf, severityOfWord } from '../severity-number.ts'
import { defineStage } from '../stage.ts'

export const severityStage = defineStage({
  name: 'severity',
  summary: 'Gives the level found in the line its OpenTelemetry severity number.',
  options: z.strictObject({}),
  create: () => (draft) => {
    const value = draft.foundFields.valueOf(ROLE.level)
    if (value !== undefined) takeField(draft, value)
    else if (draft.severityText === null && !draft.attributes.isUntouched) readPair(draft)
    if (draft.severityText === null || draft.severityNumber !== null) return
    const severity = severityOf(draft.severityText, draft.severityScheme)
    if (severity > 0) draft.severityNumber = severity
  },
})

/** `level=error` among the pairs of a text message; it stays an attribute like its neighbours. */
function readPair(draft: EventDraft): void {
  const level = draft.attributes.get('level')
  if (typeof level === 'string' && severityOfWord(level) > 0) draft.foundLevel(level, 'word')
}

function takeField(draft: EventDraft, value: JsonValue): void {
  const { foundFields } = draft
  if (typeof value !== 'string' && typeof value !== 'number') return
  const text = typeof value === 'string' ? value : `${value}`
  if (text === '') return
  const key = foundFields.keyOf(ROLE.level)
  if (NUMBER_NAMES.has(key)) {
    const number = Number(text)
    if (!Number.isInteger(number) || number < 1 || number > 24) return
    draft.severityNumber = number
    foundFields.take(ROLE.level)
    return
  }
  const scheme = schemeOf(draft, key, text)
  const severity = severityOf(text, scheme)
  if (severity === 0 && isWeakName(key)) return
  draft.severityText = text
  draft.severityScheme = scheme
  if (severity > 0) draft.severityNumber = severity
  foundFields.take(ROLE.level)
}

/** OpenTelemetry's own number, when a line has it in place of a word. */
const NUMBER_NAMES: ReadonlySet<string> = new Set(['severityNumber', 'severity_number', 'SeverityNumber'])

/** Digits are pino's tens, except where the format is known to carry syslog's: journald and GELF. */
function schemeOf(draft: EventDraft, key: string, text: string): SeverityScheme {
  const first = text.charCodeAt(0)
  if (first < 0x30 || first > 0x39) return 'word'
  const isSyslog = key === 'PRIORITY' || (draft.severityScheme === 'syslog' && draft.severityText === null)
  return isSyslog && text.length === 1 ? 'syslog' : 'tens'
}
