import { describe, expect, test } from 'vitest'
import {
  baseOffsetAt,
  crcAt,
  partitionLeaderEpochAt,
  patchPartitionLeaderEpoch,
} from '../../src/batch/record-batch.ts'
import { asOffset } from '../../src/core/brands.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { PARTITION_LOG_DEFAULTS } from '../../src/storage/partition-log.ts'
import { SimDisk } from '../support/sim-disk.ts'
import {
  basesOf,
  batchOf,
  codeOf,
  LOG_DIRECTORY,
  ManualClock,
  openLog,
  readAll,
  settle,
  splitBatches,
} from './support.ts'

const BATCH_BYTES = batchOf('x').length

/** Appends one-record batches and waits for each. */
async function fill(log: PartitionLog, count: number, from = 0): Promise<void> {
  for (let index = from; index < from + count; index += 1) {
    await log.append(batchOf(`b${index}`, { timestamp: 1_000 + index * 10 })).durable
  }
}

describe('append', () => {
  test('assigns offsets in order, over batches of several records', async () => {
    const log = await openLog(new SimDisk())
    const first = log.append(batchOf('a', { recordCount: 3 }))
    const second = log.append(batchOf('b', { recordCount: 2 }))
    await second.durable
    expect([first.baseOffset, first.lastOffset, second.baseOffset, second.lastOffset]).toEqual([0, 2, 3, 4])
    expect([log.logStartOffset, log.logEndOffset, log.durableEndOffset]).toEqual([0, 5, 5])
  })

  test('stores the batch verbatim save base offset and leader epoch', async () => {
    const log = await openLog(new SimDisk())
    await fill(log, 1)
    const sent = batchOf('verbatim', { recordCount: 2 })
    patchPartitionLeaderEpoch(sent, 0, -1)
    const original = Buffer.from(sent)
    await log.append(sent).durable
    const stored = (await readAll(log))[1] ?? Buffer.alloc(0)
    expect(baseOffsetAt(stored, 0)).toBe(1)
    expect(partitionLeaderEpochAt(stored, 0)).toBe(0)
    expect(crcAt(stored, 0)).toBe(crcAt(original, 0))
    expect(stored.subarray(16).equals(original.subarray(16))).toBe(true)
  })

  test('writes all that came during a sync in one write and one sync, with one promise', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    disk.isTraced = true
    const first = log.append(batchOf('first'))
    await null
    const rest = Array.from({ length: 63 }, (_, index) => log.append(batchOf(`r${index}`)))
    expect(log.pendingBytes).toBeGreaterThan(63 * BATCH_BYTES)
    await Promise.all([first.durable, ...rest.map((appended) => appended.durable)])
    const calls = disk.trace.map((call) => call.split(' ')[0])
    expect(calls).toEqual(['write', 'datasync', 'write', 'datasync'])
    expect(new Set(rest.map((appended) => appended.durable)).size).toBe(1)
    expect(log.pendingBytes).toBe(0)
  })

  test('D3: acknowledges nothing, and shows nothing to readers, before the sync that covers it returned', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    const seen: string[] = []
    const appended = log.append(batchOf('a'))
    void appended.durable.then(() => seen.push('acknowledged'))
    log.subscribe(() => seen.push('visible'))
    // The next calls are the write and the sync; the disk dies in the sync.
    const died = disk.dieAfter(2)
    await died
    await settle()
    expect(seen).toEqual([])
    expect(log.durableEndOffset).toBe(0)
    expect(log.logEndOffset).toBe(1)
  })

  test('refuses a batch that could not be read back', async () => {
    const log = await openLog(new SimDisk())
    const tooLarge = batchOf('x', { value: Buffer.alloc(16 * 1024 * 1024 - 200) })
    const larger = Buffer.concat([tooLarge, Buffer.alloc(1000)])
    larger.writeInt32BE(larger.length - 12, 8)
    expect(await codeOf(() => log.append(larger))).toBe('GS_BATCH_TOO_LARGE')
  })

  test('throws for bytes that are not exactly one batch', async () => {
    const log = await openLog(new SimDisk())
    expect(() => log.append(Buffer.concat([batchOf('a'), batchOf('b')]))).toThrow('exactly one batch')
    expect(() => log.append(Buffer.alloc(10))).toThrow('has a header')
  })

  test('tells subscribers when the durable end moves, until they stop', async () => {
    const log = await openLog(new SimDisk())
    const ends: number[] = []
    const stop = log.subscribe(() => ends.push(log.durableEndOffset))
    await fill(log, 2)
    stop()
    await fill(log, 1)
    expect(ends).toEqual([1, 2])
  })

  test('goes on where it ended after a clean close, without reading anything', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { segmentBytesMax: 300 })
    await fill(log, 10)
    await log.close()
    const again = await openLog(disk, { segmentBytesMax: 300 })
    expect(again.recovery.scannedBytes).toBe(0)
    await fill(again, 2, 10)
    expect(basesOf(await readAll(again))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  test('takes nothing after it was closed', async () => {
    const log = await openLog(new SimDisk())
    await log.close()
    await log.close()
    expect(await codeOf(() => log.append(batchOf('a')))).toBe('GS_STOPPED')
    expect(await codeOf(() => log.read(asOffset(0), { bytesMax: 10 }))).toBe('GS_STOPPED')
  })

  test('closing acknowledges what is pending first', async () => {
    const log = await openLog(new SimDisk())
    const appended = log.append(batchOf('a'))
    await log.close()
    await expect(appended.durable).resolves.toBeUndefined()
  })

  test('destroy removes the folder', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    await fill(log, 1)
    await log.destroy()
    expect(await disk.exists(LOG_DIRECTORY)).toBe(false)
  })
})

