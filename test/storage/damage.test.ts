/** D8: damage anywhere never takes a whole batch elsewhere with it, is never silent, never deletes and never stops a start. */

import { describe, expect, test } from 'vitest'
import { baseOffsetAt, patchPartitionLeaderEpoch } from '../../src/batch/record-batch.ts'
import { asOffset } from '../../src/core/brands.ts'
import { seededRandom } from '../../src/core/random.ts'
import { logTagOf } from '../../src/storage/log-tag.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { SimDisk } from '../support/sim-disk.ts'
import { asRead, basesOf, batchOf, codeOf, LOG_DIRECTORY, openLog, readAll } from './support.ts'

const HEADER_BYTES = 61
/** The leader epoch: outside the CRC, where the log's tag is; a reader gets 0, and one damaged bit does no harm. */
const EPOCH_FROM = 12
const EPOCH_TO = 16

interface Stored {
  readonly disk: SimDisk
  /** Every batch, with the file and position where it is. */
  readonly batches: { bytes: Buffer; path: string; position: number }[]
}

/** A log of three segments with four batches each; the last one is still being written to when the process is killed. */
async function stored(end: 'clean' | 'killed'): Promise<Stored> {
  const disk = new SimDisk()
  const log = await openLog(disk, OPTIONS)
  const batches: Stored['batches'] = []
  for (let index = 0; index < 12; index += 1) {
    const batch = batchOf(`b${index}`, { recordCount: 2, valueBytes: 100, timestamp: 1_000 + index * 10 })
    await log.append(batch).durable
    const base = (index - (index % 4)) * 2
    const path = `${LOG_DIRECTORY}/${String(base).padStart(20, '0')}.log`
    batches.push({ bytes: asRead(batch), path, position: (index % 4) * batch.length })
  }
  if (end === 'clean') await log.close()
  return { disk, batches }
}

const ONE_BATCH = batchOf('b0', { recordCount: 2, valueBytes: 100 }).length
const OPTIONS = { segmentBytesMax: ONE_BATCH * 4, indexIntervalBytes: 0 }
const INDEX_OF_MIDDLE = 5
const INDEX_IN_LAST_SEGMENT = 9

/** Checks that all but the batches at `damaged` are read back whole, that the damage is told, and that fresh work goes on. */
async function expectOnlyLost(
  at: string,
  parts: { disk: SimDisk; batches: Stored['batches']; damaged: readonly number[] },
): Promise<PartitionLog> {
  const log = await openLog(parts.disk, OPTIONS)
  expect(log.failure, at).toBeNull()
  const read = await readAll(log, 500)
  const wanted = parts.batches.filter((_, index) => !parts.damaged.includes(index))
  expect(basesOf(read), at).toEqual(basesOf(wanted.map(({ bytes }) => bytes)))
  for (const [index, { bytes }] of wanted.entries()) expect(read[index]?.equals(bytes), at).toBe(true)
  for (const index of parts.damaged) {
    const base = baseOffsetAt(parts.batches[index]?.bytes ?? Buffer.alloc(8), 0)
    const told = log.quarantined.some((range) => range.fromOffset <= base && range.toOffset >= base + 2)
    expect(told, `${at}: offset ${base} is reported`).toBe(true)
  }
  const { baseOffset, durable } = log.append(batchOf('fresh'))
  await durable
  expect(baseOffset, at).toBe(24)
  return log
}

/** Makes chosen reads of the first segment's batches, counted from 1, return a flipped bit that the disk does not hold. */
function damageReads(disk: SimDisk, isDamaged: (read: number) => boolean): void {
  const open = disk.open.bind(disk)
  let readCount = 0
  disk.open = async (path, mode) => {
    const file = await open(path, mode)
    if (!path.endsWith('00000000000000000000.log')) return file
    const read = file.read.bind(file)
    file.read = async (into, position) => {
      const got = await read(into, position)
      // A look at a header alone does not count.
      if (into.length <= HEADER_BYTES) return got
      readCount += 1
      if (isDamaged(readCount)) into[70] = (into[70] ?? 0) ^ 1
      return got
    }
    return file
  }
}

