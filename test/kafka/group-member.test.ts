import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import type { GroupMemberOptions } from '../../src/kafka/group-member.ts'
import { GroupMember } from '../../src/kafka/group-member.ts'
import { fetchCommittedOffsets } from '../../src/kafka/group-offsets.ts'
import { offsetCommitApi } from '../../src/wire/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/wire/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../src/wire/10-find-coordinator.ts'
import { joinGroupApi } from '../../src/wire/11-join-group.ts'
import { heartbeatApi } from '../../src/wire/12-heartbeat.ts'
import { leaveGroupApi } from '../../src/wire/13-leave-group.ts'
import { syncGroupApi } from '../../src/wire/14-sync-group.ts'
import { KAFKA_ERROR, kafkaErrorName } from '../../src/wire/error-codes.ts'
import type { TestBroker } from '../support/broker.ts'
import { startTestBroker } from '../support/broker.ts'
import type { FakeRequest, Step } from './fake-broker.ts'
import { drop, FakeBroker, keepSilent } from './fake-broker.ts'
import { openCluster } from './support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Watched {
  readonly member: GroupMember
  /** What was told, in order: `assigned a-0 a-1`. */
  readonly calls: string[]
  readonly partitions: readonly string[]
  /** What `onRevoked` waits for. */
  beforeRevoked: () => Promise<unknown>
}

/** A member that writes down what it is told. */
function watchedMember(cluster: KafkaCluster, options: GroupMemberOptions): Watched {
  const member = new GroupMember(cluster, { heartbeatIntervalMs: 50, topicsPollMs: 100, ...options })
  const names = (partitions: readonly { topic: string; partition: number }[]) =>
    partitions.map(({ topic, partition }) => `${topic}-${partition}`)
  const watched = {
    member,
    calls: [] as string[],
    partitions: [] as readonly string[],
    beforeRevoked: async (): Promise<unknown> => undefined,
  }
  const tell = (what: string, partitions: readonly string[]) =>
    watched.calls.push([what, ...partitions].join(' '))
  member.start({
    onAssigned(partitions) {
      watched.partitions = names(partitions)
      tell('assigned', watched.partitions)
    },
    async onRevoked(partitions) {
      await watched.beforeRevoked()
      watched.partitions = []
      tell('revoked', names(partitions))
    },
    onLost(partitions) {
      watched.partitions = []
      tell('lost', names(partitions))
    },
    onFailed: () => tell('failed', []),
  })
  cleanups.push(() => member.stop())
  return watched
}

