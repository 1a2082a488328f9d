/** D4 and D5: a disk that refuses. Every single call is made to fail once, and full disks are filled and freed. */

import { describe, expect, test } from 'vitest'
import { baseOffsetAt } from '../../src/batch/record-batch.ts'
import { asOffset } from '../../src/core/brands.ts'
import { seededRandom } from '../../src/core/random.ts'
import { CHANGING_CALLS, SimDisk } from '../support/sim-disk.ts'
import {
  asRead,
  basesOf,
  batchOf,
  codeOf,
  LOG_DIRECTORY,
  ManualClock,
  openLog,
  readAll,
  settle,
} from './support.ts'

const OPTIONS = { segmentBytesMax: 500, indexIntervalBytes: 0 }

/** Appends, rolls, reads, deletes, closes and opens again; notes what was acknowledged. Stops at the first refusal. */
async function work(disk: SimDisk, acknowledged: Map<number, Buffer>): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    const log = await openLog(disk, OPTIONS)
    for (let index = 0; index < 6; index += 1) {
      const appended = [0, 1].map((part) => {
        const batch = batchOf(`r${round}.${index}.${part}`, { valueBytes: 60 })
        const { baseOffset, durable } = log.append(batch)
        return durable.then(() => acknowledged.set(baseOffset, asRead(batch)))
      })
      await Promise.all(appended)
      await readAll(log)
    }
    // Asked for, these may be gone whether it is acknowledged or not.
    for (const base of [...acknowledged.keys()]) if (base < 2) acknowledged.delete(base)
    await log.deleteRecordsBefore(asOffset(2))
    await log.offsetForTimestamp(1_000)
    await log.close()
  }
}

async function expectAllThere(
  at: string,
  disk: SimDisk,
  acknowledged: ReadonlyMap<number, Buffer>,
): Promise<void> {
  const log = await openLog(disk, OPTIONS)
  expect(log.failure, at).toBeNull()
  const read = new Map<number, Buffer>((await readAll(log)).map((batch) => [baseOffsetAt(batch, 0), batch]))
  for (const [base, batch] of acknowledged)
    expect(read.get(base)?.equals(batch), `${at}: offset ${base}`).toBe(true)
  await log.append(batchOf('fresh')).durable
}

describe('D4: a failed call is never taken for a success', () => {
  for (const code of ['EIO', 'ENOSPC']) {
    test(`${code} on the Nth call, for every N until there are no more calls`, async () => {
      const random = seededRandom(5)
      let failures = 0
      for (let call = 1; ; call += 1) {
        const disk = new SimDisk()
        disk.failAfter(call, code)
        const acknowledged = new Map<number, Buffer>()
        const outcome = await codeOf(() => work(disk, acknowledged))
        if (!disk.hasFailed) {
          expect(outcome).toBe('resolved')
          break
        }
        failures += 1
        expect(['resolved', 'GS_STORAGE_FAILED'], `call ${call}`).toContain(outcome)
        disk.heal()
        for (let state = 0; state < 4; state += 1) {
          await expectAllThere(`call ${call} ${code}, power cut`, disk.crash(random), acknowledged)
        }
        await expectAllThere(`call ${call} ${code}`, disk, acknowledged)
        // What a restart found whole counts as durable from then on: it must survive a power cut as well.
        await expectAllThere(
          `call ${call} ${code}, power cut after recovery`,
          disk.crash(random),
          acknowledged,
        )
      }
      expect(failures).toBeGreaterThan(150)
    })
  }

  test('after a failed sync nothing is acknowledged until the log is opened again', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    await log.append(batchOf('kept')).durable
    disk.failAlways(['datasync'], 'EIO')
    const failing = log.append(batchOf('failing'))
    await null
    const queued = log.append(batchOf('queued'))
    expect(await codeOf(() => failing.durable)).toBe('GS_STORAGE_FAILED')
    expect(await codeOf(() => queued.durable)).toBe('GS_STORAGE_FAILED')
    disk.heal()
    expect(await codeOf(() => log.append(batchOf('late')))).toBe('GS_STORAGE_FAILED')
    expect(await codeOf(() => log.flush())).toBe('GS_STORAGE_FAILED')
    expect([log.durableEndOffset, log.pendingBytes]).toEqual([1, 0])
    expect(basesOf(await readAll(log))).toEqual([0])
    await log.close()
  })

  test('what a failed sync may have lost is not taken for durable when the log is opened again', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    await log.append(batchOf('kept')).durable
    disk.failAlways(['datasync'], 'EIO')
    await codeOf(() => log.append(batchOf('failing')).durable)
    disk.heal()
    await log.close()
    const again = await openLog(disk)
    const seen = basesOf(await readAll(again))
    const afterCut = await openLog(
      disk.crash({ float: () => 0, below: () => 0, bytes: Buffer.alloc }, 'none'),
    )
    expect(basesOf(await readAll(afterCut))).toEqual(seen)
  })

  test('a segment that could not be begun is not taken for damage', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, OPTIONS)
    await log.append(batchOf('kept', { valueBytes: 60 })).durable
    disk.failAlways(['syncDirectory'], 'EIO')
    // The last of them begins a segment; all are taken back.
    const group = [0, 1, 2, 3].map((index) => log.append(batchOf(`${index}`, { valueBytes: 60 })).durable)
    for (const durable of group) expect(await codeOf(() => durable)).toBe('GS_STORAGE_FAILED')
    disk.heal()
    await log.close()
    const again = await openLog(disk, OPTIONS)
    expect([again.failure, again.quarantined, basesOf(await readAll(again))]).toEqual([null, [], [0]])
    await again.append(batchOf('next')).durable
    expect(basesOf(await readAll(again))).toEqual([0, 1])
  })

  test('a caller that does not wait is not brought down by a failure', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    disk.failAlways(['write'], 'EIO')
    log.append(batchOf('a'))
    await settle()
    expect(log.failure?.code).toBe('GS_STORAGE_FAILED')
  })

  test('retention that cannot write the checkpoint deletes nothing, and the log goes on', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, OPTIONS)
    for (let index = 0; index < 12; index += 1) await log.append(batchOf(`b${index}`)).durable
    disk.failAlways(['rename'], 'EIO')
    expect(await codeOf(() => log.deleteRecordsBefore(asOffset(8)))).toBe('GS_STORAGE_FAILED')
    disk.heal()
    expect([log.failure, log.logStartOffset, (await readAll(log)).length]).toEqual([null, 0, 12])
  })
})

