import { describe, expect, it } from 'vitest'
import type { JoinResult } from '../../../src/broker/groups/group-member.ts'
import type { PersistedGroup } from '../../../src/broker/groups/persisted-group.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import { INITIAL_DELAY_MS, makeGroup, REBALANCE_MS, SESSION_MS } from './group-fixture.ts'

const {
  NONE,
  ILLEGAL_GENERATION,
  INCONSISTENT_GROUP_PROTOCOL,
  UNKNOWN_MEMBER_ID,
  REBALANCE_IN_PROGRESS,
  MEMBER_ID_REQUIRED,
  GROUP_MAX_SIZE_REACHED,
  FENCED_INSTANCE_ID,
  NOT_COORDINATOR,
  COORDINATOR_NOT_AVAILABLE,
} = KAFKA_ERROR

describe('joining an empty group', () => {
  it('waits the initial delay, then gives the leader all members and the others none', async () => {
    const { join, pass } = makeGroup()
    const first = join()
    const second = join()
    await pass(INITIAL_DELAY_MS - 1)
    const before = first.result

    await pass(INITIAL_DELAY_MS + 1)

    expect(before).toBeNull()
    expect(first.result).toMatchObject({
      errorCode: NONE,
      generationId: 1,
      protocolName: 'range',
      leader: 'client-1',
    })
    expect(first.result?.members.map(({ memberId }) => memberId)).toEqual(['client-1', 'client-2'])
    expect(second.result).toMatchObject({ errorCode: NONE, generationId: 1, leader: 'client-1', members: [] })
  })

  it('waits again for as long as members keep coming', async () => {
    const { join, pass } = makeGroup()
    const first = join()
    await pass(INITIAL_DELAY_MS - 10)
    join()
    await pass(20)
    const afterFirstDelay = first.result

    await pass(INITIAL_DELAY_MS)

    expect(afterFirstDelay).toBeNull()
    expect(first.result?.members.length).toBe(2)
  })

  it('gives a new member its id first when the version asks for it, and lets it in with that id', async () => {
    const { join, pass } = makeGroup()
    const asked = join({ requireKnownMemberId: true })
    const memberId = asked.result?.memberId ?? ''

    const joined = join({ requireKnownMemberId: true, memberId })
    await pass(INITIAL_DELAY_MS + 1)

    expect(asked.result).toMatchObject({ errorCode: MEMBER_ID_REQUIRED, memberId: 'client-1' })
    expect(joined.result).toMatchObject({ errorCode: NONE, memberId: 'client-1', leader: 'client-1' })
  })

  it('forgets an id that was given out and never used', async () => {
    const { join, pass, group } = makeGroup()
    const memberId = join({ requireKnownMemberId: true }).result?.memberId ?? ''

    await pass(SESSION_MS + 1)

    expect(join({ memberId }).result?.errorCode).toBe(UNKNOWN_MEMBER_ID)
    expect(group.isEmpty).toBe(true)
  })

  it('refuses a member id that the group never gave', () => {
    expect(makeGroup().join({ memberId: 'someone' }).result?.errorCode).toBe(UNKNOWN_MEMBER_ID)
  })

  it.each([
    ['no protocol type', { protocolType: '' }],
    ['no protocols', { protocols: [] }],
  ])('refuses a member with %s', (_, request) => {
    expect(makeGroup().join(request).result?.errorCode).toBe(INCONSISTENT_GROUP_PROTOCOL)
  })
})

describe('choosing a protocol', () => {
  const offering = (...names: string[]) => ({
    protocols: names.map((name) => ({ name, metadata: Buffer.from(`${name} data`) })),
  })

  it('takes the one that most members prefer among those that all offer', async () => {
    const { join, pass } = makeGroup()
    join(offering('sticky', 'range', 'robin'))
    join(offering('robin', 'range'))
    const last = join(offering('range', 'robin'))

    await pass(2 * INITIAL_DELAY_MS + 1)

    expect(last.result?.protocolName).toBe('range')
  })

  it('refuses a member that shares none with the others, or is of another type', async () => {
    const { join, settle } = makeGroup()
    await settle(1)

    expect(join(offering('sticky')).result?.errorCode).toBe(INCONSISTENT_GROUP_PROTOCOL)
    expect(join({ protocolType: 'connect' }).result?.errorCode).toBe(INCONSISTENT_GROUP_PROTOCOL)
  })
})

