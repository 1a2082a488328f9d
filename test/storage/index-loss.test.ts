/** Index files are never synced: after a power cut they may be there with some of their bytes, or none. */

import { describe, expect, test } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { seededRandom } from '../../src/core/random.ts'
import { SimDisk } from '../support/sim-disk.ts'
import { basesOf, batchOf, LOG_DIRECTORY, openLog, readAll, settle } from './support.ts'

const BATCH_COUNT = 60

/** A closed log of a sealed segment and one that is written to, with batches of many sizes. */
async function closedLog(indexIntervalBytes: number): Promise<SimDisk> {
  const disk = new SimDisk()
  const log = await openLog(disk, { indexIntervalBytes, segmentBytesMax: 9_000 })
  for (let index = 0; index < BATCH_COUNT; index += 1) {
    const valueBytes = index % 7 === 0 ? 1_000 : 10 + index
    await log.append(batchOf(`b${index}`, { valueBytes, timestamp: 1_000 + (index % 20) })).durable
  }
  expect(log.segmentCount).toBe(2)
  await log.close()
  return disk
}

for (const indexIntervalBytes of [0, 300, 2_000]) {
  for (const suffix of ['.index', '.timeindex']) {
    test(`${suffix} with an entry for ${indexIntervalBytes} bytes: whatever is left of it, it is built again`, async () => {
      const options = { indexIntervalBytes, segmentBytesMax: 9_000 }
      const whole = await closedLog(indexIntervalBytes)
      const paths = whole.files().filter((path) => path.startsWith(LOG_DIRECTORY) && path.endsWith(suffix))
      expect(paths).toHaveLength(2)
      for (const path of paths) {
        const bytes = whole.bytesOf(path)
        for (let left = 0; left < bytes.length; left += 1) {
          const disk = whole.fork()
          disk.setBytes(path, Buffer.from(bytes.subarray(0, left)))
          const log = await openLog(disk, options)
          expect(basesOf([await log.read(asOffset(1), { bytesMax: 1 })])).toEqual([1])
          expect(await log.offsetForTimestamp(1_019), `${left} bytes`).toMatchObject({ offset: 19 })
          expect(basesOf(await readAll(log))).toHaveLength(BATCH_COUNT)
          expect(disk.bytesOf(path).equals(bytes), `${left} of ${bytes.length} bytes of ${path}`).toBe(true)
        }
      }
    })
  }
}

test('a whole index is believed: nothing but the batches that are asked for is read', async () => {
  for (const indexIntervalBytes of [0, 300, 2_000]) {
    const disk = await closedLog(indexIntervalBytes)
    const log = await openLog(disk, { indexIntervalBytes, segmentBytesMax: 9_000 })
    disk.isTraced = true
    await readAll(log, 100_000)
    expect(disk.trace.filter((call) => call.startsWith('create'))).toEqual([])
  }
})

test('a start that goes through sealed segments writes their indexes, and does not hold them in memory', async () => {
  const options = { indexIntervalBytes: 300, segmentBytesMax: 900 }
  const disk = new SimDisk()
  const log = await openLog(disk, options)
  for (let index = 0; index < 40; index += 1)
    await log.append(batchOf(`b${index}`, { valueBytes: 100 })).durable
  await log.close()
  const indexes = new Map(
    disk
      .files()
      .filter((path) => path.endsWith('index'))
      .map((path) => [path, disk.bytesOf(path)]),
  )
  for (const path of disk.files()) if (!path.endsWith('.log')) disk.remove(path)

  const again = await openLog(disk, options)

  const last = disk
    .files()
    .findLast((path) => path.endsWith('.log'))
    ?.replace('.log', '') as string
  for (const [path, bytes] of indexes) {
    if (!path.startsWith(last)) expect(disk.bytesOf(path).equals(bytes), path).toBe(true)
  }
  disk.isTraced = true
  expect(basesOf(await readAll(again))).toHaveLength(40)
  expect(disk.trace.filter((call) => call.startsWith('create'))).toEqual([])
  expect(disk.trace.filter((call) => /open .*\.index/.test(call))).toHaveLength(indexes.size / 2 - 1)
})

describe('a segment that is removed leaves no index behind', () => {
  const options = { indexIntervalBytes: 300, segmentBytesMax: 900 }
  const orphans = (disk: SimDisk) => {
    const files = new Set(disk.files())
    return [...files].filter((path) => /index$/.test(path) && !files.has(path.replace(/[.]\w+$/, '.log')))
  }
  async function manySegments(): Promise<SimDisk> {
    const disk = new SimDisk()
    const log = await openLog(disk, options)
    for (let index = 0; index < 30; index += 1)
      await log.append(batchOf(`b${index}`, { valueBytes: 100 })).durable
    await log.close()
    return disk
  }

  test('when the process dies meanwhile', async () => {
    const base = await manySegments()
    let isFinished = false
    for (let call = 1; !isFinished; call += 1) {
      const disk = base.fork()
      const log = await openLog(disk, options)
      const died = disk.dieAfter(call).then(() => 'died')
      isFinished =
        (await Promise.race([died, log.deleteRecordsBefore(asOffset(20)).then(() => 'done')])) === 'done'
      for (const after of [disk.fork(), disk.crash(seededRandom(call))]) {
        await (await openLog(after, options)).close()
        expect(orphans(after), `call ${call}`).toEqual([])
      }
    }
  })

  test('when somebody reads it meanwhile, and its index was lost', async () => {
    const disk = await manySegments()
    const log = await openLog(disk, options)
    for (const path of disk.files()) if (path.endsWith('index')) disk.remove(path)
    const { promise: removed, resolve } = Promise.withResolvers<void>()
    const open = disk.open.bind(disk)
    disk.open = async (path, mode) => {
      if (mode === 'read' && path.endsWith('.index')) await removed
      return open(path, mode)
    }
    const read = log.read(asOffset(0), { bytesMax: 1 })
    await settle()
    await log.deleteRecordsBefore(asOffset(20))
    resolve()
    expect((await read).length).toBeGreaterThan(0)
    expect(orphans(disk)).toEqual([])
  })
})
