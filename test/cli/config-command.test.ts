import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { run } from './run-cli.ts'

test('check accepts a valid file and says what it is', async () => {
  const { exitCode, out } = await run(['config', 'check', 'a.yaml'], {
    files: { 'a.yaml': 'dataDir: /srv\n' },
  })

  expect({ exitCode, out }).toEqual({
    exitCode: 0,
    out: 'a.yaml is valid: roles broker, ingress, processor, compactor, admin; data in /srv\n',
  })
})

test('check refuses an unknown key with its line and the nearest right name, with exit code 2', async () => {
  const { exitCode, err } = await run(['config', 'check', 'a.yaml'], { files: { 'a.yaml': 'brokr: {}\n' } })

  expect(exitCode).toBe(2)
  expect(err).toContain('a.yaml:1: brokr: unknown key; did you mean "broker"?')
})

test('check tells a program what is wrong as data, with the same exit code', async () => {
  const files = { 'a.yaml': 'brokr: {}\n', 'b.yaml': 'broker:\n' }
  const wrong = await run(['config', 'check', 'a.yaml', '-o', 'json'], { files })
  const right = await run(['config', 'check', 'b.yaml', '-o', 'yaml'], { files })

  expect(wrong).toMatchObject({ exitCode: 2, err: '' })
  expect(JSON.parse(wrong.out)).toMatchObject({
    isValid: false,
    problems: [{ source: 'a.yaml:1', path: 'brokr', message: expect.stringContaining('"broker"') }],
  })
  expect(right.exitCode).toBe(0)
  expect(parse(right.out)).toEqual({ file: 'b.yaml', isValid: true, problems: [] })
})

test('check of a file that is not there is exit code 2', async () => {
  expect(await run(['config', 'check', 'none.yaml'])).toMatchObject({ exitCode: 2 })
})

test('schema is JSON Schema by default, and a table of all names on request', async () => {
  const json = await run(['config', 'schema'])
  const table = await run(['config', 'schema', '-o', 'table'])

  expect(JSON.parse(json.out)).toMatchObject({ title: 'GopherShip configuration', type: 'object' })
  expect(table.out).toMatch(/^ingress\.kafka\.port +--kafka-port +GOPHERSHIP_INGRESS_KAFKA_PORT +9092/m)
})

test('what show prints is a configuration file that check accepts', async () => {
  const shown = await run(['config', 'show', '--broker-port', '29092'], {
    environment: { GOPHERSHIP_LOG_LEVEL: 'warn' },
  })
  const checked = await run(['config', 'check', 'shown.yaml'], { files: { 'shown.yaml': shown.out } })

  expect(parse(shown.out)).toMatchObject({ broker: { port: 29092 }, log: { level: 'warn' } })
  expect(checked.exitCode).toBe(0)
})

test('show says where each option was set', async () => {
  const { out } = await run(['config', 'show', '--origins', '--config', 'a.yaml', '--broker-port', '1'], {
    files: { 'a.yaml': '\nlog: {level: warn}\n' },
    environment: { GOPHERSHIP_DATA_DIR: '/srv' },
  })

  expect(out).toMatch(/^log\.level +warn +a\.yaml:2$/m)
  expect(out).toMatch(/^dataDir +\/srv +GOPHERSHIP_DATA_DIR$/m)
  expect(out).toMatch(/^broker\.port +1 +--broker-port$/m)
  expect(out).toMatch(/^admin\.port +9464 +default$/m)
})

test('show says where each option was set to programs too', async () => {
  const args = ['config', 'show', '--origins', '--broker-port', '1', '-o']
  const readers: Record<string, (text: string) => unknown> = { json: JSON.parse, yaml: (text) => parse(text) }
  for (const [format, read] of Object.entries(readers)) {
    const { out } = await run([...args, format])

    expect(read(out)).toContainEqual({ option: 'broker.port', value: 1, setBy: '--broker-port' })
    expect(read(out)).toContainEqual({ option: 'admin.port', value: 9464, setBy: 'default' })
  }
})

test('the file is found through the environment too', async () => {
  const { out } = await run(['config', 'show'], {
    files: { '/etc/g.yaml': 'dataDir: /from-file\n' },
    environment: { GOPHERSHIP_CONFIG: '/etc/g.yaml' },
  })

  expect(parse(out)).toMatchObject({ dataDir: '/from-file' })
})

test('the short names of the doors are the same options', async () => {
  const { out } = await run([
    'config',
    'show',
    '--kafka-port',
    '1',
    '--http-port',
    '2',
    '--kafka-host',
    'a',
    '--http-host',
    'b',
  ])

  expect(parse(out).ingress).toMatchObject({ kafka: { port: 1, host: 'a' }, http: { port: 2, host: 'b' } })
})
