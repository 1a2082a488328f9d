/**
 * What the fields with a known role mean, for lines that are all fields (JSON, logfmt): message, host, service,
 * process, thread and logger move to where OpenTelemetry keeps them. Time, level and trace fields are left for their
 * own stages.
 */

import type { EventDraft } from './event-draft.ts'
import type { Role } from './field-roles.ts'
import { ROLE } from './field-roles.ts'
import { isObject, ownString } from './json-value.ts'

/** Call after the last `addField`. Without a message the body is null: every field is an attribute, none is copied. */
export function placeFields(draft: EventDraft): void {
  const { foundFields, attributes, resource } = draft
  const message = foundFields.valueOf(ROLE.message)
  if (typeof message === 'string') {
    draft.body = message
    // GELF counts its levels as syslog does.
    if (foundFields.keyOf(ROLE.message) === 'short_message') draft.severityScheme = 'syslog'
    foundFields.take(ROLE.message)
  } else {
    draft.body = null
  }
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

function placeText(draft: EventDraft, role: Role, name: string): void {
  const value = draft.foundFields.valueOf(role)
  if (typeof value === 'string' && draft.attributes.setIfAbsent(name, value)) draft.foundFields.take(role)
}
