/**
 * The lookup stage: sets a field by what another one says, from a table in the topology file: the team that owns a
 * service, the name of a status code. What the table does not have gets the default, or nothing.
 */

import { z } from 'zod'
import { fieldPathSchema, parsePath, setAt, valueAt } from '../field-path.ts'
import type { JsonValue } from '../json-value.ts'
import { rawNumberText } from '../json-value.ts'
import { defineStage } from '../stage.ts'

const jsonValue: z.ZodType<JsonValue> = z.json()
const targetSchema = fieldPathSchema.refine(
  (path) => path.includes('.'),
  'attributes.NAME or resource.NAME: the event itself is not looked up',
)

export const lookupStage = defineStage({
  name: 'lookup',
  summary: 'Sets a field by what another one says, from a table in the topology file.',
  options: z.strictObject({
    from: fieldPathSchema.describe('The field whose value is looked up.'),
    to: targetSchema.describe(
      'The field that is set; one that is there already stays, unless `replaces` says else.',
    ),
    table: z.record(z.string(), jsonValue).describe('What to set, by the value looked up as text.'),
    default: jsonValue.optional().describe('What to set when the table has no such value.'),
    ignoresCase: z
      .boolean()
      .default(false)
      .describe('Whether upper and lower case are the same in the table.'),
    replaces: z.boolean().default(false).describe('Whether a field that is there already is replaced.'),
  }),
  create: ({ from, to, table, default: otherwise, ignoresCase, replaces }) => {
    const source = parsePath(from)
    const target = parsePath(to)
    const keyOf = (text: string) => (ignoresCase ? text.toLowerCase() : text)
    const entries = new Map(Object.entries(table).map(([key, value]) => [keyOf(key), value]))
    if (entries.size < Object.keys(table).length)
      throw new Error('the table has names that are the same but for their case, and case is ignored')
    return (draft) => {
      const value = valueAt(draft, source)
      const text = value === undefined ? null : textOf(value)
      if (text === null) return
      const found = entries.get(keyOf(text)) ?? otherwise
      if (found === undefined) return
      if (replaces || valueAt(draft, target) === undefined) setAt(draft, target, found)
    }
  },
})

/** Text, numbers and booleans as a table names them; null for what no table has. */
function textOf(value: JsonValue): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return `${value}`
  return rawNumberText(value)
}
