/** The format stage: decides from the first characters which parser reads the line. */

import { z } from 'zod'
import { detectFormat } from '../line-format.ts'
import { defineStage } from '../stage.ts'

export const formatStage = defineStage({
  name: 'format',
  summary: 'Tells what the line is from its first characters, so that the right parser reads it.',
  options: z.strictObject({}),
  create: () => (draft) => {
    draft.format = detectFormat(draft.rest, draft.contentType)
  },
})
