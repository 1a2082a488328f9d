/**
 * AddPartitionsToTxn: announces partitions a transaction will write to.
 *
 * v3 flexible. v4 and later are for brokers among themselves and are not in this table. The names with "V3AndBelow" are Kafka's.
 */

import { defineApi } from './api.ts'
import { array, int16, int32, int64, string } from './fields.ts'

export const addPartitionsToTxnApi = defineApi({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 3],
  flexibleFrom: 3,
  request: {
    v3AndBelowTransactionalId: string(),
    v3AndBelowProducerId: int64(),
    v3AndBelowProducerEpoch: int16(),
    v3AndBelowTopics: array({
      name: string(),
      partitions: array(int32()),
    }),
  },
  response: {
    throttleTimeMs: int32(),
    resultsByTopicV3AndBelow: array({
      name: string(),
      resultsByPartition: array({
        partitionIndex: int32(),
        partitionErrorCode: int16(),
      }),
    }),
  },
})
