// @ts-check
/**
 * A stage of one's own, as an example: says how large an order is, by its total, and refuses a line whose total is no
 * amount, which then is a dead letter under this stage's name.
 *
 * A stage outside of the package is best written in TypeScript, with the types at hand:
 *
 *     import { defineStage, z } from 'gophership/topology'
 *     export default defineStage({ … })
 *
 * Rules: it works on the one event it is handed, at once (no promise, no file, no network), and what it does depends only
 * on the record and its options, so that a replay gives the same event.
 */

import { z } from 'zod'

const options = z.strictObject({
  large: z.number().positive().describe('Total from which on an order is a large one.'),
})

/** @type {import('gophership/topology').StageDefinition<z.infer<typeof options>>} */
export default {
  name: 'order-size',
  summary: 'Says how large an order is, by its total.',
  options,
  create: ({ large }) => {
    // Called once for each worker: tables and caches belong here. The function below is called for every record.
    return (draft) => {
      const total = draft.attributes.get('order.total')
      if (total === undefined) return
      if (typeof total !== 'number' || total < 0) {
        throw new Error(`order.total is to be an amount, found ${JSON.stringify(total)}`)
      }
      draft.attributes.set('order.size', total >= large ? 'large' : 'small')
    }
  },
}