describe('the assignment', () => {
  it('reaches every member, whoever asks first, and is durable before anyone hears of it', async () => {
    const { join, pass, sync, persisted, group } = makeGroup()
    join()
    join()
    await pass(2 * INITIAL_DELAY_MS + 1)
    const follower = sync('client-2', 1)
    const beforeLeader = follower.result

    const leader = sync('client-1', 1, { 'client-1': 'one', 'client-2': 'two' })
    const beforePersisted = leader.result
    await pass(0)

    expect([beforeLeader, beforePersisted]).toEqual([null, null])
    expect(leader.result?.assignment.toString()).toBe('one')
    expect(follower.result?.assignment.toString()).toBe('two')
    expect(persisted.at(-1)?.members.map(({ assignment }) => assignment.toString())).toEqual(['one', 'two'])
    expect(group.state).toBe('Stable')
  })

  it('that cannot be made durable makes the members join again', async () => {
    const fixture = makeGroup()
    fixture.join()
    await fixture.pass(INITIAL_DELAY_MS + 1)
    fixture.failPersist = true

    const answer = fixture.sync('client-1', 1, { 'client-1': 'one' })
    await fixture.pass(0)

    expect(answer.result?.errorCode).toBe(NOT_COORDINATOR)
    expect(fixture.group.state).toBe('PreparingRebalance')
  })

  it('is given again to a member that asks again', async () => {
    const { settle, sync } = makeGroup()
    const [, follower = ''] = await settle(2)

    expect(sync(follower, 1).result?.assignment.toString()).toBe(`part of ${follower}`)
  })

  it('is refused to a stale generation, to strangers, and to another protocol', async () => {
    const { settle, sync, group } = makeGroup()
    const [member = ''] = await settle(1)
    const mismatch: number[] = []
    const base = { memberId: member, groupInstanceId: null, generationId: 1, assignments: [] }
    group.sync({ ...base, protocolType: 'connect', protocolName: null }, ({ errorCode }) =>
      mismatch.push(errorCode),
    )
    group.sync({ ...base, protocolType: 'consumer', protocolName: 'sticky' }, ({ errorCode }) =>
      mismatch.push(errorCode),
    )

    expect(sync(member, 0).result?.errorCode).toBe(ILLEGAL_GENERATION)
    expect(sync('stranger', 1).result?.errorCode).toBe(UNKNOWN_MEMBER_ID)
    expect(mismatch).toEqual([INCONSISTENT_GROUP_PROTOCOL, INCONSISTENT_GROUP_PROTOCOL])
  })

  it('never coming makes the group drop who did not ask for it', async () => {
    const { join, pass, sync, heartbeat, group } = makeGroup()
    join()
    const follower = join()
    await pass(2 * INITIAL_DELAY_MS + 1)
    sync('client-2', 1)
    const keepAlive = async () => {
      for (let passed = 0; passed < REBALANCE_MS; passed += 5_000) {
        heartbeat('client-1')
        heartbeat('client-2')
        await pass(5_000)
      }
    }

    await keepAlive()

    expect(follower.result?.errorCode).toBe(NONE)
    expect(Array.from(group.members, ({ memberId }) => memberId)).toEqual(['client-2'])
    expect(group.state).toBe('PreparingRebalance')
  })
})

