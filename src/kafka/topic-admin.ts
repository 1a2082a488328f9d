/**
 * Creating topics, and giving them more partitions, on the data path. Wider administration (configurations, deletion, groups) is the CLI's, with a
 * client made for that.
 */

import type { createTopicsApi } from '../wire/19-create-topics.ts'
import type { createPartitionsApi } from '../wire/37-create-partitions.ts'
import type { RequestInputOf, ResponseOf } from '../wire/api.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import { KafkaResponseError, throwOnKafkaError } from './kafka-errors.ts'
import type { MetadataSnapshot } from './metadata-snapshot.ts'

export interface EnsureTopicOptions {
  /** Default: the cluster's own (`num.partitions`). */
  readonly partitionCount?: number
  /** Partitions are added to a topic that has fewer. Default: one that exists is left as it is. */
  readonly partitionCountMin?: number
  /** Default: the cluster's own. */
  readonly replicationFactor?: number
  /** Topic configuration, for example `{ 'cleanup.policy': 'compact' }`. Only used when the topic is created. */
  readonly configs?: Readonly<Record<string, string>>
  /** Time for everything together. Default: the cluster's `requestMsMax`. */
  readonly deadlineMs?: number
}

/** The part of a cluster that this needs; `KafkaCluster` has it. */
export interface TopicAdminClient {
  readonly snapshot: MetadataSnapshot
  refreshMetadata(topics: readonly string[]): Promise<MetadataSnapshot>
  createTopics(value: RequestInputOf<typeof createTopicsApi>): Promise<ResponseOf<typeof createTopicsApi>>
  createPartitions(
    value: RequestInputOf<typeof createPartitionsApi>,
  ): Promise<ResponseOf<typeof createPartitionsApi>>
  retrying<T>(about: object, attempt: () => Promise<T>, options: { readonly deadlineMs: number }): Promise<T>
}

/** "Let the broker decide", from CreateTopics version 4 on (KIP-464). */
const BROKER_DEFAULT = -1

/**
 * Creates the topic unless it exists, adds partitions where it has too few, and waits until every partition has a leader;
 * resolves with the partition count it really has, which may differ from the one asked for. Throws GS_KAFKA_RESPONSE when the cluster refuses.
 */
export async function ensureTopic(
  cluster: TopicAdminClient,
  topic: string,
  options: EnsureTopicOptions & { readonly deadlineMs: number },
): Promise<number> {
  const { partitionCountMin = 1 } = options
  const known = readyPartitionCount(cluster, topic)
  if (known !== null && known >= partitionCountMin) return known
  return cluster.retrying(
    {},
    async () => {
      await cluster.refreshMetadata([topic])
      const existing = readyPartitionCount(cluster, topic)
      if (existing !== null && existing >= partitionCountMin) return existing
      const code = cluster.snapshot.topicErrors.get(topic) ?? KAFKA_ERROR.NONE
      if (code === KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION) {
        await createTopic(cluster, topic, options)
      } else {
        throwOnKafkaError('Metadata', code, { topic })
        if (existing !== null) await addPartitions(cluster, topic, partitionCountMin, options.deadlineMs)
      }
      await cluster.refreshMetadata([topic])
      const made = readyPartitionCount(cluster, topic)
      if (made !== null && made >= partitionCountMin) return made
      // It exists, or was just created or enlarged, and the node we asked has not heard of all its leaders yet.
      throw new KafkaResponseError('Metadata', KAFKA_ERROR.LEADER_NOT_AVAILABLE, { topic })
    },
    { deadlineMs: options.deadlineMs },
  )
}

/** The partition count, once every partition has a leader; else null. */
function readyPartitionCount(cluster: TopicAdminClient, topic: string): number | null {
  const partitions = cluster.snapshot.topics.get(topic)?.partitions ?? []
  return partitions.length > 0 && partitions.every(({ leaderId }) => leaderId >= 0) ? partitions.length : null
}

async function createTopic(
  cluster: TopicAdminClient,
  topic: string,
  options: EnsureTopicOptions & { readonly deadlineMs: number },
): Promise<void> {
  const answer = await cluster.createTopics({
    topics: [
      {
        name: topic,
        numPartitions: options.partitionCount ?? BROKER_DEFAULT,
        replicationFactor: options.replicationFactor ?? BROKER_DEFAULT,
        configs: Object.entries(options.configs ?? {}).map(([name, value]) => ({ name, value })),
      },
    ],
    timeoutMs: options.deadlineMs,
  })
  for (const { name, errorCode, errorMessage } of answer.topics) {
    // Somebody else was quicker: the topic exists, which is all that was asked for.
    if (errorCode === KAFKA_ERROR.TOPIC_ALREADY_EXISTS) continue
    throwOnKafkaError('CreateTopics', errorCode, { topic: name }, errorMessage)
  }
}

async function addPartitions(
  cluster: TopicAdminClient,
  topic: string,
  count: number,
  timeoutMs: number,
): Promise<void> {
  const topics = [{ name: topic, count, assignments: null }]
  const answer = await cluster.createPartitions({ topics, timeoutMs, validateOnly: false })
  for (const { name, errorCode, errorMessage } of answer.results) {
    // Somebody else was quicker: it has as many already.
    if (errorCode === KAFKA_ERROR.INVALID_PARTITIONS) continue
    throwOnKafkaError('CreatePartitions', errorCode, { topic: name }, errorMessage)
  }
}
