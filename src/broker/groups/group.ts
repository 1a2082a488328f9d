/**
 * One classic consumer group: its members, generations and rebalances, as Kafka's group coordinator runs them
 * (KIP-62 sessions, KIP-134 initial delay, KIP-345 static members, KIP-394 known member ids, KIP-814 static leader).
 *
 * A state machine with no I/O of its own: time comes from the clock, answers go to the callbacks it was handed, and
 * what must survive a restart goes through `persist`. Offsets are kept elsewhere; this file only says who may commit.
 */

import type { Timer } from '../../core/clock.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { DeadlineTimer } from './deadline-timer.ts'
import type {
  GroupMember,
  GroupProtocol,
  JoinRequest,
  JoinResult,
  RespondJoin,
  RespondSync,
  SyncRequest,
} from './group-member.ts'
import {
  commonProtocols,
  joinError,
  metadataFor,
  NO_BYTES,
  sameProtocols,
  selectProtocol,
  syncError,
} from './group-member.ts'
import type { GroupOptions, GroupState } from './group-options.ts'
import type { PersistedGroup } from './persisted-group.ts'
import { memberFromSaved, memberToSave, renamedInSaved } from './persisted-group.ts'

export class Group {
  readonly id: string
  readonly #options: GroupOptions
  readonly #members = new Map<string, GroupMember>()
  /** Instance id to member id. */
  readonly #staticMembers = new Map<string, string>()
  /** Ids handed out by MEMBER_ID_REQUIRED that have not joined yet, with their deadline. */
  readonly #pendingMembers = new Map<string, number>()
  readonly #pendingSync = new Set<string>()
  /** Ends the sessions of silent members. */
  readonly #sessions: DeadlineTimer
  #joinTimer: Timer | null = null
  #syncTimer: Timer | null = null
  #state: GroupState = 'Empty'
  #generationId = 0
  #protocolType: string | null = null
  #protocolName: string | null = null
  #leaderId: string | null = null
  /** A member joined during the initial delay, so that the delay is extended. */
  #newMemberAdded = false
  /** The first generation of an empty group waits a little for more members. */
  #waitsInitially = false
  /** When the last member left, on the wall clock; 0 when it never had any. */
  #emptySinceMs = 0
  /** What was last written, and may not be durable yet. */
  #saved: PersistedGroup | null = null
  /** Writes that are under way. */
  #savingCount = 0
  /** The time to join is over, and what is being written is still waited for. */
  #isJoinOverdue = false

  constructor(id: string, options: GroupOptions) {
    this.id = id
    this.#options = options
    this.#sessions = new DeadlineTimer(options.clock, () => this.#expire())
  }

  get state(): GroupState {
    return this.#state
  }
  get generationId(): number {
    return this.#generationId
  }
  get protocolType(): string {
    return this.#protocolType ?? ''
  }
  get protocolName(): string {
    return this.#protocolName ?? ''
  }
  get members(): Iterable<GroupMember> {
    return this.#members.values()
  }
  get memberCount(): number {
    return this.#members.size
  }

  /** Takes up a group read from disk: members have a full session to say that they are still there. */
  restore(saved: PersistedGroup): void {
    this.#saved = saved
    this.#generationId = saved.generationId
    this.#protocolType = saved.protocolType === '' ? null : saved.protocolType
    this.#protocolName = saved.protocolName
    this.#leaderId = saved.leaderId
    for (const each of saved.members) {
      const member = memberFromSaved(each, saved)
      this.#members.set(member.memberId, member)
      if (member.groupInstanceId !== null) this.#staticMembers.set(member.groupInstanceId, member.memberId)
      this.#touch(member)
    }
    this.#state = this.#members.size === 0 ? 'Empty' : 'Stable'
    this.#emptySinceMs = saved.stateTimestampMs
  }

