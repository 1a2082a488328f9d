import { afterEach, describe, expect, it } from 'vitest'
import { offsetCommitApi } from '../../../src/wire/08-offset-commit.ts'
import { offsetFetchApi } from '../../../src/wire/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../../src/wire/10-find-coordinator.ts'
import { joinGroupApi } from '../../../src/wire/11-join-group.ts'
import { heartbeatApi } from '../../../src/wire/12-heartbeat.ts'
import { leaveGroupApi } from '../../../src/wire/13-leave-group.ts'
import { syncGroupApi } from '../../../src/wire/14-sync-group.ts'
import { describeGroupsApi } from '../../../src/wire/15-describe-groups.ts'
import { listGroupsApi } from '../../../src/wire/16-list-groups.ts'
import { deleteTopicsApi } from '../../../src/wire/20-delete-topics.ts'
import { deleteGroupsApi } from '../../../src/wire/42-delete-groups.ts'
import type { RequestInputOf } from '../../../src/wire/api.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import type { RawConnection } from '../../listener/raw-connection.ts'
import { eventually } from '../../support/eventually.ts'
import {
  connectTo,
  contentsOf,
  createTopic,
  fetchOne,
  restartBroker,
  startBroker,
  stopBrokers,
} from '../broker-client.ts'

afterEach(stopBrokers)

type Join = RequestInputOf<typeof joinGroupApi>

function join(connection: RawConnection, request: Join = {}, version = 5) {
  return connection.request(joinGroupApi, version, {
    groupId: 'group',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('subscription') }],
    ...request,
  })
}

/** Joins as the only member of `group` and takes everything; gives its id and generation. */
async function becomeMember(connection: RawConnection, groupId = 'group') {
  const { memberId } = await join(connection, { groupId })
  const { generationId } = await join(connection, { groupId, memberId })
  await connection.request(syncGroupApi, 3, {
    groupId,
    memberId,
    generationId,
    assignments: [{ memberId, assignment: Buffer.from('everything') }],
  })
  return { memberId, generationId }
}

interface CommitOptions {
  readonly groupId?: string
  readonly topic?: string
  readonly partition?: number
  readonly metadata?: string | null
  readonly memberId?: string
  readonly generationId?: number
  readonly version?: number
}

async function commit(connection: RawConnection, offset: number, options: CommitOptions = {}) {
  const response = await connection.request(offsetCommitApi, options.version ?? 7, {
    groupId: options.groupId ?? 'group',
    generationIdOrMemberEpoch: options.generationId ?? -1,
    memberId: options.memberId ?? '',
    topics: [
      {
        name: options.topic ?? 'orders',
        partitions: [
          {
            partitionIndex: options.partition ?? 0,
            committedOffset: offset,
            committedMetadata: options.metadata ?? null,
          },
        ],
      },
    ],
  })
  return response.topics[0]?.partitions[0]?.errorCode
}

async function committed(connection: RawConnection, groupId = 'group', partition = 0) {
  const { topics } = await connection.request(offsetFetchApi, 7, {
    groupId,
    topics: [{ name: 'orders', partitionIndexes: [partition] }],
  })
  return topics[0]?.partitions[0]
}

describe('FindCoordinator', () => {
  it.each([0, 1, 3])('names this broker for a group in version %i', async (version) => {
    const broker = await startBroker()

    const answer = await (await connectTo(broker)).request(findCoordinatorApi, version, { key: 'group' })

    expect(answer).toMatchObject({ errorCode: 0, nodeId: 1, host: '127.0.0.1', port: broker.port })
  })

  it('answers many keys at once in version 5 (K36)', async () => {
    const connection = await connectTo(await startBroker())
    const keys = Array.from({ length: 10_000 }, (_, index) => `group-${index}`)

    const { coordinators } = await connection.request(findCoordinatorApi, 5, { coordinatorKeys: keys })

    expect(coordinators).toHaveLength(10_000)
    expect(coordinators[9_999]).toMatchObject({ key: 'group-9999', errorCode: 0, nodeId: 1 })
  })

  it('names this broker for a transactional id, and none for a share group', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)

    const transaction = await connection.request(findCoordinatorApi, 1, { key: 'tx', keyType: 1 })
    const empty = await connection.request(findCoordinatorApi, 1, { key: '', keyType: 1 })
    const share = await connection.request(findCoordinatorApi, 5, { coordinatorKeys: ['g:t:0'], keyType: 2 })

    expect(transaction).toMatchObject({ errorCode: 0, nodeId: 1, port: broker.port })
    expect(empty.errorCode).toBe(KAFKA_ERROR.INVALID_REQUEST)
    expect(share.coordinators[0]?.errorCode).toBe(KAFKA_ERROR.INVALID_REQUEST)
  })
})

