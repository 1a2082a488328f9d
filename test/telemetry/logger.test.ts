import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import type { LoggerOptions } from '../../src/telemetry/logger.ts'

/** Prints from a process of its own: the logger writes to a file descriptor, not to a stream a test could swap. */
function print(options: LoggerOptions, body: string): string {
  const logger = new URL('../../src/telemetry/logger.ts', import.meta.url).href
  const errors = new URL('../../src/core/errors.ts', import.meta.url).href
  const script = `
    import { openDiagnostics } from '${logger}'
    import { GopherShipError } from '${errors}'
    const diagnostics = openDiagnostics(${JSON.stringify(options)})
    ${body}`
  const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  expect(run.stderr).toBe('')
  return run.stdout
}

const json: LoggerOptions = { level: 'info', format: 'json', isColored: false, thread: 'main' }
const pretty: LoggerOptions = { ...json, format: 'pretty' }

test('off a terminal every line is one JSON object with time, level, thread and its fields', () => {
  const output = print(json, `diagnostics.child({ role: 'x' }).warn({ port: 9092 }, 'listening')`)

  const line = JSON.parse(output)
  expect(line).toMatchObject({ level: 'warn', thread: 'main', role: 'x', port: 9092, msg: 'listening' })
  expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
})

test('on a terminal a fact is one line, even when its fields hold line breaks and escape codes', () => {
  const output = print(pretty, `diagnostics.info({ topic: 'a\\nfake line\\u001b[31m' }, 'refused')`)

  expect(output.trimEnd().split('\n')).toHaveLength(1)
  expect(output).toContain('main: refused')
  expect(output).not.toContain('\u001b')
})

test('a failure of ours prints its code and facts without a stack; a bug prints its stack', () => {
  const output = print(
    json,
    `diagnostics.error({ error: new GopherShipError('GS_LISTEN_FAILED', 'port taken', { facts: { port: 1 } }) }, 'a')
     diagnostics.error({ error: new TypeError('oops') }, 'b')`,
  )

  const [failure, bug] = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(failure.error).toEqual({ code: 'GS_LISTEN_FAILED', message: 'port taken', port: 1 })
  expect(bug.error.stack).toContain('TypeError: oops')
})

test('lines below the level are not printed', () => {
  const output = print({ ...json, level: 'error' }, `diagnostics.warn({}, 'quiet')`)

  expect(output).toBe('')
})
