/** A group under the test's clock, with short ways to join and sync. */

import { Group } from '../../../src/broker/groups/group.ts'
import type { JoinRequest, JoinResult, SyncResult } from '../../../src/broker/groups/group-member.ts'
import type { PersistedGroup } from '../../../src/broker/groups/persisted-group.ts'
import { ManualClock } from '../../storage/support.ts'

export const SESSION_MS = 10_000
export const REBALANCE_MS = 60_000
export const INITIAL_DELAY_MS = 100

export interface GroupFixture {
  readonly clock: ManualClock
  readonly group: Group
  /** What was made durable, newest last. */
  readonly persisted: PersistedGroup[]
  /** Set it to make the next persist fail. */
  failPersist: boolean
  /** What a persist waits for, if for anything. */
  persistGate: Promise<void> | null
  /** Moves time millisecond by millisecond, so that timers run in their order. */
  pass(ms: number): Promise<void>
  /** Joins; the answer is filled in when it comes. */
  join(request?: Partial<JoinRequest>): { result: JoinResult | null }
  sync(
    memberId: string,
    generationId: number,
    assignments?: Record<string, string>,
    groupInstanceId?: string,
  ): { result: SyncResult | null }
  heartbeat(memberId: string, generationId?: number, groupInstanceId?: string | null): number
  commit(memberId: string, generationId?: number, groupInstanceId?: string | null): number
  /** Brings so many new dynamic members to a stable generation and gives their ids, the leader's first. */
  settle(count: number): Promise<string[]>
}

export function makeGroup(options: { membersMax?: number; initialDelayMs?: number } = {}): GroupFixture {
  const clock = new ManualClock()
  const persisted: PersistedGroup[] = []
  let idCount = 0
  const fixture: GroupFixture = {
    clock,
    persisted,
    failPersist: false,
    persistGate: null,
    group: new Group('group', {
      clock,
      newMemberId: (prefix) => `${prefix}-${++idCount}`,
      persist: async (group) => {
        if (fixture.persistGate !== null) await fixture.persistGate
        if (fixture.failPersist) throw new Error('the disk is gone')
        persisted.push(group)
      },
      initialRebalanceDelayMs: options.initialDelayMs ?? INITIAL_DELAY_MS,
      membersMax: options.membersMax ?? 100,
      newMemberJoinMsMax: 300_000,
    }),
    async pass(ms) {
      for (let passed = 0; passed < ms; passed += 1) clock.advance(1)
      await new Promise((resolve) => setImmediate(resolve))
    },
    join(request = {}) {
      const answer: { result: JoinResult | null } = { result: null }
      fixture.group.join(joinRequest(request), (result) => {
        answer.result = result
      })
      return answer
    },
    sync(memberId, generationId, assignments = {}, groupInstanceId) {
      const answer: { result: SyncResult | null } = { result: null }
      fixture.group.sync(
        {
          memberId,
          groupInstanceId: groupInstanceId ?? null,
          generationId,
          protocolType: null,
          protocolName: null,
          assignments: Object.entries(assignments).map(([id, text]) => ({
            memberId: id,
            assignment: Buffer.from(text),
          })),
        },
        (result) => {
          answer.result = result
        },
      )
      return answer
    },
    heartbeat: (memberId, generationId = fixture.group.generationId, groupInstanceId = null) =>
      fixture.group.heartbeat({ memberId, generationId, groupInstanceId }),
    commit: (memberId, generationId = fixture.group.generationId, groupInstanceId = null) =>
      fixture.group.checkCommit({ memberId, generationId, groupInstanceId }),
    async settle(count) {
      const joins = Array.from({ length: count }, () => fixture.join())
      await fixture.pass(2 * (options.initialDelayMs ?? INITIAL_DELAY_MS) + 1)
      const ids = joins.map(({ result }) => result?.memberId ?? 'not joined')
      const leader = joins[0]?.result?.leader ?? ''
      ids.sort((a, b) => Number(b === leader) - Number(a === leader))
      const assignments = Object.fromEntries(ids.map((id) => [id, `part of ${id}`]))
      for (const id of ids) fixture.sync(id, fixture.group.generationId, assignments)
      await fixture.pass(0)
      return ids
    },
  }
  return fixture
}

export function joinRequest(request: Partial<JoinRequest> = {}): JoinRequest {
  return {
    memberId: '',
    groupInstanceId: null,
    clientId: 'client',
    clientHost: '/127.0.0.1',
    rebalanceTimeoutMs: REBALANCE_MS,
    sessionTimeoutMs: SESSION_MS,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('topics') }],
    requireKnownMemberId: false,
    supportsSkippingAssignment: true,
    ...request,
  }
}
