/**
 * Stages that a user wrote: a topology names their modules with `use`, relative to its own file, and the threads that run
 * it load them. Loading is handed in (`ImportModule`), since nothing here touches the disk.
 *
 *     const declaration = withModuleUrls(parseTopology(yaml, path), pathToFileURL(path))
 *     const modules = await loadStages(declaration, (url) => import(url))
 *     const topology = compileTopology(declaration, { modules })
 *
 * A declaration with absolute URLs is plain data and goes to worker threads as it is; each loads the modules for itself.
 */

import { GopherShipError } from '../core/errors.ts'
import type { DeclaredStage, TopologyDeclaration } from './declaration.ts'
import type { AnyStageDefinition } from './stage.ts'

/** Imports the module at an absolute URL: `(url) => import(url)` in the thread that is to run it. */
export type ImportModule = (url: string) => Promise<unknown>

/** The stages of a topology's modules, by the `use` that names them. */
export type StageModules = ReadonlyMap<string, AnyStageDefinition>

const NO_MODULES: StageModules = new Map()
const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

/**
 * Makes every `use` an absolute file URL. `base` is the topology's own file. Throws GS_TOPOLOGY_INVALID for one that
 * is no path.
 */
export function withModuleUrls(declaration: TopologyDeclaration, base: URL): TopologyDeclaration {
  const faults: string[] = []
  const stages = declaration.stages.map((step, index): DeclaredStage => {
    if (step.use === undefined) return step
    const isPath = /^(\.{1,2}\/|\/|file:\/\/)/.test(step.use)
    if (!isPath) {
      const example = `./${step.use.replace(/^[a-z]+:/, '')}`
      faults.push(`  at stages[${index}].use: is to be a path such as "${example}", found "${step.use}"`)
      return step
    }
    return { ...step, use: new URL(step.use, base).href }
  })
  if (faults.length > 0) throw invalid(declaration, faults)
  return { ...declaration, stages }
}

/** Imports every module that the topology uses. Throws GS_TOPOLOGY_INVALID naming all that are missing or hold no stage. */
export async function loadStages(
  declaration: TopologyDeclaration,
  importModule: ImportModule,
): Promise<StageModules> {
  if (declaration.stages.every(({ use }) => use === undefined)) return NO_MODULES
  const modules = new Map<string, AnyStageDefinition>()
  const faults: string[] = []
  for (const [index, { use }] of declaration.stages.entries()) {
    if (use === undefined || modules.has(use)) continue
    try {
      modules.set(use, definitionIn(await importModule(use)))
    } catch (cause) {
      faults.push(`  at stages[${index}] (use ${shortUrl(use)}): ${reasonOf(cause, use)}`)
    }
  }
  if (faults.length > 0) throw invalid(declaration, faults)
  return modules
}

/** A file URL as the path that a person knows it by. */
export function shortUrl(url: string): string {
  return url.startsWith('file://') ? decodeURIComponent(new URL(url).pathname) : url
}

/** The definition that a module exports; throws to say what it lacks. */
function definitionIn(module: unknown): AnyStageDefinition {
  const exported = Object(module) as Record<string, unknown>
  const definition = exported['default']
  if (definition === undefined) {
    const others = Object.keys(exported)
    const found = others.length === 0 ? 'it exports nothing' : `it exports ${others.join(', ')}`
    throw new StageFault(
      `is to have a stage as its default export (export default defineStage({ … })); ${found}`,
    )
  }
  const { name, summary, options, create } = Object(definition) as Record<string, unknown>
  const lacks = [
    ...(typeof name === 'string' && NAME.test(name) ? [] : ['name, lower-case words joined by hyphens']),
    ...(typeof summary === 'string' && summary !== '' ? [] : ['summary, one sentence']),
    ...(typeof Object(options)['safeParse'] === 'function' ? [] : ['options, a zod schema']),
    ...(typeof create === 'function' ? [] : ['create, a function']),
  ]
  if (lacks.length > 0) throw new StageFault(`its default export is no stage, it lacks ${lacks.join('; ')}`)
  return definition as AnyStageDefinition
}

/** What is wrong with a module that was loaded. */
class StageFault extends Error {}

function reasonOf(cause: unknown, use: string): string {
  if (cause instanceof StageFault) return cause.message
  const message = cause instanceof Error ? cause.message : String(cause)
  const { code, url } = Object(cause) as { code?: unknown; url?: unknown }
  // Its own absence, and not that of something it imports in turn.
  const isItself = [shortUrl(use), use].some(
    (path) => message.includes(`'${path}'`) && !message.includes(`from ${path}`),
  )
  if (code === 'ERR_MODULE_NOT_FOUND' && (url === use || isItself)) return 'there is no such file'
  return `could not be loaded: ${message.split('\n')[0]}`
}

function invalid(declaration: TopologyDeclaration, faults: readonly string[]): GopherShipError {
  return new GopherShipError(
    'GS_TOPOLOGY_INVALID',
    `the topology "${declaration.name}" cannot run:\n${faults.join('\n')}`,
    { facts: { topology: declaration.name, faultCount: faults.length } },
  )
}
