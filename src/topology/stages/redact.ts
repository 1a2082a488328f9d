/**
 * The redact stage: takes out of an event what is not to be in it, by what it looks like (`patterns`, in the body and in
 * every text of the attributes and the resource, however deep) and by where it stands (`paths`, whole values). Let it be
 * the last stage, and in every tier: partial density has the whole line as the body.
 *
 * It changes events. The vault keeps the record as it was sent, and so do passthrough and dead letters, which are the
 * record's own bytes.
 */

import { z } from 'zod'
import type { FieldMap } from '../field-map.ts'
import { fieldPathSchema, parsePath, setAt, valueAt } from '../field-path.ts'
import type { JsonObject, JsonValue } from '../json-value.ts'
import { assignMember, rawNumberText } from '../json-value.ts'
import { defineStage } from '../stage.ts'

/** Takes what it knows out of a text. */
type Redaction = (text: string, replacement: string) => string

/** What can be looked for by name. Each looks at a text in linear time: what producers send must not stall a worker. */
const KNOWN_PATTERNS = {
  'card-number': redactCards,
  'email-address': redactionOf(/[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/g),
  'ip-address': redactionOf(
    /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])/g,
  ),
  'bearer-token': redactionOf(/(?<=\bBearer )[\w.~+/-]{8,4096}=*/gi),
  'json-web-token': redactionOf(/\beyJ[\w-]{4,4096}\.[\w-]{4,8192}\.[\w-]{0,4096}/g),
} as const satisfies Record<string, Redaction>
type KnownPattern = keyof typeof KNOWN_PATTERNS
const PATTERN_NAMES = Object.keys(KNOWN_PATTERNS) as [KnownPattern, ...KnownPattern[]]

const expressionSchema = z
  .string()
  .min(1)
  .refine(isExpression, 'a regular expression of JavaScript, without slashes around it')

export const redactStage = defineStage({
  name: 'redact',
  summary: 'Replaces what events must not carry: by pattern in every text, by path as whole values.',
  options: z
    .strictObject({
      patterns: z
        .array(z.enum(PATTERN_NAMES))
        .default([])
        .describe(
          'What to look for in every text: card numbers that pass their check digit, addresses, tokens.',
        ),
      expressions: z
        .array(expressionSchema)
        .default([])
        .describe('Regular expressions of your own, looked for as well.'),
      paths: z
        .array(fieldPathSchema)
        .default([])
        .describe('Values that are replaced whole: body, attributes.NAME, resource.NAME.'),
      replacement: z.string().default('[redacted]').describe('What stands in their place.'),
    })
    .refine(({ patterns, expressions, paths }) => patterns.length + expressions.length + paths.length > 0, {
      error: 'is to have at least one of patterns, expressions and paths',
    }),
  create: ({ patterns, expressions, paths, replacement }) => {
    const redactions: Redaction[] = [
      ...patterns.map((name) => KNOWN_PATTERNS[name]),
      ...expressions.map((source) => redactionOf(new RegExp(source, 'gu'))),
    ]
    const redactedText = (text: string) =>
      redactions.reduce((left, redaction) => redaction(left, replacement), text)
    const places = paths.map(parsePath)
    const redacted = (value: JsonValue) => redactValue(value, redactedText)
    return (draft) => {
      for (const place of places)
        if ((valueAt(draft, place) ?? null) !== null) setAt(draft, place, replacement)
      if (redactions.length === 0) return
      draft.body = redacted(draft.body)
      redactFields(draft.attributes, redacted)
      redactFields(draft.resource, redacted)
    }
  },
})

function redactFields(fields: FieldMap, redacted: (value: JsonValue) => JsonValue): void {
  for (const [key, value] of [...fields.entries()]) {
    const next = redacted(value)
    if (next !== value) fields.set(key, next)
  }
}

/** The value itself when there is nothing to take out of it. */
function redactValue(value: JsonValue, redactedText: (text: string) => string): JsonValue {
  if (typeof value === 'string') return redactedText(value)
  if (typeof value === 'number') {
    // A card number may have been sent as a number.
    const text = redactedText(`${value}`)
    return text === `${value}` ? value : text
  }
  if (typeof value !== 'object' || value === null) return value
  const digits = rawNumberText(value)
  if (digits !== null) {
    const text = redactedText(digits)
    return text === digits ? value : text
  }
  if (Array.isArray(value)) {
    const items = value.map((item) => redactValue(item, redactedText))
    return items.some((item, index) => item !== value[index]) ? items : value
  }
  let copy: Record<string, JsonValue | undefined> | null = null
  for (const key of Object.keys(value)) {
    const member = (value as JsonObject)[key] as JsonValue
    const next = redactValue(member, redactedText)
    if (next === member) continue
    copy ??= copyOf(value as JsonObject)
    assignMember(copy, key, next)
  }
  return copy === null ? value : (copy as JsonObject)
}

function copyOf(object: JsonObject): Record<string, JsonValue | undefined> {
  const copy: Record<string, JsonValue | undefined> = {}
  for (const key of Object.keys(object)) assignMember(copy, key, object[key])
  return copy
}

function redactionOf(expression: RegExp): Redaction {
  // A function, because `$&` in a text has a meaning of its own.
  return (text, replacement) => text.replace(expression, () => replacement)
}

const CARD_DIGITS_MIN = 13
const CARD_DIGITS_MAX = 19
/** Digits in groups, as cards are written; other numbers may stand beside one with nothing else between. */
const DIGIT_GROUPS = /\d+(?:[ -]\d+)*/g

/** Payment card numbers: 13 to 19 digits in one or more whole groups that pass their check digit. */
function redactCards(text: string, replacement: string): string {
  return text.replace(DIGIT_GROUPS, (run) =>
    run.length < CARD_DIGITS_MIN ? run : redactRun(run, replacement),
  )
}

function redactRun(run: string, replacement: string): string {
  // Groups at even places, what separates them at odd ones.
  const parts = run.split(/([ -])/)
  let redacted = ''
  for (let at = 0; at < parts.length; at += 1) {
    const last = at % 2 === 0 ? lastOfCard(parts, at) : -1
    redacted += last < 0 ? parts[at] : replacement
    if (last >= 0) at = last
  }
  return redacted
}

/** The last group of the longest card number that starts with the group at `first`; -1 for none. */
function lastOfCard(parts: readonly string[], first: number): number {
  let digits = ''
  let found = -1
  for (let at = first; at < parts.length && digits.length <= CARD_DIGITS_MAX; at += 2) {
    digits += parts[at]
    const isLong = digits.length >= CARD_DIGITS_MIN && digits.length <= CARD_DIGITS_MAX
    if (isLong && hasCheckDigit(digits)) found = at
  }
  return found
}

/** Luhn's check, which every payment card number passes and nine of ten other numbers do not. */
function hasCheckDigit(text: string): boolean {
  let sum = 0
  let isDoubled = false
  for (let at = text.length - 1; at >= 0; at -= 1) {
    const digit = text.charCodeAt(at) - 0x30
    const weighed = isDoubled ? digit * 2 : digit
    sum += weighed > 9 ? weighed - 9 : weighed
    isDoubled = !isDoubled
  }
  return sum % 10 === 0
}

function isExpression(source: string): boolean {
  try {
    new RegExp(source, 'gu')
    return true
  } catch {
    return false
  }
}
