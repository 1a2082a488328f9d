/** Which files are open: as few as are needed, none twice closed, and none left behind by a disk that refuses. */

import { describe, expect, test } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { SimDisk } from '../support/sim-disk.ts'
import { cleanOf, keyedBatch } from './compaction-support.ts'
import { batchOf, LOG_DIRECTORY, ManualClock, openLog, readAll, settle } from './support.ts'

/** More calls than anything here makes. */
const CALLS_MAX = 600
const OPTIONS = { segmentBytesMax: 250, indexIntervalBytes: 0 }

/** A closed log of many small segments with one value of the same few keys each. */
async function smallSegments(count: number): Promise<SimDisk> {
  const disk = new SimDisk()
  const log = await openLog(disk, { ...OPTIONS, clock: new ManualClock() })
  for (let index = 0; index < count; index += 1)
    await log.append(keyedBatch([{ key: `k${index % 3}`, value: '.'.repeat(80) }])).durable
  await log.close()
  return disk
}

describe('a file is closed once: its number may be another file by the time of a second close', () => {
  test('by a compaction, whichever call the disk refuses', async () => {
    const base = await smallSegments(8)
    let hasFailed = true
    for (let call = 1; call < CALLS_MAX && hasFailed; call += 1) {
      const disk = base.fork()
      const log = await openLog(disk, OPTIONS)
      disk.failAfter(call, 'EIO')
      await cleanOf(log).catch(() => {})
      hasFailed = disk.hasFailed
      disk.heal()
      await log.close().catch(() => {})
      expect(disk.callsOnClosed, `call ${call}`).toEqual([])
    }
    expect(hasFailed).toBe(false)
  })
})

describe('no file stays open when the log is closed, or could not be opened', () => {
  /** Opens, appends, rolls, reads, deletes and compacts; closes whatever came of it. */
  async function workAndClose(disk: SimDisk): Promise<void> {
    const log = await openLog(disk, OPTIONS)
    try {
      for (let index = 0; index < 6; index += 1)
        await log.append(batchOf(`b${index}`, { valueBytes: 90 })).durable
      await log.offsetForTimestamp(1_000)
      await readAll(log)
      await log.deleteRecordsBefore(asOffset(3))
      await cleanOf(log)
      await log.applyRetention(0)
    } finally {
      await log.close()
    }
  }

  const states: Record<string, () => Promise<SimDisk>> = {
    'a new log': async () => new SimDisk(),
    'a log without its checkpoint and indexes': async () => {
      const disk = await smallSegments(3)
      for (const path of disk.files()) if (!path.endsWith('.log')) disk.remove(path)
      return disk
    },
    'a log with a torn tail': async () => {
      const disk = await smallSegments(3)
      const last = disk.files().findLast((path) => path.endsWith('.log')) as string
      disk.setBytes(last, Buffer.concat([disk.bytesOf(last), Buffer.alloc(50, 7)]))
      return disk
    },
    'a log with damage': async () => {
      const disk = await smallSegments(3)
      for (const path of disk.files()) if (path.endsWith('.log')) disk.flip(path, 70, 1)
      disk.remove(`${LOG_DIRECTORY}/checkpoint`)
      return disk
    },
  }
  for (const [name, make] of Object.entries(states)) {
    test(`${name}, whichever call the disk refuses`, async () => {
      const base = await make()
      let hasFailed = true
      for (let call = 1; call < CALLS_MAX && hasFailed; call += 1) {
        const disk = base.fork()
        disk.failAfter(call, 'EIO')
        await workAndClose(disk).catch(() => {})
        hasFailed = disk.hasFailed
        expect([disk.openPaths(), disk.callsOnClosed], `call ${call}`).toEqual([[], []])
      }
      expect(hasFailed).toBe(false)
    })

    test(`${name}, on a disk that refuses all from some call on`, async () => {
      const base = await make()
      let hasFailed = true
      for (let call = 1; call < CALLS_MAX && hasFailed; call += 1) {
        const disk = base.fork()
        disk.failFrom(call, 'EIO')
        await workAndClose(disk).catch(() => {})
        hasFailed = disk.hasFailed
        expect([disk.openPaths(), disk.callsOnClosed], `call ${call}`).toEqual([[], []])
      }
      expect(hasFailed).toBe(false)
    })
  }
})

test('no file stays open when the log is closed while a segment is read without its index', async () => {
  const disk = await smallSegments(3)
  const log = await openLog(disk, OPTIONS)
  for (const path of disk.files()) if (path.endsWith('index')) disk.remove(path)
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const open = disk.open.bind(disk)
  disk.open = async (path, mode) => {
    if (mode === 'read' && path.endsWith('.index')) await closed
    return open(path, mode)
  }
  const read = log.read(asOffset(0), { bytesMax: 1 })
  await settle()
  await log.close()
  resolve()
  expect((await read).length).toBeGreaterThan(0)
  expect([disk.openPaths(), disk.callsOnClosed]).toEqual([[], []])
})

test('a compaction keeps few of the segments open that it reads, whether it changes them or not', async () => {
  const disk = await smallSegments(40)
  const log = await openLog(disk, OPTIONS)
  let openMax = 0
  const pace = {
    isDue: () => {
      openMax = Math.max(openMax, disk.openPaths().length)
      return false
    },
    pause: async () => {},
  }
  // Half of the log is as it must be: no key comes twice in it.
  for (let index = 0; index < 40; index += 1)
    await log.append(keyedBatch([{ key: `once ${index}`, value: '.'.repeat(80) }])).durable

  await cleanOf(log, { pace })

  expect(log.segmentCount).toBeGreaterThan(30)
  expect(openMax).toBeLessThan(10)
  expect(disk.openPaths().length).toBeLessThan(7)
})

test('a segment that is read again and again stays open, however many newer ones are', async () => {
  const disk = new SimDisk()
  const log = await openLog(disk, { ...OPTIONS, segmentBytesMax: 600 })
  for (let index = 0; index < 60; index += 1) await log.append(batchOf(`b${index}`)).durable
  expect(log.segmentCount).toBeGreaterThan(7)
  disk.isTraced = true

  for (const offset of [0, 1, 2, 3, 0, 2, 1]) await log.read(asOffset(offset), { bytesMax: 1 })

  expect(disk.trace.filter((call) => /^open .*0000[.]log$/.test(call))).toHaveLength(1)
  expect(disk.openPaths().length).toBeLessThan(7)
})
