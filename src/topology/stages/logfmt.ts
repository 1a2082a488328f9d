/**
 * The logfmt stage: lines that are `key=value` pairs from end to end, at least two of them. Roles are played as in
 * JSON (msg, time, level…); values stay text, since logfmt has no types. A line with anything but pairs stays text.
 */

import { z } from 'zod'
import { PairCursor } from '../pairs.ts'
import { defineStage } from '../stage.ts'
import { placeFields } from '../structured-fields.ts'

const PAIRS_MIN = 2

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
      const isFirewall = draft.rest.startsWith('date=')
      pairs.open(draft.rest)
      while (pairs.next()) {
        // Heroku's router has `service=2ms`, a duration; a firewall's `hostname` is the one that was asked for.
        if (pairs.key === 'service' || (isFirewall && pairs.key === 'hostname'))
          draft.attributes.set(pairs.key, pairs.value)
        else draft.addField(pairs.key, pairs.value)
      }
      placeFields(draft)
    }
  },
})
