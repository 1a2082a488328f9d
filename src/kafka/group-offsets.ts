/** Committed offsets of any group, read and written through its coordinator (OffsetFetch, OffsetCommit). */

import type { Offset, PartitionId } from '../core/brands.ts'
import { asOffset, asPartitionId } from '../core/brands.ts'
import { offsetCommitApi } from '../wire/08-offset-commit.ts'
import { offsetFetchApi } from '../wire/09-offset-fetch.ts'
import type { KafkaCluster } from './cluster.ts'
import { throwOnKafkaError } from './kafka-errors.ts'

export interface CommittedOffset {
  readonly topic: string
  readonly partition: PartitionId
  /** The next record to read; -1 when nothing was committed. */
  readonly offset: Offset
  readonly metadata: string | null
}

export interface OffsetToCommit {
  readonly topic: string
  readonly partition: number
  /** The next record to read. */
  readonly offset: number
  /** Free text kept with the offset. */
  readonly metadata?: string
}

/** On whose behalf offsets are committed. Without a member, the group must have none (a simple commit). */
export interface CommitIdentity {
  readonly groupId: string
  readonly generationId?: number
  readonly memberId?: string
  readonly groupInstanceId?: string | null
}

export interface GroupRequestOptions {
  readonly lane?: string
  /** Time for all attempts. Default: the cluster's `requestMsMax`. */
  readonly deadlineMs?: number
}

export interface CommittedOffsetsOptions extends GroupRequestOptions {
  /**
   * Waits for transactions that are about to commit positions of these partitions (KIP-447), so that a new owner never begins
   * before what the last one is still committing. Needs Kafka 2.5. Default false.
   */
  readonly requireStable?: boolean
}

/**
 * What the group has committed for these partitions, or (null) for all it has anything for. Retries while the
 * coordinator moves or loads. Throws GS_KAFKA_RESPONSE.
 */
export async function fetchCommittedOffsets(
  cluster: KafkaCluster,
  groupId: string,
  partitions: readonly { readonly topic: string; readonly partition: number }[] | null,
  options: CommittedOffsetsOptions = {},
): Promise<CommittedOffset[]> {
  if (partitions?.length === 0) return []
  const { requireStable = false } = options
  const topics =
    partitions === null
      ? null
      : Array.from(
          Map.groupBy(partitions, ({ topic }) => topic),
          ([name, asked]) => ({ name, partitionIndexes: asked.map(({ partition }) => partition) }),
        )
  return retryingAtCoordinator(cluster, groupId, options, async () => {
    const answer = await cluster.request(
      offsetFetchApi,
      // Versions up to 7 ask for one group, later ones for a list; the version decides which fields are sent and answered.
      { groupId, topics, groups: [{ groupId, topics }], requireStable },
      { coordinator: groupId },
      laneOf(options),
    )
    const group = answer.groups.find((found) => found.groupId === groupId) ?? answer
    throwOnKafkaError('OffsetFetch', group.errorCode, { groupId })
    return group.topics.flatMap(({ name, partitions: found }) =>
      found.map(({ partitionIndex, committedOffset, metadata, errorCode }) => {
        throwOnKafkaError('OffsetFetch', errorCode, { groupId, topic: name, partition: partitionIndex })
        return {
          topic: name,
          partition: asPartitionId(partitionIndex),
          offset: asOffset(committedOffset),
          metadata,
        }
      }),
    )
  })
}

/**
 * Commits offsets; resolves when the coordinator has all of them. Retries while it moves or loads. Throws
 * GS_KAFKA_RESPONSE: ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID when the member is no longer what it
 * says, REBALANCE_IN_PROGRESS while its group is between generations.
 */
export async function commitOffsets(
  cluster: KafkaCluster,
  { groupId, generationId = -1, memberId = '', groupInstanceId = null }: CommitIdentity,
  offsets: readonly OffsetToCommit[],
  options: GroupRequestOptions = {},
): Promise<void> {
  if (offsets.length === 0) return
  const topics = Array.from(
    Map.groupBy(offsets, ({ topic }) => topic),
    ([name, committed]) => ({
      name,
      partitions: committed.map(({ partition, offset, metadata = '' }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedMetadata: metadata,
      })),
    }),
  )
  await retryingAtCoordinator(cluster, groupId, options, async () => {
    const answer = await cluster.request(
      offsetCommitApi,
      { groupId, generationIdOrMemberEpoch: generationId, memberId, groupInstanceId, topics },
      { coordinator: groupId },
      laneOf(options),
    )
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex, errorCode } of partitions) {
        throwOnKafkaError('OffsetCommit', errorCode, { groupId, topic: name, partition: partitionIndex })
      }
    }
  })
}

function retryingAtCoordinator<T>(
  cluster: KafkaCluster,
  groupId: string,
  { deadlineMs }: GroupRequestOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  return cluster.retrying({ coordinator: groupId }, attempt, deadlineMs === undefined ? {} : { deadlineMs })
}

function laneOf({ lane }: GroupRequestOptions): { lane?: string } {
  return lane === undefined ? {} : { lane }
}
