/** The coordinator over a real offset store on a simulated disk: what happens while the disk is waited for. */

import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import { GroupCoordinator } from '../../../src/broker/groups/group-coordinator.ts'
import { OffsetStore } from '../../../src/broker/groups/offset-store.ts'
import { Partition } from '../../../src/broker/topics/partition.ts'
import { effectiveConfig } from '../../../src/broker/topics/topic-config.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { NO_TAG } from '../../../src/storage/log-tag.ts'
import { silentDiagnostics } from '../../../src/telemetry/diagnostics.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import { ManualClock, settle } from '../../storage/support.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'
import { joinRequest } from './group-fixture.ts'

const open: Partition[] = []
afterEach(async () => {
  for (const partition of open.splice(0)) await partition.close()
})

async function openGroups(disk = new SimDisk(), clock = new ManualClock()) {
  const partition = await Partition.open({
    disk,
    clock,
    diagnostics: silentDiagnostics,
    directory: simPath('offsets', '0'),
    topicName: '__consumer_offsets',
    index: 0,
    config: effectiveConfig({ 'cleanup.policy': 'compact' }, DEFAULT_BROKER_OPTIONS),
    tag: NO_TAG,
    producersMax: 10,
    producerSnapshotBytes: 2 ** 40,
    reopenMs: 1000,
  })
  open.push(partition)
  const diagnostics = silentDiagnostics
  const offsets = await OffsetStore.open({ partition, clock, diagnostics })
  const options = { ...DEFAULT_BROKER_OPTIONS, groupInitialRebalanceDelayMs: 0 }
  const groups = new GroupCoordinator({ clock, random: seededRandom(1), diagnostics, options, offsets })
  return { groups, offsets, clock, disk }
}

const NOBODY = { memberId: '', groupInstanceId: null, generationId: -1 }

const RETENTION_MS = DEFAULT_BROKER_OPTIONS.offsetsRetentionMs

/** A group that committed once and whose only member then had nothing to commit for longer than offsets are kept. */
async function leaveAfterIdleYears() {
  const parts = await openGroups()
  const { groups, clock } = parts
  const offset = { topic: 't', partition: 0, offset: 5, leaderEpoch: 0, metadata: '' }
  await groups.commit('g', NOBODY, [{ ...offset, commitTimestampMs: clock.wallMs() }])
  const joining = groups.join('g', joinRequest())
  clock.advance(1)
  const { memberId } = await joining
  clock.wall += 10 * RETENTION_MS
  groups.leave('g', { memberId, groupInstanceId: null })
  await settle()
  return parts
}

describe('forgetting what nobody uses', () => {
  it('begins when the last member leaves, however long ago it committed', async () => {
    const { groups, offsets, clock } = await leaveAfterIdleYears()

    await groups.expire(clock.wallMs() + RETENTION_MS - 1)
    const before = offsets.fetch('g', 't', 0)?.offset
    await groups.expire(clock.wallMs() + RETENTION_MS)

    expect(before).toBe(5)
    expect(offsets.fetch('g', 't', 0)).toBeUndefined()
  })

  it('goes on over a restart from when the last member left', async () => {
    const { disk, clock } = await leaveAfterIdleYears()
    const leftAtMs = clock.wallMs()
    const { groups, offsets } = await openGroups(disk.fork(), clock)

    await groups.expire(leftAtMs + RETENTION_MS - 1)
    const before = offsets.fetch('g', 't', 0)?.offset
    await groups.expire(leftAtMs + RETENTION_MS)

    expect(before).toBe(5)
    expect(offsets.fetch('g', 't', 0)).toBeUndefined()
  })

  it('spares a group that took the name of one that was deleted meanwhile', async () => {
    const { groups } = await openGroups()
    for (const id of ['a', 'b']) await groups.commit(id, NOBODY, [])

    const expiring = groups.expire(Number.MAX_SAFE_INTEGER)
    const deleting = groups.delete('b')
    const joining = groups.join('b', joinRequest({ requireKnownMemberId: true }))
    await Promise.all([expiring, deleting])

    const { errorCode, memberId } = await joining
    expect(errorCode).toBe(KAFKA_ERROR.MEMBER_ID_REQUIRED)
    expect(groups.find('a')).toBeUndefined()
    expect(groups.leave('b', { memberId, groupInstanceId: null })).toBe(KAFKA_ERROR.NONE)
  })
})
