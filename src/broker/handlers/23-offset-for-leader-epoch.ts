/**
 * OffsetForLeaderEpoch, versions 2–4: how consumers find out whether the log they read was cut. Leadership never moves
 * here, so the only epoch is 0 and it ends at the high watermark.
 */

import { offsetForLeaderEpochApi } from '../../wire/23-offset-for-leader-epoch.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { LEADER_EPOCH } from '../broker-context.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const offsetForLeaderEpochRoute = route(offsetForLeaderEpochApi, { from: 2, to: 4 }, handle)

type Request = RequestOf<typeof offsetForLeaderEpochApi>
type PartitionRequest = Request['topics'][number]['partitions'][number]

function handle(request: Request, call: Call): ResponseInputOf<typeof offsetForLeaderEpochApi> {
  return {
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((partition) => answerOne(topic, partition, call)),
    })),
  }
}

function answerOne(topic: string, request: PartitionRequest, call: Call) {
  const base = { partition: request.partition, leaderEpoch: -1, endOffset: -1 }
  const partition = call.broker.topics.partition(topic, request.partition)
  if (partition === undefined) return { ...base, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION }
  if (request.currentLeaderEpoch > LEADER_EPOCH)
    return { ...base, errorCode: KAFKA_ERROR.UNKNOWN_LEADER_EPOCH }
  if (request.leaderEpoch !== LEADER_EPOCH) return { ...base, errorCode: KAFKA_ERROR.NONE }
  return {
    partition: request.partition,
    errorCode: KAFKA_ERROR.NONE,
    leaderEpoch: LEADER_EPOCH,
    endOffset: partition.highWatermark,
  }
}