describe('sync policies', () => {
  test('interval: acknowledges when written, and syncs within the interval of the monotonic clock', async () => {
    const disk = new SimDisk()
    const clock = new ManualClock()
    const log = await openLog(disk, { clock, sync: { policy: 'interval', intervalMs: 100 } })
    disk.isTraced = true
    await fill(log, 3)
    expect(disk.trace.filter((call) => call.startsWith('datasync'))).toEqual([])
    clock.advance(99)
    await settle()
    expect(disk.trace.filter((call) => call.startsWith('datasync'))).toEqual([])
    clock.advance(1)
    await settle()
    expect(disk.trace.filter((call) => call.startsWith('datasync'))).toHaveLength(1)
  })

  test('V7: jumps of the wall clock change nothing about when the disk is synced', async () => {
    const disk = new SimDisk()
    const clock = new ManualClock()
    const log = await openLog(disk, { clock, sync: { policy: 'interval', intervalMs: 100 } })
    await fill(log, 1)
    disk.isTraced = true
    clock.wall -= 3_600_000
    clock.advance(50)
    clock.wall += 7_200_000
    await settle()
    expect(disk.trace).toEqual([])
    clock.advance(50)
    await settle()
    expect(disk.trace.filter((call) => call.startsWith('datasync'))).toHaveLength(1)
  })

  test('interval: a sync that fails fails the log', async () => {
    const disk = new SimDisk()
    const clock = new ManualClock()
    const log = await openLog(disk, { clock, sync: { policy: 'interval', intervalMs: 100 } })
    await fill(log, 1)
    disk.failAlways(['datasync'], 'EIO')
    clock.advance(100)
    await settle()
    expect(log.failure?.code).toBe('GS_STORAGE_FAILED')
  })

  test('never: syncs only when it is asked to, or closed', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { sync: { policy: 'never' } })
    disk.isTraced = true
    await fill(log, 3)
    expect(disk.trace.every((call) => call.startsWith('write'))).toBe(true)
    await log.flush()
    expect(disk.trace.filter((call) => call.startsWith('datasync'))).toHaveLength(1)
  })

  test('a shorter interval leaves nothing waiting for the end of the longer one', async () => {
    const disk = new SimDisk()
    const clock = new ManualClock()
    const sync = (intervalMs: number) => ({ sync: { policy: 'interval', intervalMs } }) as const
    const log = await openLog(disk, { clock, ...sync(3_600_000) })
    await fill(log, 1)
    disk.isTraced = true
    const syncs = () => disk.trace.filter((call) => call.startsWith('datasync')).length
    log.setOptions({ ...PARTITION_LOG_DEFAULTS, ...sync(100) })
    clock.advance(1)
    await settle()
    expect(syncs()).toBe(1)
    await fill(log, 1)
    clock.advance(100)
    await settle()
    expect(syncs()).toBe(2)
  })

  test('a change of policy holds from the next write on', async () => {
    const disk = new SimDisk()
    const options = { sync: { policy: 'never' } as const }
    const log = await openLog(disk, options)
    await fill(log, 1)
    log.setOptions({
      segmentBytesMax: 1000,
      segmentAgeMsMax: 1000,
      indexIntervalBytes: 4096,
      retentionMs: -1,
      retentionBytes: -1,
      sync: { policy: 'every-ack' },
    })
    disk.isTraced = true
    await fill(log, 1)
    expect(disk.trace.some((call) => call.startsWith('datasync'))).toBe(true)
  })
})

