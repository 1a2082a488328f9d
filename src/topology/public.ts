/**
 * What authors of stages and topologies import: `gophership/topology`. The one file of the source that only passes on
 * what others define, because it is the package's door.
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
 * and in the topology file beside it:
 *
 *     stages:
 *       - { use: ./tag-team.ts, tiers: [full], options: { team: checkout } }
 */

export { z } from 'zod'
export type { CompiledTopology, CompileOptions } from './compile.ts'
export { compileTopology } from './compile.ts'
export type { DeadLetter } from './dead-letter.ts'
export type { Density, TopologyDeclaration } from './declaration.ts'
export type { EventDraft } from './event-draft.ts'
export type { EnrichedEvent } from './event-schema.ts'
export type { FieldMap } from './field-map.ts'
export type { JsonObject, JsonValue } from './json-value.ts'
export { parseTopology } from './parse-topology.ts'
export { prepareTopology } from './prepare-topology.ts'
export type { Stage, StageContext, StageDefinition } from './stage.ts'
export { defineStage } from './stage.ts'
export type { CaseResult, Difference, TopologyCase } from './topology-cases.ts'
export { formatFailures, parseCases, runCases } from './topology-cases.ts'
export { TopologyDriver } from './topology-driver.ts'
export type { ImportModule, StageModules } from './user-stages.ts'
export { loadStages, withModuleUrls } from './user-stages.ts'
