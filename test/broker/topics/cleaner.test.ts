import { Registry } from 'prom-client'
import { afterEach, describe, expect, test } from 'vitest'
import { readBatchHeader } from '../../../src/batch/record-batch.ts'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import type { TopicCleanerOptions } from '../../../src/broker/topics/cleaner.ts'
import { TopicCleaner } from '../../../src/broker/topics/cleaner.ts'
import { Partition } from '../../../src/broker/topics/partition.ts'
import { effectiveConfig } from '../../../src/broker/topics/topic-config.ts'
import { seededRandom } from '../../../src/core/random.ts'
import type { Diagnostics } from '../../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../../src/telemetry/diagnostics.ts'
import type { KeyedBatchOptions, KeyedRecord } from '../../storage/compaction-support.ts'
import { foldOf, KEY_HASH, keyedBatch, RESTLESS, readRecords } from '../../storage/compaction-support.ts'
import { LOG_TAG, ManualClock } from '../../storage/support.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'

const SEGMENT_MS = 1_000
const CHECK_MS = 15_000
const open: Partition[] = []
afterEach(async () => {
  for (const partition of open.splice(0)) await partition.close()
})

/** A clock under the test's hand on which a rest takes no time. */
function restlessClock(): ManualClock {
  return Object.assign(new ManualClock(), { sleep: async () => {} })
}

interface World {
  readonly disk: SimDisk
  readonly clock: ManualClock
}

async function openPartition(
  { disk, clock }: World,
  configs: Record<string, string> = {},
  index = 0,
): Promise<Partition> {
  const overrides = { 'cleanup.policy': 'compact', 'segment.ms': String(SEGMENT_MS), ...configs }
  const partition = await Partition.open({
    disk,
    clock,
    diagnostics: silentDiagnostics,
    directory: simPath('state', String(index)),
    topicName: 'state',
    index,
    config: effectiveConfig(overrides, DEFAULT_BROKER_OPTIONS),
    tag: LOG_TAG,
    producersMax: 10,
    producerSnapshotBytes: 2 ** 40,
    reopenMs: 1000,
  })
  open.push(partition)
  return partition
}

async function append(
  partition: Partition,
  records: readonly KeyedRecord[],
  options: KeyedBatchOptions = {},
): Promise<number> {
  const batch = keyedBatch(records, options)
  const outcome = partition.append(batch, readBatchHeader(batch, 0))
  if (outcome.kind === 'refused') throw new Error(outcome.message)
  await outcome.durable
  return outcome.baseOffset
}

/** Fills segments of one record each, of `keyCount` keys in turn, and one more that is written to. */
async function fill({ clock }: World, partition: Partition, count: number, keyCount = 2): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    clock.advance(SEGMENT_MS + 1)
    await append(partition, [{ key: `k${index % keyCount}`, value: `${index}` }])
  }
}

function cleanerOf(world: World, partitions: readonly Partition[], more: Partial<TopicCleanerOptions> = {}) {
  const said: { message: string; fields: Record<string, unknown> }[] = []
  const note = (fields: Readonly<Record<string, unknown>>, message: string) =>
    void said.push({ message, fields })
  const diagnostics: Diagnostics = { ...silentDiagnostics, info: note, warn: note }
  const metrics = new Registry()
  const cleaner = new TopicCleaner({
    clock: world.clock,
    random: seededRandom(1),
    diagnostics,
    metrics,
    checkMs: CHECK_MS,
    keyBytesMax: 1024 * 1024,
    partitions: () => partitions,
    heldOffsetOf: () => Number.POSITIVE_INFINITY,
    ...more,
  })
  return { cleaner, said, metrics }
}

const world = (): World => ({ disk: new SimDisk(), clock: restlessClock() })

