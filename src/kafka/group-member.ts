/**
 * A member of a consumer group in the classic protocol, with the standard consumer bytes, so that any Kafka tool can
 * describe the group and any Kafka client can share it.
 *
 * The life of a member, over and over: learn which topics match, join (the coordinator waits for all members), as leader
 * assign, sync, hand the assignment to the caller, send heartbeats until something changes, take it all back, join again.
 *
 * Promises:
 * - `onRevoked` is awaited before joining again, and commits are still accepted meanwhile: nobody else is given the
 *   partitions before it is done, or before the rebalance timeout has passed.
 * - When the partitions are lost instead (the group went on without us), `onLost` is called and a commit fails.
 * - A commit is refused, here, for a partition that is not assigned, and for a generation that is over: work that
 *   finishes late cannot overwrite what the new owner has committed.
 * - A topic that appears and matches is assigned within about `topicsPollMs` plus one rebalance.
 *
 * Rebalances are eager: everything is given back each time. With the sticky assignor nearly everything comes back.
 */

import { strict as assert } from 'node:assert'
import type { PartitionId } from '../core/brands.ts'
import { asPartitionId } from '../core/brands.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { AssignedTopic, Assignments, AssignorMember, AssignorName } from './assignors.ts'
import { ASSIGNORS } from './assignors.ts'
import { backoffMs } from './backoff.ts'
import type { KafkaCluster } from './cluster.ts'
import { decodeSubscription } from './consumer-protocol.ts'
import type {
  CommittedOffset,
  CommittedOffsetsOptions,
  GroupRequestOptions,
  OffsetToCommit,
} from './group-offsets.ts'
import { commitOffsets, fetchCommittedOffsets } from './group-offsets.ts'
import type { GroupVerdict, JoinedMember } from './group-session.ts'
import { GroupSession, judgeGroupFailure } from './group-session.ts'
import { KafkaResponseError } from './kafka-errors.ts'
import type { TopicSelection } from './topic-subscription.ts'
import { partitionCountsOf, sameCounts, sameList, TopicSubscription } from './topic-subscription.ts'

export interface GroupMemberOptions {
  readonly groupId: string
  /** The topics to read. A function is asked again on every poll of the topics, and must be pure. */
  readonly topics: TopicSelection
  /** Makes the member static (KIP-345): a restart within the session timeout keeps its partitions, and `stop` does not leave. */
  readonly groupInstanceId?: string
  /** Without a heartbeat for so long the member is out. Default 10,000; the broker has bounds of its own. */
  readonly sessionTimeoutMs?: number
  /** How long a rebalance waits for a member, which has to finish `onRevoked` within it. Default 30,000. */
  readonly rebalanceTimeoutMs?: number
  /** Default 500. Also how soon this member notices that others came or went. */
  readonly heartbeatIntervalMs?: number
  /** How often the cluster's topics are looked at. Default 500. */
  readonly topicsPollMs?: number
  /** All members of a group must use the same. Default `sticky`. */
  readonly assignor?: AssignorName
}

export interface AssignedPartition {
  readonly topic: string
  readonly partition: PartitionId
}

export interface GroupHandlers {
  /** These partitions, and no others, are this member's now. An empty list is told as well. */
  readonly onAssigned: (
    partitions: readonly AssignedPartition[],
    generationId: number,
  ) => void | Promise<void>
  /** The partitions are about to be given back: finish or drop what is under way, and commit. A rejection is reported, no more. */
  readonly onRevoked: (partitions: readonly AssignedPartition[]) => void | Promise<void>
  /** The partitions are gone already; others may be reading them. Nothing can be committed. */
  readonly onLost: (partitions: readonly AssignedPartition[]) => void | Promise<void>
  /** The member has stopped for a reason that will not pass: not authorised, fenced by a namesake, no shared assignor. */
  readonly onFailed?: (error: Error) => void
}

