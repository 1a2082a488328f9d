import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { takeDirectoryLock } from '../../src/core/directory-lock.ts'

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'gophership-lock-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('the folder and those above it are made, and may be there already', async () => {
  const directory = join(await temporaryDirectory(), 'a', 'b', 'c')
  for (let round = 0; round < 2; round += 1) await (await takeDirectoryLock(directory)).release()
})

test('a folder that cannot be made is refused, and at once where its parent is there', async () => {
  const file = join(await temporaryDirectory(), 'file')
  await writeFile(file, '')
  for (const directory of [file, join(file, 'data'), '/proc/nowhere', '/proc/nowhere/data']) {
    await expect(takeDirectoryLock(directory)).rejects.toMatchObject({ code: 'GS_STORAGE_FAILED' })
  }
})
