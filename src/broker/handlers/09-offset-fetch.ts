/**
 * OffsetFetch, versions 1–9; several groups at once from 8 on. No topics (null, from 2 on) means every offset of the group.
 * A partition without an offset is answered -1 and no error. Offsets are shown once durable, so they are always stable.
 */

import { offsetFetchApi } from '../../wire/09-offset-fetch.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { CommittedOffset } from '../groups/offset-records.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const offsetFetchRoute = route(offsetFetchApi, { from: 1, to: 9 }, handle)

type Request = RequestOf<typeof offsetFetchApi>
type Response = ResponseInputOf<typeof offsetFetchApi>
type AskedTopics = Request['topics']

const GROUPS_SINCE_VERSION = 8

function handle(request: Request, call: Call): Response {
  if (call.header.apiVersion < GROUPS_SINCE_VERSION) {
    return { errorCode: KAFKA_ERROR.NONE, topics: offsetsOf(request.groupId, request.topics, call) }
  }
  return {
    groups: request.groups.map((group) => ({
      groupId: group.groupId,
      errorCode: KAFKA_ERROR.NONE,
      topics: offsetsOf(group.groupId, group.topics, call),
    })),
  }
}

function offsetsOf(groupId: string, asked: AskedTopics, call: Call) {
  const { offsets } = call.broker
  if (asked === null) {
    return offsets.fetchAll(groupId).map(({ topic, partitions }) => ({
      name: topic,
      partitions: partitions.map(({ partition, committed }) => describe(partition, committed)),
    }))
  }
  return asked.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((index) => describe(index, offsets.fetch(groupId, name, index))),
  }))
}

function describe(partitionIndex: number, committed: CommittedOffset | undefined) {
  return {
    partitionIndex,
    committedOffset: committed?.offset ?? -1,
    committedLeaderEpoch: committed?.leaderEpoch ?? -1,
    metadata: committed?.metadata ?? '',
    errorCode: KAFKA_ERROR.NONE,
  }
}
