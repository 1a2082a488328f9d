/** `gophership topology test`, from the command line. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../cli/run-cli.ts'

let folder: string
let topology: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gophership-cases-'))
  topology = join(folder, 'mine.yaml')
  await writeFile(
    topology,
    `name: mine
source: { streams: all }
stages:
  - { stage: format, tiers: [full] }
  - { stage: json, tiers: [full] }
sinks: { enriched: 'enriched.{stream}', deadLetter: dead-letter }
`,
  )
  const right = `- { name: a message is the body, line: '{"msg":"x"}', event: { body: x } }\n`
  const wrong = `- { name: a message is lost, line: '{"msg":"x"}', event: { body: null } }\n`
  await writeFile(join(folder, 'mine.cases.yaml'), right)
  await writeFile(join(folder, 'others.cases.yaml'), right + wrong)
  await writeFile(
    join(folder, 'escape.cases.yaml'),
    `- { name: "\\e[31mred", line: "x", event: { body: null } }\n`,
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('runs the cases beside the topology, and is content when all pass', async () => {
  const { exitCode, out } = await run(['topology', 'test', topology])

  expect(exitCode).toBe(0)
  expect(out).toMatch(/a message is the body +full +passed/)
  expect(out).toContain('mine: 1 passed, 0 failed')
})

test('says what differs in a case that fails, and exits with 1', async () => {
  const { exitCode, out } = await run([
    'topology',
    'test',
    topology,
    '--cases',
    join(folder, 'others.cases.yaml'),
  ])

  expect(exitCode).toBe(1)
  expect(out).toMatch(/a message is lost +full +FAILED/)
  expect(out).toContain('  body\n    expected  null\n    found     "x"\n')
  expect(out).toContain('mine: 1 passed, 1 failed')
})

test('gives all of it as JSON', async () => {
  const cases = ['--cases', join(folder, 'others.cases.yaml')]
  const { exitCode, out } = await run(['topology', 'test', topology, ...cases, '-o', 'json'])

  expect(exitCode).toBe(1)
  expect(JSON.parse(out)).toMatchObject({
    topology: 'mine',
    passedCount: 1,
    failedCount: 1,
    cases: [
      { passed: true },
      { passed: false, density: 'full', differences: [{ path: 'body', expected: null, found: 'x' }] },
    ],
  })
})

test('runs cases that name no density at the one it is told', async () => {
  const { exitCode, out } = await run(['topology', 'test', topology, '--density', 'partial', '-o', 'json'])

  expect(exitCode).toBe(1)
  expect(JSON.parse(out).cases[0]).toMatchObject({
    density: 'partial',
    differences: [{ found: '{"msg":"x"}' }],
  })
})

test('the example that ships passes by its name', async () => {
  const { exitCode, out } = await run(['topology', 'test', 'checkout-service'])

  expect(exitCode, out).toBe(0)
})

test('cases that are not there are told with their path, and exit with 2', async () => {
  const { exitCode, err } = await run([
    'topology',
    'test',
    topology,
    '--cases',
    join(folder, 'none.cases.yaml'),
  ])

  expect(exitCode).toBe(2)
  expect(err).toContain('none.cases.yaml')
})

test('a name of a case cannot paint the screen', async () => {
  const { out } = await run(['topology', 'test', topology, '--cases', join(folder, 'escape.cases.yaml')])

  expect(out).not.toContain('\u001b')
})
