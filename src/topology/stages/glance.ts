/**
 * The glance stage, for partial density: finds the time and the level of a line, and nothing else. Structured lines are
 * looked at and not parsed; of text and syslog the head is read, which is where the two stand. The body stays the whole
 * line and there are no attributes; a later full enrichment of the same record gives the rest.
 *
 * Time and level are those of full density, or there are none: where a glance cannot tell them for certain it finds
 * nothing. Together with the format, timestamp and severity stages, and no other, JSON and access logs never come
 * here: `PartialLine` handles their bytes.
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import { knownName, ROLE } from '../field-roles.ts'
import { ESCAPE_SLACK_BYTES, ESCAPED_BYTES_MAX, LineEscaper } from '../line-escaper.ts'
import { clfBracketAt } from '../line-format.ts'
import type { GlancedField } from '../line-glance.ts'
import { JsonGlance, levelTextOf, timeTextOf } from '../line-glance.ts'
import { PairCursor } from '../pairs.ts'
import { defineStage } from '../stage.ts'
import { NO_TIME, scanClf } from '../time/scan-time.ts'
import { containerStage } from './container.ts'
import { syslogStage } from './syslog.ts'
import { textStage } from './text.ts'

/** Longest JSON text that is looked at. */
const JSON_BYTES_MAX = 16_384
const PAIRS_MIN = 2

export const glanceStage = defineStage({
  name: 'glance',
  summary: 'Finds time and level of any line without parsing it; the body stays the line (partial density).',
  options: z.strictObject({}),
  create: (_options, context) => {
    const heads = [containerStage, syslogStage, textStage].map((stage) => stage.create({}, context))
    const json = new TextGlance()
    const pairs = new PairCursor()
    return (draft) => {
      if (draft.format === 'done' || draft.format === 'message') return
      const { body, attributes, resource, traceId, spanId } = draft
      const isFirst = attributes.isUntouched && resource.isUntouched
      // Unwrapping Docker's lines takes a parse, and only their time is looked for; the others' is in their head.
      if (draft.format !== 'docker') for (const head of heads) head(draft)
      glanceAtFields(draft, json, pairs)
      draft.body = body
      draft.traceId = traceId
      draft.spanId = spanId
      if (isFirst) {
        attributes.clear()
        resource.clear()
      }
      draft.format = 'done'
    }
  },
})

/** Looks at what is left when the head is off. */
function glanceAtFields(draft: EventDraft, json: TextGlance, pairs: PairCursor): void {
  switch (draft.format) {
    case 'json':
      if (!json.look(draft)) forgetLevel(draft)
      break
    case 'docker':
      json.lookAtWrapping(draft)
      break
    case 'logfmt':
      glanceAtPairs(draft, pairs)
      break
    case 'access-log':
      glanceAtClf(draft)
      break
    default:
  }
}

function glanceAtClf({ rest, foundTime }: EventDraft): void {
  if (foundTime.kind !== 'none') return
  const bracketAt = clfBracketAt(rest)
  const clientEnd = rest.indexOf(' ')
  // Without a client and one token more it is no access log.
  if (clientEnd <= 0 || clientEnd >= bracketAt - 1 || scanClf(rest, bracketAt + 1, foundTime) === NO_TIME)
    foundTime.clear()
}

/** The line may have a better one than its head had. */
function forgetLevel(draft: EventDraft): void {
  draft.severityText = null
}

/** Every pair is looked at, because one that is none makes the line text. */
function glanceAtPairs(draft: EventDraft, pairs: PairCursor): void {
  const { foundFields } = draft
  pairs.open(draft.rest)
  let count = 0
  for (; pairs.next(); count += 1) foundFields.note(pairs.key, pairs.value)
  if (!pairs.isAtEnd() || count < PAIRS_MIN) {
    foundFields.clear()
    return
  }
  const message = foundFields.valueOf(ROLE.message)
  if (typeof message !== 'string') return
  if (foundFields.keyOf(ROLE.message) === 'short_message') draft.severityScheme = 'syslog'
}

/** `JsonGlance` for text that is no record's bytes. */
class TextGlance {
  readonly #bytes = Buffer.allocUnsafeSlow(JSON_BYTES_MAX)
  readonly #view = new DataView(this.#bytes.buffer)
  /** Nobody reads it: what the escaper notes on its way is what is wanted. */
  readonly #escaped = new DataView(new ArrayBuffer(JSON_BYTES_MAX * ESCAPED_BYTES_MAX + ESCAPE_SLACK_BYTES))
  readonly #escaper = new LineEscaper()
  readonly #json = new JsonGlance()

  /** Notes time and level of the draft's rest; false when it needs more than a glance. */
  look(draft: EventDraft): boolean {
    const json = this.#json
    if (!this.#isObject(draft.rest)) return false
    if (json.isGelf()) draft.severityScheme = 'syslog'
    note(draft, json.time, timeTextOf(this.#bytes, json.time))
    note(draft, json.level, levelTextOf(this.#bytes, json.level))
    return true
  }

  /** Notes the time of Docker's wrapping, under its own name; the level is in the line that it wraps. */
  lookAtWrapping(draft: EventDraft): void {
    const { time } = this.#json
    if (!this.#isObject(draft.rest) || time.kind !== 'string' || knownName(time.known) !== 'time') return
    note(draft, time, timeTextOf(this.#bytes, time))
  }

  /** Looks at the text; false when it is no object, or one that needs more than a glance. */
  #isObject(text: string): boolean {
    if (text.length * 3 > JSON_BYTES_MAX) return false
    const end = this.#bytes.write(text)
    this.#escaper.write(this.#view, 0, end, this.#escaped, 0)
    return this.#json.look(this.#bytes, 0, end, this.#escaper)
  }
}

function note({ foundFields }: EventDraft, field: GlancedField, text: string | null): void {
  if (text !== null) foundFields.note(knownName(field.known), text)
}
