/**
 * What a stage is. A stage is one typed step of a topology: it reads the draft of an event and changes it. It never
 * does I/O, never waits and never keeps the draft; what it throws sends the record to the dead-letter topic under the
 * stage's name, and the partition moves on.
 *
 * To add one, write a module whose default export is a definition, and name it in the topology file:
 *
 *     import { defineStage, z } from 'gophership/topology'
 *
 *     export default defineStage({
 *       name: 'tag-team',
 *       summary: 'Adds the team that owns the service.',
 *       options: z.strictObject({ team: z.string() }),
 *       create: ({ team }) => (draft) => draft.attributes.set('team', team),
 *     })
 *
 *     stages:
 *       - { use: ./tag-team.ts, tiers: [full], options: { team: checkout } }
 *
 * Rules for a stage: what it does to a record depends only on that record and its options (so a replay gives the same
 * event), and it leaves alone what is already set unless replacing it is its purpose.
 */

import type { z } from 'zod'
import type { EventDraft } from './event-draft.ts'

/** One step, ready to run. Called once per record on the hot path: no promise, as little allocation as can be. */
export type Stage = (draft: EventDraft) => void

/** What a stage may know beyond its own options. */
export interface StageContext {
  /** IANA name of the zone for times that carry no offset, unless the stage's own options say another. */
  readonly timeZone: string
}

export interface StageDefinition<Options = unknown> {
  /** What a topology file calls it: lower-case words joined by hyphens. */
  readonly name: string
  /** One sentence for `topology describe`. */
  readonly summary: string
  /** Checks the `options` of the topology file; a strict object, so that unknown keys are refused. */
  readonly options: z.ZodType<Options>
  /** Makes the step. Called once per enricher, so each has its own state (caches); throws to refuse the options. */
  create(options: Options, context: StageContext): Stage
}

/** A definition whose options have been forgotten, as lists of definitions hold them. */
export type AnyStageDefinition = Pick<StageDefinition, 'name' | 'summary'> & {
  readonly options: z.ZodType
  create(options: never, context: StageContext): Stage
}

/** Types a definition: its `create` sees the options that its schema gives. */
export function defineStage<Options>(definition: StageDefinition<Options>): StageDefinition<Options> {
  return definition
}