test('files that could not be removed go with the next retention', async () => {
  const disk = new SimDisk()
  const log = await openLog(disk, OPTIONS)
  for (let index = 0; index < 12; index += 1) await log.append(batchOf(`b${index}`)).durable
  const files = () => disk.files().filter((path) => path.endsWith('.log'))
  disk.failAlways(['unlink'], 'EBUSY')
  await log.deleteRecordsBefore(asOffset(10))
  expect(files().length).toBeGreaterThan(log.segmentCount)
  disk.heal()

  await log.applyRetention(0)

  expect(files()).toHaveLength(log.segmentCount)
  expect([log.failure, basesOf(await readAll(log))]).toEqual([null, [10, 11]])
})

describe('D5: a full disk', () => {
  test('acknowledges nothing false, opens and serves reads while full, and takes work again once there is space', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    await log.append(batchOf('a')).durable
    disk.failAlways(CHANGING_CALLS, 'ENOSPC')
    expect(await codeOf(() => log.append(batchOf('b')).durable)).toBe('GS_STORAGE_FAILED')
    await log.close()
    const full = await openLog(disk, { clock: new ManualClock() })
    expect(basesOf(await readAll(full))).toEqual([0])
    await full.close().catch(() => {})
    disk.heal()
    const again = await openLog(disk)
    expect(again.failure).toBeNull()
    await again.append(batchOf('c')).durable
    expect(basesOf(await readAll(again))).toEqual([0, 1])
  })

  test('leaves no part of a copy behind, however often the log is opened meanwhile', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    await log.append(batchOf('a')).durable
    const path = `${LOG_DIRECTORY}/00000000000000000000.log`
    disk.setBytes(path, Buffer.concat([disk.bytesOf(path), Buffer.alloc(500, 7)]))
    disk.failAlways(['write'], 'ENOSPC')
    for (let round = 0; round < 3; round += 1) await (await openLog(disk)).close().catch(() => {})
    expect(disk.files().filter((name) => name.includes('quarantine'))).toEqual([])
    disk.heal()
    const again = await openLog(disk)
    expect(again.failure).toBeNull()
    expect(basesOf(await readAll(again))).toEqual([0])
  })

  test('at start, with damage to put aside: the log opens, what is whole is served, what is damaged stays in place', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    for (let index = 0; index < 5; index += 1) await log.append(batchOf(`b${index}`)).durable
    const path = `${LOG_DIRECTORY}/00000000000000000000.log`
    disk.flip(path, batchOf('b0').length + 70, 1)
    const before = Buffer.from(disk.bytesOf(path))
    disk.failAlways(CHANGING_CALLS, 'ENOSPC')
    const full = await openLog(disk)
    expect(basesOf(await readAll(full))).toEqual([0, 2, 3, 4])
    expect(full.failure?.code).toBe('GS_STORAGE_FAILED')
    expect(disk.bytesOf(path).equals(before)).toBe(true)
  })
})