describe('read', () => {
  test('begins with the batch that contains the offset', async () => {
    const log = await openLog(new SimDisk())
    await log.append(batchOf('a', { recordCount: 5 })).durable
    await log.append(batchOf('b', { recordCount: 5 })).durable
    expect(basesOf(splitBatches(await log.read(asOffset(7), { bytesMax: 10_000 })))).toEqual([5])
    expect(basesOf(splitBatches(await log.read(asOffset(4), { bytesMax: 10_000 })))).toEqual([0, 5])
  })

  test('keeps to bytesMax, save for the first batch', async () => {
    const log = await openLog(new SimDisk())
    await fill(log, 5)
    const two = await log.read(asOffset(1), { bytesMax: BATCH_BYTES * 2 + 10 })
    const one = await log.read(asOffset(1), { bytesMax: 1 })
    const none = await log.read(asOffset(1), { bytesMax: 1, atLeastOneBatch: false })
    expect([basesOf(splitBatches(two)), basesOf(splitBatches(one)), none.length]).toEqual([[1, 2], [1], 0])
  })

  test('keeps below endOffset', async () => {
    const log = await openLog(new SimDisk())
    await fill(log, 5)
    const read = await log.read(asOffset(1), { bytesMax: 10_000, endOffset: asOffset(3) })
    expect(basesOf(splitBatches(read))).toEqual([1, 2])
    expect((await log.read(asOffset(3), { bytesMax: 10_000, endOffset: asOffset(3) })).length).toBe(0)
  })

  test('is empty at the end, and out of range beyond it and before the start', async () => {
    const log = await openLog(new SimDisk())
    await fill(log, 3)
    await log.deleteRecordsBefore(asOffset(1))
    expect((await log.read(asOffset(3), { bytesMax: 100 })).length).toBe(0)
    expect(await codeOf(() => log.read(asOffset(4), { bytesMax: 100 }))).toBe(
      'GS_STORAGE_OFFSET_OUT_OF_RANGE',
    )
    expect(await codeOf(() => log.read(asOffset(0), { bytesMax: 100 }))).toBe(
      'GS_STORAGE_OFFSET_OUT_OF_RANGE',
    )
    expect(await codeOf(() => log.read(asOffset(-1), { bytesMax: 100 }))).toBe(
      'GS_STORAGE_OFFSET_OUT_OF_RANGE',
    )
  })

  test('finds every offset from any start, for any index spacing and segment size', async () => {
    for (const indexIntervalBytes of [0, 200, 4096]) {
      for (const segmentBytesMax of [BATCH_BYTES, 1_000, 100_000]) {
        const log = await openLog(new SimDisk(), { indexIntervalBytes, segmentBytesMax })
        await fill(log, 40)
        for (let offset = 0; offset < 40; offset += 1) {
          const read = await log.read(asOffset(offset), { bytesMax: 1 })
          expect(baseOffsetAt(read, 0)).toBe(offset)
        }
      }
    }
  })

  test('reads batches larger than what it reads at a time', async () => {
    const log = await openLog(new SimDisk())
    await log.append(batchOf('small')).durable
    await log.append(batchOf('large', { valueBytes: 300_000 })).durable
    await log.append(batchOf('after')).durable
    expect(basesOf(await readAll(log, 100))).toEqual([0, 1, 2])
  })

  test('gives a clean answer while its segment is being deleted', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { segmentBytesMax: 300 })
    await fill(log, 10)
    const reads = Array.from({ length: 8 }, (_, offset) =>
      codeOf(() => log.read(asOffset(offset), { bytesMax: 100 })),
    )
    await log.deleteRecordsBefore(asOffset(9))
    for (const code of await Promise.all(reads))
      expect(['resolved', 'GS_STORAGE_OFFSET_OUT_OF_RANGE']).toContain(code)
  })

  test('keeps few sealed segments open', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { segmentBytesMax: 300 })
    await fill(log, 60)
    disk.isTraced = true
    await readAll(log)
    const opened = disk.trace.filter((call) => call.startsWith('open') && call.endsWith('.log')).length
    const closed = disk.trace.filter((call) => call.startsWith('close') && call.endsWith('.log')).length
    expect(opened).toBeGreaterThan(10)
    expect(opened - closed).toBeLessThanOrEqual(5)
  })

  test('refuses with a retriable failure when the disk refuses, and goes on when it no longer does', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    await fill(log, 3)
    disk.failAlways(['read'], 'EIO')
    const error = await log.read(asOffset(0), { bytesMax: 100 }).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'GS_STORAGE_FAILED', retriable: true })
    disk.heal()
    expect(basesOf(await readAll(log))).toEqual([0, 1, 2])
  })
})

