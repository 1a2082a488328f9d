/** D7: every way in which the last unsynced write can be torn, one by one. */

import { describe, expect, test } from 'vitest'
import { SimDisk } from '../support/sim-disk.ts'
import { asRead, basesOf, batchOf, LOG_DIRECTORY, openLog, readAll, splitBatches } from './support.ts'

const PATH = `${LOG_DIRECTORY}/00000000000000000000.log`

/** A log with two acknowledged batches, and what three more, in one write, would have added to its file. */
async function tornWrite(): Promise<{ disk: SimDisk; synced: Buffer; tail: Buffer }> {
  const disk = new SimDisk()
  const log = await openLog(disk)
  await log.append(batchOf('a', { valueBytes: 400 })).durable
  await log.append(batchOf('b', { valueBytes: 900 })).durable
  const synced = Buffer.from(disk.bytesOf(PATH))
  const died = disk.dieAfter(2)
  for (const id of ['c', 'd', 'e']) void log.append(batchOf(id, { valueBytes: 1_500 }))
  await died
  disk.revive()
  return { disk, synced, tail: Buffer.from(disk.bytesOf(PATH).subarray(synced.length)) }
}

/** Opens the log over such a tail; the acknowledged batches must be there, and the file must end with a whole batch. */
async function expectCut(
  at: string,
  parts: { disk: SimDisk; synced: Buffer; tail: Buffer },
): Promise<number[]> {
  const disk = parts.disk.fork()
  disk.setBytes(PATH, Buffer.concat([parts.synced, parts.tail]))
  const log = await openLog(disk)
  expect(log.failure, at).toBeNull()
  const read = await readAll(log)
  const bases = basesOf(read)
  expect(bases.slice(0, 2), at).toEqual([0, 1])
  for (const batch of splitBatches(asRead(parts.synced)))
    expect(
      read.some((other) => other.equals(batch)),
      at,
    ).toBe(true)
  if (log.quarantined.length === 0) {
    expect(
      asRead(disk.bytesOf(PATH)).equals(Buffer.concat(read)),
      `${at}: nothing but whole batches is left`,
    ).toBe(true)
  }
  await log.append(batchOf('fresh')).durable
  expect((await readAll(log)).length, at).toBe(read.length + 1)
  return bases
}

describe('D7: a torn tail is cut at the last whole batch, and the log opens', () => {
  test('for every prefix of the write', async () => {
    const parts = await tornWrite()
    const batchBytes = parts.tail.length / 3
    for (let kept = 0; kept <= parts.tail.length; kept += 1) {
      const bases = await expectCut(`prefix ${kept}`, { ...parts, tail: parts.tail.subarray(0, kept) })
      expect(bases.length).toBe(2 + Math.floor(kept / batchBytes))
    }
  })

  for (const sectorBytes of [512, 4096]) {
    for (const fill of ['zeros', 'stale'] as const) {
      test(`for every subset of its ${sectorBytes} byte sectors, the others ${fill}`, async () => {
        const parts = await tornWrite()
        const first = Math.floor(parts.synced.length / sectorBytes)
        const last = Math.floor((parts.synced.length + parts.tail.length - 1) / sectorBytes)
        const sectorCount = last - first + 1
        for (let subset = 0; subset < 2 ** sectorCount; subset += 1) {
          const tail = Buffer.from(parts.tail)
          for (let sector = 0; sector < sectorCount; sector += 1) {
            if ((subset >>> sector) & 1) continue
            const from = Math.max((first + sector) * sectorBytes - parts.synced.length, 0)
            const to = Math.min((first + sector + 1) * sectorBytes - parts.synced.length, tail.length)
            // Stale: what a block held that once belonged to this very log, whole batches with old offsets included.
            if (fill === 'zeros') tail.fill(0, from, to)
            else parts.synced.copy(tail, from, 0, to - from)
          }
          await expectCut(`subset ${subset}`, { ...parts, tail })
        }
      })
    }
  }

  test('and what was cut is kept in the quarantine when it held anything', async () => {
    const parts = await tornWrite()
    const tail = parts.tail.subarray(0, 700)
    parts.disk.setBytes(PATH, Buffer.concat([parts.synced, tail]))
    const log = await openLog(parts.disk)
    expect(log.recovery.tornBytes).toBe(700)
    const kept = parts.disk.files().filter((path) => path.includes('/quarantine/'))
    expect(kept).toHaveLength(1)
    expect(parts.disk.bytesOf(kept[0] ?? '').equals(tail)).toBe(true)
  })

  test('and zeros alone are cut without a copy', async () => {
    const parts = await tornWrite()
    parts.disk.setBytes(PATH, Buffer.concat([parts.synced, Buffer.alloc(5_000)]))
    const log = await openLog(parts.disk)
    expect([log.recovery.tornBytes, log.quarantined]).toEqual([5_000, []])
    expect(parts.disk.files().filter((path) => path.includes('/quarantine/'))).toEqual([])
  })

  test('and when no copy can be made, the tail stays and a new segment begins behind it', async () => {
    const parts = await tornWrite()
    parts.disk.setBytes(PATH, Buffer.concat([parts.synced, parts.tail.subarray(0, 700)]))
    parts.disk.failAlways(['mkdir'], 'ENOSPC')
    const log = await openLog(parts.disk)
    expect([log.failure, log.segmentCount, log.logEndOffset]).toEqual([null, 2, 2])
    await log.append(batchOf('fresh')).durable
    expect(basesOf(await readAll(log))).toEqual([0, 1, 2])
  })
})
