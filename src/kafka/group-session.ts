/**
 * One member's conversation with its group's coordinator in the classic protocol: join, sync, heartbeat, leave. It holds
 * the member's identity (member id, generation) and changes it only by what the coordinator answers; when to do what is
 * `group-member.ts`'s business.
 *
 * Member ids are kept over failures that leave the membership open, so that a lost answer does not leave a ghost member
 * behind for everybody to wait for.
 */

import { isFailure } from '../core/errors.ts'
import { joinGroupApi } from '../wire/11-join-group.ts'
import { heartbeatApi } from '../wire/12-heartbeat.ts'
import { leaveGroupApi } from '../wire/13-leave-group.ts'
import { syncGroupApi } from '../wire/14-sync-group.ts'
import type { AnyApi, RequestInputOf, ResponseOf } from '../wire/api.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { AssignedTopic, Assignments } from './assignors.ts'
import type { KafkaCluster } from './cluster.ts'
import {
  CONSUMER_PROTOCOL_TYPE,
  decodeAssignment,
  encodeAssignment,
  encodeSubscription,
} from './consumer-protocol.ts'
import {
  isConnectionFailure,
  isStaleCoordinatorCode,
  kafkaErrorCodeOf,
  throwOnKafkaError,
} from './kafka-errors.ts'

export interface GroupSessionOptions {
  readonly groupId: string
  readonly groupInstanceId: string | null
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** The assignor voted for. */
  readonly protocolName: string
}

/** A member as the leader sees it. */
export interface JoinedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Buffer
}

/** The outcome of a join: the members, for the leader only. */
export interface Joined {
  readonly isLeader: boolean
  readonly protocolName: string | null
  readonly members: readonly JoinedMember[]
}

/** What the coordinator allows on top of the time it waits itself. */
const ANSWER_MARGIN_MS = 5_000
/** A coordinator that hands out member ids one after the other is not going to stop. */
const JOIN_ATTEMPTS_MAX = 3

export class GroupSession {
  readonly #cluster: KafkaCluster
  readonly #options: GroupSessionOptions
  readonly #lane: string
  #memberId = ''
  #generationId = -1

  constructor(cluster: KafkaCluster, options: GroupSessionOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#lane = cluster.openLane('group')
  }

  /** Given by the coordinator; empty before the first join. */
  get memberId(): string {
    return this.#memberId
  }

  /** -1 while outside of any generation. */
  get generationId(): number {
    return this.#generationId
  }

  get lane(): string {
    return this.#lane
  }

