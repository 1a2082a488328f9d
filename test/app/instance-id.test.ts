import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadInstanceId } from '../../src/app/instance-id.ts'
import { seededRandom } from '../../src/core/random.ts'
import { systemDisk } from '../../src/core/system-disk.ts'

let dataDir: string

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gophership-instance-'))
})

afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true })
})

describe('loadInstanceId', () => {
  it('gives the same id after a restart, whatever the random numbers are then', async () => {
    const first = await loadInstanceId(systemDisk, seededRandom(1), dataDir)

    const second = await loadInstanceId(systemDisk, seededRandom(2), dataDir)

    expect(second).toBe(first)
    expect(first).toMatch(/^[0-9a-f]{16}$/)
  })
})