describe('D8: bit flips', () => {
  for (const end of ['clean', 'killed'] as const) {
    for (const index of [0, INDEX_OF_MIDDLE, INDEX_IN_LAST_SEGMENT]) {
      test(`each bit of a batch's header, ${end}, batch ${index}: found, quarantined, and nothing else is lost`, async () => {
        const { disk, batches } = await stored(end)
        const batch = batches[index]
        if (batch === undefined) throw new Error('no such batch')
        for (let bit = 0; bit < HEADER_BYTES * 8; bit += 1) {
          const byte = bit >>> 3
          const damagedDisk = disk.fork()
          damagedDisk.flip(batch.path, batch.position + byte, 1 << (bit & 7))
          const isHarmless = byte >= EPOCH_FROM && byte < EPOCH_TO
          const damaged = isHarmless ? [] : [index]
          await expectOnlyLost(`bit ${bit}`, { disk: damagedDisk, batches, damaged })
        }
      })
    }
  }

  test('any bit of any record: found, quarantined with the bytes kept, and nothing else is lost', async () => {
    const random = seededRandom(7)
    for (const end of ['clean', 'killed'] as const) {
      const { disk, batches } = await stored(end)
      for (let round = 0; round < 150; round += 1) {
        const index = random.below(11)
        const batch = batches[index]
        if (batch === undefined) throw new Error('no such batch')
        const damagedDisk = disk.fork()
        damagedDisk.flip(
          batch.path,
          batch.position + HEADER_BYTES + random.below(batch.bytes.length - HEADER_BYTES),
          1 << random.below(8),
        )
        const original = damagedDisk
          .bytesOf(batch.path)
          .subarray(batch.position, batch.position + batch.bytes.length)
        const log = await expectOnlyLost(`${end} round ${round}`, {
          disk: damagedDisk,
          batches,
          damaged: [index],
        })
        const path = log.quarantined.find((range) => range.bytes > 0)?.path ?? ''
        expect(damagedDisk.bytesOf(path).equals(original)).toBe(true)
        expect(
          damagedDisk
            .bytesOf(batch.path)
            .subarray(batch.position, batch.position + original.length)
            .equals(original),
        ).toBe(true)
      }
    }
  })

  test('many at once: every whole batch is still there', async () => {
    const random = seededRandom(8)
    for (let round = 0; round < 100; round += 1) {
      const { disk, batches } = await stored(round % 2 === 0 ? 'clean' : 'killed')
      const damaged = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].filter(() => random.below(2) === 0)
      for (const index of damaged) {
        const batch = batches[index]
        if (batch !== undefined)
          disk.flip(batch.path, batch.position + 20 + random.below(80), 1 << random.below(8))
      }
      await expectOnlyLost(`round ${round}: ${damaged}`, { disk, batches, damaged })
    }
  })

  test('in the last batch of a cleanly closed log: the gap stays, its offsets are not given out again', async () => {
    const { disk, batches } = await stored('clean')
    const last = batches[11]
    if (last === undefined) throw new Error('no such batch')
    disk.setBytes(last.path, disk.bytesOf(last.path).subarray(0, last.position + 70))
    await expectOnlyLost('truncated', { disk, batches, damaged: [11] })
  })

  test('found while reading, it is known after a restart without being read again', async () => {
    const { disk, batches } = await stored('clean')
    const batch = batches[INDEX_OF_MIDDLE]
    if (batch === undefined) throw new Error('no such batch')
    disk.flip(batch.path, batch.position + 70, 4)
    const log = await openLog(disk, OPTIONS)
    expect(log.quarantined).toEqual([])
    await readAll(log)
    const found = log.quarantined
    await log.close()
    const again = await openLog(disk, OPTIONS)
    expect([again.quarantined, again.recovery.scannedBytes]).toEqual([found, 0])
    expect(found).toMatchObject([
      { fromOffset: 10, toOffset: 12, bytes: batch.bytes.length, reason: 'damaged batches' },
    ])
  })

  test('that go away when read again are not taken for damage', async () => {
    const { disk, batches } = await stored('clean')
    damageReads(disk, (read) => read === 1)
    const log = await openLog(disk, OPTIONS)
    expect(basesOf(await readAll(log))).toEqual(basesOf(batches.map(({ bytes }) => bytes)))
    expect(log.quarantined).toEqual([])
  })

  test('that change with every read are refused and not served', async () => {
    const { disk } = await stored('clean')
    // Reads for a consumer and the scans that look into them take turns: only the scans see whole bytes.
    damageReads(disk, (read) => read % 2 === 1)
    const log = await openLog(disk, OPTIONS)
    expect(await codeOf(() => log.read(asOffset(0), { bytesMax: 300 }))).toBe('GS_STORAGE_CORRUPT')
    expect(log.quarantined).toEqual([])
  })
})

