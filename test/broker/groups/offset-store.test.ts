import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import type { CommittedOffset } from '../../../src/broker/groups/offset-records.ts'
import { OffsetStore } from '../../../src/broker/groups/offset-store.ts'
import { Partition } from '../../../src/broker/topics/partition.ts'
import { effectiveConfig } from '../../../src/broker/topics/topic-config.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { silentDiagnostics } from '../../../src/telemetry/diagnostics.ts'
import { LOG_TAG, ManualClock, settle } from '../../storage/support.ts'
import { eventually } from '../../support/eventually.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'

const open: Partition[] = []
afterEach(async () => {
  for (const partition of open.splice(0)) await partition.close()
})

async function openStore(disk: SimDisk, rewriteBytesMin = 20_000) {
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
  return {
    clock,
    partition,
    store: await OffsetStore.open({ partition, clock, diagnostics: silentDiagnostics, rewriteBytesMin }),
  }
}

const offsetOf = (offset: number, metadata = ''): CommittedOffset => ({
  offset,
  leaderEpoch: 0,
  metadata,
  commitTimestampMs: 1,
})

describe('OffsetStore', () => {
  it('shows an offset only once it is durable', async () => {
    const { store } = await openStore(new SimDisk())

    const committing = store.commit('g', [{ topic: 't', partition: 0, ...offsetOf(5) }])
    const before = store.fetch('g', 't', 0)
    await committing

    expect(before).toBeUndefined()
    expect(store.fetch('g', 't', 0)).toMatchObject(offsetOf(5))
  })

  it('keeps the old offset when the disk refuses the new one', async () => {
    const disk = new SimDisk()
    const { store } = await openStore(disk)
    await store.commit('g', [{ topic: 't', partition: 0, ...offsetOf(5) }])
    disk.failAlways(['datasync'], 'EIO')

    await expect(store.commit('g', [{ topic: 't', partition: 0, ...offsetOf(6) }])).rejects.toMatchObject({
      code: 'GS_STORAGE_FAILED',
    })

    expect(store.fetch('g', 't', 0)).toMatchObject(offsetOf(5))
  })

  it('shows what is committed after a disk failure while it was written anew', async () => {
    const disk = new SimDisk()
    const { store, partition, clock } = await openStore(disk, 1000)
    await store.commit('other', [{ topic: 't', partition: 0, ...offsetOf(1) }])
    await store.commit('g', [{ topic: 't', partition: 0, ...offsetOf(5) }])
    await store.commit('other', [{ topic: 't', partition: 0, ...offsetOf(1, 'm'.repeat(1000)) }])
    disk.failAlways(['datasync'], 'EIO')
    await settle()
    const hasFailed = partition.log.failure !== null
    disk.heal()
    clock.advance(1000)
    await eventually('the log is open again', async () => partition.log.failure === null)

    await store.commit('g', [{ topic: 't', partition: 0, ...offsetOf(6) }])

    expect(hasFailed).toBe(true)
    expect(store.fetch('g', 't', 0)).toMatchObject(offsetOf(6))
  })

  it('takes a commit of thousands of partitions at once', async () => {
    const disk = new SimDisk()
    const { store } = await openStore(disk)
    const offsets = Array.from({ length: 20_000 }, (_, partition) => ({
      topic: 't',
      partition,
      ...offsetOf(partition, 'x'.repeat(50)),
    }))

    await store.commit('g', offsets)

    const again = await openStore(disk.fork())
    expect(again.store.fetch('g', 't', 19_999)?.offset).toBe(19_999)
  })

  it.each(Array.from({ length: 20 }, (_, index) => index + 1))(
    'ends with the latest values when it is written anew while commits go on, and after a power cut then (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const disk = new SimDisk()
      disk.delayCalls(random, 10)
      const { store, partition } = await openStore(disk)
      const answered = new Map<string, number>()
      const startBytes = partition.log.logStartOffset
      const worker = async (group: string) => {
        for (let count = 1; count <= 150; count += 1) {
          const key = random.below(8)
          await store.commit(group, [
            { topic: 't', partition: key, ...offsetOf(count, 'm'.repeat(random.below(100))) },
          ])
          answered.set(`${group} ${key}`, count)
          if (count % 60 === 0)
            await store.saveGroup({
              groupId: group,
              protocolType: 'consumer',
              generationId: count,
              protocolName: 'range',
              leaderId: null,
              stateTimestampMs: 0,
              members: [],
            })
        }
      }

      const working = Promise.all(['a', 'b', 'c'].map(worker))
      for (let turn = 0; turn < 200 + random.below(3000); turn += 1) await Promise.resolve()
      const promised = new Map(answered)
      const cut = await openStore(disk.crash(random))
      await working
      await store.idle()
      const clean = await openStore(disk.crash(random))

      expect(partition.log.logStartOffset).toBeGreaterThan(startBytes)
      for (const [key, offset] of promised) {
        const [group = '', index] = key.split(' ')
        expect(cut.store.fetch(group, 't', Number(index))?.offset).toBeGreaterThanOrEqual(offset)
      }
      for (const [key, offset] of answered) {
        const [group = '', index] = key.split(' ')
        expect(store.fetch(group, 't', Number(index))?.offset).toBe(offset)
        expect(clean.store.fetch(group, 't', Number(index))?.offset).toBe(offset)
      }
      expect([...clean.store.savedGroups].map(({ generationId }) => generationId)).toEqual([120, 120, 120])
    },
  )

  it('does not bring back what was deleted before it was written anew', async () => {
    const disk = new SimDisk()
    const { store, partition } = await openStore(disk, 1)
    await store.commit('gone', [{ topic: 't', partition: 0, ...offsetOf(1) }])
    await store.deleteGroup('gone')
    await store.commit('stays', [{ topic: 't', partition: 0, ...offsetOf(2) }])
    await store.idle()
    const { logStartOffset } = partition.log

    const again = await openStore(disk.fork())

    expect(logStartOffset).toBeGreaterThan(0)
    expect([...again.store.groupIds]).toEqual(['stays'])
  })
})