describe('a stable group', () => {
  it('rebalances when a member joins, and takes the commits of the old generation meanwhile', async () => {
    const { settle, join, heartbeat, commit, sync, group } = makeGroup()
    const [member = ''] = await settle(1)

    join()

    expect(group.state).toBe('PreparingRebalance')
    expect(heartbeat(member)).toBe(REBALANCE_IN_PROGRESS)
    expect(commit(member)).toBe(NONE)
    expect(sync(member, 1).result?.errorCode).toBe(REBALANCE_IN_PROGRESS)
  })

  it('completes the rebalance as soon as all members have joined again', async () => {
    const { settle, join, group } = makeGroup()
    const [member = ''] = await settle(1)
    const added = join()

    const rejoined = join({ memberId: member })

    expect([added.result?.generationId, rejoined.result?.generationId]).toEqual([2, 2])
    expect(group.state).toBe('CompletingRebalance')
  })

  it('refuses commits between the join and the assignment', async () => {
    const { settle, join, commit, heartbeat } = makeGroup()
    const [member = ''] = await settle(1)
    join({ memberId: member })

    expect(commit(member)).toBe(REBALANCE_IN_PROGRESS)
    expect(heartbeat(member)).toBe(NONE)
  })

  it('drops members that do not join again within the rebalance timeout', async () => {
    const { settle, join, pass, heartbeat } = makeGroup()
    const [leader = '', late = ''] = await settle(2)
    const rejoined = join({ memberId: leader })
    for (let passed = 0; passed < REBALANCE_MS; passed += 5_000) {
      heartbeat(late, 1)
      await pass(5_000)
    }
    await pass(1)

    expect(rejoined.result).toMatchObject({ errorCode: NONE, generationId: 2 })
    expect(rejoined.result?.members.map(({ memberId }) => memberId)).toEqual([leader])
    expect(heartbeat(late)).toBe(UNKNOWN_MEMBER_ID)
  })

  it('rebalances when the leader joins again, and not when a follower does unchanged', async () => {
    const { settle, join, group } = makeGroup()
    const [leader = '', follower = ''] = await settle(2)

    const repeated = join({ memberId: follower })
    const afterFollower = group.state
    join({ memberId: leader })

    expect(repeated.result).toMatchObject({ errorCode: NONE, generationId: 1, leader, members: [] })
    expect(afterFollower).toBe('Stable')
    expect(group.state).toBe('PreparingRebalance')
  })

  it('rebalances when a follower comes with another subscription', async () => {
    const { settle, join, group } = makeGroup()
    const [, follower = ''] = await settle(2)

    join({ memberId: follower, protocols: [{ name: 'range', metadata: Buffer.from('other topics') }] })

    expect(group.state).toBe('PreparingRebalance')
  })

  it('ends a member that is silent for a session, and rebalances the others', async () => {
    const { settle, heartbeat, pass, group } = makeGroup()
    const [leader = '', silent = ''] = await settle(2)
    await pass(SESSION_MS / 2)
    heartbeat(leader)

    await pass(SESSION_MS / 2)

    expect(group.state).toBe('PreparingRebalance')
    expect(heartbeat(silent)).toBe(UNKNOWN_MEMBER_ID)
    expect(heartbeat(leader)).toBe(REBALANCE_IN_PROGRESS)
  })

  it('takes heartbeats, joins, syncs and commits alike as signs of life', async () => {
    const { settle, heartbeat, commit, sync, pass, group } = makeGroup()
    const [member = ''] = await settle(1)

    for (const sign of [() => heartbeat(member), () => commit(member), () => sync(member, 1)]) {
      await pass(SESSION_MS - 1_000)
      sign()
    }

    expect(group.state).toBe('Stable')
  })

  it('does not end a member that waits in a join', async () => {
    const { settle, join, heartbeat, pass } = makeGroup()
    const [leader = '', follower = ''] = await settle(2)
    const waiting = join({ memberId: leader })
    for (let passed = 0; passed < 3 * SESSION_MS; passed += 5_000) {
      heartbeat(follower)
      await pass(5_000)
    }

    join({ memberId: follower })

    expect(waiting.result).toMatchObject({ errorCode: NONE, generationId: 2 })
  })

  it('answers heartbeats of a wrong generation and of strangers with errors', async () => {
    const { settle, heartbeat } = makeGroup()
    const [member = ''] = await settle(1)

    expect(heartbeat(member, 0)).toBe(ILLEGAL_GENERATION)
    expect(heartbeat(member, 2)).toBe(ILLEGAL_GENERATION)
    expect(heartbeat('stranger')).toBe(UNKNOWN_MEMBER_ID)
  })

  it('needs no timer while nobody is in it', async () => {
    const { settle, group, clock, pass } = makeGroup()
    const [member = ''] = await settle(1)

    group.leave({ memberId: member, groupInstanceId: null })
    await pass(SESSION_MS)

    expect(clock.timerCount).toBe(0)
  })
})

describe('leaving', () => {
  it('rebalances those who stay, and the last one leaves the group empty with its generation counted on', async () => {
    const { settle, group, persisted } = makeGroup()
    const [leader = '', follower = ''] = await settle(2)

    expect(group.leave({ memberId: follower, groupInstanceId: null })).toBe(NONE)
    const between = group.state
    expect(group.leave({ memberId: leader, groupInstanceId: null })).toBe(NONE)

    expect(between).toBe('PreparingRebalance')
    expect(group.state).toBe('Empty')
    expect(group.generationId).toBe(2)
    expect(persisted.at(-1)).toMatchObject({ generationId: 2, members: [], leaderId: null })
  })

  it('is refused to strangers', () => {
    expect(makeGroup().group.leave({ memberId: 'stranger', groupInstanceId: null })).toBe(UNKNOWN_MEMBER_ID)
  })

  it('frees a member id that was only given out', () => {
    const { join, group } = makeGroup()
    const memberId = join({ requireKnownMemberId: true }).result?.memberId ?? ''

    expect(group.leave({ memberId, groupInstanceId: null })).toBe(NONE)
    expect(group.isEmpty).toBe(true)
  })
})

