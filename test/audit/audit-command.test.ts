import { afterEach, beforeEach, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import { run } from '../cli/run-cli.ts'
import { VAULT, World } from './world.ts'

let world: World

beforeEach(async () => {
  world = await World.open()
  await world.vault('a', 'b', 'c')
  await world.events(0, 1)
  await world.commit(3)
})

afterEach(() => world.close())

it('names each violation in a line, with what it means, and exits 1', async () => {
  const { exitCode, out, err } = await run(['audit', '--broker-port', String(world.broker.port)])

  expect({ exitCode, err }).toEqual({ exitCode: 1, err: '' })
  expect(out).toContain(
    `violation: hole in ${VAULT}-0, 1 offset: [2, 2]\n  hole: Processed, and neither enriched`,
  )
  expect(out).toMatch(/\n1 violation\n$/)
})

it('says in YAML and JSON what it says in words', async () => {
  const port = String(world.broker.port)
  const json = JSON.parse(
    (await run(['audit', '--deep', '-o', 'json', '--broker-port', port])).out,
  ) as unknown
  const yaml = (await run(['audit', '--deep', '-o', 'yaml', '--broker-port', port])).out

  const findings = [{ kind: 'hole', isViolation: true, ranges: [{ first: 2, last: 2 }] }]
  expect(json).toMatchObject({ violationCount: 1, isDeep: true, partitions: [{ stream: 'web', findings }] })
  expect(yaml).toContain('kind: hole')
})

it('stops quietly when it is told to', async () => {
  let err = ''
  const terminal: Terminal = {
    out: () => {},
    err: (text) => {
      err += text
    },
    isInteractive: false,
    isColored: false,
    environment: {},
    readText: async () => '',
    writeText: async () => {},
    stopRequested: AbortSignal.abort(),
    onUserSignal: () => {},
  }

  expect(await runCli(['audit', '--broker-port', String(world.broker.port)], terminal, '1.2.3')).toBe(1)
  expect(err).toBe('stopped\n')
})

it('refuses a topology that is not there', async () => {
  const { exitCode, err } = await run([
    'audit',
    '--topology',
    'densty-tier',
    '--broker-port',
    String(world.broker.port),
  ])

  expect(exitCode).toBe(2)
  expect(err).toContain('did you mean "density-tier"?')
})