  /** JoinGroup: answers at once or when the generation is complete. */
  join(request: JoinRequest, respond: RespondJoin): void {
    if (this.#state === 'Dead') {
      respond(joinError(request.memberId, KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE))
    } else if (!this.#supportsProtocols(request.protocolType, request.protocols)) {
      respond(joinError(request.memberId, KAFKA_ERROR.INCONSISTENT_GROUP_PROTOCOL))
    } else if (!this.#hasRoomFor(request.memberId, request.groupInstanceId)) {
      respond(joinError(request.memberId, KAFKA_ERROR.GROUP_MAX_SIZE_REACHED))
    } else if (request.memberId === '') {
      this.#joinNew(request, respond)
    } else {
      this.#joinKnown(request, respond)
    }
  }

  /** SyncGroup: the leader brings the assignment, the others wait for it. */
  sync(request: SyncRequest, respond: RespondSync): void {
    const errorCode = this.#syncError(request)
    if (errorCode !== KAFKA_ERROR.NONE) {
      respond(syncError(errorCode))
      return
    }
    const member = this.#members.get(request.memberId) as GroupMember
    this.#pendingSync.delete(member.memberId)
    this.#touch(member)
    if (this.#state === 'Stable') {
      respond(this.#syncOk(member))
      return
    }
    member.syncWaiting = respond
    if (member.memberId === this.#leaderId) this.#takeAssignment(request)
  }

  /** Heartbeat: the error code. */
  heartbeat(request: { memberId: string; groupInstanceId: string | null; generationId: number }): number {
    if (this.#state === 'Dead') return KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE
    const memberError = this.#memberError(request.memberId, request.groupInstanceId)
    if (memberError !== KAFKA_ERROR.NONE) return memberError
    if (request.generationId !== this.#generationId) return KAFKA_ERROR.ILLEGAL_GENERATION
    if (this.#state === 'Empty') return KAFKA_ERROR.UNKNOWN_MEMBER_ID
    this.#touch(this.#members.get(request.memberId) as GroupMember)
    // In CompletingRebalance Kafka answers NONE, although the comment on its state says otherwise.
    return this.#state === 'PreparingRebalance' ? KAFKA_ERROR.REBALANCE_IN_PROGRESS : KAFKA_ERROR.NONE
  }

  /** One entry of LeaveGroup: the error code. A static member may leave by its instance id alone. */
  leave(request: { memberId: string; groupInstanceId: string | null }): number {
    if (this.#state === 'Dead') return KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE
    let memberId = request.memberId
    if (request.groupInstanceId !== null) {
      const current = this.#staticMembers.get(request.groupInstanceId)
      if (current === undefined) return KAFKA_ERROR.UNKNOWN_MEMBER_ID
      if (memberId !== '' && memberId !== current) return KAFKA_ERROR.FENCED_INSTANCE_ID
      memberId = current
    }
    if (this.#pendingMembers.delete(memberId)) {
      if (this.#state === 'PreparingRebalance') this.#tryCompleteJoin()
      return KAFKA_ERROR.NONE
    }
    const member = this.#members.get(memberId)
    if (member === undefined) return KAFKA_ERROR.UNKNOWN_MEMBER_ID
    this.#removeAndRebalance(member)
    return KAFKA_ERROR.NONE
  }

  /** Whether an OffsetCommit of this sender is taken now: the error code. It counts as a sign of life. */
  checkCommit(request: { memberId: string; groupInstanceId: string | null; generationId: number }): number {
    if (this.#state === 'Dead') return KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE
    if (request.generationId < 0 && this.#state === 'Empty') return KAFKA_ERROR.NONE
    if (this.#state === 'Empty' && request.memberId === '') return KAFKA_ERROR.ILLEGAL_GENERATION
    const memberError = this.#memberError(request.memberId, request.groupInstanceId)
    if (memberError !== KAFKA_ERROR.NONE) return memberError
    if (request.generationId !== this.#generationId) return KAFKA_ERROR.ILLEGAL_GENERATION
    this.#touch(this.#members.get(request.memberId) as GroupMember)
    if (this.#state === 'CompletingRebalance') return KAFKA_ERROR.REBALANCE_IN_PROGRESS
    return KAFKA_ERROR.NONE
  }

  /**
   * Whether offsets of this sender may be staged in a transaction now: the error code. Senders that do not say who they are
   * (versions before KIP-447) are taken at any time, as by Kafka.
   */
  checkTransactionalCommit(request: {
    memberId: string
    groupInstanceId: string | null
    generationId: number
  }): number {
    if (this.#state === 'Dead') return KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE
    const { memberId, groupInstanceId, generationId } = request
    if (generationId < 0 && this.#state === 'Empty') return KAFKA_ERROR.NONE
    if (generationId < 0 && memberId === '' && groupInstanceId === null) return KAFKA_ERROR.NONE
    const memberError = this.#memberError(memberId, groupInstanceId)
    if (memberError !== KAFKA_ERROR.NONE) return memberError
    return generationId === this.#generationId ? KAFKA_ERROR.NONE : KAFKA_ERROR.ILLEGAL_GENERATION
  }

  /** True when there are no members, nor ids given out to members that have yet to join. */
  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#pendingMembers.size === 0
  }

  /** When the last member left, on the wall clock, while there is none; 0 when there never was any. */
  get emptySinceMs(): number {
    return this.#emptySinceMs
  }

  /** Ends the group for good: whoever waits is told to find the coordinator again. */
  kill(): void {
    this.#state = 'Dead'
    for (const member of this.#members.values()) this.#answerWaiting(member, KAFKA_ERROR.NOT_COORDINATOR)
    this.#joinTimer?.cancel()
    this.#syncTimer?.cancel()
    this.#sessions.cancel()
  }

  #joinNew(request: JoinRequest, respond: RespondJoin): void {
    if (request.groupInstanceId !== null) {
      const memberId = this.#options.newMemberId(request.groupInstanceId)
      const replaced = this.#staticMembers.get(request.groupInstanceId)
      if (replaced !== undefined) {
        this.#replaceStatic(replaced, memberId, request, respond)
      } else {
        this.#saveNewId(memberId, request, { respond })
        this.#addAndRebalance(memberId, request, respond)
      }
      return
    }
    const memberId = this.#options.newMemberId(request.clientId)
    if (!request.requireKnownMemberId) {
      this.#addAndRebalance(memberId, request, respond)
      return
    }
    const deadlineMs = this.#options.clock.monotonicMs() + request.sessionTimeoutMs
    this.#pendingMembers.set(memberId, deadlineMs)
    this.#sessions.wakeBy(deadlineMs)
    respond(joinError(memberId, KAFKA_ERROR.MEMBER_ID_REQUIRED))
  }

  #joinKnown(request: JoinRequest, respond: RespondJoin): void {
    if (request.groupInstanceId === null && this.#pendingMembers.delete(request.memberId)) {
      this.#addAndRebalance(request.memberId, request, respond)
      return
    }
    const memberError = this.#memberError(request.memberId, request.groupInstanceId)
    if (memberError !== KAFKA_ERROR.NONE) {
      respond(joinError(request.memberId, memberError))
      return
    }
    const member = this.#members.get(request.memberId) as GroupMember
    const isLeader = member.memberId === this.#leaderId
    const unchanged = sameProtocols(member, request.protocols)
    const mayRepeat =
      (this.#state === 'CompletingRebalance' && unchanged) ||
      (this.#state === 'Stable' && unchanged && !isLeader)
    if (mayRepeat) {
      // The answer to its first request was lost: it is given again.
      this.#touch(member)
      respond(this.#joinOk(member))
      return
    }
    this.#update(member, request, respond)
    this.#rebalance()
  }

  #addAndRebalance(memberId: string, request: JoinRequest, respond: RespondJoin): void {
    const member: GroupMember = {
      memberId,
      groupInstanceId: request.groupInstanceId,
      clientId: request.clientId,
      clientHost: request.clientHost,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      sessionTimeoutMs: request.sessionTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols,
      assignment: NO_BYTES,
      joinWaiting: respond,
      syncWaiting: null,
      isNew: true,
      expiresAtMs: 0,
    }
    if (this.#members.size === 0) this.#protocolType = request.protocolType
    this.#leaderId ??= memberId
    this.#members.set(memberId, member)
    if (request.groupInstanceId !== null) this.#staticMembers.set(request.groupInstanceId, memberId)
    if (this.#state === 'PreparingRebalance') this.#newMemberAdded = true
    this.#touch(member, Math.max(member.sessionTimeoutMs, this.#options.newMemberJoinMsMax))
    this.#rebalance()
  }

  #update(member: GroupMember, request: JoinRequest, respond: RespondJoin): void {
    member.joinWaiting?.(joinError(member.memberId, KAFKA_ERROR.UNKNOWN_MEMBER_ID))
    member.joinWaiting = respond
    member.protocols = request.protocols
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    member.sessionTimeoutMs = request.sessionTimeoutMs
    member.clientId = request.clientId
    member.clientHost = request.clientHost
    this.#touch(member)
  }

  /**
   * A static member came back under its instance id. When nothing about it changed and the group is stable, it takes
   * its predecessor's place without a rebalance; the predecessor, should it still live, is fenced.
   */
  #replaceStatic(oldMemberId: string, memberId: string, request: JoinRequest, respond: RespondJoin): void {
    const member = this.#members.get(oldMemberId) as GroupMember
    const oldLeaderId = this.#leaderId
    const unchanged = metadataFor(member, this.#protocolName).equals(
      request.protocols.find((protocol) => protocol.name === this.#protocolName)?.metadata ?? NO_BYTES,
    )
    this.#answerWaiting(member, KAFKA_ERROR.FENCED_INSTANCE_ID)
    this.#members.delete(oldMemberId)
    this.#pendingSync.delete(oldMemberId)
    member.memberId = memberId
    this.#members.set(memberId, member)
    this.#staticMembers.set(request.groupInstanceId as string, memberId)
    if (oldLeaderId === oldMemberId) this.#leaderId = memberId
    this.#update(member, request, respond)
    const isAsBefore =
      this.#state === 'Stable' &&
      unchanged &&
      selectProtocol([...this.#members.values()]) === this.#protocolName
    if (!isAsBefore) {
      this.#saveNewId(memberId, request, { respond })
      this.#rebalance()
      return
    }
    const answer = () => {
      // Meanwhile another may have its name, or a rebalance has begun, whose end answers it.
      if (member.joinWaiting !== respond || this.#state !== 'Stable') return
      member.joinWaiting = null
      const isLeader = this.#leaderId === memberId
      if (isLeader && !request.supportsSkippingAssignment) {
        // An older client that hears it is leader would assign again, so it is told the old id leads.
        respond({ ...this.#joinOk(member), leader: oldLeaderId ?? '', members: [] })
      } else {
        respond({ ...this.#joinOk(member), skipAssignment: isLeader })
      }
    }
    this.#saveNewId(memberId, request, { respond, onSaved: answer })
  }

  /**
   * Makes the new id of a static member durable, where a restart would know the old one: 1. The member is told its new id.
   * 2. The broker dies. 3. It starts, and the member's name has its old id. 4. The member is fenced, which is final for its
   * client. So nobody is answered before that, see `#completeJoin`; and this member with an error, if it cannot be.
   */
  #saveNewId(
    memberId: string,
    { groupInstanceId }: JoinRequest,
    { respond, onSaved }: { readonly respond: RespondJoin; readonly onSaved?: () => void },
  ): void {
    const renamed = renamedInSaved(this.#saved, { groupInstanceId: groupInstanceId ?? '', memberId })
    if (renamed === null) {
      onSaved?.()
      return
    }
    this.#save(renamed, {
      onSaved,
      onFailed: () => {
        const member = this.#members.get(memberId)
        if (member?.joinWaiting !== respond) return
        member.joinWaiting = null
        respond(joinError('', KAFKA_ERROR.NOT_COORDINATOR))
      },
    })
  }

  /** Writes the group; a join that is complete by then waits for that. */
  #save(
    group: PersistedGroup,
    { onSaved, onFailed }: { readonly onSaved?: (() => void) | undefined; readonly onFailed?: () => void },
  ): void {
    this.#saved = group
    this.#savingCount += 1
    const settle = (follow: (() => void) | undefined) => {
      this.#savingCount -= 1
      follow?.()
      if (this.#state !== 'PreparingRebalance') return
      if (this.#isJoinOverdue) this.#completeJoin()
      else this.#tryCompleteJoin()
    }
    this.#options.persist(group).then(
      () => settle(onSaved),
      () => settle(onFailed),
    )
  }

  #rebalance(): void {
    if (this.#state === 'PreparingRebalance') {
      this.#tryCompleteJoin()
      return
    }
    if (this.#state === 'Dead') return
    if (this.#state === 'CompletingRebalance') this.#failSync(KAFKA_ERROR.REBALANCE_IN_PROGRESS)
    this.#syncTimer?.cancel()
    this.#pendingSync.clear()
    const wasEmpty = this.#state === 'Empty'
    this.#state = 'PreparingRebalance'
    const rebalanceMs = this.#rebalanceTimeoutMs()
    if (wasEmpty) {
      const { initialRebalanceDelayMs } = this.#options
      this.#newMemberAdded = false
      this.#waitInitially(initialRebalanceDelayMs, Math.max(0, rebalanceMs - initialRebalanceDelayMs))
    } else {
      this.#startJoinTimer(rebalanceMs, () => this.#completeJoin())
      this.#tryCompleteJoin()
    }
  }

  #startJoinTimer(delayMs: number, run: () => void): void {
    this.#joinTimer?.cancel()
    this.#joinTimer = this.#options.clock.after(delayMs, () => {
      this.#joinTimer = null
      run()
    })
  }

  /** The first generation of an empty group waits a little, and again for as long as members keep coming. */
  #waitInitially(delayMs: number, remainingMs: number): void {
    const { initialRebalanceDelayMs } = this.#options
    this.#startJoinTimer(delayMs, () => {
      if (this.#newMemberAdded && remainingMs > 0) {
        this.#newMemberAdded = false
        const nextMs = Math.min(initialRebalanceDelayMs, remainingMs)
        this.#waitInitially(nextMs, remainingMs - nextMs)
      } else {
        this.#completeJoin()
      }
    })
    this.#waitsInitially = true
  }

  #tryCompleteJoin(): void {
    if (this.#savingCount > 0) return
    if (this.#waitsInitially || (this.#pendingMembers.size > 0 && this.#members.size > 0)) return
    for (const member of this.#members.values()) if (member.joinWaiting === null) return
    this.#completeJoin()
  }

  #completeJoin(): void {
    this.#isJoinOverdue = this.#savingCount > 0
    if (this.#isJoinOverdue) return
    this.#waitsInitially = false
    this.#joinTimer?.cancel()
    this.#joinTimer = null
    if (this.#state !== 'PreparingRebalance') return
    for (const member of [...this.#members.values()]) {
      // A static member that did not come back in time keeps its place until its session ends.
      if (member.joinWaiting === null && member.groupInstanceId === null) this.#remove(member)
    }
    if (this.#members.size === 0) {
      this.#generationId += 1
      this.#becomeEmpty()
      return
    }
    if (!this.#electJoinedLeader()) {
      this.#startJoinTimer(this.#rebalanceTimeoutMs(), () => this.#completeJoin())
      return
    }
    this.#generationId += 1
    this.#protocolName = selectProtocol([...this.#members.values()])
    this.#state = 'CompletingRebalance'
    for (const member of this.#members.values()) {
      const respond = member.joinWaiting
      member.joinWaiting = null
      member.isNew = false
      this.#touch(member)
      this.#pendingSync.add(member.memberId)
      respond?.(this.#joinOk(member))
    }
    this.#startSyncTimer()
  }

  /** Members that join and then never sync would hold the others for ever, so they are dropped. */
  #startSyncTimer(): void {
    const generationId = this.#generationId
    this.#syncTimer?.cancel()
    this.#syncTimer = this.#options.clock.after(this.#rebalanceTimeoutMs(), () => {
      this.#syncTimer = null
      if (this.#generationId !== generationId || this.#pendingSync.size === 0) return
      if (this.#state !== 'CompletingRebalance' && this.#state !== 'Stable') return
      for (const memberId of [...this.#pendingSync]) {
        const member = this.#members.get(memberId)
        if (member !== undefined) this.#remove(member)
      }
      this.#rebalance()
    })
  }

  /** True when the leader takes part in this generation, after electing one if need be. */
  #electJoinedLeader(): boolean {
    const leader = this.#leaderId === null ? undefined : this.#members.get(this.#leaderId)
    if (leader?.joinWaiting != null) return true
    for (const member of this.#members.values()) {
      if (member.joinWaiting !== null) {
        this.#leaderId = member.memberId
        return true
      }
    }
    return false
  }

  #takeAssignment(request: SyncRequest): void {
    const byMember = new Map(request.assignments.map((entry) => [entry.memberId, entry.assignment]))
    const generationId = this.#generationId
    const isCurrent = () => this.#state === 'CompletingRebalance' && this.#generationId === generationId
    const persisted = this.#persisted((member) => byMember.get(member.memberId) ?? NO_BYTES)
    this.#save(persisted, {
      onSaved: () => {
        if (!isCurrent()) return
        this.#state = 'Stable'
        for (const member of this.#members.values()) {
          member.assignment = byMember.get(member.memberId) ?? NO_BYTES
          const respond = member.syncWaiting
          member.syncWaiting = null
          if (respond === null) continue
          this.#touch(member)
          respond(this.#syncOk(member))
        }
      },
      onFailed: () => {
        if (!isCurrent()) return
        this.#failSync(KAFKA_ERROR.NOT_COORDINATOR)
        this.#rebalance()
      },
    })
  }

  #failSync(errorCode: number): void {
    for (const member of this.#members.values()) {
      member.assignment = NO_BYTES
      const respond = member.syncWaiting
      member.syncWaiting = null
      respond?.(syncError(errorCode))
    }
  }

  #answerWaiting(member: GroupMember, errorCode: number): void {
    const { joinWaiting, syncWaiting } = member
    member.joinWaiting = null
    member.syncWaiting = null
    joinWaiting?.(joinError(member.memberId, errorCode))
    syncWaiting?.(syncError(errorCode))
  }

  #remove(member: GroupMember): void {
    this.#answerWaiting(member, KAFKA_ERROR.UNKNOWN_MEMBER_ID)
    this.#members.delete(member.memberId)
    this.#pendingSync.delete(member.memberId)
    if (member.groupInstanceId !== null) this.#staticMembers.delete(member.groupInstanceId)
    if (this.#leaderId === member.memberId) this.#leaderId = this.#members.keys().next().value ?? null
  }

  #removeAndRebalance(member: GroupMember): void {
    this.#remove(member)
    if (this.#state !== 'Empty' && this.#state !== 'Dead') this.#rebalance()
  }

  #becomeEmpty(): void {
    this.#state = 'Empty'
    this.#emptySinceMs = this.#options.clock.wallMs()
    this.#protocolName = null
    this.#leaderId = null
    this.#syncTimer?.cancel()
    this.#save(this.#persisted(), {})
  }

  /** Gives a member another full session, or `forMs`. */
  #touch(member: GroupMember, forMs: number = member.sessionTimeoutMs): void {
    member.expiresAtMs = this.#options.clock.monotonicMs() + forMs
    this.#sessions.wakeBy(member.expiresAtMs)
  }

  #expire(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const [memberId, deadlineMs] of this.#pendingMembers) {
      if (deadlineMs <= nowMs) this.#pendingMembers.delete(memberId)
    }
    for (const member of [...this.#members.values()]) {
      if (member.expiresAtMs > nowMs || !this.#members.has(member.memberId)) continue
      // A member that waits for our answer is alive as far as we can tell, except in its very first join.
      const waitsForUs = member.joinWaiting !== null || member.syncWaiting !== null
      if (waitsForUs && !member.isNew) member.expiresAtMs = nowMs + member.sessionTimeoutMs
      else this.#removeAndRebalance(member)
    }
    if (this.#state === 'PreparingRebalance') this.#tryCompleteJoin()
    let nextMs = Number.POSITIVE_INFINITY
    for (const deadlineMs of this.#pendingMembers.values()) nextMs = Math.min(nextMs, deadlineMs)
    for (const member of this.#members.values()) nextMs = Math.min(nextMs, member.expiresAtMs)
    if (nextMs < Number.POSITIVE_INFINITY && this.#state !== 'Dead') this.#sessions.wakeBy(nextMs)
  }

  #syncError(request: SyncRequest): number {
    if (this.#state === 'Dead') return KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE
    const memberError = this.#memberError(request.memberId, request.groupInstanceId)
    if (memberError !== KAFKA_ERROR.NONE) return memberError
    if (request.generationId !== this.#generationId) return KAFKA_ERROR.ILLEGAL_GENERATION
    const { protocolType, protocolName } = request
    if (protocolType !== null && protocolType !== this.#protocolType) {
      return KAFKA_ERROR.INCONSISTENT_GROUP_PROTOCOL
    }
    if (protocolName !== null && protocolName !== this.#protocolName) {
      return KAFKA_ERROR.INCONSISTENT_GROUP_PROTOCOL
    }
    if (this.#state === 'Empty') return KAFKA_ERROR.UNKNOWN_MEMBER_ID
    if (this.#state === 'PreparingRebalance') return KAFKA_ERROR.REBALANCE_IN_PROGRESS
    return KAFKA_ERROR.NONE
  }

  #memberError(memberId: string, groupInstanceId: string | null): number {
    if (groupInstanceId !== null) {
      const current = this.#staticMembers.get(groupInstanceId)
      if (current === undefined) return KAFKA_ERROR.UNKNOWN_MEMBER_ID
      if (current !== memberId) return KAFKA_ERROR.FENCED_INSTANCE_ID
    }
    return this.#members.has(memberId) ? KAFKA_ERROR.NONE : KAFKA_ERROR.UNKNOWN_MEMBER_ID
  }

  #supportsProtocols(protocolType: string, protocols: readonly GroupProtocol[]): boolean {
    if (protocolType === '' || protocols.length === 0) return false
    if (this.#members.size === 0) return true
    if (protocolType !== this.#protocolType) return false
    const common = commonProtocols(this.#members.values())
    return protocols.some((protocol) => common.has(protocol.name))
  }

  #hasRoomFor(memberId: string, groupInstanceId: string | null): boolean {
    if (this.#members.has(memberId) || this.#pendingMembers.has(memberId)) return true
    if (groupInstanceId !== null && this.#staticMembers.has(groupInstanceId)) return true
    return this.#members.size + this.#pendingMembers.size < this.#options.membersMax
  }

  #rebalanceTimeoutMs(): number {
    let longestMs = 0
    for (const member of this.#members.values()) longestMs = Math.max(longestMs, member.rebalanceTimeoutMs)
    return longestMs
  }

  #joinOk(member: GroupMember): JoinResult {
    const isLeader = member.memberId === this.#leaderId
    const members = isLeader
      ? Array.from(this.#members.values(), (each) => ({
          memberId: each.memberId,
          groupInstanceId: each.groupInstanceId,
          metadata: metadataFor(each, this.#protocolName),
        }))
      : []
    return {
      errorCode: KAFKA_ERROR.NONE,
      generationId: this.#generationId,
      protocolType: this.#protocolType,
      protocolName: this.#protocolName,
      leader: this.#leaderId ?? '',
      skipAssignment: false,
      memberId: member.memberId,
      members,
    }
  }

  #syncOk(member: GroupMember) {
    return {
      errorCode: KAFKA_ERROR.NONE,
      protocolType: this.#protocolType,
      protocolName: this.#protocolName,
      assignment: member.assignment,
    }
  }

  #persisted(assignmentOf: (member: GroupMember) => Buffer = (member) => member.assignment): PersistedGroup {
    return {
      groupId: this.id,
      protocolType: this.#protocolType ?? '',
      generationId: this.#generationId,
      protocolName: this.#protocolName,
      leaderId: this.#leaderId,
      stateTimestampMs: this.#options.clock.wallMs(),
      members: Array.from(this.#members.values(), (member) =>
        memberToSave(member, this.#protocolName, assignmentOf(member)),
      ),
    }
  }
}
