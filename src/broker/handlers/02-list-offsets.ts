/**
 * ListOffsets, versions 1–7: earliest (-2), latest (-1), the offset of the greatest timestamp (-3, from 7), and the first
 * offset at or after a time, exact to the record. Not supported: the tiered-storage specials (-4, -5), which come with
 * later versions. Latest is the durable end, and under read_committed the last stable offset, beyond which nothing is found then.
 */

import { isFailure } from '../../core/errors.ts'
import { listOffsetsApi } from '../../wire/02-list-offsets.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { LEADER_EPOCH } from '../broker-context.ts'
import type { Partition } from '../topics/partition.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const listOffsetsRoute = route(listOffsetsApi, { from: 1, to: 7 }, handle)

type Request = RequestOf<typeof listOffsetsApi>
type Response = ResponseInputOf<typeof listOffsetsApi>
type PartitionRequest = Request['topics'][number]['partitions'][number]

const READ_COMMITTED = 1
const LATEST = -1
const EARLIEST = -2
const GREATEST_TIMESTAMP = -3

async function handle(request: Request, call: Call): Promise<Response> {
  const topics = []
  for (const topic of request.topics) {
    const partitions = []
    for (const partition of topic.partitions)
      partitions.push(await answerOne(topic.name, partition, request, call))
    topics.push({ name: topic.name, partitions })
  }
  return { topics }
}

async function answerOne(
  topicName: string,
  request: PartitionRequest,
  { isolationLevel }: Request,
  call: Call,
) {
  const { partitionIndex } = request
  const partition = call.broker.topics.partition(topicName, partitionIndex)
  if (partition === undefined) return { partitionIndex, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION }
  if (request.currentLeaderEpoch > LEADER_EPOCH) {
    return { partitionIndex, errorCode: KAFKA_ERROR.UNKNOWN_LEADER_EPOCH }
  }
  try {
    const found = await lookUp(partition, request.timestamp, isolationLevel === READ_COMMITTED)
    if (found === 'unsupported') return { partitionIndex, errorCode: KAFKA_ERROR.UNSUPPORTED_VERSION }
    return { partitionIndex, errorCode: KAFKA_ERROR.NONE, ...found }
  } catch (error) {
    if (!isFailure(error)) throw error
    return { partitionIndex, errorCode: KAFKA_ERROR.KAFKA_STORAGE_ERROR }
  }
}

async function lookUp(partition: Partition, timestamp: number, isCommittedOnly: boolean) {
  const { log } = partition
  const end = isCommittedOnly ? partition.lastStableOffset : partition.highWatermark
  if (timestamp === LATEST) return { timestamp: -1, offset: end, leaderEpoch: LEADER_EPOCH }
  if (timestamp === EARLIEST) return { timestamp: -1, offset: log.logStartOffset, leaderEpoch: LEADER_EPOCH }
  if (timestamp < GREATEST_TIMESTAMP) return 'unsupported'
  const isGreatest = timestamp === GREATEST_TIMESTAMP
  const found = await (isGreatest ? log.offsetOfMaxTimestamp() : log.offsetForTimestamp(timestamp))
  // Kafka answers "none" with no error, offset and timestamp -1.
  return found === null || found.offset >= end
    ? { timestamp: -1, offset: -1, leaderEpoch: -1 }
    : { timestamp: found.timestamp, offset: found.offset, leaderEpoch: LEADER_EPOCH }
}
