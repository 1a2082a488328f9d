import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isFailure } from '../../src/core/errors.ts'
import { importModule } from '../../src/core/import-module.ts'
import type { CompiledTopology } from '../../src/topology/compile.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import { prepareTopology } from '../../src/topology/prepare-topology.ts'
import { TopologyDriver } from '../../src/topology/topology-driver.ts'
import { withModuleUrls } from '../../src/topology/user-stages.ts'

let folder: string
const PUBLIC = new URL('../../src/topology/public.ts', import.meta.url).href
const stageModule = (name: string, create: string, rest = '') =>
  `import { defineStage, z } from '${PUBLIC}'
${rest}
export default defineStage({
  name: '${name}',
  summary: 'A stage of a test.',
  options: z.strictObject({ word: z.string().default('x') }),
  create: ${create},
})
`

const MODULES: Record<string, string> = {
  'shout.ts': stageModule(
    'shout',
    '({ word }: { word: string }) => (draft) => { draft.body = String(draft.body) + word }',
  ),
  'throws.ts': stageModule(
    'throws',
    '() => (draft) => { if (draft.line === "bad") throw new Error("no bad lines") }',
  ),
  'named.ts': 'export const stage = 1\nexport const other = 2\n',
  'empty.ts': '',
  'half.ts': 'export default { name: "half", create: 1 }\n',
  'async.ts': stageModule('slow', '() => async () => {}'),
  'no-step.ts': stageModule('no-step', '() => 1 as never'),
  'explodes.ts': 'throw new Error("at once")\n',
  'broken.ts': 'export default {{{\n',
  'imports-none.ts': 'import "./not-there.ts"\nexport default 1\n',
  'refuses.ts': stageModule(
    'refuses',
    '({ word }: { word: string }) => { throw new Error(word + " is no word") }',
  ),
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gophership-stages-'))
  await Promise.all(Object.entries(MODULES).map(([name, text]) => writeFile(join(folder, name), text)))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const yaml = (...stages: string[]) => `
name: own
source: { streams: all }
stages:
${stages.map((stage) => `  - ${stage}`).join('\n')}
sinks: { enriched: 'enriched.{stream}', deadLetter: dead-letter }
`
const load = (text: string): Promise<CompiledTopology> =>
  prepareTopology(
    withModuleUrls(parseTopology(text, 'own.yaml'), pathToFileURL(join(folder, 'own.yaml'))),
    importModule,
  )

async function refusal(...stages: string[]): Promise<string> {
  try {
    await load(yaml(...stages))
  } catch (error) {
    if (isFailure(error, 'GS_TOPOLOGY_INVALID')) return error.message
    throw error
  }
  return ''
}

describe('a stage of one’s own', () => {
  it('runs in its place with its options, under its own name or the one it is given', async () => {
    const topology = await load(
      yaml(
        '{ use: ./shout.ts, tiers: [full], options: { word: "!" } }',
        '{ use: ./shout.ts, name: ask, tiers: [full, partial], options: { word: "?" } }',
      ),
    )
    const driver = new TopologyDriver(topology)

    driver.pipe('hello')
    driver.pipe('hello', { density: 'partial' })

    expect(driver.events.map(({ body }) => body)).toEqual(['hello!?', 'hello?'])
    expect(topology.stages.map(({ name }) => name)).toEqual(['shout', 'ask'])
  })

  it('that throws makes a dead letter under its name, and the next record is fine', async () => {
    const driver = new TopologyDriver(await load(yaml('{ use: ./throws.ts, name: strict, tiers: [full] }')))

    driver.pipe('bad')
    driver.pipe('good')

    expect(driver.deadLetters).toEqual([{ reason: 'stage-failed', stage: 'strict', message: 'no bad lines' }])
    expect(driver.events.map(({ body }) => body)).toEqual(['good'])
  })

  it('goes to another thread as plain data, with the address of its module', () => {
    const declaration = withModuleUrls(
      parseTopology(yaml('{ use: ../stages/a.ts, tiers: [full] }'), 'own.yaml'),
      new URL('file:///etc/gophership/own.yaml'),
    )

    expect(structuredClone(declaration)).toEqual(declaration)
    expect(declaration.stages[0]?.use).toBe('file:///etc/stages/a.ts')
  })

  it('needs no module to be imported when there is none', async () => {
    const refuse = () => Promise.reject(new Error('nothing is to be imported'))
    const declaration = parseTopology(yaml('{ stage: format, tiers: [full] }'), 'own.yaml')

    expect((await prepareTopology(declaration, refuse)).stages).toHaveLength(1)
    expect(compileTopology(declaration).stages).toHaveLength(1)
  })

  it.each([
    [
      'a module that is not there',
      '{ use: ./none.ts, tiers: [full] }',
      /stages\[0\] \(use .*none\.ts\): there is no such file/,
    ],
    [
      'a module that imports what is not there',
      '{ use: ./imports-none.ts, tiers: [full] }',
      /could not be loaded: Cannot find module .*not-there/,
    ],
    ['a module that throws', '{ use: ./explodes.ts, tiers: [full] }', /could not be loaded: at once/],
    ['a module that is no program', '{ use: ./broken.ts, tiers: [full] }', /could not be loaded: /],
    [
      'no default export',
      '{ use: ./named.ts, tiers: [full] }',
      /a stage as its default export \(export default defineStage.*it exports stage, other/,
    ],
    ['a module without exports', '{ use: ./empty.ts, tiers: [full] }', /it exports nothing/],
    [
      'a default export that is no stage',
      '{ use: ./half.ts, tiers: [full] }',
      /no stage, it lacks summary, one sentence; options, a zod schema; create, a function/,
    ],
    [
      'a wrong option',
      '{ use: ./shout.ts, tiers: [full], options: { word: 1 } }',
      /\(shout\), options, word: /,
    ],
    [
      'an unknown option',
      '{ use: ./shout.ts, tiers: [full], options: { wrod: x } }',
      /unknown key "wrod"; did you mean "word"\?/,
    ],
    [
      'options that the stage itself refuses',
      '{ use: ./refuses.ts, tiers: [full] }',
      /\(refuses\): x is no word/,
    ],
    ['a step that would have to be waited for', '{ use: ./async.ts, tiers: [full] }', /found an async one/],
    ['no step', '{ use: ./no-step.ts, tiers: [full] }', /is to return a function, found number/],
    [
      'a package for a module',
      '{ use: some-package, tiers: [full] }',
      /is to be a path such as "\.\/some-package"/,
    ],
    ['code for a module', '{ use: "data:text/javascript,1", tiers: [full] }', /is to be a path such as/],
    ['both a name and a module', '{ use: ./shout.ts, stage: json, tiers: [full] }', /either stage .* or use/],
    ['neither', '{ tiers: [full] }', /either stage .* or use/],
    [
      'another name for a stage that ships',
      '{ stage: json, name: jason, tiers: [full] }',
      /name goes with use/,
    ],
    ['a stage nobody knows', '{ stage: zzz, tiers: [full] }', /use: \.\/zzz\.ts/],
  ])('is refused for %s, and the message says why', async (_what, stage, message) => {
    expect(await refusal(stage)).toMatch(message)
  })

  it('is refused for all of its faults at once', async () => {
    const message = await refusal('{ use: ./none.ts, tiers: [full] }', '{ use: ./empty.ts, tiers: [full] }')

    expect(message).toContain('none.ts')
    expect(message).toContain('empty.ts')
  })

  it('that was not loaded is told as such', () => {
    const declaration = parseTopology(yaml('{ use: ./shout.ts, tiers: [full] }'), 'own.yaml')

    expect(() => compileTopology(declaration)).toThrow(/shout\.ts was not loaded/)
  })
})