describe('with the embedded broker', () => {
  let broker: TestBroker
  let cluster: KafkaCluster

  beforeAll(async () => {
    broker = await startTestBroker()
    cluster = openCluster([broker.address])
    await cluster.connect()
  })
  afterAll(async () => {
    await cluster.close()
    await broker.stop()
  })

  test('one member has everything, two share, and the one who stays has everything again', async () => {
    await cluster.ensureTopic('shared', { partitionCount: 4 })
    const one = watchedMember(cluster, { groupId: 'sharing', topics: ['shared'] })
    await expect.poll(() => one.partitions).toHaveLength(4)
    const two = watchedMember(cluster, { groupId: 'sharing', topics: ['shared'] })
    await expect
      .poll(() => [one.partitions.length, two.partitions.length], { timeout: 5_000 })
      .toEqual([2, 2])
    expect(new Set([...one.partitions, ...two.partitions]).size).toBe(4)
    await two.member.stop()
    await expect.poll(() => one.partitions, { timeout: 5_000 }).toHaveLength(4)
  })

  test('nobody is given a partition before its last reader has let go of it', async () => {
    await cluster.ensureTopic('handed-over', { partitionCount: 2 })
    const one = watchedMember(cluster, { groupId: 'handing', topics: ['handed-over'] })
    await expect.poll(() => one.partitions).toHaveLength(2)
    const letGo = Promise.withResolvers<void>()
    one.beforeRevoked = async () => {
      await letGo.promise
      await one.member.commit([{ topic: 'handed-over', partition: 0, offset: 9 }])
      one.calls.push('committed')
    }
    const two = watchedMember(cluster, { groupId: 'handing', topics: ['handed-over'] })
    await expect.poll(() => one.member.status().state).toBe('revoking')
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(two.calls).toEqual([])
    letGo.resolve()
    await expect.poll(() => two.partitions, { timeout: 5_000 }).toHaveLength(1)
    expect(one.calls.slice(1, 3)).toEqual(['committed', 'revoked handed-over-0 handed-over-1'])
    const [committed] = await two.member.committed([{ topic: 'handed-over', partition: 0 }])
    expect(committed?.offset).toBe(9)
  })

  test('a topic that appears and matches is assigned within a second, to every member', async () => {
    const topics = (names: readonly string[]) => names.filter((name) => name.startsWith('live.'))
    const members = [1, 2].map(() =>
      watchedMember(cluster, { groupId: 'pattern', topics, topicsPollMs: 200 }),
    )
    await expect
      .poll(() => members.map(({ member }) => member.status().state), { timeout: 5_000 })
      .toEqual(['stable', 'stable'])
    const startedAt = performance.now()
    await cluster.ensureTopic('live.one', { partitionCount: 4 })
    await expect.poll(() => members.map(({ partitions }) => partitions.length)).toEqual([2, 2])
    expect(performance.now() - startedAt).toBeLessThan(1_500)
  })

  test('a commit is refused for a partition of somebody else, and for a generation that is over', async () => {
    await cluster.ensureTopic('fenced', { partitionCount: 2 })
    const one = watchedMember(cluster, { groupId: 'fencing', topics: ['fenced'] })
    await expect.poll(() => one.partitions).toHaveLength(2)
    const generation = one.member.generation() ?? undefined
    const two = watchedMember(cluster, { groupId: 'fencing', topics: ['fenced'] })
    await expect
      .poll(() => [one.partitions.length, two.partitions.length], { timeout: 5_000 })
      .toEqual([1, 1])
    const refused = { code: 'GS_KAFKA_RESPONSE', kafkaErrorName: 'ILLEGAL_GENERATION' }
    const at = (name: string | undefined) => [{ topic: 'fenced', partition: Number(name?.at(-1)), offset: 3 }]
    await expect(one.member.commit(at(two.partitions[0]))).rejects.toMatchObject(refused)
    await expect(one.member.commit(at(one.partitions[0]), { generation })).rejects.toMatchObject(refused)
    await one.member.commit(at(one.partitions[0]))
    expect(await fetchCommittedOffsets(cluster, 'fencing', null)).toHaveLength(1)
  })

  test('a static member that comes back within its session gets the same partitions, and the others keep theirs', async () => {
    await cluster.ensureTopic('static', { partitionCount: 4 })
    const options = (groupInstanceId: string) => ({ groupId: 'static', topics: ['static'], groupInstanceId })
    const first = watchedMember(cluster, options('one'))
    const other = watchedMember(cluster, options('two'))
    await expect
      .poll(() => [first.partitions.length, other.partitions.length], { timeout: 5_000 })
      .toEqual([2, 2])
    const had = first.partitions
    const othersHad = other.partitions
    await first.member.stop()
    const again = watchedMember(cluster, options('one'))
    await expect.poll(() => again.partitions, { timeout: 5_000 }).toEqual(had)
    await expect.poll(() => other.partitions).toEqual(othersHad)
    expect(other.calls.some((call) => call.startsWith('lost'))).toBe(false)
  })

  test('a broker that is restarted gets its members back', async () => {
    const own = await startTestBroker()
    const client = openCluster([own.address])
    await client.connect()
    await client.ensureTopic('survived', { partitionCount: 2 })
    const one = watchedMember(client, { groupId: 'surviving', topics: ['survived'] })
    await expect.poll(() => one.partitions).toHaveLength(2)
    await one.member.commit([{ topic: 'survived', partition: 1, offset: 4 }])
    const again = await own.restart()
    cleanups.push(
      () => again.stop(),
      () => client.close(),
      () => one.member.stop(),
    )
    await expect
      .poll(
        () =>
          one.member.commit([{ topic: 'survived', partition: 1, offset: 5 }]).then(() => 'committed', String),
        { timeout: 10_000 },
      )
      .toBe('committed')
    expect((await fetchCommittedOffsets(client, 'surviving', null))[0]).toMatchObject({
      partition: 1,
      offset: 5,
    })
  })
})