describe('membership', () => {
  it.each(Array.from({ length: 10 }, (_, version) => version))(
    'works from join to leave in version %i of JoinGroup',
    async (version) => {
      const connection = await connectTo(await startBroker())
      const first = await join(connection, {}, version)
      const joined = version >= 4 ? await join(connection, { memberId: first.memberId }, version) : first

      const synced = await connection.request(syncGroupApi, Math.min(version, 5), {
        groupId: 'group',
        generationId: joined.generationId,
        memberId: joined.memberId,
        assignments: [{ memberId: joined.memberId, assignment: Buffer.from('all') }],
      })
      const beat = await connection.request(heartbeatApi, Math.min(version, 4), {
        groupId: 'group',
        generationId: joined.generationId,
        memberId: joined.memberId,
      })
      const left = await connection.request(leaveGroupApi, 3, {
        groupId: 'group',
        members: [{ memberId: joined.memberId }],
      })

      expect(first.errorCode).toBe(version >= 4 ? KAFKA_ERROR.MEMBER_ID_REQUIRED : 0)
      expect(joined).toMatchObject({
        errorCode: 0,
        generationId: 1,
        protocolName: 'range',
        leader: joined.memberId,
      })
      expect(joined.members.map(({ metadata }) => metadata.toString())).toEqual(['subscription'])
      expect([synced.errorCode, synced.assignment.toString()]).toEqual([0, 'all'])
      expect([beat.errorCode, left.errorCode, left.members[0]?.errorCode]).toEqual([0, 0, 0])
    },
  )

  it.each<[string, Join, number]>([
    ['an empty group id', { groupId: '' }, KAFKA_ERROR.INVALID_GROUP_ID],
    ['a session shorter than allowed', { sessionTimeoutMs: 5_999 }, KAFKA_ERROR.INVALID_SESSION_TIMEOUT],
    ['a session longer than allowed', { sessionTimeoutMs: 1_800_001 }, KAFKA_ERROR.INVALID_SESSION_TIMEOUT],
    ['a negative session', { sessionTimeoutMs: -1 }, KAFKA_ERROR.INVALID_SESSION_TIMEOUT],
    ['an id nobody gave', { memberId: 'someone' }, KAFKA_ERROR.UNKNOWN_MEMBER_ID],
    ['no protocols', { protocols: [] }, KAFKA_ERROR.INCONSISTENT_GROUP_PROTOCOL],
    [
      'a megabyte of subscription (K36)',
      { protocols: [{ name: 'range', metadata: Buffer.alloc(1024 * 1024) }] },
      KAFKA_ERROR.GROUP_MAX_SIZE_REACHED,
    ],
  ])('is refused for %s', async (_, request, code) => {
    const connection = await connectTo(await startBroker())

    expect((await join(connection, request)).errorCode).toBe(code)
  })

  it('is bounded in members (K36)', async () => {
    const broker = await startBroker({ groupMembersMax: 3 })
    const connection = await connectTo(broker)

    const codes = []
    for (let count = 0; count < 5; count += 1) codes.push((await join(connection)).errorCode)

    expect(codes).toEqual([79, 79, 79, 81, 81])
  })

  it('is bounded in groups', async () => {
    const connection = await connectTo(await startBroker({ groupsMax: 2 }))

    const codes = []
    for (const groupId of ['a', 'b', 'c']) codes.push((await join(connection, { groupId })).errorCode)

    expect(codes).toEqual([79, 79, KAFKA_ERROR.GROUP_MAX_SIZE_REACHED])
  })

  it('goes on over a restart of the broker, with the same generation and assignment', async () => {
    const broker = await startBroker()
    const { memberId, generationId } = await becomeMember(await connectTo(broker))
    const connection = await connectTo(await restartBroker(broker))

    const beat = await connection.request(heartbeatApi, 4, { groupId: 'group', generationId, memberId })
    const synced = await connection.request(syncGroupApi, 5, { groupId: 'group', generationId, memberId })

    expect(beat.errorCode).toBe(0)
    expect(synced.assignment.toString()).toBe('everything')
  })

  it('that waits is answered when the broker stops', async () => {
    const broker = await startBroker({ groupInitialRebalanceDelayMs: 60_000 })
    const connection = await connectTo(broker)
    const { memberId } = await join(connection)
    const waiting = join(connection, { memberId })
    await new Promise((resolve) => setTimeout(resolve, 30))

    const stopping = broker.broker.stop()

    expect((await waiting).errorCode).toBe(KAFKA_ERROR.NOT_COORDINATOR)
    await stopping
  })
})

