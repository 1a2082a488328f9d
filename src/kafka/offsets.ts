/** Offsets by position or by time (ListOffsets), asked of the partitions' leaders in one request per node. */

import type { Offset, PartitionId } from '../core/brands.ts'
import { asOffset, asPartitionId } from '../core/brands.ts'
import { listOffsetsApi } from '../wire/02-list-offsets.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { KafkaCluster } from './cluster.ts'
import { KafkaDisconnectedError, KafkaResponseError, throwOnKafkaError } from './kafka-errors.ts'

/** Who may see records of transactions that are still open: nobody, or everybody. */
export type Isolation = 'read_committed' | 'read_uncommitted'

/** The protocol's `isolation_level`. */
export const ISOLATION_LEVEL: Readonly<Record<Isolation, number>> = { read_uncommitted: 0, read_committed: 1 }

/** `earliest`: the first offset that can be read. `latest`: one past the last. A time: the first record at or after it. */
export type OffsetQuery = 'earliest' | 'latest' | { readonly timestampMs: number }

export interface PartitionOffsetQuery {
  readonly topic: string
  readonly partition: number
  readonly at: OffsetQuery
}

export interface PartitionOffset {
  readonly topic: string
  readonly partition: PartitionId
  /** -1 when no record is at or after the time asked for. */
  readonly offset: Offset
  /** Of the record found by time; else -1. */
  readonly timestampMs: number
}

/** The protocol's stand-ins for a timestamp. */
const LATEST = -1
const EARLIEST = -2

export interface ListOffsetsOptions {
  /** With `read_committed`, `latest` is the last stable offset. Default `read_uncommitted`. */
  readonly isolation?: Isolation
  /** Time for all attempts. Default: the cluster's `requestMsMax`. */
  readonly deadlineMs?: number
}

/** Answers in the order of `queries`. Retries what passes; throws GS_KAFKA_RESPONSE for what does not. */
export async function listOffsets(
  cluster: KafkaCluster,
  queries: readonly PartitionOffsetQuery[],
  options: ListOffsetsOptions = {},
): Promise<PartitionOffset[]> {
  const found: PartitionOffset[] = []
  for (const round of roundsOf(queries)) {
    const topics = [...new Set(round.map(({ query }) => query.topic))]
    const { deadlineMs = cluster.options.requestMsMax } = options
    const asked = round.map(({ query }) => query)
    const answers = await cluster.retrying({ topics }, () => listOffsetsOnce(cluster, asked, options), {
      deadlineMs,
    })
    for (const [index, { place }] of round.entries()) found[place] = answers[index] as PartitionOffset
  }
  return found
}

/** Kafka refuses a request that names a partition twice, so the second question about one goes into a second round. */
function roundsOf(
  queries: readonly PartitionOffsetQuery[],
): { readonly query: PartitionOffsetQuery; readonly place: number }[][] {
  const rounds: { query: PartitionOffsetQuery; place: number }[][] = []
  const countByPartition = new Map<string, number>()
  for (const [place, query] of queries.entries()) {
    const key = `${query.topic} ${query.partition}`
    const round = countByPartition.get(key) ?? 0
    countByPartition.set(key, round + 1)
    rounds[round] ??= []
    rounds[round].push({ query, place })
  }
  return rounds
}

async function listOffsetsOnce(
  cluster: KafkaCluster,
  queries: readonly PartitionOffsetQuery[],
  { isolation = 'read_uncommitted' }: ListOffsetsOptions,
): Promise<PartitionOffset[]> {
  const topics = [...new Set(queries.map(({ topic }) => topic))]
  const unknown = topics.filter((topic) => !cluster.snapshot.topics.has(topic))
  if (unknown.length > 0) await cluster.refreshMetadata(unknown)
  const found = new Map<string, PartitionOffset>()
  const byNode = Map.groupBy(queries, (query) => leaderOrThrow(cluster, query))
  await Promise.all(
    Array.from(byNode, async ([nodeId, asked]) => {
      const byTopic = Map.groupBy(asked, ({ topic }) => topic)
      const answer = await cluster.request(
        listOffsetsApi,
        {
          replicaId: -1,
          isolationLevel: ISOLATION_LEVEL[isolation],
          topics: Array.from(byTopic, ([name, partitions]) => ({
            name,
            partitions: partitions.map(({ partition, at }) => ({
              partitionIndex: partition,
              timestamp: at === 'latest' ? LATEST : at === 'earliest' ? EARLIEST : at.timestampMs,
            })),
          })),
          timeoutMs: cluster.options.requestMsMax,
        },
        { nodeId },
      )
      for (const { name, partitions } of answer.topics) {
        for (const { partitionIndex, errorCode, offset, timestamp } of partitions) {
          throwOnKafkaError('ListOffsets', errorCode, { topic: name, partition: partitionIndex })
          found.set(`${name} ${partitionIndex}`, {
            topic: name,
            partition: asPartitionId(partitionIndex),
            offset: asOffset(offset),
            timestampMs: timestamp,
          })
        }
      }
    }),
  )
  return queries.map(({ topic, partition }) => {
    const offset = found.get(`${topic} ${partition}`)
    if (offset !== undefined) return offset
    const facts = { topic, partition }
    throw new KafkaDisconnectedError(`the ListOffsets answer says nothing about ${topic}-${partition}`, facts)
  })
}

function leaderOrThrow(cluster: KafkaCluster, { topic, partition }: PartitionOffsetQuery): number {
  const facts = { topic, partition }
  throwOnKafkaError('Metadata', cluster.snapshot.topicErrors.get(topic) ?? KAFKA_ERROR.NONE, facts)
  const known = cluster.snapshot.topics.get(topic)?.partitions[partition]
  if (known === undefined)
    throw new KafkaResponseError('Metadata', KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION, facts)
  const leaderId = cluster.leaderOf(topic, partition)
  if (leaderId === null) throw new KafkaResponseError('Metadata', KAFKA_ERROR.LEADER_NOT_AVAILABLE, facts)
  return leaderId
}
