/**
 * Produce: appends record batches to partitions.
 *
 * v3 record batches of format 2 only (older versions carried other formats: a server may have to announce them for
 * librdkafka's sake, KAFKA-18659, but never reads them); v5 logStartOffset; v7 zstd allowed; v8 recordErrors and errorMessage
 * (KIP-467); v9 flexible; v10 currentLeader and nodeEndpoints (KIP-951); v11 TRANSACTION_ABORTABLE may be answered (KIP-890).
 * v12 in a transaction also adds the partition to it (KIP-890): only for clusters that finalized transaction.version 2.
 * A request with acks 0 has no response at all. The throttle time stands last, unlike everywhere else.
 */

import { defineApi } from './api.ts'
import { array, int16, int32, int64, records, string, struct } from './fields.ts'

export const produceApi = defineApi({
  key: 0,
  name: 'Produce',
  versions: [3, 12],
  flexibleFrom: 9,
  request: {
    transactionalId: string({ nullable: true, default: null }),
    acks: int16(),
    timeoutMs: int32(),
    topicData: array({
      name: string(),
      partitionData: array({
        index: int32(),
        records: records(),
      }),
    }),
  },
  response: {
    responses: array({
      name: string(),
      partitionResponses: array({
        index: int32(),
        errorCode: int16(),
        baseOffset: int64(),
        logAppendTimeMs: int64({ default: -1 }),
        logStartOffset: int64({ since: 5, default: -1 }),
        recordErrors: array(
          {
            batchIndex: int32(),
            batchIndexErrorMessage: string({ nullable: true, default: null }),
          },
          { since: 8 },
        ),
        errorMessage: string({ since: 8, nullable: true, default: null }),
        currentLeader: struct(
          {
            leaderId: int32({ default: -1 }),
            leaderEpoch: int32({ default: -1 }),
          },
          { since: 10, tag: 0 },
        ),
      }),
    }),
    throttleTimeMs: int32(),
    nodeEndpoints: array(
      {
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: string({ nullable: true, default: null }),
      },
      { since: 10, tag: 0 },
    ),
  },
})