describe('committed offsets', () => {
  it.each(Array.from({ length: 10 }, (_, version) => version))(
    'are taken in version %i of OffsetCommit, text included',
    async (version) => {
      const connection = await connectTo(await startBroker())
      await createTopic(connection)

      expect(await commit(connection, 42, { version, metadata: 'wörd' })).toBe(0)
      expect(await committed(connection)).toMatchObject({
        committedOffset: 42,
        metadata: 'wörd',
        errorCode: 0,
      })
    },
  )

  it.each([1, 2, 5, 6, 7])('are given in version %i of OffsetFetch', async (version) => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', { partitionCount: 2 })
    await commit(connection, 42)

    const { topics } = await connection.request(offsetFetchApi, version, {
      groupId: 'group',
      topics: [{ name: 'orders', partitionIndexes: [0, 1] }],
    })

    expect(
      topics[0]?.partitions.map(({ committedOffset, errorCode }) => [committedOffset, errorCode]),
    ).toEqual([
      [42, 0],
      [-1, 0],
    ])
  })

  it.each([8, 9])('are given for several groups in version %i', async (version) => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    await commit(connection, 42)

    const { groups } = await connection.request(offsetFetchApi, version, {
      groups: [
        { groupId: 'group', topics: null },
        { groupId: 'nobody', topics: null },
      ],
    })

    expect(
      groups.map(({ groupId, topics }) => [
        groupId,
        topics.flatMap(({ partitions }) => partitions.map((p) => p.committedOffset)),
      ]),
    ).toEqual([
      ['group', [42]],
      ['nobody', []],
    ])
  })

  it('survive a restart, the latest of each partition', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection, 'orders', { partitionCount: 2 })
    for (const offset of [1, 2, 3]) await commit(connection, offset)
    await commit(connection, 7, { partition: 1, metadata: 'text' })
    await commit(connection, 9, { groupId: 'other' })

    const after = await connectTo(await restartBroker(broker))

    expect(await committed(after)).toMatchObject({ committedOffset: 3 })
    expect(await committed(after, 'group', 1)).toMatchObject({ committedOffset: 7, metadata: 'text' })
    expect(await committed(after, 'other')).toMatchObject({ committedOffset: 9 })
  })

  it('are refused from a former generation, so that no zombie moves them', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    const member = await becomeMember(connection)
    await commit(connection, 5, member)

    const stale = await commit(connection, 1, { ...member, generationId: member.generationId - 1 })
    const stranger = await commit(connection, 1, { ...member, memberId: 'stranger' })
    const outside = await commit(connection, 1)

    expect([stale, stranger, outside]).toEqual([
      KAFKA_ERROR.ILLEGAL_GENERATION,
      KAFKA_ERROR.UNKNOWN_MEMBER_ID,
      KAFKA_ERROR.UNKNOWN_MEMBER_ID,
    ])
    expect(await committed(connection)).toMatchObject({ committedOffset: 5 })
  })

  it('are refused for partitions that do not exist and for texts that are too long', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)

    expect(await commit(connection, 1, { topic: 'nowhere' })).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await commit(connection, 1, { partition: 5 })).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await commit(connection, 1, { metadata: 'x'.repeat(4097) })).toBe(
      KAFKA_ERROR.OFFSET_METADATA_TOO_LARGE,
    )
    expect(await commit(connection, 1, { metadata: 'x'.repeat(4096) })).toBe(0)
  })

  it('of a deleted topic are forgotten, also by the one of the same name that follows', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection)
    await commit(connection, 42)

    await connection.request(deleteTopicsApi, 5, { topicNames: ['orders'] })
    await createTopic(connection)

    expect(await committed(connection)).toMatchObject({ committedOffset: -1 })
    expect(await committed(await connectTo(await restartBroker(broker)))).toMatchObject({
      committedOffset: -1,
    })
  })

  it('keep their topic small, however many there are', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection)
    const metadata = 'x'.repeat(4096)
    for (let round = 0; round < 50; round += 1) {
      for (let count = 0; count < 100; count += 1) {
        connection.sendRequest(offsetCommitApi, 7, {
          groupId: 'group',
          topics: [
            {
              name: 'orders',
              partitions: [
                { partitionIndex: 0, committedOffset: round * 100 + count, committedMetadata: metadata },
              ],
            },
          ],
        })
      }
      for (let count = 0; count < 100; count += 1) await connection.response(offsetCommitApi, 7)
    }

    await eventually(
      'the topic was written anew',
      () => broker.broker.status().storedBytes < 10 * 1024 * 1024,
    )
    expect(await committed(connection)).toMatchObject({ committedOffset: 4999 })
    expect(await committed(await connectTo(await restartBroker(broker)))).toMatchObject({
      committedOffset: 4999,
      metadata,
    })
  })

  it('can be read from their topic', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    await commit(connection, 42)

    expect(contentsOf((await fetchOne(connection, { topic: '__consumer_offsets' })).records)).toHaveLength(1)
  })
})

