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
import { ManualClock } from '../../storage/support.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'
import { joinRequest } from './group-fixture.ts'

const open: Partition[] = []
afterEach(async () => {
  for (const partition of open.splice(0)) await partition.close()
})

async function openGroups() {
  const clock = new ManualClock()
  const partition = await Partition.open({
    disk: new SimDisk(),
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
  return new GroupCoordinator({ clock, random: seededRandom(1), diagnostics, options, offsets })
}

const NOBODY = { memberId: '', groupInstanceId: null, generationId: -1 }

describe('forgetting what nobody uses', () => {
  it('spares a group that took the name of one that was deleted meanwhile', async () => {
    const groups = await openGroups()
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