/** Who this member is in its group right now: what a transaction needs to commit positions in its name. */
export interface GroupGeneration {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export interface GroupMemberStatus {
  readonly state: 'stopped' | 'joining' | 'stable' | 'revoking' | 'failed'
  readonly memberId: string
  readonly generationId: number
  readonly isLeader: boolean
  readonly topics: readonly string[]
  readonly assignment: readonly AssignedPartition[]
}

const DEFAULTS = {
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 30_000,
  heartbeatIntervalMs: 500,
  topicsPollMs: 500,
  assignor: 'sticky',
} as const

/** Time for the goodbye: it only saves the others the session timeout. */
const LEAVE_MS_MAX = 3_000

/** Why a generation ends, from this member's side. */
type Ending = Exclude<GroupVerdict, 'passing'> | 'stop'

export class GroupMember {
  readonly #cluster: KafkaCluster
  readonly #options: GroupMemberOptions & Required<Pick<GroupMemberOptions, keyof typeof DEFAULTS>>
  readonly #session: GroupSession
  readonly #subscription: TopicSubscription
  readonly #stopping = new AbortController()
  #isStarted = false
  #running: Promise<void> = Promise.resolve()
  #state: GroupMemberStatus['state'] = 'stopped'
  #topics: readonly string[] = []
  /** As leader: the counts that the assignment was made from, of all members' topics. */
  #leaderCounts: { readonly topics: readonly string[]; readonly counts: ReadonlyMap<string, number> } | null =
    null
  #assignment: readonly AssignedPartition[] = []
  /** From the assignment until it is given back or lost: positions may be committed. */
  #isOwner = false
  /** What this member had last, which the sticky assignor lets it keep. */
  #lastAssignment: readonly AssignedPartition[] = []
  /** When the session that the coordinator last confirmed began at the earliest, on the monotonic clock. */
  #confirmedAtMs = 0
  /** What a heartbeat was told that ends the membership for good. */
  #fatalError: Error | null = null
  /** Settles with the first reason to end the current generation. */
  #ending = Promise.withResolvers<Ending>()

