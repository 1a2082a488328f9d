/**
 * Batches that inflate to far more than they are. Each is opened in a process of its own, so that its memory can be
 * measured: the peak resident size during the refusal, over what the process held before it.
 */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { BOMBS } from './bombs.ts'

const MIB = 1024 * 1024

interface Outcome {
  code: string
  grownBytes: number
  tookMs: number
}

for (const [name, { inflatedBytesMax }] of Object.entries(BOMBS)) {
  const limit =
    inflatedBytesMax === undefined ? 'at the default limit' : `at a limit of ${inflatedBytesMax / MIB} MiB`
  test.concurrent(`${name} is GS_BATCH_TOO_LARGE ${limit}, quickly, within 32 MiB`, async () => {
    const child = fileURLToPath(new URL('./bombs.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [child, name])
    const outcome = JSON.parse(stdout) as Outcome
    expect(outcome.code).toBe('GS_BATCH_TOO_LARGE')
    expect(outcome.grownBytes).toBeLessThan(32 * MIB)
    expect(outcome.tookMs).toBeLessThan(1_000)
  })
}
