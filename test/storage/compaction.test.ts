/** Compaction of a log, case by case; the properties are in `compaction-model.test.ts`, crashes in `compaction-crash.test.ts`. */

import { constants, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import {
  baseSequenceAt,
  COMPRESSION,
  deleteHorizonAt,
  patchCompacted,
  RECORD_BATCH_HEADER_BYTES,
  readBatchHeader,
} from '../../src/batch/record-batch.ts'
import { asOffset } from '../../src/core/brands.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { SimDisk, simPath } from '../support/sim-disk.ts'
import type { KeyedRecord } from './compaction-support.ts'
import {
  cleanOf,
  foldOf,
  keyedBatch,
  marker,
  RESTLESS,
  rawBatches,
  readRecords,
} from './compaction-support.ts'
import { basesOf, codeOf, LOG_DIRECTORY, ManualClock, openLog, readAll } from './support.ts'

const NOW = 1_700_000_000_000
const FIRST_LOG = simPath('topic-0', '00000000000000000000.log')

async function append(log: PartitionLog, ...batches: Buffer[]): Promise<void> {
  await Promise.all(batches.map((batch) => log.append(batch).durable))
}

/** Seals the segment that is written to, and puts one batch into the next: the last segment is never compacted. */
async function seal(log: PartitionLog, clock: ManualClock): Promise<void> {
  clock.advance(SEGMENT_MS + 1)
  await append(log, keyedBatch([{ key: `seal ${log.logEndOffset}`, value: 'x' }]))
}

const SEGMENT_MS = 10_000

async function opened(disk = new SimDisk()) {
  const clock = new ManualClock()
  const open = () => openLog(disk, { clock, segmentAgeMsMax: SEGMENT_MS, indexIntervalBytes: 0 })
  return { disk, clock, open, log: await open() }
}

const kv = (key: string, value: string | null, timestamp?: number): KeyedRecord => ({
  key,
  value,
  ...(timestamp !== undefined && { timestamp }),
})

describe('of each key the latest record stays, at its offset', () => {
  test('older values go, offsets stay, and a reader within a gap gets the next batch', async () => {
    const { log, clock } = await opened()
    await append(
      log,
      keyedBatch([kv('a', '1'), kv('b', '1')]),
      keyedBatch([kv('a', '2')]),
      keyedBatch([kv('c', '1'), kv('a', '3')]),
    )
    await seal(log, clock)

    const report = await cleanOf(log)

    expect(report).toMatchObject({ removedRecords: 2, cleanedOffset: 5, passCount: 1 })
    const records = await readRecords(log)
    expect(records.map(({ offset, key, value }) => [offset, key, value])).toEqual([
      [1, 'b', '1'],
      [3, 'c', '1'],
      [4, 'a', '3'],
      [5, 'seal 5', 'x'],
    ])
    for (const [from, base] of [
      [0, 0],
      [1, 0],
      [2, 3],
      [3, 3],
      [4, 3],
      [5, 5],
    ] as const) {
      const read = await log.read(asOffset(from), { bytesMax: 1 })
      expect(basesOf([read]), `from ${from}`).toEqual([base])
    }
  })

  test('a batch keeps its base offset, its last offset delta and its producer; its count and CRC change', async () => {
    const { log, clock } = await opened()
    await append(
      log,
      keyedBatch([kv('a', '1'), kv('b', '1'), kv('c', '1')], {
        producerId: 9,
        producerEpoch: 3,
        baseSequence: 70,
      }),
      keyedBatch([kv('a', '2'), kv('c', '2')]),
    )
    await seal(log, clock)

    await cleanOf(log)

    const batch = (await readAll(log))[0] as Buffer
    expect(readBatchHeader(batch, 0)).toMatchObject({
      baseOffset: 0,
      lastOffsetDelta: 2,
      recordCount: 1,
      producerId: 9,
      producerEpoch: 3,
      baseSequence: 70,
    })
  })

  for (const [name, compression] of Object.entries(COMPRESSION)) {
    test(`a batch packed with ${name} is packed with it again`, async () => {
      const { log, clock } = await opened()
      const filler = 'v'.repeat(300)
      await append(
        log,
        keyedBatch([kv('a', filler), kv('b', `${filler}b`), kv('c', filler)], { compression }),
        keyedBatch([kv('a', '2'), kv('c', '2')], { compression }),
      )
      await seal(log, clock)

      await cleanOf(log)

      const batches = await readAll(log)
      expect(readBatchHeader(batches[0] as Buffer, 0)).toMatchObject({ compression, recordCount: 1 })
      expect(foldOf(await readRecords(log)).get('b')).toBe(`${filler}b`)
    })
  }

  test('segments that shrank become one, which a restart believes without reading it', async () => {
    const { log, clock, disk, open } = await opened()
    for (let round = 0; round < 4; round += 1) {
      await append(log, keyedBatch([kv('a', `${round}`)]))
      await seal(log, clock)
    }
    const segmentsBefore = log.segmentCount

    await cleanOf(log)

    expect([segmentsBefore, log.segmentCount]).toEqual([5, 2])
    expect(disk.files().filter((path) => path.endsWith('.log'))).toHaveLength(2)
    const before = await readRecords(log)
    await log.close()
    const again = await open()
    expect(again.recovery.scannedBytes).toBe(0)
    expect(again.quarantined).toEqual([])
    expect(await readRecords(again)).toEqual(before)
    expect(again.cleanedOffset).toBe(log.cleanedOffset)
  })

  test('gaps are written down, so that the offsets on disk have no hole', async () => {
    const { log, clock, disk } = await opened()
    await append(log, keyedBatch([kv('a', '1')]), keyedBatch([kv('b', '1')]), keyedBatch([kv('a', '2')]))
    await append(log, keyedBatch([kv('b', '2')]), keyedBatch([kv('z', '1')]), keyedBatch([kv('b', '3')]))
    await append(log, keyedBatch([kv('b', null)]))
    await seal(log, clock)
    await cleanOf(log, { deleteRetentionMs: 0 })
    await append(log, keyedBatch([kv('q', '1')]))
    await seal(log, clock)
    await cleanOf(log, { nowMs: NOW + 1 })

    const raw = rawBatches(disk.bytesOf(FIRST_LOG))

    let next = 0
    for (const { base, last } of raw) {
      expect(base).toBe(next)
      next = last + 1
    }
    expect(raw.filter(({ count }) => count === 0).length).toBeGreaterThan(1)
    expect(basesOf(await readAll(log))).toEqual([2, 4, 7, 8, 9])
  })

  test('the whole log may be gaps but for its end', async () => {
    const { log, clock, open } = await opened()
    await append(log, keyedBatch([kv('a', '1')]), keyedBatch([kv('a', null)]))
    clock.advance(SEGMENT_MS + 1)
    await append(log, keyedBatch([kv('b', '1')]))
    await cleanOf(log, { deleteRetentionMs: 0 })
    await log.deleteRecordsBefore(asOffset(1))
    clock.advance(SEGMENT_MS + 1)
    await append(log, keyedBatch([kv('b', '2')]))
    clock.advance(SEGMENT_MS + 1)
    await append(log, keyedBatch([kv('c', '1')]))
    await cleanOf(log, { deleteRetentionMs: 0 })
    await log.close()
    const again = await open()
    expect(basesOf(await readAll(again))).toEqual([3, 4])
    expect(basesOf([await again.read(asOffset(1), { bytesMax: 1 })])).toEqual([3])
    expect(await again.offsetForTimestamp(0)).toMatchObject({ offset: 3 })
  })
})

describe('tombstones', () => {
  test('stay until their time, which begins with the compaction that removed the older values', async () => {
    const { log, clock } = await opened()
    await append(log, keyedBatch([kv('a', '1')]), keyedBatch([kv('a', null), kv('b', '1')]))
    await seal(log, clock)
    await cleanOf(log, { nowMs: NOW, deleteRetentionMs: 1_000 })
    const tombstone = (await readAll(log))[0] as Buffer
    expect(deleteHorizonAt(tombstone, 0)).toBe(NOW + 1_000)
    const timestamps = (await readRecords(log)).map(({ timestamp }) => timestamp)
    expect(timestamps.slice(0, 2)).toEqual([1_000, 1_001])
    const rounds: [number, boolean][] = [
      [999, true],
      [1_000, false],
    ]
    for (const [after, isThere] of rounds) {
      await append(log, keyedBatch([kv(`k${after}`, '1')]))
      await seal(log, clock)
      await cleanOf(log, { nowMs: NOW + after, deleteRetentionMs: 1_000 })
      const records = await readRecords(log)
      expect(
        records.some(({ key }) => key === 'a'),
        `after ${after} ms`,
      ).toBe(isThere)
      expect(records.some(({ key }) => key === 'b')).toBe(true)
    }
  })

  const DAY_MS = 86_400_000
  const FOR_EVER_MS = Number('9223372036854775807')
  const times = [
    -(2 ** 53) + 1,
    -(2 ** 40),
    -1,
    0,
    1_000,
    NOW - DAY_MS,
    NOW,
    NOW + 2 ** 32,
    2 ** 52,
    2 ** 53 - 1,
  ]
  for (const deleteRetentionMs of [0, DAY_MS, 2 ** 53 - 1, FOR_EVER_MS]) {
    test(`kept for ${deleteRetentionMs} ms: the records beside one keep their times, whatever it is`, async () => {
      const { log, clock } = await opened()
      for (const time of times) {
        await append(log, keyedBatch([kv(`gone ${time}`, '1', time)]))
        await append(log, keyedBatch([kv(`gone ${time}`, null, time - 1), kv(`beside ${time}`, '1', time)]))
      }
      await seal(log, clock)
      for (let round = 0; round < 2; round += 1) {
        await cleanOf(log, { nowMs: NOW + round, deleteRetentionMs })
        const beside = (await readRecords(log)).filter(({ key }) => key?.startsWith('beside'))
        expect(beside.map(({ timestamp }) => timestamp)).toEqual(times)
        await seal(log, clock)
      }
    })
  }

  test('the time of one whose older values the map had no room for has not begun', async () => {
    const { log, clock } = await opened()
    const many = Array.from({ length: 2_000 }, (_, index) => kv(`k${index}`, '1'))
    for (let at = 0; at < many.length; at += 100) await append(log, keyedBatch(many.slice(at, at + 100)))
    await append(log, keyedBatch(many.slice(0, 100).map(({ key }) => kv(key as string, null))))
    await seal(log, clock)

    const report = await cleanOf(log, { keyBytesMax: 24 * 1024, deleteRetentionMs: 0 })

    expect(report.passCount).toBeGreaterThan(2)
    const tombstones = (await readRecords(log)).filter(({ value }) => value === null)
    expect(tombstones).toHaveLength(100)
    expect(foldOf(await readRecords(log)).size).toBe(1_901)
  })

  test('in a log with damage they stay for good: an older value may be among what cannot be read', async () => {
    const { log, clock, disk, open } = await opened()
    await append(log, keyedBatch([kv('a', '1')]), keyedBatch([kv('x', '1')]))
    await seal(log, clock)
    await append(log, keyedBatch([kv('a', null)]))
    await seal(log, clock)
    await log.close()
    disk.flip(FIRST_LOG, 100, 1)
    const again = await open()
    for (let round = 0; round < 3; round += 1) {
      await cleanOf(again, { nowMs: NOW + round, deleteRetentionMs: 0 })
      await append(again, keyedBatch([kv(`r${round}`, '1')]))
      await seal(again, clock)
    }
    expect(again.quarantined).toHaveLength(1)
    expect((await readRecords(again)).some(({ key, value }) => key === 'a' && value === null)).toBe(true)
  })
})

describe('a batch that its producer packed better than we can', () => {
  const MIB = 1024 * 1024

  /** Records with one value of 3 MiB that nothing shortens: to pack them is to look back further than zstd does by default. */
  function farRepetitions(keys: readonly string[]): Buffer {
    const value = seededRandom(3).bytes(3 * MIB)
    const encoder = new BatchEncoder({ bytesMax: 32 * MIB })
    encoder.start()
    for (const key of keys) encoder.append(1_000, Buffer.from(key), value)
    const plain = encoder.finish()
    const packed = zstdCompressSync(plain.subarray(RECORD_BATCH_HEADER_BYTES), {
      params: { [constants.ZSTD_c_enableLongDistanceMatching]: 1, [constants.ZSTD_c_windowLog]: 27 },
    })
    const batch = Buffer.concat([plain.subarray(0, RECORD_BATCH_HEADER_BYTES), packed])
    const { recordCount } = readBatchHeader(plain, 0)
    const attributes = COMPRESSION.zstd
    patchCompacted(batch, 0, {
      batchBytes: batch.length,
      attributes,
      baseTimestamp: null,
      maxTimestamp: null,
      recordCount,
    })
    return batch
  }

  test('is packed with what finds as much, and the segment is compacted', async () => {
    const { log, clock } = await opened()
    await append(log, farRepetitions(['a', 'b', 'c', 'd', 'e', 'f', 'g']), keyedBatch([kv('a', null)]))
    await seal(log, clock)

    await cleanOf(log)

    const records = await readRecords(log)
    expect(records.map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect([...foldOf(records).keys()]).toEqual(['b', 'c', 'd', 'e', 'f', 'g', 'seal 8'])
    expect(log.sizeBytes).toBeLessThan(4 * MIB)
  })
})

describe('transactions', () => {
  const txn = (producerId: number, baseSequence: number) => ({
    producerId,
    producerEpoch: 0,
    baseSequence,
    isTransactional: true,
  })

  test('aborted records go and hide nothing; the marker stays until they are gone and its time has passed', async () => {
    const { log, clock } = await opened()
    await append(
      log,
      keyedBatch([kv('a', 'good')]),
      keyedBatch([kv('a', 'aborted')], txn(7, 0)),
      marker('abort', 7),
      keyedBatch([kv('b', 'good')], txn(7, 1)),
      marker('commit', 7),
    )
    await seal(log, clock)

    const first = await cleanOf(log, { deleteRetentionMs: 100 })
    expect(basesOf(await readAll(log))).toEqual([0, 2, 3, 4, 5])
    expect(first.emptyAborts).toEqual([])
    await seal(log, clock)
    const second = await cleanOf(log, { deleteRetentionMs: 100 })
    expect(second.emptyAborts).toEqual([2])
    expect(basesOf(await readAll(log))).toEqual([0, 2, 3, 4, 5, 6])
    await seal(log, clock)
    await cleanOf(log, { nowMs: NOW + 100, deleteRetentionMs: 100 })
    // The committed transaction's marker stays for as long as a record of it does.
    expect(basesOf(await readAll(log))).toEqual([0, 3, 4, 5, 6, 7])
    expect(foldOf(await readRecords(log)).get('a')).toBe('good')
  })

  test('nothing at or above the last stable offset is touched, nor a transaction that ends above the bound', async () => {
    const { log, clock } = await opened()
    await append(
      log,
      keyedBatch([kv('a', '1')]),
      keyedBatch([kv('a', '2')], txn(1, 0)),
      keyedBatch([kv('b', '1')]),
      keyedBatch([kv('b', '2')]),
      keyedBatch([kv('c', '1')], txn(2, 0)),
      keyedBatch([kv('b', '3')]),
      marker('abort', 1),
    )
    await seal(log, clock)

    // Producer 2 has not ended, so the log is stable up to 4; producer 1's marker lies above that.
    const report = await cleanOf(log, { stableOffset: 4 })

    expect(basesOf(await readAll(log))).toEqual([0, 1, 3, 4, 5, 6, 7])
    expect(report.cleanedOffset).toBe(1)
    await append(log, marker('commit', 2))
    await seal(log, clock)
    await cleanOf(log)
    expect(basesOf(await readAll(log))).toEqual([0, 4, 5, 6, 7, 8, 9])
  })

  test('the last batch of a producer stays as a header, so that its sequence is known', async () => {
    const { log, clock } = await opened()
    const lastOfProducer = (id: number) => (id === 5 ? { baseOffset: 0, epoch: 2 } : undefined)
    await append(
      log,
      keyedBatch([kv('a', '1'), kv('b', '1')], { producerId: 5, producerEpoch: 2, baseSequence: 11 }),
      keyedBatch([kv('a', '2'), kv('b', '2')], { producerId: 6, producerEpoch: 0, baseSequence: 0 }),
      keyedBatch([kv('a', '3'), kv('b', '3')]),
    )
    await seal(log, clock)

    await cleanOf(log, { lastOfProducer })
    await append(log, keyedBatch([kv('c', '1')]))
    await seal(log, clock)
    await cleanOf(log, { lastOfProducer })

    const batches = await readAll(log)
    expect(basesOf(batches)).toEqual([0, 4, 6, 7, 8])
    expect(readBatchHeader(batches[0] as Buffer, 0)).toMatchObject({
      recordCount: 0,
      lastOffsetDelta: 1,
      producerId: 5,
    })
    expect(baseSequenceAt(batches[0] as Buffer, 0)).toBe(11)
  })
})

describe('what a compaction leaves alone', () => {
  test('the segment that is written to, and records younger than the least lag', async () => {
    const { log, clock } = await opened()
    await append(log, keyedBatch([kv('a', '1', NOW - 5_000)]))
    await seal(log, clock)
    await append(log, keyedBatch([kv('a', '2', NOW)]), keyedBatch([kv('a', '3', NOW)]))
    expect((await cleanOf(log, { nowMs: clock.wall })).removedRecords).toBe(0)
    await seal(log, clock)
    expect((await cleanOf(log, { nowMs: clock.wall, minLagMs: 60_000 })).removedRecords).toBe(0)
    expect((await cleanOf(log, { nowMs: clock.wall + 60_000, minLagMs: 30_000 })).removedRecords).toBe(2)
  })

  test('the end of the log, where readers wait, even when an empty segment follows', async () => {
    const { log, clock, open } = await opened()
    await append(log, keyedBatch([kv('a', '1')]), keyedBatch([kv('a', null)]))
    await log.close()
    clock.advance(1)
    const again = await open()
    await cleanOf(again, { deleteRetentionMs: 0 })
    expect(basesOf(await readAll(again))).toEqual([0, 1])
  })

  test('a log that is clean: nothing is read, and how dirty it is can be asked', async () => {
    const { log, clock } = await opened()
    await append(log, keyedBatch([kv('a', '1')]), keyedBatch([kv('a', '2')]))
    await seal(log, clock)
    const bounds = { nowMs: NOW, stableOffset: log.durableEndOffset, minLagMs: 0 }
    expect(log.cleanliness(bounds)).toMatchObject({ cleanBytes: 0, firstDirtyOffset: 0, endOffset: 2 })
    expect(log.cleanliness(bounds).dirtyBytes).toBeGreaterThan(100)
    await cleanOf(log)
    expect(log.cleanliness(bounds)).toMatchObject({ dirtyBytes: 0, firstDirtyOffset: 2, endOffset: 2 })
    expect((await cleanOf(log)).readBytes).toBe(0)
  })
})

describe('beside other work', () => {
  test('closing the log ends a compaction, which leaves it whole', async () => {
    const { log, clock, open } = await opened()
    for (let index = 0; index < 50; index += 1) await append(log, keyedBatch([kv('a', `${index}`)]))
    await seal(log, clock)
    const ended = codeOf(() =>
      cleanOf(log, {
        pace: { isDue: () => true, pause: () => new Promise((resolve) => setImmediate(resolve)) },
      }),
    )
    await log.close()
    expect(await ended).toBe('GS_STOPPED')
    const again = await open()
    expect(foldOf(await readRecords(again)).get('a')).toBe('49')
    expect(again.quarantined).toEqual([])
  })

  test('a reader that is in the middle of a segment when it is replaced goes on without damage being told', async () => {
    const { log, clock, disk } = await opened()
    const clean = (): Promise<unknown> => cleanOf(log)
    for (let index = 0; index < 30; index += 1) {
      await append(log, keyedBatch([kv(`k${index % 3}`, `${index}`)]))
      if (index % 10 === 9) await seal(log, clock)
    }
    let step = 0
    const pace = { ...RESTLESS }
    const reading = (async () => {
      const seen: number[] = []
      for (let offset = 0; offset < log.durableEndOffset; ) {
        const read = await log.read(asOffset(offset), { bytesMax: 1 })
        const { baseOffset, lastOffsetDelta } = readBatchHeader(read, 0)
        seen.push(baseOffset)
        offset = baseOffset + lastOffsetDelta + 1
        if (step++ === 4) await clean()
      }
      return seen
    })()
    const seen = await reading
    expect(seen).toEqual([...new Set(seen)].sort((left, right) => left - right))
    expect(seen.at(-1)).toBe(32)
    expect(log.quarantined).toEqual([])
    expect(disk.files().some((path) => path.includes('quarantine'))).toBe(false)
    expect(pace.isDue()).toBe(false)
    expect(LOG_DIRECTORY).toBe('/data/topic-0')
  })

  test('retention that takes a segment meanwhile wins', async () => {
    const { log, clock } = await opened()
    for (let index = 0; index < 3; index += 1) {
      await append(log, keyedBatch([kv('a', `${index}`)]))
      await seal(log, clock)
    }
    let isDone = false
    const pace = {
      isDue: () => !isDone,
      async pause() {
        isDone = true
        await log.deleteRecordsBefore(asOffset(2))
      },
    }
    const report = await cleanOf(log, { pace })
    expect(report.writtenBytes).toBe(0)
    expect(log.logStartOffset).toBe(2)
    expect(foldOf(await readRecords(log)).get('a')).toBe('2')
  })
})
