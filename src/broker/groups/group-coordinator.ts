/**
 * All consumer groups of the broker: finds or makes the group a request is for, checks what does not depend on its state,
 * and keeps its offsets. The rules of one group are in `group.ts`, the durable part in `offset-store.ts`.
 */

import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { BrokerOptions } from '../broker-options.ts'
import { Group } from './group.ts'
import type { JoinRequest, JoinResult, SyncRequest, SyncResult } from './group-member.ts'
import { joinError, syncError } from './group-member.ts'
import type { OffsetStore, OffsetToCommit, StagingProducer } from './offset-store.ts'

export interface GroupCoordinatorOptions {
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  readonly options: BrokerOptions
  readonly offsets: OffsetStore
}

/** Who commits offsets: a member of a generation, or nobody (generation -1) in a group without members. */
export interface OffsetSender {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generationId: number
}

/** Kafka gives a member's first join up to five minutes. */
const NEW_MEMBER_JOIN_MS_MAX = 300_000

export class GroupCoordinator {
  readonly #deps: GroupCoordinatorOptions
  readonly #groups = new Map<string, Group>()
  #stopped = false

  /** Takes up the groups that the offset store found on disk. */
  constructor(deps: GroupCoordinatorOptions) {
    this.#deps = deps
    for (const saved of deps.offsets.savedGroups) this.#make(saved.groupId).restore(saved)
    for (const groupId of deps.offsets.groupIds) if (!this.#groups.has(groupId)) this.#make(groupId)
  }

  get groups(): Iterable<Group> {
    return this.#groups.values()
  }

  get groupCount(): number {
    return this.#groups.size
  }

  find(groupId: string): Group | undefined {
    return this.#groups.get(groupId)
  }

  /** JoinGroup. Resolves at once on an error, otherwise when the generation is complete. */
  join(groupId: string, request: JoinRequest): Promise<JoinResult> {
    const { options } = this.#deps
    const errorCode = this.#checkJoin(groupId, request)
    if (errorCode !== KAFKA_ERROR.NONE) return Promise.resolve(joinError(request.memberId, errorCode))
    let group = this.#groups.get(groupId)
    if (group === undefined) {
      if (request.memberId !== '') {
        return Promise.resolve(joinError(request.memberId, KAFKA_ERROR.UNKNOWN_MEMBER_ID))
      }
      if (this.#groups.size >= options.groupsMax) {
        return Promise.resolve(joinError(request.memberId, KAFKA_ERROR.GROUP_MAX_SIZE_REACHED))
      }
      group = this.#make(groupId)
    }
    const joined = group
    return new Promise((resolve) => joined.join(request, resolve))
  }

  /** SyncGroup. Resolves when the leader's assignment is durable. */
  sync(groupId: string, request: SyncRequest): Promise<SyncResult> {
    const group = this.#groups.get(groupId)
    if (group === undefined) {
      const errorCode = this.#idError(groupId) || KAFKA_ERROR.UNKNOWN_MEMBER_ID
      return Promise.resolve(syncError(errorCode))
    }
    return new Promise((resolve) => group.sync(request, resolve))
  }

  heartbeat(
    groupId: string,
    request: { memberId: string; groupInstanceId: string | null; generationId: number },
  ): number {
    const errorCode = this.#idError(groupId)
    if (errorCode !== KAFKA_ERROR.NONE) return errorCode
    return this.#groups.get(groupId)?.heartbeat(request) ?? KAFKA_ERROR.UNKNOWN_MEMBER_ID
  }

  leave(groupId: string, request: { memberId: string; groupInstanceId: string | null }): number {
    const errorCode = this.#idError(groupId)
    if (errorCode !== KAFKA_ERROR.NONE) return errorCode
    return this.#groups.get(groupId)?.leave(request) ?? KAFKA_ERROR.UNKNOWN_MEMBER_ID
  }

  /** OffsetCommit: the error code for all its partitions, once the offsets are durable. */
  commit(groupId: string, sender: OffsetSender, offsets: readonly OffsetToCommit[]): Promise<number> {
    const found = this.#groupToCommit(groupId, sender)
    const errorCode = typeof found === 'number' ? found : found.checkCommit(sender)
    if (errorCode !== KAFKA_ERROR.NONE) return Promise.resolve(errorCode)
    return this.#stored(groupId, this.#deps.offsets.commit(groupId, offsets))
  }

  /** TxnOffsetCommit, of a producer whose transaction takes offsets: as `commit`, but the offsets count when it commits. */
  stage(
    groupId: string,
    sender: OffsetSender,
    producer: StagingProducer,
    offsets: readonly OffsetToCommit[],
  ): Promise<number> {
    const found = this.#groupToCommit(groupId, sender)
    const errorCode = typeof found === 'number' ? found : found.checkTransactionalCommit(sender)
    if (errorCode !== KAFKA_ERROR.NONE) return Promise.resolve(errorCode)
    return this.#stored(groupId, this.#deps.offsets.stage(producer, groupId, offsets))
  }

  /** DeleteGroups: only a group without members goes, with its offsets. */
  async delete(groupId: string): Promise<number> {
    const errorCode = this.#idError(groupId)
    if (errorCode !== KAFKA_ERROR.NONE) return errorCode
    const group = this.#groups.get(groupId)
    if (group === undefined) return KAFKA_ERROR.GROUP_ID_NOT_FOUND
    if (!group.isEmpty) return KAFKA_ERROR.NON_EMPTY_GROUP
    await this.#forget(group)
    return KAFKA_ERROR.NONE
  }

  /**
   * Drops groups that have neither members nor offsets, and those whose offsets are too old: counted from the last commit, or
   * from when the last member left (KIP-211), as a group may long have had nothing to commit and be about to come back.
   */
  async expire(nowMs: number): Promise<void> {
    const { offsets, options } = this.#deps
    for (const group of [...this.#groups.values()]) {
      // While the one before it was forgotten, another may have taken its name.
      if (!group.isEmpty || this.#groups.get(group.id) !== group) continue
      const lastUsedMs = Math.max(offsets.lastCommitMs(group.id), group.emptySinceMs)
      const isOld = nowMs - lastUsedMs >= options.offsetsRetentionMs
      if (isOld || !offsets.hasOffsets(group.id)) await this.#forget(group)
    }
  }

  /** Answers everyone who waits; nothing more is taken. */
  stop(): void {
    this.#stopped = true
    for (const group of this.#groups.values()) group.kill()
  }

  /** The group that an offset is for, made when it is not there, or the error code. */
  #groupToCommit(groupId: string, sender: OffsetSender): Group | number {
    // An old consumer without a group id may commit under the empty one (Kafka allows it).
    if (this.#stopped) return KAFKA_ERROR.NOT_COORDINATOR
    const group = this.#groups.get(groupId)
    if (group !== undefined) return group
    // A commit outside any generation makes a group that only has offsets.
    if (sender.generationId >= 0) return KAFKA_ERROR.ILLEGAL_GENERATION
    if (this.#groups.size >= this.#deps.options.groupsMax) return KAFKA_ERROR.GROUP_MAX_SIZE_REACHED
    return this.#make(groupId)
  }

  async #stored(groupId: string, durable: Promise<void>): Promise<number> {
    try {
      await durable
      return KAFKA_ERROR.NONE
    } catch (error) {
      this.#deps.diagnostics.error({ err: error, groupId }, 'an offset commit could not be made durable')
      return KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE
    }
  }

  async #forget(group: Group): Promise<void> {
    group.kill()
    this.#groups.delete(group.id)
    await this.#deps.offsets.deleteGroup(group.id)
  }

  #make(groupId: string): Group {
    const { clock, random, options, offsets } = this.#deps
    const group = new Group(groupId, {
      clock,
      newMemberId: (prefix) => `${prefix}-${uuid(random)}`,
      persist: (state) => offsets.saveGroup(state),
      initialRebalanceDelayMs: options.groupInitialRebalanceDelayMs,
      membersMax: options.groupMembersMax,
      newMemberJoinMsMax: NEW_MEMBER_JOIN_MS_MAX,
    })
    this.#groups.set(groupId, group)
    return group
  }

  #idError(groupId: string): number {
    if (this.#stopped) return KAFKA_ERROR.NOT_COORDINATOR
    return groupId === '' ? KAFKA_ERROR.INVALID_GROUP_ID : KAFKA_ERROR.NONE
  }

  #checkJoin(groupId: string, request: JoinRequest): number {
    const { options } = this.#deps
    const idError = this.#idError(groupId)
    if (idError !== KAFKA_ERROR.NONE) return idError
    const { sessionTimeoutMs } = request
    if (sessionTimeoutMs < options.groupSessionMsMin || sessionTimeoutMs > options.groupSessionMsMax) {
      return KAFKA_ERROR.INVALID_SESSION_TIMEOUT
    }
    let metadataBytes = 0
    for (const protocol of request.protocols) metadataBytes += protocol.metadata.length
    return metadataBytes > options.groupMemberBytesMax ? KAFKA_ERROR.GROUP_MAX_SIZE_REACHED : KAFKA_ERROR.NONE
  }
}

/** A random (version 4) UUID in its usual text form. */
function uuid(random: Random): string {
  const bytes = random.bytes(16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