describe('which partitions are compacted', () => {
  test('those whose share of new bytes is above the topic’s, the dirtiest first, and each once', async () => {
    const it = world()
    const dirty = await openPartition(it, {}, 0)
    const few = await openPartition(it, {}, 1)
    const deleting = await openPartition(it, { 'cleanup.policy': 'delete' }, 2)
    await fill(it, dirty, 6)
    await fill(it, few, 20, 20)
    await fill(it, deleting, 6)
    const { cleaner, said, metrics } = cleanerOf(it, [few, deleting, dirty])

    expect(await cleaner.cleanAll()).toBe(2)
    await fill(it, dirty, 4)
    await fill(it, few, 4, 20)
    expect(await cleaner.cleanAll()).toBe(1)

    expect(said.map(({ fields }) => fields['partition'])).toEqual([expect.any(Number), expect.any(Number), 0])
    expect(foldOf(await readRecords(dirty.log))).toEqual(
      new Map([
        ['k0', '2'],
        ['k1', '3'],
      ]),
    )
    expect((await readRecords(deleting.log)).length).toBe(6)
    const runs = await metrics.getSingleMetric('gophership_broker_compaction_runs_total')?.get()
    expect(runs?.values[0]?.value).toBe(3)
  })

  test('one whose records have waited for the longest lag, however few they are', async () => {
    const it = world()
    const configs = { 'min.cleanable.dirty.ratio': '1', 'max.compaction.lag.ms': '60000' }
    const partition = await openPartition(it, configs)
    await fill(it, partition, 4)
    const { cleaner } = cleanerOf(it, [partition])
    expect(await cleaner.cleanAll()).toBe(0)
    it.clock.advance(60_000)
    expect(await cleaner.cleanAll()).toBe(1)
  })

  test('none above what is held', async () => {
    const it = world()
    const partition = await openPartition(it)
    await fill(it, partition, 8)
    const { cleaner } = cleanerOf(it, [partition], { heldOffsetOf: () => 4 })
    await cleaner.cleanAll()
    expect((await readRecords(partition.log)).map(({ offset }) => offset)).toEqual([2, 3, 4, 5, 6, 7])
  })

  test('a topic that is altered to be compacted, and one that may delete as well', async () => {
    const it = world()
    const both = { 'cleanup.policy': 'compact,delete', 'retention.ms': '5000' }
    const partition = await openPartition(it, both)
    await fill(it, partition, 6)
    const { cleaner } = cleanerOf(it, [partition])
    await cleaner.cleanAll()
    expect((await readRecords(partition.log)).map(({ offset }) => offset)).toEqual([3, 4, 5])
    it.clock.advance(100_000)
    await append(partition, [{ key: 'z', value: '1', timestamp: it.clock.wall }])
    await partition.log.applyRetention(it.clock.wall)
    expect(partition.log.logStartOffset).toBe(6)
  })
})

