/**
 * The severity stage: the level that a parser found, or the level field of a structured line, as text and as
 * OpenTelemetry's number. The text stays as the line has it (`WARN`, `30`, `W`; for a syslog <PRI>, its keyword). A
 * level that nobody knows keeps its text and has no number. A line without a level has neither: words in the message
 * are never taken for one.
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import { ROLE } from '../field-roles.ts'
import type { JsonObject, JsonValue } from '../json-value.ts'
import { isObject, ownString } from '../json-value.ts'
import { levelOfField } from '../level-field.ts'
import { severityOf, severityOfWord } from '../severity-number.ts'
import { defineStage } from '../stage.ts'

export const severityStage = defineStage({
  name: 'severity',
  summary: 'Gives the level found in the line its OpenTelemetry severity number.',
  options: z.strictObject({}),
  create: () => (draft) => {
    const value = draft.foundFields.valueOf(ROLE.level)
    if (value !== undefined && takeField(draft, value)) return
    if (value === undefined && draft.severityText === null && !draft.attributes.isUntouched) readPair(draft)
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

/** log4j2's and loguru's {"name":"WARN",…}, logback's {"levelStr":"WARN",…}. The map stays an attribute, and an
 * outer layer's level stands: a glance does not look into maps. */
function readLevelObject(draft: EventDraft, level: JsonObject): boolean {
  const name = ownString(level, 'name') ?? ownString(level, 'levelStr')
  const severity = name === undefined ? 0 : severityOfWord(name)
  if (name === undefined || severity === 0 || draft.severityText !== null) return false
  draft.severityText = name
  draft.severityNumber = severity
  return true
}

/** True when the field is a level. */
function takeField(draft: EventDraft, value: JsonValue): boolean {
  if (isObject(value)) return readLevelObject(draft, value)
  if (typeof value !== 'string' && typeof value !== 'number') return false
  const { foundFields } = draft
  const text = typeof value === 'string' ? value : `${value}`
  const countsAsSyslog = draft.severityScheme === 'syslog' && draft.severityText === null
  const found = levelOfField(foundFields.keyOf(ROLE.level), text, countsAsSyslog)
  if (found === null) return false
  if (found.text !== null) draft.severityText = found.text
  if (found.number !== null) draft.severityNumber = found.number
  foundFields.take(ROLE.level)
  return true
}