describe('segments', () => {
  test('begin anew when the next batch would not fit, and one batch may exceed the size alone', async () => {
    const log = await openLog(new SimDisk(), { segmentBytesMax: BATCH_BYTES * 2 + 5 })
    await fill(log, 4)
    expect(log.segmentCount).toBe(2)
    await log.append(batchOf('large', { valueBytes: 1_000 })).durable
    await log.append(batchOf('after')).durable
    expect(log.segmentCount).toBe(4)
    expect(basesOf(await readAll(log))).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('split one group where they are full', async () => {
    const log = await openLog(new SimDisk(), { segmentBytesMax: BATCH_BYTES * 2 + 5 })
    await Promise.all(Array.from({ length: 7 }, (_, index) => log.append(batchOf(`g${index}`)).durable))
    expect(log.segmentCount).toBe(4)
    expect(basesOf(await readAll(log))).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('begin anew at their age, which a restart does not reset', async () => {
    const disk = new SimDisk()
    const clock = new ManualClock()
    const log = await openLog(disk, { clock, segmentAgeMsMax: 1_000 })
    await fill(log, 1)
    clock.advance(600)
    await log.close()
    const again = await openLog(disk, { clock, segmentAgeMsMax: 1_000 })
    clock.advance(399)
    await fill(again, 1)
    expect(again.segmentCount).toBe(1)
    clock.advance(1)
    await fill(again, 1)
    expect(again.segmentCount).toBe(2)
  })

  test('D6: the name of a new segment is durable before the checkpoint names it and before anything is written to it', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { segmentBytesMax: BATCH_BYTES })
    await fill(log, 1)
    disk.isTraced = true
    await fill(log, 1, 1)
    const file = `${LOG_DIRECTORY}/00000000000000000001.log`
    const steps = [
      `create ${file}`,
      `syncDirectory ${LOG_DIRECTORY}`,
      `rename ${LOG_DIRECTORY}/checkpoint`,
      `write ${file}`,
      `datasync ${file}`,
    ]
    const places = steps.map((step) => disk.trace.indexOf(step))
    expect(places).toEqual([...places].sort((left, right) => left - right))
    expect(places).not.toContain(-1)
  })

  test('D6: every folder of a new log is durable before the first acknowledgement', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { directory: '/data/deep/er/topic-0' })
    await log.append(batchOf('a')).durable
    const after = disk.crash({ float: () => 0, below: () => 0, bytes: Buffer.alloc }, 'none')
    const again = await openLog(after, { directory: '/data/deep/er/topic-0' })
    expect(basesOf(await readAll(again))).toEqual([0])
  })
})