describe('D8: files', () => {
  test('a hole of zeros in the middle of a segment', async () => {
    const { disk, batches } = await stored('killed')
    const path = batches[4]?.path ?? ''
    const bytes = Buffer.from(disk.bytesOf(path))
    bytes.fill(0, ONE_BATCH + 10, ONE_BATCH * 2 + 10)
    disk.setBytes(path, bytes)
    await expectOnlyLost('zeros', { disk, batches, damaged: [5, 6] })
  })

  test('a sealed segment cut short', async () => {
    const { disk, batches } = await stored('clean')
    const path = batches[4]?.path ?? ''
    disk.setBytes(path, disk.bytesOf(path).subarray(0, ONE_BATCH * 2 + 7))
    await expectOnlyLost('cut', { disk, batches, damaged: [6, 7] })
  })

  test('a sealed segment that grew foreign bytes: they are none of the log', async () => {
    const { disk, batches } = await stored('clean')
    const path = batches[4]?.path ?? ''
    disk.setBytes(path, Buffer.concat([disk.bytesOf(path), Buffer.from('foreign bytes')]))
    await expectOnlyLost('grown', { disk, batches, damaged: [] })
  })

  for (const [index, which] of [
    [0, 'first'],
    [4, 'middle'],
    [8, 'last'],
  ] as const) {
    test(`the ${which} segment deleted`, async () => {
      const { disk, batches } = await stored('clean')
      disk.remove(batches[index]?.path ?? '')
      await expectOnlyLost('deleted', { disk, batches, damaged: [index, index + 1, index + 2, index + 3] })
    })
  }

  test('a segment deleted while the log is open', async () => {
    const { disk, batches } = await stored('clean')
    const log = await openLog(disk, OPTIONS)
    disk.remove(batches[4]?.path ?? '')
    expect(basesOf(await readAll(log))).toEqual([0, 2, 4, 6, 16, 18, 20, 22])
    expect(log.quarantined).toMatchObject([{ fromOffset: 8, toOffset: 16, reason: 'missing segment file' }])
  })

  test('a segment copied under another name goes to the quarantine, also without a checkpoint', async () => {
    for (const name of ['00000000000000000003.log', '00000000000000000099.log']) {
      for (const hasCheckpoint of [true, false]) {
        const { disk, batches } = await stored('clean')
        const copy = Buffer.from(disk.bytesOf(batches[0]?.path ?? ''))
        disk.setBytes(`${LOG_DIRECTORY}/${name}`, copy)
        if (!hasCheckpoint) disk.remove(`${LOG_DIRECTORY}/checkpoint`)
        const log = await expectOnlyLost(name, { disk, batches, damaged: [] })
        const moved = log.quarantined.find((range) => range.reason === 'foreign segment file')
        expect(disk.bytesOf(moved?.path ?? '').equals(copy)).toBe(true)
      }
    }
  })

  test('files of other kinds are left alone', async () => {
    const { disk, batches } = await stored('clean')
    disk.setBytes(`${LOG_DIRECTORY}/notes.txt`, Buffer.from('mine'))
    disk.setBytes(`${LOG_DIRECTORY}/other.tmp`, Buffer.from('mine too'))
    await expectOnlyLost('notes', { disk, batches, damaged: [] })
    expect(disk.bytesOf(`${LOG_DIRECTORY}/notes.txt`).toString()).toBe('mine')
    expect(disk.bytesOf(`${LOG_DIRECTORY}/other.tmp`).toString()).toBe('mine too')
  })

  test('any byte of an index flipped, or the index missing, or cut: every answer is the same', async () => {
    const { disk, batches } = await stored('clean')
    const indexes = disk.files().filter((path) => /index$/.test(path))
    expect(indexes.length).toBe(6)
    for (const path of indexes) {
      const size = disk.bytesOf(path).length
      for (let byte = -2; byte < size; byte += 1) {
        const damaged = disk.fork()
        if (byte === -2) damaged.remove(path)
        else if (byte === -1) damaged.setBytes(path, damaged.bytesOf(path).subarray(0, Math.max(0, size - 3)))
        else damaged.flip(path, byte, 1 << (byte & 7))
        const log = await openLog(damaged, OPTIONS)
        for (const batch of batches) {
          const base = baseOffsetAt(batch.bytes, 0)
          const read = await log.read(asOffset(base), { bytesMax: 1 })
          expect(read.equals(batch.bytes), `${path} byte ${byte} offset ${base}`).toBe(true)
          const timestamp = 1_000 + (base / 2) * 10
          const found = await log.offsetForTimestamp(timestamp)
          expect(found, `${path} byte ${byte}`).toEqual({ offset: base, timestamp })
        }
        expect(log.quarantined, `${path} byte ${byte}`).toEqual([])
      }
    }
  })

  test('any byte of the checkpoint flipped, or the checkpoint missing: everything is scanned, nothing is lost', async () => {
    const { disk, batches } = await stored('clean')
    const path = `${LOG_DIRECTORY}/checkpoint`
    const size = disk.bytesOf(path).length
    for (let byte = -1; byte < size; byte += 3) {
      const damaged = disk.fork()
      if (byte === -1) damaged.remove(path)
      else damaged.flip(path, byte, 1 << (byte & 7))
      const log = await expectOnlyLost(`byte ${byte}`, { disk: damaged, batches, damaged: [] })
      expect(log.recovery.scannedBytes).toBe(ONE_BATCH * 12)
      if (byte >= 0) expect(log.quarantined).toMatchObject([{ reason: 'damaged checkpoint' }])
    }
  })

  test('any bytes at all as a segment: the log opens, and goes on', async () => {
    const random = seededRandom(11)
    for (let round = 0; round < 200; round += 1) {
      const disk = new SimDisk()
      await (await openLog(disk)).close()
      disk.setBytes(`${LOG_DIRECTORY}/00000000000000000000.log`, random.bytes(random.below(300)))
      if (round % 2 === 0) disk.remove(`${LOG_DIRECTORY}/checkpoint`)
      const log = await openLog(disk)
      const { baseOffset, durable } = log.append(batchOf('fresh'))
      await durable
      expect([baseOffset, basesOf(await readAll(log))]).toEqual([0, [0]])
    }
  })

  test('a batch inside a record of a damaged batch is not taken for a batch of the log', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    const inner = batchOf('inner')
    inner.writeBigInt64BE(1n, 0)
    await log.append(batchOf('first')).durable
    await log.append(batchOf('outer', { value: inner })).durable
    await log.append(batchOf('last')).durable
    const path = `${LOG_DIRECTORY}/00000000000000000000.log`
    const outerAt = batchOf('first').length
    disk.flip(path, outerAt + 40, 1)
    const again = await openLog(disk)
    expect(basesOf(await readAll(again))).toEqual([0, 2])
  })

  test('a batch inside a record of a torn batch is not taken for a batch of the log', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    const inner = batchOf('inner')
    inner.writeBigInt64BE(5n, 0)
    await log.append(batchOf('first')).durable
    const died = disk.dieAfter(2)
    void log.append(batchOf('outer', { recordCount: 2, value: inner }))
    await died
    disk.revive()
    const path = `${LOG_DIRECTORY}/00000000000000000000.log`
    disk.setBytes(path, disk.bytesOf(path).subarray(0, -1))
    const again = await openLog(disk)
    expect(basesOf(await readAll(again))).toEqual([0])
    expect([again.logEndOffset, again.quarantined]).toEqual([1, []])
  })

  test('batches of another log, whole and with offsets that follow, are not taken for batches of the log', async () => {
    const disk = new SimDisk()
    const log = await openLog(disk)
    await log.append(batchOf('own')).durable
    const foreign = batchOf('foreign')
    foreign.writeBigInt64BE(1n, 0)
    patchPartitionLeaderEpoch(foreign, 0, logTagOf(Buffer.alloc(16, 'secret'), 1))
    const path = `${LOG_DIRECTORY}/00000000000000000000.log`
    disk.setBytes(path, Buffer.concat([disk.bytesOf(path), foreign]))
    const again = await openLog(disk)
    expect(basesOf(await readAll(again))).toEqual([0])
    expect(again.recovery.tornBytes).toBe(foreign.length)
  })
})
