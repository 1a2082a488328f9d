/**
 * The logfmt stage: lines that are `key=value` pairs from end to end, at least two of them. Roles are played as in
 * JSON (msg, time, level…); values stay text, since logfmt has no types. A line with anything but pairs stays text.
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import { PairCursor } from '../pairs.ts'
import { defineStage } from '../stage.ts'
import { placeFields } from '../structured-fields.ts'
import { NO_TIME, scanEpoch } from '../time/scan-time.ts'

const PAIRS_MIN = 2

/** Linux audit: `type=SYSCALL msg=audit(1364481363.243:24287): arch=…`. The time is in the message, which is the line. */
function readAudit(draft: EventDraft): void {
  const { body, foundTime } = draft
  if (typeof body !== 'string' || !body.startsWith('audit(') || draft.hasTime()) return
  if (scanEpoch(body, 6, foundTime) === NO_TIME) foundTime.clear()
  else draft.body = draft.rest
}

export const logfmtStage = defineStage({
  name: 'logfmt',
  summary: 'Reads logfmt lines: the message becomes the body, the other pairs attributes.',
  options: z.strictObject({}),
  create: () => {
    const pairs = new PairCursor()
    return (draft) => {
      if (draft.format !== 'logfmt') return
      draft.format = 'text'
      pairs.open(draft.rest)
      let count = 0
      while (pairs.next()) count += 1
      if (!pairs.isAtEnd() || count < PAIRS_MIN) return
      draft.format = 'done'
      pairs.open(draft.rest)
      while (pairs.next()) {
        // Heroku's router has `service=2ms`: a duration, not a name.
        if (pairs.key === 'service') draft.attributes.set('service', pairs.value)
        else draft.addField(pairs.key, pairs.value)
      }
      placeFields(draft)
      readAudit(draft)
    }
  },
})
