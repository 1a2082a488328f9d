/** Offsets of transactions in the store: what is in memory is what a start finds, whatever is written anew meanwhile. */

import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import { OffsetStore } from '../../../src/broker/groups/offset-store.ts'
import { Partition } from '../../../src/broker/topics/partition.ts'
import { effectiveConfig } from '../../../src/broker/topics/topic-config.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { silentDiagnostics } from '../../../src/telemetry/diagnostics.ts'
import { LOG_TAG, ManualClock } from '../../storage/support.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'

const open: Partition[] = []
afterEach(async () => {
  for (const partition of open.splice(0)) await partition.close()
})

async function openStore(disk: SimDisk, rewriteBytesMin = 2 ** 40) {
  const clock = new ManualClock()
  const partition = await Partition.open({
    disk,
    clock,
    diagnostics: silentDiagnostics,
    directory: simPath('offsets', '0'),
    topicName: '__consumer_offsets',
    index: 0,
    config: effectiveConfig(
      { 'cleanup.policy': 'compact', 'segment.bytes': '1048576' },
      DEFAULT_BROKER_OPTIONS,
    ),
    tag: LOG_TAG,
    producersMax: 10,
    producerSnapshotBytes: 2 ** 40,
    reopenMs: 1000,
  })
  open.push(partition)
  const store = await OffsetStore.open({ partition, clock, diagnostics: silentDiagnostics, rewriteBytesMin })
  return { partition, store }
}

const entry = (offset: number, partition = 0) => ({
  topic: 't',
  partition,
  offset,
  leaderEpoch: 0,
  metadata: 'm'.repeat(60),
  commitTimestampMs: 1,
})
const producer = (producerId: number) => ({ producerId, producerEpoch: 0 })
const end = (producerId: number, type: 'commit' | 'abort') => ({ ...producer(producerId), type })

const SEEDS = process.env['GOPHERSHIP_TEST_LONG'] === '1' ? 500 : 30
const GROUPS = ['a', 'b', 'c']
const REWRITE_BYTES_MIN = 10_000
/** A commit that makes the topic large enough to be written anew. */
const large = () => [{ ...entry(1), metadata: 'm'.repeat(REWRITE_BYTES_MIN) }]
const KEYS = Array.from({ length: 4 }, (_, partition) => partition)

function everythingIn(store: OffsetStore) {
  return GROUPS.flatMap((group) =>
    KEYS.map((partition) => {
      const offset = store.fetch(group, 't', partition)?.offset ?? -1
      return `${group} ${partition}: ${offset} ${store.isStaged(group, 't', partition) ? 'staged' : ''}`
    }),
  )
}

