/**
 * The JSON stage. The message field (message, msg, log, body…) becomes the body, fields with a known role go where
 * OpenTelemetry keeps them, and every other field becomes an attribute under its own name, nested objects as maps.
 * An object without a message field has a null body; an array is the body itself. What does not parse, nests too deep
 * or has monstrous keys stays text.
 */

import { z } from 'zod'
import { parseBoundedJson } from '../bounded-json.ts'
import type { JsonObject } from '../json-text.ts'
import { defineStage } from '../stage.ts'
import { isObject, ownString, placeFields } from '../structured-fields.ts'

export const jsonStage = defineStage({
  name: 'json',
  summary: 'Reads JSON lines: the message becomes the body, the other fields attributes.',
  options: z.strictObject({}),
  create: () => (draft) => {
    if (draft.format !== 'json') return
    const parsed = parseBoundedJson(draft.rest)
    if (parsed === undefined) {
      draft.format = 'text'
      return
    }
    draft.format = 'done'
    if (Array.isArray(parsed)) {
      draft.body = parsed
      return
    }
    const object = parsed as JsonObject
    draft.addFields(object)
    placeFields(draft)
    // ECS nests it: {"log":{"level":"info"}}. The map stays an attribute, the level is read from it.
    const log = Object.hasOwn(object, 'log') ? object['log'] : undefined
    const level = isObject(log) ? ownString(log, 'level') : undefined
    if (level !== undefined) draft.foundLevel(level, 'word')
  },
})
