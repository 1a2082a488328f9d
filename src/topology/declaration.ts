/**
 * A topology as it is declared: a named source, stages in order, the tiers each stage belongs to, and the sinks. Checked by the
 * schema below, from which its type comes; an unknown key is refused with the nearest right one. `parse-topology.ts` reads it
 * from YAML; worker threads are handed it as data, and load no YAML parser.
 */

import { z } from 'zod'
import { nearestName } from '../config/nearest.ts'
import { GopherShipError } from '../core/errors.ts'

/** How fully records are enriched. `passthrough` runs no stage, so none can belong to it. */
export const DENSITIES = ['full', 'partial', 'passthrough'] as const
export type Density = (typeof DENSITIES)[number]
/** The tiers that a stage can belong to. */
export const STAGED_TIERS = ['full', 'partial'] as const
export type StagedTier = (typeof STAGED_TIERS)[number]

const hyphenatedName = z.string().regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'lower-case words joined by hyphens')

export const topologySchema = z
  .strictObject({
    name: hyphenatedName.describe('The topology’s name; also the name of its consumer group.'),
    summary: z.string().optional().describe('One sentence for people.'),
    source: z.strictObject({
      streams: z
        .union([z.literal('all'), z.array(z.string().min(1)).min(1)])
        .describe('The streams whose vault topics are read: all, or a list of names.'),
    }),
    stages: z
      .array(
        z
          .strictObject({
            stage: hyphenatedName.optional().describe('The name of a stage that ships.'),
            use: z
              .string()
              .min(1)
              .optional()
              .describe('In place of `stage`: the module of a stage of your own, relative to this file.'),
            name: hyphenatedName
              .optional()
              .describe('With `use`: what the stage is called here. Default: the name it gives itself.'),
            tiers: z.array(z.enum(STAGED_TIERS)).min(1).describe('The density tiers in which it runs.'),
            options: z.record(z.string(), z.unknown()).optional().describe('The stage’s own options.'),
          })
          .refine(({ stage, use }) => (stage === undefined) !== (use === undefined), {
            error:
              'is to have either stage (the name of one that ships) or use (the module of one of your own)',
          })
          .refine(({ name, use }) => name === undefined || use !== undefined, {
            error: 'name goes with use: a stage that ships has its name already',
          }),
      )
      .max(100)
      .describe('In the order they run.'),
    sinks: z.strictObject({
      enriched: z
        .string()
        .refine((template) => template.includes('{stream}'), 'a template that contains {stream}')
        .describe('Topic template of the events.'),
      deadLetter: z.string().min(1).describe('Topic of the records that no stage could handle.'),
    }),
  })
  .describe('A GopherShip topology.')

export type TopologyDeclaration = z.infer<typeof topologySchema>
export type DeclaredStage = TopologyDeclaration['stages'][number]

/** Checks an already parsed document. Throws GS_TOPOLOGY_INVALID naming every fault at once. */
export function checkTopology(document: unknown, origin: string): TopologyDeclaration {
  const result = topologySchema.safeParse(document)
  if (result.success) return result.data
  throw new GopherShipError(
    'GS_TOPOLOGY_INVALID',
    `${origin} is no topology:\n${describeFaults(result.error, topologySchema).join('\n')}`,
    { facts: { origin, faultCount: result.error.issues.length } },
  )
}

/** One line for each fault, an unknown key with the nearest right one. `schema` is what the value was checked against. */
export function describeFaults(error: z.ZodError, schema: z.ZodType): string[] {
  return error.issues.flatMap((issue) => {
    const where = issue.path.length === 0 ? 'at the top' : `at ${formatPath(issue.path)}`
    if (issue.code !== 'unrecognized_keys') return [`  ${where}: ${issue.message}`]
    const known = keysAt(schema, issue.path)
    return issue.keys.map((key) => {
      const near = nearestName(key, known)
      const hint = near === null ? `known here: ${known.join(', ') || 'none'}` : `did you mean "${near}"?`
      return `  ${where}: unknown key "${key}"; ${hint}`
    })
  })
}

function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`))
    .join('')
}

/** The keys that the schema knows at a path; none when it holds no object there. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: unknown = schema
  for (const part of path) {
    if (at instanceof z.ZodOptional) at = at.unwrap()
    if (at instanceof z.ZodObject) at = at.shape[String(part)]
    else if (at instanceof z.ZodArray) at = at.element
    else return []
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : []
}
