/**
 * OffsetFetch, versions 1–9; several groups at once from 8 on. No topics (null, from 2 on) means every offset of the group.
 * A partition without an offset is answered -1 and no error. Offsets are shown once durable. With requireStable (from 7 on), one that
 * an open transaction will move should it commit is answered UNSTABLE_OFFSET_COMMIT (KIP-447).
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
    return { errorCode: KAFKA_ERROR.NONE, topics: offsetsOf(request.groupId, request, request.topics, call) }
  }
  return {
    groups: request.groups.map((group) => ({
      groupId: group.groupId,
      errorCode: KAFKA_ERROR.NONE,
      topics: offsetsOf(group.groupId, request, group.topics, call),
    })),
  }
}

function offsetsOf(groupId: string, { requireStable }: Request, asked: AskedTopics, call: Call) {
  const { offsets } = call.broker
  const describe = (topic: string, index: number, committed: CommittedOffset | undefined) =>
    requireStable && offsets.isStaged(groupId, topic, index) ? unstable(index) : stable(index, committed)
  if (asked === null) {
    return offsets.fetchAll(groupId).map(({ topic, partitions }) => ({
      name: topic,
      partitions: partitions.map(({ partition, committed }) => describe(topic, partition, committed)),
    }))
  }
  return asked.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((index) => describe(name, index, offsets.fetch(groupId, name, index))),
  }))
}

function stable(partitionIndex: number, committed: CommittedOffset | undefined) {
  return {
    partitionIndex,
    committedOffset: committed?.offset ?? -1,
    committedLeaderEpoch: committed?.leaderEpoch ?? -1,
    metadata: committed?.metadata ?? '',
    errorCode: KAFKA_ERROR.NONE as number,
  }
}

function unstable(partitionIndex: number) {
  return { ...stable(partitionIndex, undefined), errorCode: KAFKA_ERROR.UNSTABLE_OFFSET_COMMIT as number }
}
