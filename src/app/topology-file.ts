/** Finds a topology: one that ships, by its name, or a file of the user's, by its path. */

import { readdir, readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { nearestName } from '../config/nearest.ts'
import { GopherShipError } from '../core/errors.ts'
import type { TopologyDeclaration } from '../topology/declaration.ts'
import { parseTopology } from '../topology/parse-topology.ts'
import type { TopologyCase } from '../topology/topology-cases.ts'
import { parseCases } from '../topology/topology-cases.ts'
import { withModuleUrls } from '../topology/user-stages.ts'

/** Beside `src` in a checkout and beside `dist` in the package. */
const SHIPPED = new URL('../../topologies/', import.meta.url)
const ENDING = '.yaml'

/** Names of the topologies that ship. */
export async function shippedTopologies(): Promise<string[]> {
  const files = await readdir(SHIPPED)
  return files
    .filter((file) => file.endsWith(ENDING) && !file.includes('.cases.'))
    .map((file) => file.slice(0, -ENDING.length))
    .sort()
}

/**
 * Reads and checks a topology; the modules it uses come as absolute URLs. Text with a slash or a file ending is a path,
 * anything else a name. Throws GS_TOPOLOGY_INVALID.
 */
export async function loadTopology(nameOrPath: string): Promise<TopologyDeclaration> {
  if (isPath(nameOrPath)) {
    return withModuleUrls(
      parseTopology(await readTopology(nameOrPath, nameOrPath), nameOrPath),
      pathToFileURL(nameOrPath),
    )
  }
  const names = await shippedTopologies()
  if (!names.includes(nameOrPath)) {
    const near = nearestName(nameOrPath, names)
    const hint = near === null ? `there is ${names.join(', ')}` : `did you mean "${near}"?`
    throw new GopherShipError(
      'GS_TOPOLOGY_INVALID',
      `no topology named "${nameOrPath}" ships; ${hint} (a file is given by its path, such as ./mine.yaml)`,
      { facts: { topology: nameOrPath } },
    )
  }
  const file = new URL(`${nameOrPath}${ENDING}`, SHIPPED)
  return withModuleUrls(parseTopology(await readTopology(file, nameOrPath), nameOrPath), file)
}

async function readTopology(path: string | URL, origin: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new GopherShipError('GS_TOPOLOGY_INVALID', `could not read ${origin}: ${reason}`, {
      cause,
      facts: { path: origin },
    })
  }
}

/**
 * Reads the cases of a topology: the file beside it (`mine.cases.yaml` beside `mine.yaml`), or the one given. Throws
 * GS_TOPOLOGY_INVALID.
 */
export async function loadCases(nameOrPath: string, casesPath?: string): Promise<TopologyCase[]> {
  const beside = isPath(nameOrPath)
    ? nameOrPath.replace(/\.(ya?ml|json)$/, '.cases.$1')
    : new URL(`${nameOrPath}.cases${ENDING}`, SHIPPED)
  const path = casesPath ?? beside
  const origin = path instanceof URL ? `${nameOrPath}.cases${ENDING}` : path
  return parseCases(await readTopology(path, origin), origin)
}

function isPath(nameOrPath: string): boolean {
  return nameOrPath.includes('/') || /\.(ya?ml|json)$/.test(nameOrPath)
}