test('idle, a round touches no file; and it comes only after its time', async () => {
  const it = world()
  const partition = await openPartition(it)
  await fill(it, partition, 6)
  const { cleaner, said } = cleanerOf(it, [partition])
  cleaner.start()
  const timers = it.clock.timerCount
  it.clock.advance(CHECK_MS)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(said).toHaveLength(1)
  const calls = it.disk.callCount
  for (let round = 0; round < 5; round += 1) {
    it.clock.advance(CHECK_MS)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(it.disk.callCount).toBe(calls)
  expect(it.clock.timerCount).toBe(timers)
  await cleaner.stop()
  expect(it.clock.timerCount).toBe(timers - 1)
})

test('a failure is said, harms nothing, and is tried again after some rounds', async () => {
  const it = world()
  const partition = await openPartition(it)
  await fill(it, partition, 6)
  const { cleaner, said } = cleanerOf(it, [partition])
  it.disk.failAlways(['create'], 'ENOSPC')
  await cleaner.cleanAll()
  it.disk.heal()
  expect(said.map(({ message }) => message)).toEqual([expect.stringContaining('could not be compacted')])
  expect(partition.log.failure).toBeNull()
  expect(await cleaner.cleanAll()).toBe(0)
  it.clock.advance(CHECK_MS * 21)
  expect(await cleaner.cleanAll()).toBe(1)
  expect(await readRecords(partition.log)).toHaveLength(3)
})

test('records without a key go, and that is said', async () => {
  const it = world()
  const partition = await openPartition(it)
  await append(partition, [
    { key: null, value: 'x' },
    { key: 'a', value: '1' },
  ])
  await fill(it, partition, 2)
  const { cleaner, said } = cleanerOf(it, [partition])
  await cleaner.cleanAll()
  expect(said.at(-1)).toMatchObject({ fields: { keylessRecords: 1, unreadableBatches: 0 } })
  expect((await readRecords(partition.log)).some(({ key }) => key === null)).toBe(false)
})

test('stopping ends a compaction under way', async () => {
  const it = world()
  const partition = await openPartition(it)
  await fill(it, partition, 30)
  const { cleaner, said } = cleanerOf(it, [partition])
  const round = cleaner.cleanAll()
  await cleaner.stop()
  await round
  expect(said).toEqual([])
  expect(await readRecords(partition.log)).toHaveLength(30)
  expect(it.disk.files().filter((path) => path.endsWith('.cleaned'))).toEqual([])
})

describe('producers and transactions', () => {
  const txn = (producerId: number, baseSequence: number): KeyedBatchOptions => ({
    producerId,
    producerEpoch: 0,
    baseSequence,
    isTransactional: true,
  })

  test('a producer whose records are all gone still has its sequence after a start that reads the log', async () => {
    const it = world()
    const partition = await openPartition(it)
    const owner = { producerId: 4, producerEpoch: 1, baseSequence: 7 }
    await append(
      partition,
      [
        { key: 'a', value: '1' },
        { key: 'b', value: '1' },
      ],
      owner,
    )
    await append(partition, [
      { key: 'a', value: '2' },
      { key: 'b', value: '2' },
    ])
    await fill(it, partition, 3)
    await cleanerOf(it, [partition]).cleaner.cleanAll()
    expect((await readRecords(partition.log)).some(({ producerId }) => producerId === 4)).toBe(false)
    await partition.close()
    it.disk.remove(simPath('state', '0', 'producers.snapshot'))

    const again = await openPartition(it)

    const [, entry] = [...again.producers][0] ?? []
    expect(entry).toMatchObject({ epoch: 1, batches: [{ firstSequence: 7, lastSequence: 8, baseOffset: 0 }] })
    const batch = keyedBatch([{ key: 'a', value: '3' }], { ...owner, baseSequence: 12 })
    expect(again.append(batch, readBatchHeader(batch, 0))).toMatchObject({ kind: 'refused' })
  })

  test('an aborted transaction is forgotten when nothing of it is left, and before its marker goes', async () => {
    const it = world()
    const partition = await openPartition(it, {
      'delete.retention.ms': '0',
      'min.cleanable.dirty.ratio': '0',
    })
    const { cleaner } = cleanerOf(it, [partition])
    await append(partition, [{ key: 'a', value: 'aborted' }], txn(8, 0))
    await partition.appendMarker({ producerId: 8, producerEpoch: 0, type: 'abort' })
    await append(partition, [{ key: 'b', value: 'committed' }], txn(8, 1))
    await partition.appendMarker({ producerId: 8, producerEpoch: 0, type: 'commit' })
    // As a snapshot knows it: the transaction is in it, and stays in it.
    await partition.close()
    const snapshot = it.disk.bytesOf(simPath('state', '0', 'producers.snapshot'))
    const again = await openPartition(it, { 'delete.retention.ms': '0', 'min.cleanable.dirty.ratio': '0' })
    const seen: [boolean, number][] = []
    for (let round = 0; round < 3; round += 1) {
      await fill(it, again, 3)
      await cleanerOf(it, [again]).cleaner.cleanAll()
      const records = await readRecords(again.log)
      seen.push([records.some(({ offset }) => offset === 1), again.abortedTransactionsIn(0, 100).length])
    }
    expect(seen).toEqual([
      [true, 1],
      [true, 0],
      [false, 0],
    ])
    expect(foldOf(await readRecords(again.log)).get('b')).toBe('committed')

    // A start that finds the old snapshot must not wait for a marker that is gone.
    await again.close()
    it.disk.setBytes(simPath('state', '0', 'producers.snapshot'), snapshot)
    const last = await openPartition(it)
    expect(last.abortedTransactionsIn(0, 100)).toEqual([])
    expect(await cleaner.stop()).toBeUndefined()
  })

  test('an open transaction holds compaction back, and its end lets it go on', async () => {
    const it = world()
    const partition = await openPartition(it)
    const { cleaner } = cleanerOf(it, [partition])
    await append(partition, [{ key: 'k0', value: 'open' }], txn(8, 0))
    await fill(it, partition, 6)
    expect(await cleaner.cleanAll()).toBe(0)
    const asked = await partition.compact({
      nowMs: it.clock.wall,
      minLagMs: 0,
      deleteRetentionMs: 0,
      offsetMax: Number.POSITIVE_INFINITY,
      keyBytesMax: 24 * 1024,
      keyHash: KEY_HASH,
      pace: RESTLESS,
    })
    expect(asked).toMatchObject({ passCount: 0, removedRecords: 0 })
    await partition.appendMarker({ producerId: 8, producerEpoch: 0, type: 'commit' })
    await fill(it, partition, 1)
    expect(await cleaner.cleanAll()).toBe(1)
    expect((await readRecords(partition.log)).filter(({ key }) => key === 'k0')).toHaveLength(2)
  })
})
