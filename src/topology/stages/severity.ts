/**
 * The severity stage: the level that a parser found, or the level field of a structured line, as text and as
 * OpenTelemetry's number. The text stays as the line has it (`WARN`, `30`, `W`; for a syslog <PRI>, its keyword). A
 * level that nobody knows keeps its text and has no number. A line without a level has neither: words in the message
 * are never taken for one.
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import { isWeakName, ROLE } from '../field-roles.ts'
import type { SeverityScheme } from '../severity-number.ts'
import { severityOf } from '../severity-number.ts'
import { defineStage } from '../stage.ts'

export const severityStage = defineStage({
  name: 'severity',
  summary: 'Gives the level found in the line its OpenTelemetry severity number.',
  options: z.strictObject({}),
  create: () => (draft) => {
    const value = draft.foundFields.valueOf(ROLE.level)
    if (value !== undefined) takeField(draft, value)
    if (draft.severityText === null || draft.severityNumber !== null) return
    const severity = severityOf(draft.severityText, draft.severityScheme)
    if (severity > 0) draft.severityNumber = severity
  },
})

function takeField(draft: EventDraft, value: unknown): void {
  const { foundFields } = draft
  const key = foundFields.keyOf(ROLE.level)
  if (typeof value !== 'string' && typeof value !== 'number') return
  const text = `${value}`
  if (text === '') return
  if (key.startsWith('severity') || key.startsWith('Severity')) {
    // OpenTelemetry's own number, when the line has it in place of a word.
    const number = Number(text)
    if (key.toLowerCase().replace('_', '') === 'severitynumber') {
      if (!Number.isInteger(number) || number < 1 || number > 24) return
      draft.severityNumber = number
      foundFields.take(ROLE.level)
      return
    }
  }
  const scheme = schemeOf(draft, key, text)
  if (severityOf(text, scheme) === 0 && isWeakName(key)) return
  draft.severityText = text
  draft.severityScheme = scheme
  foundFields.take(ROLE.level)
}

/** Digits are pino's tens, except where the format is known to carry syslog's: journald and GELF. */
function schemeOf(draft: EventDraft, key: string, text: string): SeverityScheme {
  const first = text.charCodeAt(0)
  if (first < 0x30 || first > 0x39) return 'word'
  const isGelf = draft.foundFields.keyOf(ROLE.message) === 'short_message' && draft.attributes.has('version')
  return key === 'PRIORITY' || (isGelf && text.length === 1) ? 'syslog' : 'tens'
}