describe('describing and deleting groups', () => {
  it('tells the state, the protocol and the members', async () => {
    const connection = await connectTo(await startBroker())
    const { memberId } = await becomeMember(connection)

    const { groups } = await connection.request(describeGroupsApi, 5, { groups: ['group', 'nobody'] })

    expect(groups[0]).toMatchObject({
      errorCode: 0,
      groupState: 'Stable',
      protocolType: 'consumer',
      protocolData: 'range',
    })
    expect(groups[0]?.members[0]).toMatchObject({ memberId, clientId: 'raw', clientHost: '/127.0.0.1' })
    expect(groups[0]?.members[0]?.memberAssignment.toString()).toBe('everything')
    expect(groups[1]).toMatchObject({ groupState: 'Dead', members: [] })
  })

  it('lists groups, by state and type if asked', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    await becomeMember(connection)
    await commit(connection, 1, { groupId: 'offsets-only' })
    const list = async (statesFilter: string[] = [], typesFilter: string[] = []) =>
      (await connection.request(listGroupsApi, 5, { statesFilter, typesFilter })).groups
        .map(({ groupId }) => groupId)
        .sort()

    expect(await list()).toEqual(['group', 'offsets-only'])
    expect(await list(['Empty'])).toEqual(['offsets-only'])
    expect(await list(['stable'], ['classic'])).toEqual(['group'])
    expect(await list([], ['consumer'])).toEqual([])
  })

  it('deletes a group without members, with its offsets, for good', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection)
    await becomeMember(connection)
    await commit(connection, 1, { groupId: 'offsets-only' })

    const { results } = await connection.request(deleteGroupsApi, 2, {
      groupsNames: ['group', 'offsets-only', 'nobody', ''],
    })

    expect(results.map(({ errorCode }) => errorCode)).toEqual([
      KAFKA_ERROR.NON_EMPTY_GROUP,
      0,
      KAFKA_ERROR.GROUP_ID_NOT_FOUND,
      KAFKA_ERROR.INVALID_GROUP_ID,
    ])
    const after = await connectTo(await restartBroker(broker))
    expect(await committed(after, 'offsets-only')).toMatchObject({ committedOffset: -1 })
  })

  it('forgets groups that have neither members nor fresh offsets', async () => {
    const broker = await startBroker({ retentionCheckMs: 20, offsetsRetentionMs: 100 })
    const connection = await connectTo(broker)
    await createTopic(connection)
    await commit(connection, 1)

    await eventually('the group is forgotten', () => broker.broker.status().groupCount === 0)

    expect(await committed(connection)).toMatchObject({ committedOffset: -1 })
  })
})
