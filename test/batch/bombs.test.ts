/**
 * Batches that inflate to far more than they are. Each is opened in a process of its own, so that its memory can be
 * measured: see `open-bomb.ts`.
 */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import type { Bomb } from './bombs.ts'
import { BOMBS, batchAround, MANY_PIECES } from './bombs.ts'

const MIB = 1024 * 1024

interface Outcome {
  code: string
  grownBytes: number
  cpuMs: number
}

const directory = mkdtempSync(join(tmpdir(), 'gophership-bombs-'))
afterAll(() => rmSync(directory, { recursive: true }))

async function openBomb(name: string, bomb: Bomb, limit?: number): Promise<Outcome> {
  const file = join(directory, `${name.replaceAll(/\W/g, '-')}.batch`)
  writeFileSync(file, batchAround(bomb))
  const program = fileURLToPath(new URL('./open-bomb.ts', import.meta.url))
  const args = [program, file, String(bomb.codec), ...(limit === undefined ? [] : [String(limit)])]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout) as Outcome
}

for (const [name, bomb] of Object.entries(BOMBS)) {
  const { inflatedBytesMax, code = 'GS_BATCH_TOO_LARGE' } = bomb
  const limit =
    inflatedBytesMax === undefined ? 'at the default limit' : `at a limit of ${inflatedBytesMax / MIB} MiB`
  test.concurrent(`${name} is ${code} ${limit}, quickly, within 32 MiB`, async () => {
    const outcome = await openBomb(name, bomb, inflatedBytesMax)
    expect(outcome.code).toBe(code)
    expect(outcome.grownBytes).toBeLessThan(32 * MIB)
    expect(outcome.cpuMs).toBeLessThan(500)
  })
}

for (const [name, bomb] of Object.entries(MANY_PIECES)) {
  test.concurrent(`${name} is opened quickly, within 32 MiB`, async () => {
    const outcome = await openBomb(name, bomb)
    expect(outcome.code).toBe('returned')
    expect(outcome.grownBytes).toBeLessThan(32 * MIB)
    expect(outcome.cpuMs).toBeLessThan(500)
  })
}

test('the measurement sees memory that is really used: one bomb let through at 256 MiB', async () => {
  const name = 'gzip of 10 GiB in 10,240 members'
  const outcome = await openBomb(name, BOMBS[name], 256 * MIB)
  expect(outcome.grownBytes).toBeGreaterThan(200 * MIB)
})
