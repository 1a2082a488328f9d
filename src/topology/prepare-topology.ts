/** From a declaration to a topology that can run, stages of the user's own included. */

import type { CompiledTopology, CompileOptions } from './compile.ts'
import { compileTopology } from './compile.ts'
import type { TopologyDeclaration } from './declaration.ts'
import type { ImportModule } from './user-stages.ts'
import { loadStages } from './user-stages.ts'

/**
 * Loads the modules that the topology uses and compiles it. Throws GS_TOPOLOGY_INVALID for what cannot run. Without
 * such modules `compileTopology` alone does it, and at once.
 */
export async function prepareTopology(
  declaration: TopologyDeclaration,
  importModule: ImportModule,
  options: Omit<CompileOptions, 'modules'> = {},
): Promise<CompiledTopology> {
  return compileTopology(declaration, { ...options, modules: await loadStages(declaration, importModule) })
}