describe('retention', () => {
  test('deletes whole segments by size, oldest first, and moves the start of the log', async () => {
    const log = await openLog(new SimDisk(), {
      segmentBytesMax: BATCH_BYTES,
      retentionBytes: BATCH_BYTES * 3,
    })
    await fill(log, 10)
    expect(await log.applyRetention(0)).toBe(7)
    expect([log.logStartOffset, log.segmentCount]).toEqual([7, 3])
    expect(basesOf(await readAll(log))).toEqual([7, 8, 9])
  })

  test('deletes by time, the last segment too, which then begins anew', async () => {
    const clock = new ManualClock()
    const log = await openLog(new SimDisk(), {
      clock,
      segmentBytesMax: BATCH_BYTES * 2 + 5,
      retentionMs: 100,
    })
    await fill(log, 5)
    expect(await log.applyRetention(1_000 + 50)).toBe(0)
    expect(await log.applyRetention(1_000 + 10 + 101)).toBe(1)
    expect(await log.applyRetention(100_000)).toBe(2)
    expect([log.logStartOffset, log.logEndOffset, log.segmentCount]).toEqual([5, 5, 1])
    await fill(log, 1, 5)
    expect(basesOf(await readAll(log))).toEqual([5])
  })

  test('by time counts from the append, whatever crashes and restarts came since', async () => {
    const DAY_MS = 86_400_000
    const clock = new ManualClock()
    const disk = new SimDisk()
    disk.wallMs = () => clock.wall
    const options = { clock, segmentAgeMsMax: 30 * DAY_MS, retentionMs: 2 * DAY_MS }
    const log = await openLog(disk, options)
    clock.advance(6 * DAY_MS)
    const appendedMs = clock.wall
    await log.append(batchOf('now', { timestamp: appendedMs })).durable
    await log.append(batchOf('from the future', { timestamp: appendedMs + 365 * DAY_MS })).durable
    const killed = disk.fork()
    clock.advance(DAY_MS)
    killed.wallMs = () => clock.wall
    const again = await openLog(killed, options)
    expect(await again.applyRetention(clock.wall)).toBe(0)
    const killedAgain = killed.fork()
    const late = await openLog(killedAgain, options)
    expect(await late.applyRetention(appendedMs + 2 * DAY_MS)).toBe(0)
    expect(await late.applyRetention(appendedMs + 2 * DAY_MS + 1)).toBe(1)
  })

  test('deleteRecordsBefore is durable when it resolves, and never goes back', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { segmentBytesMax: BATCH_BYTES * 2 + 5 })
    await fill(log, 8)
    await log.deleteRecordsBefore(asOffset(5))
    await log.deleteRecordsBefore(asOffset(3))
    const again = await openLog(disk.crash({ float: () => 0, below: () => 0, bytes: Buffer.alloc }, 'none'))
    expect(again.logStartOffset).toBe(5)
    expect(basesOf(await readAll(again))).toEqual([5, 6, 7])
    expect(again.quarantined).toEqual([])
  })

  test('deleteRecordsBefore refuses what is not acknowledged', async () => {
    const log = await openLog(new SimDisk())
    await fill(log, 2)
    expect(await codeOf(() => log.deleteRecordsBefore(asOffset(3)))).toBe('GS_STORAGE_OFFSET_OUT_OF_RANGE')
    await log.deleteRecordsBefore(asOffset(2))
    expect([log.logStartOffset, (await readAll(log)).length]).toEqual([2, 0])
  })

  test('D9: files go only after the checkpoint that makes them useless is durable', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { segmentBytesMax: BATCH_BYTES })
    await fill(log, 4)
    disk.isTraced = true
    await log.deleteRecordsBefore(asOffset(2))
    const renamed = disk.trace.indexOf(`rename ${LOG_DIRECTORY}/checkpoint`)
    const synced = disk.trace.indexOf(`syncDirectory ${LOG_DIRECTORY}`, renamed)
    const unlinked = disk.trace.findIndex((call) => call.startsWith('unlink'))
    expect(renamed).toBeGreaterThan(-1)
    expect(synced).toBeGreaterThan(renamed)
    expect(unlinked).toBeGreaterThan(synced)
  })
})

