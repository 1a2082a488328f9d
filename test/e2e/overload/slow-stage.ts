/** A stage that costs as much as its options say, as a lookup or a large pattern would: so that a test can overload it. */

import { z } from 'zod'
import { defineStage } from '../../../src/topology/stage.ts'

export default defineStage({
  name: 'slow',
  summary: 'Burns processor time for every record.',
  options: z.strictObject({ microseconds: z.number().positive() }),
  create({ microseconds }) {
    const spinMs = microseconds / 1_000
    return () => {
      const endMs = performance.now() + spinMs
      while (performance.now() < endMs);
    }
  },
})
