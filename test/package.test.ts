/** What `npm pack` makes is what a stranger gets: it is installed into an empty folder and run from there. */

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from './support/eventually.ts'
import { freePort } from './support/free-port.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The package needs a Node of today, which the machine's own may not be: the one that runs this test comes first. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` }
const runProgram = promisify(execFile)
const run = (program: string, args: readonly string[], cwd = ROOT) => runProgram(program, args, { cwd, env })

let folder: string
let executable: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gophership-package-'))
  // Scripts of packages are switched off (.npmrc), and with them our own `prepack`: building is a step of its own.
  await run('npm', ['run', '--silent', 'build'])
  const packed = await run('npm', ['pack', '--silent', '--pack-destination', folder])
  const tarball = packed.stdout.trim().split('\n').at(-1) ?? ''
  await writeFile(join(folder, 'package.json'), '{"private": true}')
  const install = ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline']
  await run('npm', [...install, join(folder, tarball)], folder)
  executable = join(folder, 'node_modules', '.bin', 'gophership')
}, 180_000)

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

test('the package holds what it needs and no source, tests or data', async () => {
  const installed = join(folder, 'node_modules', 'gophership')

  const files = await readdir(installed)

  expect(files).toEqual(expect.arrayContaining(['dist', 'topologies', 'schemas', 'LICENSE', 'package.json']))
  for (const name of ['src', 'test', 'data', 'docker', 'node_modules']) expect(files).not.toContain(name)
  const built = await readdir(join(installed, 'dist'), { recursive: true })
  // No maps to sources that are not there, and no sources. The types are for the one door that `exports` opens.
  for (const name of built) expect(name).not.toMatch(/\.map$|(?<!\.d)\.ts$/)
  const { bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  expect(await readFile(join(installed, bin.gophership), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
})

test('the installed command prints its version, help and topology', async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))

  const [printed, described] = await Promise.all([
    run(executable, ['--version']),
    run(executable, ['topology', 'describe', '--output', 'json']),
  ])

  expect(printed.stdout).toBe(`${version}\n`)
  expect(JSON.parse(described.stdout)).toBeTypeOf('object')
})

test("a stage of one's own, typed by the installed package, runs in a topology of one's own", async () => {
  await writeFile(
    join(folder, 'shout.ts'),
    `import { defineStage, z } from 'gophership/topology'
export default defineStage({
  name: 'shout',
  summary: 'Makes the body loud.',
  options: z.strictObject({ mark: z.string() }),
  create: ({ mark }) => (draft) => {
    if (typeof draft.body === 'string') draft.body = draft.body.toUpperCase() + mark
  },
})
`,
  )
  const source = 'source: { streams: all }'
  const sinks = "sinks: { enriched: 'enriched.{stream}', deadLetter: dead-letter }"
  const stages = 'stages: [{ use: ./shout.ts, tiers: [full], options: { mark: "!" } }]'
  await writeFile(join(folder, 'loud.yaml'), ['name: loud', source, stages, sinks].join('\n'))
  await writeFile(join(folder, 'loud.cases.yaml'), '- { name: loud, line: hello, event: { body: HELLO! } }')
  const compilerOptions = { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, types: [] }
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...compilerOptions, skipLibCheck: false }, files: ['shout.ts'] }),
  )

  const [ran, example] = await Promise.all([
    run(executable, ['topology', 'test', './loud.yaml', '-o', 'json'], folder),
    run(executable, ['topology', 'test', 'checkout-service', '-o', 'json'], folder),
    run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', folder]),
  ])

  expect(JSON.parse(ran.stdout)).toMatchObject({ passedCount: 1, failedCount: 0 })
  expect(JSON.parse(example.stdout)).toMatchObject({ topology: 'checkout-service', failedCount: 0 })
})

test('the installed command starts, takes a record, is ready, and exits 0 on SIGTERM', async () => {
  const [kafka, http, broker, admin] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const ports = { '--kafka-port': kafka, '--http-port': http, '--broker-port': broker, '--admin-port': admin }
  const flags = Object.entries(ports).flatMap(([flag, port]) => [flag, String(port)])
  const child = spawn(executable, ['up', '--data-dir', join(folder, 'data'), ...flags], { cwd: folder, env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const exited = once(child, 'exit')
  try {
    await eventually('the installed package is ready', async () => {
      if (child.exitCode !== null) throw new Error(`exited with ${child.exitCode}:\n${output}`)
      const response = await fetch(`http://127.0.0.1:${admin}/health/ready`)
      await response.arrayBuffer()
      return response.status === 200
    })

    const stored = await fetch(`http://127.0.0.1:${http}/v1/streams/web`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: 'hello\n',
    })
    child.kill('SIGTERM')
    const [exitCode] = await exited

    expect(stored.status).toBe(200)
    expect(exitCode, output).toBe(0)
  } finally {
    child.kill('SIGKILL')
  }
})
