/**
 * The glance stage, for partial density: finds the time and the level of a structured line by looking at its
 * characters, without parsing it. The body stays the whole line and there are no attributes; a later full enrichment of the same
 * record gives the rest. Text and syslog have stages of their own that are cheap enough to run at partial density.
 */

import { z } from 'zod'
import type { EventDraft } from '../event-draft.ts'
import { glanceAtJson } from '../json-glance.ts'
import { clfBracketAt } from '../line-format.ts'
import { PairCursor } from '../pairs.ts'
import { defineStage } from '../stage.ts'
import { NO_TIME, scanClf, scanYearFirst } from '../time/scan-time.ts'

/** Pairs of a logfmt line that are looked at: time and level come first in every logger's output. */
const PAIRS_MAX = 8

export const glanceStage = defineStage({
  name: 'glance',
  summary: 'Finds time and level of structured lines by a scan, without parsing them (partial density).',
  options: z.strictObject({}),
  create: () => {
    const pairs = new PairCursor()
    return (draft) => {
      switch (draft.format) {
        case 'json':
        case 'docker':
          glanceAtJson(draft)
          break
        case 'logfmt':
          glanceAtPairs(draft, pairs)
          break
        case 'access-log':
          scan(draft, scanClf, clfBracketAt(draft.rest) + 1)
          break
        case 'cri':
          scan(draft, scanYearFirst, 0)
          break
        default:
          return
      }
      draft.format = 'done'
    }
  },
})

function scan(draft: EventDraft, scanner: typeof scanClf, at: number): void {
  if (!draft.hasTime() && scanner(draft.rest, at, draft.foundTime) === NO_TIME) draft.foundTime.clear()
}

function glanceAtPairs(draft: EventDraft, pairs: PairCursor): void {
  pairs.open(draft.rest)
  for (let count = 0; count < PAIRS_MAX && pairs.next(); count += 1)
    draft.foundFields.note(pairs.key, pairs.value)
}
