import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { isColored } from '../../src/cli/terminal.ts'
import { CONFIG_OPTIONS } from '../../src/config/options.ts'
import { run } from './run-cli.ts'

test('help says what there is, teaches by example and lists the exit codes', async () => {
  const { exitCode, out } = await run(['--help'])

  expect(exitCode).toBe(0)
  for (const word of ['up', 'status', 'topics', 'topology', 'config', 'Examples:', 'Exit codes:'])
    expect(out).toContain(word)
})

test('every command has help with an example', async () => {
  for (const command of [
    'up',
    'status',
    'topics',
    'topology describe',
    'topology list',
    'config check',
    'config schema',
    'config show',
  ]) {
    const { exitCode, out } = await run([...command.split(' '), '--help'])

    expect(exitCode, command).toBe(0)
    expect(out, command).toContain(`gophership ${command}`)
    expect(out, command).toContain('Examples:')
  }
})

test('the help of up lists every option of the configuration', async () => {
  const { out } = await run(['up', '--help'])

  for (const { flag } of CONFIG_OPTIONS) expect(out).toContain(flag)
})

test('the version alone is printed', async () => {
  expect(await run(['--version'])).toMatchObject({ exitCode: 0, out: '1.2.3\n' })
})

test('a mistyped command or option is exit code 2 and names the nearest', async () => {
  const command = await run(['statsu'])
  const option = await run(['up', '--dta-dir', 'x'])

  expect([command.exitCode, option.exitCode]).toEqual([2, 2])
  expect(command.err).toContain('Did you mean status?')
  expect(option.err).toContain('Did you mean --data-dir?')
})

test('a mistyped short name of an option names the nearest as well', async () => {
  const { exitCode, err } = await run(['up', '--kafka-prot', '1'])

  expect(exitCode).toBe(2)
  expect(err).toContain('Did you mean --kafka-port?')
})

test('what failed is said once, also when its cause says it again', async () => {
  const { exitCode, err } = await run(['topology', 'describe', './none.yaml'])

  expect(exitCode).toBe(2)
  expect(err.match(/ENOENT/g)).toHaveLength(1)
})

test('a topology can be printed for people and for programs, under the same option as everything else', async () => {
  const outputs = await Promise.all(
    ['text', 'table', 'mermaid', 'json', 'yaml'].map((format) => run(['topology', 'describe', '-o', format])),
  )

  const [text, table, mermaid, json, yaml] = outputs.map(({ out }) => out)
  expect(table).toBe(text)
  expect(mermaid).toMatch(/^flowchart/)
  expect(JSON.parse(json ?? '')).toMatchObject({ name: 'density-tier' })
  expect(parse(yaml ?? '')).toEqual(JSON.parse(json ?? ''))
  expect(JSON.parse((await run(['topology', 'list', '-o', 'json'])).out)).toContain('density-tier')
})

test('no command at all prints help on the error side and is exit code 2', async () => {
  const { exitCode, out, err } = await run([])

  expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' })
  expect(err).toContain('Usage: gophership')
})

test('a wrong value in the environment stops up before anything starts', async () => {
  const { exitCode, err } = await run(['up'], { environment: { GOPHERSHIP_BROKER_PORT: 'many' } })

  expect(exitCode).toBe(2)
  expect(err).toContain('GOPHERSHIP_BROKER_PORT: broker.port: expected a whole number, found "many"')
  expect(err).toContain('[GS_CONFIG_INVALID]')
})

test('an admin port on all interfaces stops up before anything starts', async () => {
  const { exitCode, err } = await run(['up', '--admin-host', '0.0.0.0'])

  expect(exitCode).toBe(2)
  expect(err).toContain('asks nobody for a password')
})

test.each([
  'debt',
  'audit',
  'topics',
  'compact --now',
  'dead-letter list',
  'emergency on --cluster --reason drill',
])('%s with no broker to ask is exit code 3, and names the option that finds it', async (command) => {
  const { exitCode, err } = await run([...command.split(' '), '--broker-port', '1'])

  expect(exitCode).toBe(3)
  expect(err).toContain('127.0.0.1:1')
  expect(err).toContain('is GopherShip running, and is this its --broker-port?')
})

test('status of a GopherShip that is not there is exit code 3 and says where it asked', async () => {
  const { exitCode, err } = await run(['status', '--admin-port', '1'])

  expect(exitCode).toBe(3)
  expect(err).toContain('http://127.0.0.1:1/v1/status')
})

test('status of a port where another program answers is exit code 3 and no bug', async () => {
  const stranger = createServer((_request, response) => response.end('<html>hello</html>'))
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
  const { port } = stranger.address() as AddressInfo

  const { exitCode, err } = await run(['status', '--admin-port', String(port)])
  stranger.close()

  expect(exitCode).toBe(3)
  expect(err).toContain('is this the --admin-port of a GopherShip?')
})

test('topics of a broker that is not there is exit code 3', async () => {
  const { exitCode, err } = await run(['topics', '--broker-port', '1'])

  expect(exitCode).toBe(3)
  expect(err).toContain('127.0.0.1:1')
})

test('NO_COLOR wins over a screen and FORCE_COLOR over a pipe', () => {
  expect(isColored({}, true)).toBe(true)
  expect(isColored({}, false)).toBe(false)
  expect(isColored({ NO_COLOR: '1', FORCE_COLOR: '1' }, true)).toBe(false)
  expect(isColored({ FORCE_COLOR: '1' }, false)).toBe(true)
  expect(isColored({ FORCE_COLOR: '0' }, true)).toBe(false)
  expect(isColored({ TERM: 'dumb' }, true)).toBe(false)
})
