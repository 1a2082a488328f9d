/**
 * Places in an event as a topology file names them: `body`, `severityText`, `attributes.NAME`, `resource.NAME`. Names may
 * have dots in them (`client.address`); where there is no field of the whole name, the dots lead into maps
 * (`attributes.user.email` is `email` in the map `user`).
 */

import { z } from 'zod'
import type { EventDraft } from './event-draft.ts'
import type { JsonObject, JsonValue } from './json-value.ts'
import { assignMember, isObject, ownMember } from './json-value.ts'

export type EventPart = 'body' | 'severityText' | 'attributes' | 'resource'

export interface FieldPath {
  readonly part: EventPart
  /** Within attributes or resource; '' for the other parts. */
  readonly name: string
}

/** A path as an option of a stage. */
export const fieldPathSchema = z
  .string()
  .regex(
    /^(body|severityText|(attributes|resource)\..+)$/s,
    'body, severityText, attributes.NAME or resource.NAME',
  )

/** Takes apart a path that `fieldPathSchema` has checked. */
export function parsePath(path: string): FieldPath {
  const dot = path.indexOf('.')
  return dot < 0
    ? { part: path as EventPart, name: '' }
    : { part: path.slice(0, dot) as EventPart, name: path.slice(dot + 1) }
}

/** What stands there; undefined when nothing does. */
export function valueAt(draft: EventDraft, { part, name }: FieldPath): JsonValue | undefined {
  if (part === 'body') return draft.body
  if (part === 'severityText') return draft.severityText ?? undefined
  const fields = draft[part]
  const own = fields.get(name)
  if (own !== undefined) return own
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const outer = fields.get(name.slice(0, dot))
    const inner = isObject(outer) ? memberAt(outer, name.slice(dot + 1)) : undefined
    if (inner !== undefined) return inner
  }
  return undefined
}

/** Puts a value where `valueAt` finds it, or where it would if it were there. */
export function setAt(draft: EventDraft, { part, name }: FieldPath, value: JsonValue): void {
  if (part === 'body') draft.body = value
  else if (part === 'severityText')
    draft.severityText = typeof value === 'string' ? value : JSON.stringify(value)
  else {
    const fields = draft[part]
    if (!fields.has(name)) {
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        const key = name.slice(0, dot)
        const outer = fields.get(key)
        if (!isObject(outer) || memberAt(outer, name.slice(dot + 1)) === undefined) continue
        fields.set(key, withMember(outer, name.slice(dot + 1), value))
        return
      }
    }
    fields.set(name, value)
  }
}

function memberAt(object: JsonObject, name: string): JsonValue | undefined {
  const own = ownMember(object, name)
  if (own !== undefined) return own
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const outer = ownMember(object, name.slice(0, dot))
    const inner = isObject(outer) ? memberAt(outer, name.slice(dot + 1)) : undefined
    if (inner !== undefined) return inner
  }
  return undefined
}

/** The object with another value where `memberAt` finds one. */
function withMember(object: JsonObject, name: string, value: JsonValue): JsonObject {
  const copy: Record<string, JsonValue | undefined> = {}
  const dot = ownMember(object, name) === undefined ? dotOf(object, name) : -1
  const key = dot < 0 ? name : name.slice(0, dot)
  for (const other of Object.keys(object)) {
    const member = object[other] as JsonValue
    const isOn = other === key
    assignMember(
      copy,
      other,
      !isOn ? member : dot < 0 ? value : withMember(member as JsonObject, name.slice(dot + 1), value),
    )
  }
  return copy as JsonObject
}

/** The dot behind the name of the member that the rest of the name leads into. */
function dotOf(object: JsonObject, name: string): number {
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const outer = ownMember(object, name.slice(0, dot))
    if (isObject(outer) && memberAt(outer, name.slice(dot + 1)) !== undefined) return dot
  }
  return -1
}
