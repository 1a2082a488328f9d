/**
 * TxnOffsetCommit: stores a group's positions when the transaction commits.
 *
 * v2 leader epochs; v3 flexible, and the member's generation, so that a fenced one is refused (KIP-447); v4 TRANSACTION_ABORTABLE
 * may be answered; v5 also adds the group to the transaction (KIP-890): only for clusters that finalized transaction.version 2.
 */

import { defineApi } from './api.ts'
import { array, int16, int32, int64, string } from './fields.ts'

export const txnOffsetCommitApi = defineApi({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    transactionalId: string(),
    groupId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    generationId: int32({ since: 3, default: -1 }),
    memberId: string({ since: 3 }),
    groupInstanceId: string({ since: 3, nullable: true, default: null }),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32({ since: 2, default: -1 }),
        committedMetadata: string({ nullable: true }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
})
