/**
 * OffsetCommit: stores a group's positions.
 *
 * v1 generation and member, and a timestamp for each partition; v2-v4 a retention time in their place; v6 leader epochs;
 * v7 static members (KIP-345); v8 flexible; v9 the generation may be a member epoch (KIP-848). v0 and v1 are gone from
 * Apache Kafka 4; old clients still send them.
 */

import { defineApi } from './api.ts'
import { array, int16, int32, int64, string } from './fields.ts'

export const offsetCommitApi = defineApi({
  key: 8,
  name: 'OffsetCommit',
  versions: [0, 9],
  flexibleFrom: 8,
  request: {
    groupId: string(),
    generationIdOrMemberEpoch: int32({ since: 1, default: -1 }),
    memberId: string({ since: 1 }),
    groupInstanceId: string({ since: 7, nullable: true, default: null }),
    retentionTimeMs: int64({ since: 2, until: 4, default: -1 }),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32({ since: 6, default: -1 }),
        commitTimestamp: int64({ since: 1, until: 1, default: -1 }),
        committedMetadata: string({ nullable: true }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32({ since: 3 }),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
})
