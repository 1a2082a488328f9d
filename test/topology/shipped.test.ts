/** Every topology that ships, against the cases beside it. */

import { readdirSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { importModule } from '../../src/core/import-module.ts'
import type { CompiledTopology } from '../../src/topology/compile.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import { prepareTopology } from '../../src/topology/prepare-topology.ts'
import { SHIPPED_STAGES } from '../../src/topology/stages/index.ts'
import { formatFailures, parseCases, runCases } from '../../src/topology/topology-cases.ts'
import { withModuleUrls } from '../../src/topology/user-stages.ts'

const FOLDER = new URL('../../topologies/', import.meta.url)
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.yaml') && !file.includes('.cases.'))
  .map((file) => file.slice(0, -'.yaml'.length))

async function shipped(name: string): Promise<CompiledTopology> {
  const file = new URL(`${name}.yaml`, FOLDER)
  const declaration = withModuleUrls(parseTopology(readFileSync(file, 'utf8'), name), file)
  return await prepareTopology(declaration, importModule)
}

describe('the topologies that ship', () => {
  it.each(NAMES)('%s does what its cases say', async (name) => {
    const cases = parseCases(readFileSync(new URL(`${name}.cases.yaml`, FOLDER), 'utf8'), name)

    const results = runCases(await shipped(name), cases)

    expect(formatFailures(results)).toBe('')
    expect(results.length).toBeGreaterThan(5)
  })

  it('are named as their files are', async () => {
    for (const name of NAMES) expect((await shipped(name)).name).toBe(name)
  })

  it('show every stage that ships, at one density or another', async () => {
    const topologies = await Promise.all(NAMES.map(shipped))
    const names = new Set(topologies.flatMap(({ stages }) => stages.map((stage) => stage.name)))

    expect(SHIPPED_STAGES.map(({ name }) => name).filter((name) => !names.has(name))).toEqual([])
  })

  it('have their modules in files beside them', async () => {
    const { stages } = await shipped('checkout-service')

    expect(stages.flatMap(({ module }) => module ?? [])).toEqual([
      pathToFileURL(new URL('checkout-service/order-size.js', FOLDER).pathname).href,
    ])
  })
})