  /** Enters the next generation. Waits, at the coordinator, until all members are there. */
  async join(subscription: { topics: readonly string[]; owned: readonly AssignedTopic[] }): Promise<Joined> {
    const { groupId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocolName } = this.#options
    const metadata = encodeSubscription({
      topics: subscription.topics,
      ownedPartitions: subscription.owned,
      generationId: this.#generationId,
    })
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#request(
        joinGroupApi,
        {
          groupId,
          groupInstanceId,
          sessionTimeoutMs,
          rebalanceTimeoutMs,
          memberId: this.#memberId,
          protocolType: CONSUMER_PROTOCOL_TYPE,
          protocols: [{ name: protocolName, metadata }],
        },
        rebalanceTimeoutMs + ANSWER_MARGIN_MS,
      )
      // The coordinator wants the id to be known to us before it counts us in (KIP-394).
      if (answer.errorCode === KAFKA_ERROR.MEMBER_ID_REQUIRED && attempt < JOIN_ATTEMPTS_MAX) {
        this.#memberId = answer.memberId
        continue
      }
      this.#throwOnError('JoinGroup', answer.errorCode)
      this.#memberId = answer.memberId
      this.#generationId = answer.generationId
      const isLeader = answer.leader === answer.memberId && !answer.skipAssignment
      return { isLeader, protocolName: answer.protocolName, members: isLeader ? answer.members : [] }
    }
  }

  /** Learns the own assignment; the leader brings everybody's. */
  async sync(assignments: Assignments): Promise<readonly AssignedTopic[]> {
    const { groupId, groupInstanceId, rebalanceTimeoutMs, protocolName } = this.#options
    const answer = await this.#request(
      syncGroupApi,
      {
        groupId,
        groupInstanceId,
        generationId: this.#generationId,
        memberId: this.#memberId,
        protocolType: CONSUMER_PROTOCOL_TYPE,
        protocolName,
        assignments: Array.from(assignments, ([memberId, assignedPartitions]) => ({
          memberId,
          assignment: encodeAssignment({ assignedPartitions }),
        })),
      },
      rebalanceTimeoutMs + ANSWER_MARGIN_MS,
    )
    this.#throwOnError('SyncGroup', answer.errorCode)
    return decodeAssignment(answer.assignment).assignedPartitions
  }

  /** Says that the member lives. Throws REBALANCE_IN_PROGRESS when it is time to join again. */
  async heartbeat(timeoutMs: number): Promise<void> {
    const { groupId, groupInstanceId } = this.#options
    const answer = await this.#request(
      heartbeatApi,
      { groupId, groupInstanceId, generationId: this.#generationId, memberId: this.#memberId },
      timeoutMs,
    )
    this.#throwOnError('Heartbeat', answer.errorCode)
  }

  /** Gives the partitions back at once instead of after the session timeout. */
  async leave(timeoutMs: number): Promise<void> {
    const { groupId, groupInstanceId } = this.#options
    const memberId = this.#memberId
    this.forgetMembership()
    if (memberId === '') return
    const answer = await this.#cluster.request(
      leaveGroupApi,
      { groupId, memberId, members: [{ memberId, groupInstanceId, reason: 'the member is stopping' }] },
      { coordinator: groupId },
      { timeoutMs },
    )
    throwOnKafkaError('LeaveGroup', answer.errorCode, { groupId })
  }

  /** The generation is over for this member; the coordinator may still know its id. */
  leaveGeneration(): void {
    this.#generationId = -1
  }

  /** The coordinator knows nothing of this member, or another has its place. */
  forgetMembership(): void {
    this.#memberId = ''
    this.#generationId = -1
  }

  /** Breaks off whatever is under way: a join may be waiting for others for a long time. */
  async close(): Promise<void> {
    await this.#cluster.closeLane(this.#lane)
  }

  async #request<A extends AnyApi>(
    api: A,
    value: RequestInputOf<A>,
    timeoutMs: number,
  ): Promise<ResponseOf<A>> {
    const { groupId } = this.#options
    try {
      return await this.#cluster.request(
        api,
        value,
        { coordinator: groupId },
        { lane: this.#lane, timeoutMs },
      )
    } catch (error) {
      if (isConnectionFailure(error)) this.#cluster.forgetCoordinator(groupId)
      throw error
    }
  }

  #throwOnError(operation: string, errorCode: number): void {
    const { groupId } = this.#options
    if (isStaleCoordinatorCode(errorCode)) this.#cluster.forgetCoordinator(groupId)
    throwOnKafkaError(operation, errorCode, {
      groupId,
      memberId: this.#memberId,
      generationId: this.#generationId,
    })
  }
}

/** What an answer means for a membership. */
export type GroupVerdict = 'join again' | 'generation lost' | 'member lost' | 'fatal' | 'passing'

/** Reads a failed request to the coordinator. */
export function judgeGroupFailure(error: unknown): GroupVerdict {
  switch (kafkaErrorCodeOf(error)) {
    case null:
      return isConnectionFailure(error) ? 'passing' : 'fatal'
    case KAFKA_ERROR.REBALANCE_IN_PROGRESS:
      return 'join again'
    case KAFKA_ERROR.ILLEGAL_GENERATION:
      return 'generation lost'
    case KAFKA_ERROR.UNKNOWN_MEMBER_ID:
    case KAFKA_ERROR.MEMBER_ID_REQUIRED:
      return 'member lost'
    case KAFKA_ERROR.UNKNOWN_SERVER_ERROR:
    case KAFKA_ERROR.GROUP_MAX_SIZE_REACHED:
      return 'passing'
    default:
      return isFailure(error) && error.retriable ? 'passing' : 'fatal'
  }
}
