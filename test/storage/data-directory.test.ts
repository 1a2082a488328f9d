import { expect, test } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { writeCheckpoint } from '../../src/storage/checkpoint.ts'
import { openDataDirectory } from '../../src/storage/data-directory.ts'
import { writeSnapshot } from '../../src/storage/snapshot-file.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { SimDisk } from '../support/sim-disk.ts'
import { codeOf, LOG_DIRECTORY, openLog } from './support.ts'

const open = (disk: SimDisk) => openDataDirectory({ disk, path: '/data', diagnostics: silentDiagnostics })

test('D10: a data directory is opened once at a time', async () => {
  const disk = new SimDisk()
  const first = await open(disk)
  expect(await codeOf(() => open(disk))).toBe('GS_STORAGE_LOCKED')
  await first.release()
  await first.release()
  await (await open(disk)).release()
})

test('D10: a directory that a newer version wrote is refused, and is free again afterwards', async () => {
  const disk = new SimDisk()
  await (await open(disk)).release()
  await writeSnapshot(disk, '/data/format-version', Buffer.from('2'))
  expect(await codeOf(() => open(disk))).toBe('GS_STORAGE_VERSION')
  await writeSnapshot(disk, '/data/format-version', Buffer.from('1'))
  await (await open(disk)).release()
})

test('D10: a partition whose checkpoint a newer version wrote is refused and left as it is', async () => {
  const disk = new SimDisk()
  await (await openLog(disk)).close()
  const newer = { format: 3, logStartOffset: asOffset(0) }
  await writeSnapshot(disk, `${LOG_DIRECTORY}/checkpoint`, Buffer.from(JSON.stringify(newer)))
  const before = disk.files().map((path) => [path, disk.bytesOf(path).toString('hex')])
  expect(await codeOf(() => openLog(disk))).toBe('GS_STORAGE_VERSION')
  expect(disk.files().map((path) => [path, disk.bytesOf(path).toString('hex')])).toEqual(before)
})

test('a checkpoint of this version is read back', async () => {
  const disk = new SimDisk()
  await disk.mkdir(LOG_DIRECTORY)
  const empty = { endOffset: asOffset(7), segments: [], removing: [], losses: [], swaps: [] }
  await writeCheckpoint(disk, LOG_DIRECTORY, {
    logStartOffset: asOffset(7),
    cleanedOffset: asOffset(0),
    ...empty,
  })
  const log = await openLog(disk)
  expect([log.logStartOffset, log.logEndOffset]).toEqual([7, 7])
})

test('D8: a damaged version file is put aside and does not stop a start', async () => {
  const disk = new SimDisk()
  await (await open(disk)).release()
  disk.flip('/data/format-version', 16, 1)
  await (await open(disk)).release()
  expect(disk.files()).toEqual(['/data/format-version', '/data/format-version.damaged'])
})

test('a version file that is no number is damage too', async () => {
  const disk = new SimDisk()
  await (await open(disk)).release()
  await writeSnapshot(disk, '/data/format-version', Buffer.from('one'))
  await (await open(disk)).release()
  expect(disk.files()).toContain('/data/format-version.damaged')
})
