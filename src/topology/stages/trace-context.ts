/**
 * The trace-context stage: trace and span id from the fields of structured lines (W3C traceparent, OpenTelemetry, ECS,
 * B3, Datadog, X-Ray, Google Cloud) and, in text, from `traceparent`, `trace_id=`, `traceId=`, `TraceId=` and `trace.id=`
 * (or with a colon). An id that is not well-formed, or all zero, stays where it was found.
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import { ROLE } from '../field-roles.ts'
import type { JsonObject, JsonValue } from '../json-value.ts'
import { isObject, ownMember, rawNumberText } from '../json-value.ts'
import { defineStage } from '../stage.ts'
import { decimalIdToHex, spanIdOf, TRACE_ID_DIGITS, traceIdOf, traceParentAt } from '../trace-ids.ts'

export const traceContextStage = defineStage({
  name: 'trace-context',
  summary: 'Finds the trace and span id.',
  options: z.strictObject({}),
  create: () => (draft) => {
    takeTraceParent(draft)
    takeTraceId(draft)
    takeSpanId(draft)
    if (draft.traceId === null) readGroup(draft)
    if (draft.traceId === null && typeof draft.body === 'string') readText(draft, draft.body)
  },
})

function takeTraceParent(draft: EventDraft): void {
  const value = draft.foundFields.valueOf(ROLE.traceParent)
  if (typeof value !== 'string') return
  const context = traceParentAt(value, 0)
  if (context === null) return
  draft.traceId = context.traceId
  draft.spanId = context.spanId
  draft.foundFields.take(ROLE.traceParent)
}

function takeTraceId(draft: EventDraft): void {
  const value = draft.foundFields.valueOf(ROLE.traceId)
  if (value === undefined || draft.traceId !== null) return
  const isDatadog = draft.foundFields.keyOf(ROLE.traceId).startsWith('dd.')
  // .NET's Activity has the whole traceparent for its id.
  const context = typeof value === 'string' ? traceParentAt(value, 0) : null
  const id =
    context?.traceId ??
    (isDatadog ? datadogTraceId(value) : typeof value === 'string' ? traceIdOf(value) : null)
  if (id === null) return
  draft.traceId = id
  if (context !== null) draft.spanId ??= context.spanId
  draft.foundFields.take(ROLE.traceId)
}

function takeSpanId(draft: EventDraft): void {
  const value = draft.foundFields.valueOf(ROLE.spanId)
  if (value === undefined || draft.spanId !== null) return
  const isDatadog = draft.foundFields.keyOf(ROLE.spanId).startsWith('dd.')
  const id = isDatadog ? decimalIdToHex(digitsOf(value)) : typeof value === 'string' ? spanIdOf(value) : null
  if (id === null) return
  draft.spanId = id
  draft.foundFields.take(ROLE.spanId)
}

/** Datadog writes 64-bit ids in decimal, and 128-bit ones as 32 hexadecimal digits. */
function datadogTraceId(value: JsonValue): string | null {
  const digits = digitsOf(value)
  if (digits.length === TRACE_ID_DIGITS) return traceIdOf(digits)
  return decimalIdToHex(digits)?.padStart(TRACE_ID_DIGITS, '0') ?? null
}

function digitsOf(value: JsonValue): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' ? `${value}` : (rawNumberText(value) ?? '')
}

/** Names of the ids within a map. */
const TRACE_MEMBERS = ['trace_id', 'traceId', 'trace.id', 'traceID', 'TraceId']
const SPAN_MEMBERS = ['span_id', 'spanId', 'span.id', 'spanID', 'SpanId']

/**
 * Google's `trace`, which is the id, or a map that holds the ids: {"trace":{"id"},"span":{"id"}} (ECS),
 * {"dd":{"trace_id","span_id"}}, log4j2's `contextMap`, logback's `mdc`. The maps stay attributes.
 */
function readGroup(draft: EventDraft): void {
  const { foundFields } = draft
  const group = foundFields.valueOf(ROLE.traceGroup)
  const key = foundFields.keyOf(ROLE.traceGroup)
  if (typeof group === 'string' && key === 'trace') {
    draft.traceId = traceIdOf(group)
    if (draft.traceId !== null) foundFields.take(ROLE.traceGroup)
  }
  if (!isObject(group)) return
  if (key === 'dd') {
    draft.traceId = datadogTraceId(memberText(group, 'trace_id'))
    if (draft.traceId !== null) draft.spanId ??= decimalIdToHex(memberText(group, 'span_id'))
    return
  }
  draft.traceId =
    traceIdOf(key === 'trace' ? memberText(group, 'id') : '') ?? idAmong(group, TRACE_MEMBERS, traceIdOf)
  if (draft.traceId === null) return
  const span = draft.attributes.get('span')
  draft.spanId ??=
    idAmong(group, SPAN_MEMBERS, spanIdOf) ?? (isObject(span) ? spanIdOf(memberText(span, 'id')) : null)
}

function idAmong(
  group: JsonObject,
  names: readonly string[],
  idOf: (text: string) => string | null,
): string | null {
  for (const name of names) {
    const id = idOf(memberText(group, name))
    if (id !== null) return id
  }
  return null
}

function memberText(object: JsonObject, key: string): string {
  return digitsOf(ownMember(object, key) ?? null)
}

const TRACE_WORD_WITHIN = 65_536

function readText(draft: EventDraft, text: string): void {
  if (text.length > TRACE_WORD_WITHIN) return
  if (!text.includes('trace') && !text.includes('TraceId')) return
  const parent = /\btraceparent["']?\s*[:=]\s*["']?(?=[0-9a-f]{2}-)/.exec(text)
  if (parent !== null) {
    const context = traceParentAt(text, parent.index + parent[0].length)
    if (context === null) return
    draft.traceId = context.traceId
    draft.spanId = context.spanId
    return
  }
  const trace = /\b[tT]race(?:[._-]?id|I[dD])["']?[:=]\s?["']?([0-9a-fA-F]{32}|[0-9a-fA-F]{16})\b/.exec(text)
  if (trace === null) return
  draft.traceId = traceIdOf(trace[1] as string)
  if (draft.traceId === null) return
  const span = /\b[sS]pan(?:[._-]?id|I[dD])["']?[:=]\s?["']?([0-9a-fA-F]{16})\b/.exec(text)
  if (span !== null) draft.spanId ??= spanIdOf(span[1] as string)
}
