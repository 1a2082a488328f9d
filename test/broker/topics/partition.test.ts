/** A partition over power cuts: what it remembers of producers is what its log holds. */

import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { readBatchHeader } from '../../../src/batch/record-batch.ts'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import { Partition } from '../../../src/broker/topics/partition.ts'
import { effectiveConfig } from '../../../src/broker/topics/topic-config.ts'
import { asOffset } from '../../../src/core/brands.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { silentDiagnostics } from '../../../src/telemetry/diagnostics.ts'
import { LOG_TAG, ManualClock, settle } from '../../storage/support.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'
import { batchOf } from '../broker-client.ts'

const open: Partition[] = []
afterEach(async () => {
  for (const partition of open.splice(0)) await partition.close()
})

async function openPartition(disk: SimDisk, { producerSnapshotBytes = 2 ** 40 } = {}): Promise<Partition> {
  const partition = await Partition.open({
    disk,
    clock: new ManualClock(),
    diagnostics: silentDiagnostics,
    directory: simPath('t', '0'),
    topicName: 't',
    index: 0,
    config: effectiveConfig({}, { ...DEFAULT_BROKER_OPTIONS, sync: { policy: 'never' } }),
    tag: LOG_TAG,
    producersMax: 10,
    producerSnapshotBytes,
    reopenMs: 1000,
  })
  open.push(partition)
  return partition
}

async function append(
  partition: Partition,
  producerId: number,
  baseSequence: number,
  { isTransactional = false } = {},
) {
  const batch = batchOf(['x'], { producerId, producerEpoch: 0, baseSequence, isTransactional })
  const appended = partition.append(batch, readBatchHeader(batch, 0))
  if (appended.kind === 'refused') throw new Error(appended.message)
  await appended.durable
  await settle()
  return appended.baseOffset
}

describe('a producer whose batches were damaged on disk', () => {
  it('may send them again, and its others are still known', async () => {
    const disk = new SimDisk()
    const first = await openPartition(disk)
    const sizes: number[] = []
    for (let sequence = 0; sequence < 4; sequence += 1) {
      sizes.push(first.log.sizeBytes)
      await append(first, 1, sequence)
    }
    const killed = disk.fork()
    const path = join(simPath('t', '0'), '00000000000000000000.log')
    for (const at of sizes.slice(1, 3)) killed.flip(path, at + 65, 0xff)

    const again = await openPartition(killed)
    const offsets: number[] = []
    for (const sequence of [1, 2, 3, 4]) offsets.push(await append(again, 1, sequence))
    const later = await openPartition(killed.fork())
    for (const sequence of [1, 2, 3, 4, 5]) offsets.push(await append(later, 1, sequence))

    expect(again.log.quarantined).not.toEqual([])
    expect(offsets).toEqual([4, 5, 3, 6, 4, 5, 3, 6, 7])
  })
})

describe('a partition that acknowledges before it syncs', () => {
  it('knows no batch that a power cut took, however often the power fails', async () => {
    const disk = new SimDisk()
    const first = await openPartition(disk, { producerSnapshotBytes: 1 })
    for (let sequence = 0; sequence < 3; sequence += 1) await append(first, 1, sequence)
    const once = disk.crash(seededRandom(1), 'none')
    const second = await openPartition(once)
    for (let sequence = 0; sequence < 5; sequence += 1) await append(second, 2, sequence)
    await second.log.flush()
    const third = await openPartition(once.crash(seededRandom(2), 'none'))

    const baseOffset = await append(third, 1, 2)

    expect([second.highWatermark, third.highWatermark]).toEqual([5, 6])
    expect(baseOffset).toBe(5)
  })
})

describe('a snapshot that ends before the log starts', () => {
  const PRODUCER = { producerId: 1, producerEpoch: 0 }

  /** A disk whose snapshot tells of an open transaction with one record, at offset 0. */
  async function withOpenTransaction(): Promise<SimDisk> {
    const disk = new SimDisk()
    const partition = await openPartition(disk)
    await append(partition, 1, 0, { isTransactional: true })
    await partition.close()
    return disk
  }

  it('holds no transaction open: what ended it may be gone with the records', async () => {
    const disk = await withOpenTransaction()
    const partition = await openPartition(disk)
    await partition.appendMarker({ ...PRODUCER, type: 'commit' })
    await append(partition, 2, 0)
    await partition.log.deleteRecordsBefore(asOffset(3))
    await append(partition, 2, 1)

    const again = await openPartition(disk.fork())

    expect([...again.openTransactions]).toEqual([])
    expect(again.lastStableOffset).toBe(4)
  })

  it('does not hide a transaction that has records behind it', async () => {
    const disk = await withOpenTransaction()
    const partition = await openPartition(disk)
    await append(partition, 2, 0)
    await append(partition, 1, 1, { isTransactional: true })
    await partition.log.deleteRecordsBefore(asOffset(2))

    const again = await openPartition(disk.fork())

    expect([...again.openTransactions]).toMatchObject([{ ...PRODUCER, firstOffset: 2 }])
    expect(again.lastStableOffset).toBe(2)
  })
})