describe('staged offsets', () => {
  it('are in force once their transaction commits, and forgotten when it aborts', async () => {
    const { store } = await openStore(new SimDisk())
    await store.commit('a', [entry(1)])
    await store.stage(producer(1), 'a', [entry(5), entry(6, 1)])

    const staged = everythingIn(store).slice(0, 2)
    await store.endTransaction(end(1, 'commit'))
    const committed = everythingIn(store).slice(0, 2)
    await store.stage(producer(1), 'a', [entry(9), entry(9, 2)])
    await store.endTransaction(end(1, 'abort'))

    expect(staged).toEqual(['a 0: 1 staged', 'a 1: -1 staged'])
    expect(committed).toEqual(['a 0: 5 ', 'a 1: 6 '])
    expect(everythingIn(store).slice(0, 3)).toEqual(['a 0: 5 ', 'a 1: 6 ', 'a 2: -1 '])
  })

  it('of a group that never committed anything leave nothing behind when they are aborted', async () => {
    const { store } = await openStore(new SimDisk())
    await store.stage(producer(1), 'a', [entry(5)])

    const before = store.hasOffsets('a')
    await store.endTransaction(end(1, 'abort'))

    expect([before, store.hasOffsets('a')]).toEqual([true, false])
  })

  it('are a sign that their group is in use', async () => {
    const { store } = await openStore(new SimDisk())
    await store.commit('a', [{ ...entry(1), commitTimestampMs: 10 }])

    await store.stage(producer(1), 'a', [{ ...entry(5), commitTimestampMs: 70 }])
    await store.stage(producer(1), 'b', [{ ...entry(5), commitTimestampMs: 80 }])

    expect(['a', 'b', 'c'].map((group) => store.lastCommitMs(group))).toEqual([70, 80, 0])
  })

  it('are not staged when the disk refuses them', async () => {
    const disk = new SimDisk()
    const { store } = await openStore(disk)
    disk.failAlways(['datasync'], 'EIO')

    await expect(store.stage(producer(1), 'a', [entry(5)])).rejects.toMatchObject({
      code: 'GS_STORAGE_FAILED',
    })

    expect(store.isStaged('a', 't', 0)).toBe(false)
  })

  it('do not undo a later commit that is on its way while the topic is written anew', async () => {
    const disk = new SimDisk()
    const { store, partition } = await openStore(disk, REWRITE_BYTES_MIN)
    await store.stage(producer(1), 'a', [entry(5)])

    await Promise.all([store.commit('b', large()), store.commit('a', [entry(6)])])
    await store.endTransaction(end(1, 'commit'))
    await store.idle()
    const again = await openStore(disk.fork())

    expect(partition.log.logStartOffset).toBeGreaterThan(0)
    expect(store.fetch('a', 't', 0)?.offset).toBe(6)
    expect(again.store.fetch('a', 't', 0)?.offset).toBe(6)
  })

  it('keep their order while the topic is written anew: the later one stands, whichever ends first', async () => {
    const disk = new SimDisk()
    const { store, partition } = await openStore(disk, REWRITE_BYTES_MIN)
    await store.stage(producer(2), 'a', [entry(1, 1)])
    await store.stage(producer(1), 'a', [entry(5)])
    await store.stage(producer(2), 'a', [entry(6)])

    await store.commit('b', large())
    await store.endTransaction(end(2, 'commit'))
    await store.endTransaction(end(1, 'commit'))
    await store.idle()
    const again = await openStore(disk.fork())

    expect(partition.log.logStartOffset).toBeGreaterThan(0)
    expect(store.fetch('a', 't', 0)?.offset).toBe(6)
    expect(again.store.fetch('a', 't', 0)?.offset).toBe(6)
  })

  it('outlive a power cut while the topic is written anew', async () => {
    const lost: string[] = []
    let isRewritten = false
    for (let calls = 1; !isRewritten; calls += 1) {
      const disk = new SimDisk()
      const { store, partition } = await openStore(disk, REWRITE_BYTES_MIN)
      while (partition.log.sizeBytes < REWRITE_BYTES_MIN - 500) await store.commit('a', [entry(1)])
      await store.stage(producer(1), 'a', [entry(5)])
      const died = disk.dieAfter(calls)
      const rewritten = store
        .commit('b', [entry(1), entry(1, 1)])
        .then(() => store.endTransaction(end(1, 'commit')))
        .then(() => store.idle())
      isRewritten = await Promise.race([rewritten.then(() => true), died.then(() => false)])
      open.splice(0)
      for (let seed = 1; seed <= 20; seed += 1) {
        const again = await openStore(disk.crash(seededRandom(seed), seed % 2 === 0 ? 'prefix' : 'mixed'))
        await again.store.endTransaction(end(1, 'commit'))
        if (again.store.fetch('a', 't', 0)?.offset !== 5) lost.push(`${calls} seed ${seed}`)
      }
    }
    expect(lost).toEqual([])
  })

  it('are not waited for any more when the end of their transaction cannot be read for damage', async () => {
    const disk = new SimDisk()
    const { store, partition } = await openStore(disk)
    await store.commit('a', [entry(1)])
    await store.stage(producer(1), 'a', [entry(5)])
    const markerAt = partition.log.sizeBytes
    await store.endTransaction(end(1, 'commit'))
    await store.commit('b', [entry(2)])
    await partition.close()
    disk.flip(join(simPath('offsets', '0'), '00000000000000000000.log'), markerAt + 70, 0xff)

    const again = await openStore(disk)

    expect(again.partition.log.quarantined).toHaveLength(1)
    expect(again.store.isStaged('a', 't', 0)).toBe(false)
    // Nobody can know whether it was committed; what is done twice is not lost.
    expect(again.store.fetch('a', 't', 0)?.offset).toBe(1)
    expect(again.store.fetch('b', 't', 0)?.offset).toBe(2)
    await again.store.stage(producer(1), 'a', [entry(9, 1)])
    await again.store.endTransaction(end(1, 'commit'))
    const later = await openStore(disk.fork())
    expect(everythingIn(later.store)).toEqual(everythingIn(again.store))
    expect(later.store.fetch('a', 't', 0)?.offset).toBe(1)
  })

  it.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
    'are after a restart what they were before it, with commits, ends and rewrites in any order (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const disk = new SimDisk()
      disk.delayCalls(random, 10)
      const { store, partition } = await openStore(disk, 10_000)
      const groupOf = () => GROUPS[random.below(GROUPS.length)] as string
      const entriesOf = (count: number) => [entry(count, random.below(KEYS.length)), entry(count, 3)]
      const plain = async () => {
        for (let count = 1; count <= 120; count += 1) {
          await store.commit(groupOf(), entriesOf(count))
          if (random.below(60) === 0) await store.deleteGroup(groupOf())
        }
      }
      const transactional = async (producerId: number) => {
        for (let count = 1; count <= 60; count += 1) {
          for (let left = random.below(3); left >= 0; left -= 1) {
            await store.stage(producer(producerId), groupOf(), entriesOf(1000 * producerId + count))
          }
          if (random.below(5) > 0 || count < 60) {
            await store.endTransaction(end(producerId, random.below(3) === 0 ? 'abort' : 'commit'))
          }
        }
      }

      await Promise.all([plain(), transactional(1), transactional(2), transactional(3)])
      await store.idle()
      const again = await openStore(disk.fork())

      expect(partition.log.logStartOffset).toBeGreaterThan(0)
      expect(everythingIn(again.store)).toEqual(everythingIn(store))
      for (const producerId of [1, 2, 3]) {
        await store.endTransaction(end(producerId, 'commit'))
        await again.store.endTransaction(end(producerId, 'commit'))
      }
      expect(everythingIn(again.store)).toEqual(everythingIn(store))
    },
  )
})