describe('with a coordinator that fails', () => {
  /** A group of one: the member leads, and whatever it assigns is what it gets. */
  async function startCoordinator(clock?: Clock): Promise<{ broker: FakeBroker; cluster: KafkaCluster }> {
    const broker = await FakeBroker.start({ topics: { orders: 2 } })
    let generationId = 0
    broker.always(findCoordinatorApi, ({ value }) => ({
      coordinators: value.coordinatorKeys.map((key) => ({
        key,
        nodeId: 1,
        host: '127.0.0.1',
        port: broker.port,
      })),
    }))
    broker.always(joinGroupApi, ({ value }) => {
      if (value.memberId === '') return { errorCode: KAFKA_ERROR.MEMBER_ID_REQUIRED, memberId: 'me' }
      const protocolName = value.protocols[0]?.name ?? ''
      const members = [
        { memberId: value.memberId, metadata: value.protocols[0]?.metadata ?? Buffer.alloc(0) },
      ]
      const { memberId } = value
      return {
        generationId: ++generationId,
        protocolType: 'consumer',
        protocolName,
        leader: memberId,
        memberId,
        members,
      }
    })
    broker.always(syncGroupApi, ({ value }) => ({
      assignment: value.assignments[0]?.assignment ?? Buffer.alloc(0),
    }))
    for (const api of [heartbeatApi, leaveGroupApi]) broker.always(api, () => ({}))
    broker.always(offsetCommitApi, commitAnswer(KAFKA_ERROR.NONE))
    const backoff = { initialMs: 5, maxMs: 20 }
    const cluster = openCluster([broker.address], { backoff }, 'gophership-test', clock)
    await cluster.connect()
    cleanups.push(
      () => broker.stop(),
      () => cluster.close(),
    )
    return { broker, cluster }
  }

  const OPTIONS = { groupId: 'group', topics: ['orders'] }
  const ALL = 'orders-0 orders-1'

  function commitAnswer(errorCode: number) {
    return ({ value }: Pick<FakeRequest<typeof offsetCommitApi>, 'value'>) => ({
      topics: value.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
      })),
    })
  }

  test('a member takes the id it is given, votes for its assignor, and leaves when it stops', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.partitions).toHaveLength(2)
    await one.member.stop()
    expect(broker.requestsOf(joinGroupApi).map(({ value }) => value.memberId)).toEqual(['', 'me'])
    expect(broker.requestsOf(joinGroupApi)[0]?.value).toMatchObject({
      protocolType: 'consumer',
      protocols: [{ name: 'sticky' }],
    })
    expect(broker.requestsOf(leaveGroupApi)[0]?.value.members[0]).toMatchObject({ memberId: 'me' })
    expect(one.calls).toEqual([`assigned ${ALL}`, `revoked ${ALL}`])
  })

  test.each([14, 15, 16].map((code) => [kafkaErrorName(code), code] as const))(
    'joining is tried again after %s',
    async (_name, errorCode) => {
      const { broker, cluster } = await startCoordinator()
      broker.script(joinGroupApi, () => ({ errorCode }))
      const one = watchedMember(cluster, OPTIONS)
      await expect.poll(() => one.partitions).toHaveLength(2)
      expect(broker.requestsOf(findCoordinatorApi).length).toBe(errorCode === 14 ? 1 : 2)
    },
  )

  test('a lost connection while joining is made again', async () => {
    const { broker, cluster } = await startCoordinator()
    broker.script(joinGroupApi, drop)
    broker.script(syncGroupApi, drop)
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.partitions).toHaveLength(2)
  })

  test('a rebalance is followed, and what was read before is told to the leader again', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.calls.length).toBe(1)
    broker.script(heartbeatApi, () => ({ errorCode: KAFKA_ERROR.REBALANCE_IN_PROGRESS }))
    await expect.poll(() => one.calls).toEqual([`assigned ${ALL}`, `revoked ${ALL}`, `assigned ${ALL}`])
    expect(one.member.status()).toMatchObject({ state: 'stable', generationId: 2, isLeader: true })
  })

  test.each([
    ['ILLEGAL_GENERATION', 'me'],
    ['UNKNOWN_MEMBER_ID', ''],
  ] as const)('after %s the partitions are lost, and the member joins as %j', async (name, memberId) => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.calls.length).toBe(1)
    const joinsBefore = broker.requestsOf(joinGroupApi).length
    broker.script(heartbeatApi, () => ({ errorCode: KAFKA_ERROR[name] }))
    await expect.poll(() => one.calls).toEqual([`assigned ${ALL}`, `lost ${ALL}`, `assigned ${ALL}`])
    expect(broker.requestsOf(joinGroupApi)[joinsBefore]?.value.memberId).toBe(memberId)
  })

  test('a member that cannot reach its coordinator for the session timeout counts itself out', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, { ...OPTIONS, sessionTimeoutMs: 300 })
    await expect.poll(() => one.calls.length).toBe(1)
    broker.always(heartbeatApi, keepSilent)
    broker.always(joinGroupApi, keepSilent)
    await expect.poll(() => one.calls.at(-1), { timeout: 3_000 }).toBe(`lost ${ALL}`)
    await expect(one.member.commit([{ topic: 'orders', partition: 0, offset: 1 }])).rejects.toMatchObject({
      kafkaErrorName: 'ILLEGAL_GENERATION',
    })
    expect(broker.requestsOf(offsetCommitApi)).toEqual([])
  })

  test('a heartbeat counts from when it was sent, however late its answer comes', async () => {
    let skewMs = 0
    const { broker, cluster } = await startCoordinator({
      ...systemClock,
      monotonicMs: () => systemClock.monotonicMs() + skewMs,
    })
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.calls.length).toBe(1)
    broker.script(heartbeatApi, () => {
      skewMs += 11_000
      return {}
    })
    await expect.poll(() => one.calls).toEqual([`assigned ${ALL}`, `lost ${ALL}`, `assigned ${ALL}`])
  })

  test('a member that is not allowed in stops for good and says why', async () => {
    const { broker, cluster } = await startCoordinator()
    broker.always(joinGroupApi, () => ({ errorCode: KAFKA_ERROR.GROUP_AUTHORIZATION_FAILED }))
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.calls).toEqual(['failed'])
    expect(one.member.status().state).toBe('failed')
  })

  test('a commit is repeated while the coordinator moves, and its refusal is thrown', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.partitions).toHaveLength(2)
    const commit = () => one.member.commit([{ topic: 'orders', partition: 0, offset: 1, metadata: 'm' }])
    broker.script(
      offsetCommitApi,
      commitAnswer(KAFKA_ERROR.NOT_COORDINATOR),
      drop,
      commitAnswer(KAFKA_ERROR.NONE),
    )
    await commit()
    expect(broker.requestsOf(offsetCommitApi)).toHaveLength(3)
    expect(broker.requestsOf(offsetCommitApi)[2]?.value).toMatchObject({
      memberId: 'me',
      generationIdOrMemberEpoch: 1,
    })
    broker.script(offsetCommitApi, commitAnswer(KAFKA_ERROR.REBALANCE_IN_PROGRESS))
    await expect(commit()).rejects.toMatchObject({ kafkaErrorName: 'REBALANCE_IN_PROGRESS' })
    await expect.poll(() => one.calls).toEqual([`assigned ${ALL}`, `revoked ${ALL}`, `assigned ${ALL}`])
  })

  test('a commit for a generation is refused to the next member of the same generation number', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.partitions).toHaveLength(2)
    const generation = { groupId: 'group', generationId: 1, memberId: 'before', groupInstanceId: null }
    await expect(
      one.member.commit([{ topic: 'orders', partition: 0, offset: 1 }], { generation }),
    ).rejects.toMatchObject({ kafkaErrorName: 'ILLEGAL_GENERATION' })
    expect(broker.requestsOf(offsetCommitApi)).toEqual([])
  })

  test('the late answer to a commit does not end the generation that has begun meanwhile', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.partitions).toHaveLength(2)
    let code: number = KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE
    broker.always(offsetCommitApi, (request) => commitAnswer(code)(request))
    const committed = one.member.commit([{ topic: 'orders', partition: 0, offset: 1 }])
    broker.script(heartbeatApi, () => ({ errorCode: KAFKA_ERROR.REBALANCE_IN_PROGRESS }))
    await expect.poll(() => one.calls).toEqual([`assigned ${ALL}`, `revoked ${ALL}`, `assigned ${ALL}`])

    code = KAFKA_ERROR.ILLEGAL_GENERATION

    await expect(committed).rejects.toMatchObject({ kafkaErrorName: 'ILLEGAL_GENERATION' })
    expect(one.calls).toHaveLength(3)
    expect(one.member.status().state).toBe('stable')
  })

  test('a generation is told while the member owns its partitions: until they are given back, and not after a loss', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, { ...OPTIONS, groupInstanceId: 'instance' })
    expect(one.member.generation()).toBeNull()
    await expect.poll(() => one.partitions).toHaveLength(2)
    const first = { groupId: 'group', generationId: 1, memberId: 'me', groupInstanceId: 'instance' }
    expect(one.member.generation()).toEqual(first)
    const seen: unknown[] = []
    one.beforeRevoked = async () => seen.push(one.member.generation())
    broker.script(heartbeatApi, () => ({ errorCode: KAFKA_ERROR.REBALANCE_IN_PROGRESS }))
    await expect.poll(() => one.calls).toEqual([`assigned ${ALL}`, `revoked ${ALL}`, `assigned ${ALL}`])
    expect(seen).toEqual([first])
    expect(one.member.generation()).toEqual({ ...first, generationId: 2 })
    broker.always(joinGroupApi, keepSilent)
    broker.script(heartbeatApi, () => ({ errorCode: KAFKA_ERROR.ILLEGAL_GENERATION }))
    await expect.poll(() => one.calls.at(-1)).toBe(`lost ${ALL}`)
    expect(one.member.generation()).toBeNull()
  })

  test('positions that a transaction is about to commit are waited for', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.partitions).toHaveLength(2)
    const positionOf =
      (committedOffset: number, errorCode: number): Step<typeof offsetFetchApi> =>
      () => ({
        groups: [
          {
            groupId: 'group',
            topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, committedOffset, errorCode }] }],
          },
        ],
      })
    broker.script(
      offsetFetchApi,
      positionOf(-1, KAFKA_ERROR.UNSTABLE_OFFSET_COMMIT),
      positionOf(7, KAFKA_ERROR.NONE),
    )
    const [found] = await one.member.committed([{ topic: 'orders', partition: 0 }])
    expect(found?.offset).toBe(7)
    expect(broker.requestsOf(offsetFetchApi).map(({ value }) => value.requireStable)).toEqual([true, true])
  })

  test('more partitions are noticed by the leader', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => one.partitions).toHaveLength(2)
    broker.topics.set('orders', 3)
    await expect.poll(() => one.partitions, { timeout: 3_000 }).toHaveLength(3)
  })

  test('a member that is stopped while it waits for the others does not wait on', async () => {
    const { broker, cluster } = await startCoordinator()
    broker.always(joinGroupApi, keepSilent)
    const one = watchedMember(cluster, OPTIONS)
    await expect.poll(() => broker.requestsOf(joinGroupApi).length).toBe(1)
    await one.member.stop()
    expect(one.calls).toEqual([])
    expect(one.member.status().state).toBe('stopped')
  })

  test('a handler that fails does not end the membership', async () => {
    const { broker, cluster } = await startCoordinator()
    const one = watchedMember(cluster, OPTIONS)
    one.beforeRevoked = () => Promise.reject(new Error('could not commit'))
    await expect.poll(() => one.calls.length).toBe(1)
    broker.script(heartbeatApi, () => ({ errorCode: KAFKA_ERROR.REBALANCE_IN_PROGRESS }))
    await expect.poll(() => one.calls).toEqual([`assigned ${ALL}`, `assigned ${ALL}`])
  })
})