describe('static members', () => {
  const STATIC = { groupInstanceId: 'i1' }

  async function settleStatic(fixture = makeGroup()) {
    const leader = fixture.join(STATIC)
    const follower = fixture.join({ groupInstanceId: 'i2' })
    await fixture.pass(2 * INITIAL_DELAY_MS + 1)
    const [leaderId, followerId] = [leader.result?.memberId ?? '', follower.result?.memberId ?? '']
    fixture.sync(followerId, 1, {}, 'i2')
    fixture.sync(leaderId, 1, { [leaderId]: 'one', [followerId]: 'two' }, 'i1')
    await fixture.pass(0)
    return { ...fixture, leaderId, followerId }
  }

  it('come back under their name without a rebalance, and keep their assignment', async () => {
    const { join, sync, pass, group } = await settleStatic()

    const back = join({ groupInstanceId: 'i2' })
    await pass(0)
    const memberId = back.result?.memberId ?? ''

    expect(back.result).toMatchObject({ errorCode: NONE, generationId: 1, members: [] })
    expect(group.state).toBe('Stable')
    expect(sync(memberId, 1, {}, 'i2').result?.assignment.toString()).toBe('two')
  })

  it('fence the instance they replace', async () => {
    const { join, heartbeat, commit, followerId } = await settleStatic()

    join({ groupInstanceId: 'i2' })

    expect(heartbeat(followerId, 1, 'i2')).toBe(FENCED_INSTANCE_ID)
    expect(commit(followerId, 1, 'i2')).toBe(FENCED_INSTANCE_ID)
    expect(heartbeat(followerId, 1)).toBe(UNKNOWN_MEMBER_ID)
  })

  it('that lead are told to skip the assignment when the version can say so', async () => {
    const { join, pass } = await settleStatic()

    const back = join(STATIC)
    await pass(0)

    expect(back.result).toMatchObject({ errorCode: NONE, skipAssignment: true, generationId: 1 })
    expect(back.result?.leader).toBe(back.result?.memberId)
    expect(back.result?.members.length).toBe(2)
  })

  it('that lead are not told so in older versions, lest they assign again', async () => {
    const { join, pass, leaderId } = await settleStatic()

    const back = join({ ...STATIC, supportsSkippingAssignment: false })
    await pass(0)

    expect(back.result).toMatchObject({
      errorCode: NONE,
      skipAssignment: false,
      leader: leaderId,
      members: [],
    })
    expect(back.result?.memberId).not.toBe(leaderId)
  })

  describe('that come back under a new id', () => {
    type Settled = Awaited<ReturnType<typeof settleStatic>>
    type Back = { result: JoinResult | null }

    it.each<[string, (settled: Settled) => Back]>([
      ['unchanged', ({ join }) => join({ groupInstanceId: 'i2' })],
      [
        'with another subscription',
        ({ join, leaderId }) => {
          const back = join({
            groupInstanceId: 'i2',
            protocols: [{ name: 'range', metadata: Buffer.from('other') }],
          })
          join({ memberId: leaderId, ...STATIC })
          return back
        },
      ],
      [
        'after they were taken out',
        ({ join, group, leaderId }) => {
          group.leave({ memberId: '', groupInstanceId: 'i2' })
          const back = join({ groupInstanceId: 'i2' })
          join({ memberId: leaderId, ...STATIC })
          return back
        },
      ],
    ])('%s are answered once a restart knows it', async (_, comeBack) => {
      const fixture = makeGroup()
      const settled = await settleStatic(fixture)
      const gate = Promise.withResolvers<void>()
      fixture.persistGate = gate.promise

      const back = comeBack(settled)
      await fixture.pass(SESSION_MS / 2)
      const early = back.result
      gate.resolve()
      await fixture.pass(0)

      const memberId = back.result?.memberId ?? ''
      const restored = makeGroup()
      restored.group.restore(fixture.persisted.at(-1) as PersistedGroup)
      expect(early).toBeNull()
      expect(back.result?.errorCode).toBe(NONE)
      expect(restored.heartbeat(memberId, 1, 'i2')).toBe(NONE)
      expect(restored.sync(memberId, 1, {}, 'i2').result?.assignment.toString()).toBe('two')
    })

    it('are told to ask again when it cannot be made durable', async () => {
      const fixture = makeGroup()
      await settleStatic(fixture)
      fixture.failPersist = true
      const refused = fixture.join({ groupInstanceId: 'i2' })
      await fixture.pass(0)
      fixture.failPersist = false

      const back = fixture.join({ groupInstanceId: 'i2' })
      await fixture.pass(0)

      expect(refused.result).toMatchObject({ errorCode: NOT_COORDINATOR, memberId: '' })
      expect(back.result).toMatchObject({ errorCode: NONE, generationId: 1 })
    })
  })

  it('that come back with another subscription cause a rebalance', async () => {
    const { join, group } = await settleStatic()

    join({ groupInstanceId: 'i2', protocols: [{ name: 'range', metadata: Buffer.from('other') }] })

    expect(group.state).toBe('PreparingRebalance')
  })

  it('stay members until their session ends, though they miss a rebalance', async () => {
    const { join, heartbeat, pass, group, leaderId, followerId } = await settleStatic()
    const rejoined = join({ memberId: leaderId, ...STATIC })
    for (let passed = 0; passed < REBALANCE_MS; passed += 5_000) {
      heartbeat(followerId, 1, 'i2')
      await pass(5_000)
    }
    const stayed = group.memberCount
    await pass(SESSION_MS / 2)
    heartbeat(leaderId, 2, 'i1')

    await pass(SESSION_MS / 2)

    expect(rejoined.result?.generationId).toBe(2)
    expect(stayed).toBe(2)
    expect(Array.from(group.members, ({ groupInstanceId }) => groupInstanceId)).not.toContain('i2')
  })

  it('leave by their name alone, and are told when somebody else has it', async () => {
    const { group, join, followerId } = await settleStatic()
    join({ groupInstanceId: 'i2' })

    expect(group.leave({ memberId: followerId, groupInstanceId: 'i2' })).toBe(FENCED_INSTANCE_ID)
    expect(group.leave({ memberId: '', groupInstanceId: 'i2' })).toBe(NONE)
    expect(group.leave({ memberId: '', groupInstanceId: 'i2' })).toBe(UNKNOWN_MEMBER_ID)
  })
})

