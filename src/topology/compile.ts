/**
 * A declared topology made ready to run: every stage found by its name and its options checked, before anything reads
 * a record. A compiled topology holds no state, so many enrichers (one per worker thread) may be made from it.
 */

import { nearestName } from '../config/nearest.ts'
import { GopherShipError } from '../core/errors.ts'
import type { Density, StagedTier, TopologyDeclaration } from './declaration.ts'
import { describeFaults } from './declaration.ts'
import type { AnyStageDefinition, Stage, StageContext } from './stage.ts'
import { SHIPPED_STAGES } from './stages/index.ts'
import { timeZoneOf } from './time/time-zone.ts'
import type { StageModules } from './user-stages.ts'
import { shortUrl } from './user-stages.ts'

export interface CompileOptions {
  /** The stages that may be named: the shipped ones unless given. Append your own to `SHIPPED_STAGES`. */
  readonly stages?: readonly AnyStageDefinition[]
  /** What `loadStages` loaded; needed when the topology has stages of the user's own. */
  readonly modules?: StageModules
  /** IANA zone of times without an offset, where a stage's own options say nothing. Default UTC. */
  readonly timeZone?: string
}

/** One declared stage, checked. */
export interface CompiledStage {
  readonly name: string
  readonly summary: string
  readonly tiers: readonly StagedTier[]
  /** As declared, after the stage's schema has checked them. */
  readonly options: Readonly<Record<string, unknown>>
  readonly definition: AnyStageDefinition
  /** The URL of the module that the stage is from; null for one that ships. */
  readonly module: string | null
  /** A fresh step with its own state. */
  create(): Stage
}

export interface CompiledTopology {
  readonly name: string
  readonly declaration: TopologyDeclaration
  readonly timeZone: string
  readonly stages: readonly CompiledStage[]
}

/** Throws GS_TOPOLOGY_INVALID naming every stage that does not exist and every option that is wrong. */
export function compileTopology(
  declaration: TopologyDeclaration,
  options: CompileOptions = {},
): CompiledTopology {
  const definitions = new Map((options.stages ?? SHIPPED_STAGES).map((stage) => [stage.name, stage]))
  const context: StageContext = { timeZone: timeZoneOf(options.timeZone ?? 'UTC').name }
  const faults: string[] = []
  const stages: CompiledStage[] = []
  for (const [index, step] of declaration.stages.entries()) {
    const { use = null } = step
    const name = step.stage ?? step.name ?? ''
    const definition = use === null ? definitions.get(name) : options.modules?.get(use)
    if (definition === undefined) {
      faults.push(
        use === null
          ? `  at stages[${index}]: unknown stage "${name}"; ${hintFor(name, definitions)}`
          : `  at stages[${index}]: the module ${shortUrl(use)} was not loaded; call loadStages before`,
      )
      continue
    }
    const checked = definition.options.safeParse(step.options ?? {})
    if (!checked.success) {
      const at = `  at stages[${index}] (${name || definition.name}), options`
      faults.push(
        ...describeFaults(checked.error, definition.options).map(
          (fault) => `${at}${fault.replace('  at', ',')}`,
        ),
      )
      continue
    }
    // The definition's own schema has just made the options, which is what `create` asks for.
    const checkedOptions = checked.data as never
    const create = () => definition.create(checkedOptions, context)
    try {
      checkStep(create())
    } catch (cause) {
      faults.push(
        `  at stages[${index}] (${name || definition.name}): ${cause instanceof Error ? cause.message : String(cause)}`,
      )
      continue
    }
    stages.push({
      name: name || definition.name,
      summary: definition.summary,
      tiers: step.tiers,
      options: (checkedOptions ?? {}) as Readonly<Record<string, unknown>>,
      definition,
      module: use,
      create,
    })
  }
  if (faults.length > 0) {
    throw new GopherShipError(
      'GS_TOPOLOGY_INVALID',
      `the topology "${declaration.name}" cannot run:\n${faults.join('\n')}`,
      { facts: { topology: declaration.name, faultCount: faults.length } },
    )
  }
  return { name: declaration.name, declaration, timeZone: context.timeZone, stages }
}

/** What TypeScript would have said to a stage that was written without it. */
function checkStep(step: unknown): void {
  if (typeof step !== 'function') throw new TypeError(`create is to return a function, found ${typeof step}`)
  if (step.constructor.name === 'AsyncFunction')
    throw new TypeError('create is to return a function that does its work at once, found an async one')
}

function hintFor(name: string, definitions: ReadonlyMap<string, AnyStageDefinition>): string {
  const near = nearestName(name, [...definitions.keys()])
  return near === null
    ? `known: ${[...definitions.keys()].join(', ')} (one of your own is named by its module: use: ./${name}.ts)`
    : `did you mean "${near}"?`
}

/** The stages that run at a density, in order; none for passthrough. */
export function stagesAt(topology: CompiledTopology, density: Density): readonly CompiledStage[] {
  return density === 'passthrough' ? [] : topology.stages.filter((stage) => stage.tiers.includes(density))
}
