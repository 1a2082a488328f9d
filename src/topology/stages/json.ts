/**
 * The JSON stage. The message field (message, msg, log, body…) becomes the body, fields with a known role go where
 * OpenTelemetry keeps them, and every other field becomes an attribute under its own name, nested objects as maps.
 * An object without a message field has a null body; an array is the body itself. What does not parse, nests too deep
 * or has monstrous keys stays text.
 */

import { z } from 'zod'
import { examineMember, JSON_KEY_CHARS_MAX, parseJson, parseKeepingDigits } from '../bounded-json.ts'
import type { EventDraft } from '../event-draft.ts'
import type { JsonObject, JsonValue } from '../json-value.ts'
import { isObject, ownMember, ownString } from '../json-value.ts'
import { defineStage } from '../stage.ts'
import { placeFields } from '../structured-fields.ts'

export const jsonStage = defineStage({
  name: 'json',
  summary: 'Reads JSON lines: the message becomes the body, the other fields attributes.',
  options: z.strictObject({}),
  create: () => (draft) => {
    if (draft.format !== 'json') return
    const parsed = parseJson(draft.rest)
    draft.format = parsed !== undefined && takeParsed(draft, parsed) ? 'done' : 'text'
  },
})

/** False when the value is out of bounds; the draft is then as it was. */
function takeParsed(draft: EventDraft, parsed: JsonObject | readonly JsonValue[]): boolean {
  const { foundFields } = draft
  let hasWideNumbers = false
  // One walk finds the fields with a role and checks the bounds; the object itself becomes the attributes.
  for (const key in parsed) {
    const member = (parsed as JsonObject)[key] as JsonValue
    const finding = key.length > JSON_KEY_CHARS_MAX ? 'out-of-bounds' : examineMember(member, 1)
    if (finding === 'out-of-bounds') {
      foundFields.clear()
      return false
    }
    if (finding === 'wide-numbers') hasWideNumbers = true
    foundFields.note(key, member)
  }
  const value = hasWideNumbers ? withExactNumbers(draft) : parsed
  if (Array.isArray(value)) {
    draft.body = value
    return true
  }
  const object = value as JsonObject
  draft.attributes.adopt(object)
  placeFields(draft)
  const log = ownMember(object, 'log')
  if (isObject(log)) placeLogMap(draft, log)
  return true
}

/** ECS nests it: {"log":{"level":"info","logger":"a.b.C"}}. The map stays an attribute, the two are read from it. */
function placeLogMap(draft: EventDraft, log: JsonObject): void {
  const level = ownString(log, 'level')
  if (level !== undefined) draft.foundLevel(level, 'word')
  const logger = ownString(log, 'logger')
  if (logger !== undefined) draft.attributes.setIfAbsent('otel.scope.name', logger)
}

/** Parses once more, keeping the digits, and notes the exact values. */
function withExactNumbers(draft: EventDraft): JsonObject | readonly JsonValue[] {
  const exact = parseKeepingDigits(draft.rest)
  draft.foundFields.clear()
  for (const [key, value] of Object.entries(exact)) draft.foundFields.note(key, value)
  return exact
}
