/**
 * What the fields with a known role mean, for lines that are all fields (JSON, logfmt): message, host, service,
 * process, thread and logger move to where OpenTelemetry keeps them. Time, level and trace fields are left for their
 * own stages.
 */

import { isUtf8 } from 'node:buffer'
import type { EventDraft } from './event-draft.ts'
import type { Role } from './field-roles.ts'
import { ROLE } from './field-roles.ts'
import { isObject, ownMember, ownString } from './json-value.ts'

const INFORMATIONAL = 9

/** Call after the last `addField`. Without a message the body is null, and every field is an attribute. */
export function placeFields(draft: EventDraft): void {
  const { foundFields, attributes, resource } = draft
  const message = foundFields.valueOf(ROLE.message)
  if (typeof message === 'string') {
    draft.body = message
    // GELF counts its levels as syslog does.
    if (foundFields.keyOf(ROLE.message) === 'short_message') draft.severityScheme = 'syslog'
    foundFields.take(ROLE.message)
  } else {
    draft.body = readBytes(draft) ?? readEventName(draft) ?? readPayload(draft)
  }
  // Compact log events of Serilog are informational where they say no level.
  if (
    foundFields.keyOf(ROLE.time) === '@t' &&
    foundFields.keyOf(ROLE.level) === '' &&
    draft.severityText === null
  )
    draft.severityNumber = INFORMATIONAL
  const host = foundFields.valueOf(ROLE.host)
  if (typeof host === 'string') {
    resource.setIfAbsent('host.name', host)
    foundFields.take(ROLE.host)
  }
  const service = foundFields.valueOf(ROLE.service)
  if (typeof service === 'string') {
    resource.setIfAbsent('service.name', service)
    foundFields.take(ROLE.service)
  } else if (service !== undefined) {
    const name = isObject(service) ? ownString(service, 'name') : undefined
    if (name !== undefined) resource.setIfAbsent('service.name', name)
  }
  const pid = foundFields.valueOf(ROLE.pid)
  if (pid !== undefined) {
    const number = typeof pid === 'string' && pid.length <= 10 ? Number(pid || Number.NaN) : pid
    if (Number.isInteger(number) && attributes.setIfAbsent('process.pid', number)) foundFields.take(ROLE.pid)
  }
  placeText(draft, ROLE.thread, 'thread.name')
  placeText(draft, ROLE.logger, 'otel.scope.name')
}

/** journald exports a message that has control characters, or is no text at all, as the numbers of its bytes. */
function readBytes({ foundFields }: EventDraft): string | null {
  const value = foundFields.valueOf(ROLE.message)
  if (foundFields.keyOf(ROLE.message) !== 'MESSAGE' || !Array.isArray(value)) return null
  if (!value.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)) return null
  const bytes = Buffer.from(value as number[])
  if (!isUtf8(bytes)) return null
  foundFields.take(ROLE.message)
  return bytes.toString()
}

/** structlog's message; without a level beside it an `event` is a name, and stays. */
function readEventName({ attributes, foundFields }: EventDraft): string | null {
  const event = attributes.get('event')
  if (typeof event !== 'string' || foundFields.keyOf(ROLE.level) === '') return null
  attributes.delete('event')
  return event
}

/** Maps that hold what the program said: Google Cloud's, Rust tracing's, loguru's. */
const PAYLOADS = ['jsonPayload', 'fields', 'record']

/** The message inside a payload, null for none; its time and level count where the line has none of its own. The map stays. */
function readPayload({ attributes, foundFields, severityText }: EventDraft): string | null {
  for (const name of PAYLOADS) {
    const payload = attributes.get(name)
    const message = isObject(payload)
      ? (ownString(payload, 'message') ?? ownString(payload, 'msg'))
      : undefined
    if (!isObject(payload) || message === undefined) continue
    const time = ownMember(payload, 'time')
    const level = ownMember(payload, 'level')
    if (time !== undefined && foundFields.keyOf(ROLE.time) === '') foundFields.note('time', time)
    if (level !== undefined && severityText === null && foundFields.keyOf(ROLE.level) === '')
      foundFields.note('level', level)
    return message
  }
  return null
}

function placeText(draft: EventDraft, role: Role, name: string): void {
  const value = draft.foundFields.valueOf(role)
  if (typeof value === 'string' && draft.attributes.setIfAbsent(name, value)) draft.foundFields.take(role)
}