  constructor(cluster: KafkaCluster, options: GroupMemberOptions) {
    this.#cluster = cluster
    this.#options = { ...DEFAULTS, ...options }
    this.#subscription = new TopicSubscription(cluster, options.topics)
    this.#session = new GroupSession(cluster, {
      groupId: options.groupId,
      groupInstanceId: options.groupInstanceId ?? null,
      sessionTimeoutMs: this.#options.sessionTimeoutMs,
      rebalanceTimeoutMs: this.#options.rebalanceTimeoutMs,
      protocolName: this.#options.assignor,
    })
  }

  /** Begins the member's life; the handlers tell the rest. Once only. */
  start(handlers: GroupHandlers): void {
    assert(!this.#isStarted, 'a group member is started once')
    this.#isStarted = true
    this.#running = this.#run(handlers)
    void this.#watchTopics()
  }

  status(): GroupMemberStatus {
    return {
      state: this.#state,
      memberId: this.#session.memberId,
      generationId: this.#session.generationId,
      isLeader: this.#leaderCounts !== null,
      topics: this.#topics,
      assignment: this.#assignment,
    }
  }

  /** For `TransactionalProducer.sendOffsets`; null while this member owns nothing: before it is assigned, and after a loss. */
  generation(): GroupGeneration | null {
    const { groupId, groupInstanceId = null } = this.#options
    const { memberId, generationId } = this.#session
    return this.#isOwner && generationId >= 0 ? { groupId, generationId, memberId, groupInstanceId } : null
  }

  /**
   * Commits for the current generation, or only if `generation` (which `generation()` gave) still is the current one. Throws
   * GS_KAFKA_RESPONSE; ILLEGAL_GENERATION also when this member knows by itself that a partition is not, or no longer, its own.
   */
  async commit(
    offsets: readonly OffsetToCommit[],
    options: GroupRequestOptions & { readonly generation?: GroupGeneration } = {},
  ): Promise<void> {
    const { groupId, groupInstanceId = null } = this.#options
    const { memberId, generationId, lane } = this.#session
    const identity = { groupId, groupInstanceId, memberId, generationId }
    this.#throwUnlessOwned(offsets, options.generation ?? identity)
    // The answer may come when this generation is over; it says nothing of the next.
    const ending = this.#ending
    try {
      await commitOffsets(this.#cluster, identity, offsets, { ...options, lane })
    } catch (error) {
      const verdict = judgeGroupFailure(error)
      // Other refusals (metadata too long, topic not authorised) are about the commit, not about the membership.
      if (verdict !== 'passing' && verdict !== 'fatal') ending.resolve(verdict)
      throw error
    }
  }

  /**
   * What the group has committed; offset -1 where nothing was. Positions that a transaction is about to commit are waited
   * for, so that work which is already done is not done again.
   */
  committed(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
    options: CommittedOffsetsOptions = {},
  ): Promise<CommittedOffset[]> {
    const { lane } = this.#session
    return fetchCommittedOffsets(this.#cluster, this.#options.groupId, partitions, {
      requireStable: true,
      ...options,
      lane,
    })
  }

  /** Gives the partitions back (`onRevoked` is awaited), leaves the group unless static, and closes the connections. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#ending.resolve('stop')
    // A join waits at the coordinator for the other members; it is not worth waiting for.
    if (this.#state === 'joining') await this.#session.close()
    await this.#running
    if (this.#options.groupInstanceId === undefined) {
      await this.#session
        .leave(LEAVE_MS_MAX)
        .catch((error: unknown) => this.#cluster.diagnostics.debug({ error }, 'could not leave the group'))
    }
    await this.#session.close()
    if (this.#state !== 'failed') this.#state = 'stopped'
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /** One generation after the other. Never rejects. */
  async #run(handlers: GroupHandlers): Promise<void> {
    let failureCount = 0
    while (!this.#isStopping) {
      this.#state = 'joining'
      let ending: Ending | 'passing'
      try {
        await this.#enterGeneration()
        // Stopped in the same moment: nothing was handed out, so there is nothing to take back.
        if (this.#isStopping) return
        ending = await this.#spendGeneration(handlers)
        failureCount = 0
      } catch (error) {
        if (this.#isStopping) return
        ending = judgeGroupFailure(error)
        if (ending === 'fatal') {
          this.#fail(handlers, error as Error)
          return
        }
        failureCount++
        this.#cluster.diagnostics.debug(
          { groupId: this.#options.groupId, ending, error },
          'joining the group failed',
        )
        // A new member id or generation is worth asking for at once; what goes on failing is not.
        if (ending === 'passing' || failureCount > 1) await this.#pause(failureCount)
      }
      if (ending === 'fatal') {
        // Set by the heartbeat that ended the generation so.
        this.#fail(handlers, this.#fatalError as Error)
        return
      }
      if (ending === 'member lost') this.#session.forgetMembership()
      if (ending === 'generation lost') this.#session.leaveGeneration()
    }
  }

  /** Joins and syncs; when it returns, the assignment is this member's. */
  async #enterGeneration(): Promise<void> {
    this.#ending = Promise.withResolvers<Ending>()
    if (this.#isStopping) this.#ending.resolve('stop')
    this.#topics = await this.#subscription.current()
    const joined = await this.#session.join({
      topics: this.#topics,
      owned: groupByTopic(this.#lastAssignment),
    })
    this.#confirmedAtMs = this.#cluster.clock.monotonicMs()
    this.#leaderCounts = null
    const assigned = await this.#session.sync(
      joined.isLeader ? await this.#assign(joined.members) : new Map(),
    )
    this.#confirmedAtMs = this.#cluster.clock.monotonicMs()
    this.#assignment = assigned.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition: asPartitionId(partition) })),
    )
    this.#lastAssignment = this.#assignment
  }

  /** The leader's work: what every member gets, from what the cluster has at this moment. */
  async #assign(joined: readonly JoinedMember[]): Promise<Assignments> {
    const members = joined.map((member) => this.#readMember(member))
    const topics = [...new Set(members.flatMap((member) => member.topics))]
    const snapshot = await this.#cluster.refreshMetadata(topics)
    const counts = partitionCountsOf(snapshot, topics)
    this.#leaderCounts = { topics, counts }
    return ASSIGNORS[this.#options.assignor](members, counts)
  }

  /** A member whose words cannot be read gets nothing, rather than stopping the whole group. */
  #readMember({ memberId, groupInstanceId, metadata }: JoinedMember): AssignorMember {
    try {
      return { memberId, groupInstanceId, ...decodeSubscription(metadata) }
    } catch (error) {
      const { groupId } = this.#options
      this.#cluster.diagnostics.warn(
        { groupId, memberId, error },
        'a group member sent an unreadable subscription',
      )
      return { memberId, groupInstanceId, topics: [], ownedPartitions: [], generationId: -1 }
    }
  }

  /** From the assignment to the end of the revocation, with heartbeats throughout. Says why it ended. */
  async #spendGeneration(handlers: GroupHandlers): Promise<Ending> {
    const beating = new AbortController()
    const heartbeats = this.#beat(beating.signal)
    const assignment = this.#assignment
    const { generationId } = this.#session
    this.#state = 'stable'
    this.#isOwner = true
    if (!(await this.#tell('onAssigned', () => handlers.onAssigned(assignment, generationId)))) {
      await this.#pause(1)
      this.#ending.resolve('join again')
    }
    const ending = await this.#ending.promise
    this.#state = 'revoking'
    if (ending === 'join again' || ending === 'stop') {
      await this.#tell('onRevoked', () => handlers.onRevoked(assignment))
    } else {
      this.#lastAssignment = []
      // From here on a commit is refused, before anybody acts on the news.
      this.#assignment = []
      this.#isOwner = false
      await this.#tell('onLost', () => handlers.onLost(assignment))
    }
    this.#assignment = []
    this.#isOwner = false
    beating.abort()
    await heartbeats
    return ending
  }

  /** Heartbeats until told otherwise, or until the membership is over. Never rejects. */
  async #beat(signal: AbortSignal): Promise<void> {
    const { clock } = this.#cluster
    const { heartbeatIntervalMs, sessionTimeoutMs } = this.#options
    for (;;) {
      await clock.sleep(heartbeatIntervalMs, signal).catch(() => {})
      if (signal.aborted) return
      // The coordinator counts from when it gets the heartbeat, so a late answer must not lengthen the session for us.
      const sentAtMs = clock.monotonicMs()
      const leftMs = this.#confirmedAtMs + sessionTimeoutMs - sentAtMs
      if (leftMs <= 0) {
        // The coordinator has long given our partitions to others, whether we can reach it or not.
        this.#ending.resolve('generation lost')
        return
      }
      try {
        await this.#session.heartbeat(leftMs)
        this.#confirmedAtMs = sentAtMs
      } catch (error) {
        if (signal.aborted) return
        const verdict = judgeGroupFailure(error)
        if (verdict === 'fatal') this.#fatalError = error as Error
        if (verdict !== 'passing') this.#ending.resolve(verdict)
        // While a rebalance waits for us, heartbeats still count.
        if (verdict === 'join again') this.#confirmedAtMs = sentAtMs
        else if (verdict !== 'passing') return
      }
    }
  }

  /** Joins again when other topics match, or (as leader) when a topic has more partitions. Never rejects. */
  async #watchTopics(): Promise<void> {
    const { clock, diagnostics } = this.#cluster
    const { topicsPollMs, groupId } = this.#options
    const { signal } = this.#stopping
    for (;;) {
      await clock.sleep(topicsPollMs, signal).catch(() => {})
      if (signal.aborted) return
      if (this.#state !== 'stable') continue
      try {
        const ending = this.#ending
        const topics = await this.#subscription.current()
        const known = this.#leaderCounts
        const haveCountsChanged =
          known !== null && !sameCounts(partitionCountsOf(this.#cluster.snapshot, known.topics), known.counts)
        // Resolves the generation that was looked at, which may be over by now.
        if (haveCountsChanged || !sameList(topics, this.#topics)) ending.resolve('join again')
      } catch (error) {
        diagnostics.debug({ groupId, error }, "the cluster's topics could not be looked at")
      }
    }
  }

  #throwUnlessOwned(
    offsets: readonly OffsetToCommit[],
    { generationId, memberId }: Pick<GroupGeneration, 'generationId' | 'memberId'>,
  ): void {
    const current = this.#session.generationId
    const owned = new Set(this.#assignment.map(keyOf))
    const foreign = offsets.find((offset) => !owned.has(keyOf(offset)))
    // A group that was empty in between counts its generations anew, so the number alone does not name one.
    const isCurrent = generationId === current && memberId === this.#session.memberId
    if (foreign === undefined && isCurrent && current >= 0) return
    const { groupId } = this.#options
    throw new KafkaResponseError(
      'OffsetCommit',
      KAFKA_ERROR.ILLEGAL_GENERATION,
      {
        groupId,
        generationId,
        currentGenerationId: current,
        ...(foreign === undefined ? {} : { topic: foreign.topic, partition: foreign.partition }),
      },
      'refused by this member itself: the partition, or the generation, is no longer its own',
    )
  }

  /** Calls a handler; a failing one is reported and must not end the membership. Says whether it succeeded. */
  async #tell(handler: string, call: () => void | Promise<void>): Promise<boolean> {
    try {
      await call()
      return true
    } catch (error) {
      this.#cluster.diagnostics.error(
        { groupId: this.#options.groupId, handler, error },
        'a group handler failed',
      )
      return false
    }
  }

  #fail(handlers: GroupHandlers, error: Error): void {
    this.#state = 'failed'
    this.#stopping.abort()
    this.#cluster.diagnostics.error(
      { groupId: this.#options.groupId, error },
      'the group member stopped for good',
    )
    handlers.onFailed?.(error)
  }

  async #pause(failureCount: number): Promise<void> {
    const { clock, random, options } = this.#cluster
    await clock.sleep(backoffMs(options.backoff, failureCount, random), this.#stopping.signal).catch(() => {})
  }
}

function groupByTopic(assignment: readonly AssignedPartition[]): AssignedTopic[] {
  return Array.from(
    Map.groupBy(assignment, ({ topic }) => topic),
    ([topic, partitions]) => ({ topic, partitions: partitions.map(({ partition }) => partition) }),
  )
}

function keyOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic} ${partition}`
}