describe('offsetForTimestamp', () => {
  test('gives the first record at or after the time, exactly, across segments and out-of-order times', async () => {
    const log = await openLog(new SimDisk(), { segmentBytesMax: 700, indexIntervalBytes: 150 })
    const records: { offset: number; timestamp: number }[] = []
    const times = [100, 90, 300, 250, 260, 50, 400, 410, 405, 700, 650, 10, 900]
    for (const [index, timestamp] of times.entries()) {
      const { baseOffset, durable } = log.append(batchOf(`t${index}`, { recordCount: 3, timestamp }))
      await durable
      for (let delta = 0; delta < 3; delta += 1)
        records.push({ offset: baseOffset + delta, timestamp: timestamp + delta })
    }
    for (let timestamp = 0; timestamp < 910; timestamp += 1) {
      const wanted = records.find((record) => record.timestamp >= timestamp) ?? null
      expect(await log.offsetForTimestamp(timestamp)).toEqual(wanted)
    }
    expect(log.maxTimestamp).toBe(902)
    expect(await log.offsetOfMaxTimestamp()).toEqual({ offset: 38, timestamp: 902 })
  })

  test('does not look before the start of the log', async () => {
    const log = await openLog(new SimDisk())
    await log.append(batchOf('a', { recordCount: 3, timestamp: 100 })).durable
    await log.append(batchOf('b', { timestamp: 50 })).durable
    await log.deleteRecordsBefore(asOffset(2))
    expect(await log.offsetForTimestamp(0)).toEqual({ offset: 2, timestamp: 102 })
  })

  test('the latest is the latest that can be read, wherever later ones are that cannot', async () => {
    const disk = new SimDisk()
    let gate = Promise.resolve()
    const open = disk.open.bind(disk)
    disk.open = async (path, mode) => {
      const file = await open(path, mode)
      const datasync = file.datasync.bind(file)
      return Object.assign(file, { datasync: () => gate.then(datasync) })
    }
    const log = await openLog(disk, { segmentBytesMax: BATCH_BYTES * 3 + 5, indexIntervalBytes: 0 })
    for (const timestamp of [900, 300, 500, 500, 400, 200])
      await log.append(batchOf('a', { timestamp })).durable
    await log.append(batchOf('b', { recordCount: 3, timestamp: 450 })).durable
    expect(await log.offsetOfMaxTimestamp()).toEqual({ offset: 0, timestamp: 900 })
    await log.deleteRecordsBefore(asOffset(1))
    expect(await log.offsetOfMaxTimestamp(), 'the latest was deleted').toEqual({ offset: 2, timestamp: 500 })
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    const { durable } = log.append(batchOf('c', { timestamp: 800 }))
    await settle()
    expect(await log.offsetOfMaxTimestamp(), 'a later one is not durable').toEqual({
      offset: 2,
      timestamp: 500,
    })
    resolve()
    await durable
    expect(await log.offsetOfMaxTimestamp()).toEqual({ offset: 9, timestamp: 800 })
    await log.deleteRecordsBefore(asOffset(7))
    expect(await log.offsetOfMaxTimestamp()).toEqual({ offset: 9, timestamp: 800 })
    await log.deleteRecordsBefore(asOffset(10))
    expect(await log.offsetOfMaxTimestamp()).toBeNull()
  })

  test('is the same after a restart, and null for an empty log', async () => {
    const disk = new SimDisk()
    const empty = await openLog(disk)
    expect([
      await empty.offsetForTimestamp(0),
      await empty.offsetOfMaxTimestamp(),
      empty.maxTimestamp,
    ]).toEqual([null, null, -1])
    await fill(empty, 5)
    await empty.close()
    const log = await openLog(disk)
    expect(await log.offsetForTimestamp(1_015)).toEqual({ offset: 2, timestamp: 1_020 })
  })
})

describe('files', () => {
  test("are Kafka's: batches back to back, eight-byte offset entries, twelve-byte time entries", async () => {
    const disk = new SimDisk()
    const log = await openLog(disk, { segmentBytesMax: BATCH_BYTES * 4, indexIntervalBytes: BATCH_BYTES })
    const sent: Buffer[] = []
    for (const [index, timestamp] of [500, 400, 900, 800, 1_000].entries()) {
      const batch = batchOf(`k${index}`, { timestamp })
      await log.append(batch).durable
      sent.push(Buffer.from(batch))
    }
    await log.close()
    const [first, second] = ['00000000000000000000', '00000000000000000004'].map(
      (name) => `${LOG_DIRECTORY}/${name}`,
    )
    expect(disk.bytesOf(`${first}.log`).equals(Buffer.concat(sent.slice(0, 4)))).toBe(true)
    expect(disk.bytesOf(`${second}.log`).equals(sent[4] ?? Buffer.alloc(0))).toBe(true)
    // An entry once more than the interval lies behind the last one: before the third batch (two behind it).
    const offsetEntry = Buffer.alloc(8)
    offsetEntry.writeInt32BE(2, 0)
    offsetEntry.writeInt32BE(BATCH_BYTES * 2, 4)
    expect(disk.bytesOf(`${first}.index`)).toEqual(offsetEntry)
    // The latest so far at that entry is the third batch's 900; the closing entry adds nothing later.
    const timeEntry = Buffer.alloc(12)
    timeEntry.writeBigInt64BE(900n, 0)
    timeEntry.writeInt32BE(2, 8)
    expect(disk.bytesOf(`${first}.timeindex`)).toEqual(timeEntry)
  })
})
