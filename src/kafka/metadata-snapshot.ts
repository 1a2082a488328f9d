/**
 * What is known of a cluster at one moment: its brokers, its topics and who leads which partition. A snapshot never
 * changes; each Metadata answer makes a new one. Pure, so that the merging rules can be tested as a table.
 */

import type { PartitionId } from '../core/brands.ts'
import { asPartitionId } from '../core/brands.ts'
import type { metadataApi } from '../wire/03-metadata.ts'
import type { ResponseOf } from '../wire/api.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import { ZERO_UUID } from '../wire/fields.ts'
import type { BrokerAddress } from './broker-address.ts'

export interface PartitionMetadata {
  readonly partition: PartitionId
  /** Node id of the leader; -1 when there is none at the moment. */
  readonly leaderId: number
  /** -1 when the broker does not say. */
  readonly leaderEpoch: number
  readonly replicaIds: readonly number[]
  readonly inSyncReplicaIds: readonly number[]
}

export interface TopicMetadata {
  readonly name: string
  /** Sixteen bytes; all zero when the broker has no topic ids. */
  readonly topicId: Buffer
  readonly isInternal: boolean
  /** Indexed by partition id. */
  readonly partitions: readonly PartitionMetadata[]
}

export interface MetadataSnapshot {
  readonly clusterId: string | null
  /** Node id to ask for changes of topics; -1 when unknown. */
  readonly controllerId: number
  readonly brokers: ReadonlyMap<number, BrokerAddress>
  readonly topics: ReadonlyMap<string, TopicMetadata>
  /** Topics that were asked for and answered with an error, and the error's code. */
  readonly topicErrors: ReadonlyMap<string, number>
}

export const EMPTY_METADATA: MetadataSnapshot = {
  clusterId: null,
  controllerId: -1,
  brokers: new Map(),
  topics: new Map(),
  topicErrors: new Map(),
}

type MetadataAnswer = ResponseOf<typeof metadataApi>
type TopicAnswer = MetadataAnswer['topics'][number]

/**
 * The snapshot after an answer to a request for `requested` topics (null = all). Topics that were not asked for are kept;
 * after a request for all, what is missing from the answer is gone.
 */
export function mergeMetadata(
  previous: MetadataSnapshot,
  answer: MetadataAnswer,
  requested: readonly string[] | null,
): MetadataSnapshot {
  const topics = requested === null ? new Map<string, TopicMetadata>() : new Map(previous.topics)
  const topicErrors = requested === null ? new Map<string, number>() : new Map(previous.topicErrors)
  for (const found of answer.topics) {
    const name = found.name
    if (name === null) continue
    topicErrors.delete(name)
    topics.delete(name)
    if (found.errorCode === KAFKA_ERROR.NONE)
      topics.set(name, mergeTopic(previous.topics.get(name), name, found))
    else topicErrors.set(name, found.errorCode)
  }
  return {
    clusterId: answer.clusterId,
    controllerId: answer.controllerId,
    brokers: new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }])),
    topics,
    topicErrors,
  }
}

function mergeTopic(previous: TopicMetadata | undefined, name: string, found: TopicAnswer): TopicMetadata {
  // The answer's id is a view that would keep the whole frame in memory.
  const topicId = found.topicId.equals(ZERO_UUID) ? ZERO_UUID : Buffer.from(found.topicId)
  const isSameTopic = previous?.topicId.equals(topicId) === true
  const partitions: PartitionMetadata[] = []
  for (const answered of [...found.partitions].sort((a, b) => a.partitionIndex - b.partitionIndex)) {
    // Partition ids have no gaps in Kafka; an answer that has some cannot be indexed, so the rest waits for a better one.
    if (answered.partitionIndex !== partitions.length) break
    const known = isSameTopic ? previous?.partitions[answered.partitionIndex] : undefined
    // A broker that lags behind names the last leader again: 1. node 1 leads in epoch 5. 2. It fails, node 2 leads in
    // epoch 6 and we learn it. 3. Node 3, behind, still says 1 in epoch 5. Following it would send us back and forth.
    const isOlder =
      known !== undefined && answered.leaderEpoch >= 0 && answered.leaderEpoch < known.leaderEpoch
    partitions.push(
      isOlder
        ? known
        : {
            partition: asPartitionId(answered.partitionIndex),
            leaderId: answered.leaderId,
            leaderEpoch: answered.leaderEpoch,
            replicaIds: answered.replicaNodes,
            inSyncReplicaIds: answered.isrNodes,
          },
    )
  }
  return { name, topicId, isInternal: found.isInternal, partitions }
}

/** True when both name the same topics with the same ids and partition counts. */
export function sameTopics(a: MetadataSnapshot, b: MetadataSnapshot): boolean {
  if (a.topics.size !== b.topics.size) return false
  for (const [name, topic] of a.topics) {
    const other = b.topics.get(name)
    if (other === undefined || other.partitions.length !== topic.partitions.length) return false
    if (!other.topicId.equals(topic.topicId)) return false
  }
  return true
}
