/**
 * ListOffsets: finds offsets by time, or the ends of a partition.
 *
 * Special timestamps: -1 latest, -2 earliest, -3 largest timestamp (v7), -4 earliest local (v8), -5 last tiered (v9).
 * v2 isolationLevel; v4 leader epochs (KIP-320); v6 flexible; v10 timeoutMs (KIP-1075). Offset and timestamp -1 mean none.
 */

import { defineApi } from './api.ts'
import { array, int8, int16, int32, int64, string } from './fields.ts'

export const listOffsetsApi = defineApi({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 10],
  flexibleFrom: 6,
  request: {
    replicaId: int32(),
    isolationLevel: int8({ since: 2, essential: true }),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        currentLeaderEpoch: int32({ since: 4, default: -1 }),
        timestamp: int64(),
      }),
    }),
    timeoutMs: int32({ since: 10 }),
  },
  response: {
    throttleTimeMs: int32({ since: 2 }),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        timestamp: int64({ default: -1 }),
        offset: int64({ default: -1 }),
        leaderEpoch: int32({ since: 4, default: -1 }),
      }),
    }),
  },
})
