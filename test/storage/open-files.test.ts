/** Which files are open: as few as are needed, none twice closed, and none left behind by a disk that refuses. */

import { describe, expect, test } from 'vitest'
import { SimDisk } from '../support/sim-disk.ts'
import { cleanOf, keyedBatch } from './compaction-support.ts'
import { ManualClock, openLog } from './support.ts'

/** More calls than any compaction here makes. */
const CALLS_MAX = 300
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
