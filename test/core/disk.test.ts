import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errnoOf } from '../../src/core/disk.ts'
import { isFailure } from '../../src/core/errors.ts'
import { systemDisk } from '../../src/core/system-disk.ts'

let root = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'gophership-disk-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const errnoFrom = async (run: () => Promise<unknown>): Promise<string | null> => {
  try {
    await run()
    return 'resolved'
  } catch (error) {
    return errnoOf(error)
  }
}

describe('system disk', () => {
  test('writes any number of buffers, and reads them back from any place', async () => {
    const path = join(root, 'many')
    const buffers = Array.from({ length: 2_500 }, (_, index) => Buffer.from(`${index};`))
    const whole = Buffer.concat(buffers)
    const file = await systemDisk.open(path, 'create')
    await file.writev(buffers, 10)
    await file.write(Buffer.from('0123456789'), 0)
    await file.datasync()
    const read = Buffer.alloc(whole.length + 100)
    expect(await file.read(read, 10)).toBe(whole.length)
    expect(read.subarray(0, whole.length).equals(whole)).toBe(true)
    expect(await file.size()).toBe(whole.length + 10)
    await file.truncate(4)
    expect([await file.size(), await file.read(read, 4)]).toEqual([4, 0])
    await file.close()
  })

  test('creates only what is not there, opens only what is, and follows no planted link', async () => {
    const path = join(root, 'once')
    await (await systemDisk.open(path, 'create')).close()
    expect(await errnoFrom(() => systemDisk.open(path, 'create'))).toBe('EEXIST')
    expect(await errnoFrom(() => systemDisk.open(join(root, 'absent'), 'read-write'))).toBe('ENOENT')
    writeFileSync(join(root, 'target'), 'mine')
    symlinkSync(join(root, 'target'), join(root, 'link'))
    expect(await errnoFrom(() => systemDisk.open(join(root, 'link'), 'read-write'))).toBe('ELOOP')
    expect((await systemDisk.stat(join(root, 'link')))?.kind).toBe('other')
  })

  test('makes, lists, renames, syncs and removes', async () => {
    const folder = join(root, 'a', 'b')
    await systemDisk.mkdir(folder)
    await systemDisk.mkdir(folder)
    await (await systemDisk.open(join(folder, 'x'), 'create')).close()
    await systemDisk.rename(join(folder, 'x'), join(folder, 'y'))
    await systemDisk.syncDirectory(folder)
    expect(await systemDisk.readdir(folder)).toEqual(['y'])
    expect(await systemDisk.stat(join(folder, 'y'))).toMatchObject({ kind: 'file', bytes: 0 })
    await systemDisk.unlink(join(folder, 'y'))
    expect(await systemDisk.exists(join(folder, 'y'))).toBe(false)
    await systemDisk.removeDirectory(join(root, 'a'))
    await systemDisk.removeDirectory(join(root, 'a'))
    expect(await systemDisk.stat(join(root, 'a'))).toBeNull()
  })
})

describe('D10: the lock of a data directory', () => {
  test('is refused to a second taker in the same process, and free after its release', async () => {
    const directory = join(root, 'same')
    const lock = await systemDisk.lockDirectory(directory)
    const refusal = await systemDisk.lockDirectory(directory).catch((error: unknown) => error)
    expect(isFailure(refusal, 'GS_STORAGE_LOCKED') && refusal.facts['pid']).toBe(process.pid)
    await lock.release()
    await lock.release()
    await (await systemDisk.lockDirectory(directory)).release()
  })

  test('is refused while another process holds it, naming that one, and ends with its kill -9', async () => {
    const directory = join(root, 'other')
    const holder = await startHolder(directory)
    const refusal = await systemDisk.lockDirectory(directory).catch((error: unknown) => error)
    expect(isFailure(refusal, 'GS_STORAGE_LOCKED') && refusal.facts['pid']).toBe(holder.pid)
    expect(String(refusal)).toContain(`process ${holder.pid}`)
    const ended = new Promise((resolve) => holder.once('exit', resolve))
    holder.kill('SIGKILL')
    await ended
    await (await systemDisk.lockDirectory(directory)).release()
  })

  test('of many that start at once exactly one gets it, also when a killed one left its files', async () => {
    const directory = join(root, 'many-starters')
    const killed = await startHolder(directory)
    const ended = new Promise((resolve) => killed.once('exit', resolve))
    killed.kill('SIGKILL')
    await ended
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => systemDisk.lockDirectory(directory)),
    )
    const held = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    expect(held).toHaveLength(1)
    for (const outcome of held) await outcome.value.release()
  })

  test('a folder that cannot be locked is a failure of the disk, not a lock', async () => {
    writeFileSync(join(root, 'plain-file'), '')
    const refusal = await systemDisk.lockDirectory(join(root, 'plain-file')).catch((error: unknown) => error)
    expect(isFailure(refusal, 'GS_STORAGE_FAILED')).toBe(true)
  })

  test('a lock file that cannot be opened is told in words about the directory', async () => {
    mkdirSync(join(root, 'occupied', '.lock'), { recursive: true })
    const refusal = await systemDisk.lockDirectory(join(root, 'occupied')).catch((error: unknown) => error)
    expect(isFailure(refusal, 'GS_STORAGE_FAILED')).toBe(true)
    expect(String(refusal)).toContain('the file .lock in it cannot be written')
  })
})

/** A process that has taken the lock and waits. */
async function startHolder(directory: string): Promise<ChildProcess> {
  const module = fileURLToPath(new URL('../../src/core/system-disk.ts', import.meta.url))
  const script = `
    const { systemDisk } = await import(${JSON.stringify(module)})
    globalThis.lock = await systemDisk.lockDirectory(${JSON.stringify(directory)})
    console.log('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve())
    child.once('exit', (code) => reject(new Error(`the holder ended with ${code}`)))
  })
  return child
}
