/** C4: what somebody still needs is never deleted by age or by size. */

import { Registry } from 'prom-client'
import { afterEach, describe, expect, test } from 'vitest'
import { readBatchHeader } from '../../../src/batch/record-batch.ts'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import { Partition } from '../../../src/broker/topics/partition.ts'
import type { RetentionHoldsOptions } from '../../../src/broker/topics/retention-hold.ts'
import { RetentionHolds } from '../../../src/broker/topics/retention-hold.ts'
import { effectiveConfig } from '../../../src/broker/topics/topic-config.ts'
import { asOffset } from '../../../src/core/brands.ts'
import type { Diagnostics } from '../../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../../src/telemetry/diagnostics.ts'
import { batchOf, LOG_TAG, ManualClock } from '../../storage/support.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'

const SEGMENT_MS = 1_000
const RETENTION_MS = 10_000
const open: Partition[] = []
afterEach(async () => {
  for (const partition of open.splice(0)) await partition.close()
})

async function vaultPartition(configs: Record<string, string> = { 'retention.ms': String(RETENTION_MS) }) {
  const clock = new ManualClock()
  const partition = await Partition.open({
    disk: new SimDisk(),
    clock,
    diagnostics: silentDiagnostics,
    directory: simPath('vault', '0'),
    topicName: 'raw-vault.web',
    index: 0,
    config: effectiveConfig({ 'segment.ms': String(SEGMENT_MS), ...configs }, DEFAULT_BROKER_OPTIONS),
    tag: LOG_TAG,
    producersMax: 10,
    producerSnapshotBytes: 2 ** 40,
    reopenMs: 1000,
  })
  open.push(partition)
  return { partition, clock }
}

/** One segment of one record for each count; all of them are long past their retention afterwards. */
async function fill(partition: Partition, clock: ManualClock, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    clock.advance(SEGMENT_MS + 1)
    const batch = batchOf(`${index}`, { timestamp: clock.wall })
    const outcome = partition.append(batch, readBatchHeader(batch, 0))
    if (outcome.kind === 'appended') await outcome.durable
  }
  clock.advance(RETENTION_MS * 100)
}

function holdsOf(partition: Partition, options: Partial<RetentionHoldsOptions> = {}) {
  const said: string[] = []
  const note = (_: unknown, message: string) => void said.push(message)
  const diagnostics: Diagnostics = { ...silentDiagnostics, warn: note, info: note }
  const metrics = new Registry()
  const holds = new RetentionHolds({
    heldTopicsPattern: 'raw-vault(\\..*)?',
    diagnostics,
    metrics,
    find: (topic, index) => (topic === partition.topicName && index === 0 ? partition : undefined),
    ...options,
  })
  const hold = (offset: number | null) => holds.set([{ topic: 'raw-vault.web', partition: 0, offset }])
  const heldBytes = async () =>
    (await metrics.getSingleMetric('gophership_broker_retention_held_bytes')?.get())?.values[0]?.value
  return { holds, hold, said, heldBytes }
}

describe('retention by time', () => {
  test('stops at the hold, and goes on when it moves', async () => {
    const { partition, clock } = await vaultPartition()
    const { holds, hold } = holdsOf(partition)
    await fill(partition, clock, 6)

    const starts: number[] = []
    for (const offset of [2, 4, null]) {
      hold(offset)
      await holds.applyRetention(partition, clock.wall)
      starts.push(partition.log.logStartOffset)
    }

    expect(starts).toEqual([2, 4, 6])
  })

  test('deletes nothing of a topic that matches before it was told of the partition', async () => {
    const { partition, clock } = await vaultPartition()
    const { holds, hold } = holdsOf(partition)
    await fill(partition, clock, 4)

    const before = await holds.applyRetention(partition, clock.wall)
    hold(3)
    const after = await holds.applyRetention(partition, clock.wall)

    expect([before, after]).toEqual([0, 3])
  })

  test('is free in topics that do not match, and the pattern is for the whole name', async () => {
    const { partition, clock } = await vaultPartition()
    await fill(partition, clock, 3)
    const free = holdsOf(partition, { heldTopicsPattern: 'vault' })
    expect(free.holds.heldOffsetOf(partition)).toBe(Number.POSITIVE_INFINITY)
    expect(await free.holds.applyRetention(partition, clock.wall)).toBe(3)
    expect(holdsOf(partition, { heldTopicsPattern: null }).holds.heldOffsetOf(partition)).toBe(
      Number.POSITIVE_INFINITY,
    )
  })

  test('keeps a segment of which a part is held', async () => {
    const { partition, clock } = await vaultPartition({ 'retention.ms': '10', 'segment.ms': '100000000' })
    const { holds, hold } = holdsOf(partition)
    await fill(partition, clock, 5)
    hold(4)
    await holds.applyRetention(partition, clock.wall)
    expect(partition.log.logStartOffset).toBe(0)
    hold(5)
    await holds.applyRetention(partition, clock.wall)
    expect(partition.log.logStartOffset).toBe(5)
  })
})

test('retention by size stops at the hold too', async () => {
  const { partition, clock } = await vaultPartition({ 'retention.bytes': '1', 'retention.ms': '-1' })
  const { holds, hold } = holdsOf(partition)
  await fill(partition, clock, 5)
  hold(2)
  await holds.applyRetention(partition, clock.wall)
  expect(partition.log.logStartOffset).toBe(2)
})

test('DeleteRecords is an order, and passes a hold', async () => {
  const { partition, clock } = await vaultPartition()
  const { holds, hold } = holdsOf(partition)
  await fill(partition, clock, 5)
  hold(0)
  await partition.log.deleteRecordsBefore(asOffset(3))
  await holds.applyRetention(partition, clock.wall)
  expect([partition.log.logStartOffset, partition.log.segmentCount]).toEqual([3, 2])
})

test('what a hold keeps is counted, and said once', async () => {
  const { partition, clock } = await vaultPartition()
  const { holds, hold, said, heldBytes } = holdsOf(partition)
  await fill(partition, clock, 4)
  const { sizeBytes } = partition.log
  for (let round = 0; round < 3; round += 1) await holds.applyRetention(partition, clock.wall)
  expect(said).toEqual([expect.stringContaining('still needed')])
  expect(await heldBytes()).toBe(sizeBytes)
  hold(1)
  await holds.applyRetention(partition, clock.wall)
  expect(await heldBytes()).toBe((sizeBytes / 4) * 3)
  hold(null)
  await holds.applyRetention(partition, clock.wall)
  expect(said).toHaveLength(2)
  expect(await heldBytes()).toBe(0)
})

test('a hold that makes no sense is refused, one of a partition that is not there is passed over', async () => {
  const { partition } = await vaultPartition()
  const { holds, hold } = holdsOf(partition)
  expect(() => hold(-1)).toThrow('whole number')
  expect(() => hold(0.5)).toThrow('whole number')
  expect(holds.set([{ topic: 'other', partition: 9, offset: 1 }])).toBe(0)
  expect(() => holdsOf(partition, { heldTopicsPattern: '(' })).toThrow('heldTopicsPattern')
})