describe('commits', () => {
  it('outside any generation are taken while the group has no members', async () => {
    const { commit, settle } = makeGroup()
    const whileEmpty = commit('', -1)
    await settle(1)

    expect(whileEmpty).toBe(NONE)
    expect(commit('', -1)).toBe(UNKNOWN_MEMBER_ID)
  })

  it('of a stale generation or of a former member are refused, so that no zombie moves an offset', async () => {
    const { commit, settle, join } = makeGroup()
    const [member = ''] = await settle(1)
    join({ memberId: member })

    expect(commit(member, 1)).toBe(ILLEGAL_GENERATION)
    expect(commit('former', 2)).toBe(UNKNOWN_MEMBER_ID)
  })
})

describe('limits and ends', () => {
  it('a full group takes no more members, yet lets the present ones join again', async () => {
    const { settle, join } = makeGroup({ membersMax: 2 })
    const [leader = ''] = await settle(2)

    const refused = join()
    const rejoined = join({ memberId: leader })

    expect(refused.result?.errorCode).toBe(GROUP_MAX_SIZE_REACHED)
    expect(rejoined.result?.errorCode ?? NONE).toBe(NONE)
  })

  it('ids that were only given out count as members, so that they are bounded too', () => {
    const { join } = makeGroup({ membersMax: 2 })
    join({ requireKnownMemberId: true })
    join({ requireKnownMemberId: true })

    expect(join({ requireKnownMemberId: true }).result?.errorCode).toBe(GROUP_MAX_SIZE_REACHED)
  })

  it('a group that ends answers whoever waits, and nobody afterwards', async () => {
    const { join, group, heartbeat } = makeGroup()
    const waiting = join()

    group.kill()

    expect(waiting.result?.errorCode).toBe(NOT_COORDINATOR)
    expect(join().result?.errorCode).toBe(COORDINATOR_NOT_AVAILABLE)
    expect(heartbeat('client-1')).toBe(COORDINATOR_NOT_AVAILABLE)
  })

  it('a restored group goes on with its generation, and drops who does not show up', async () => {
    const before = makeGroup()
    const [leader = '', follower = ''] = await before.settle(2)
    const saved = before.persisted.at(-1)
    if (saved === undefined) throw new Error('nothing was persisted')
    const after = makeGroup()

    after.group.restore(saved)

    expect(after.group.state).toBe('Stable')
    expect(after.heartbeat(leader, 1)).toBe(NONE)
    expect(after.sync(follower, 1).result?.assignment.toString()).toBe(`part of ${follower}`)
    await after.pass(SESSION_MS / 2)
    after.heartbeat(leader)
    await after.pass(SESSION_MS / 2 + 1)
    expect(after.heartbeat(follower)).toBe(UNKNOWN_MEMBER_ID)
  })
})
