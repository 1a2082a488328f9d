/**
 * AddOffsetsToTxn: announces a group whose positions a transaction will commit.
 *
 * v3 flexible; v4 TRANSACTION_ABORTABLE may be answered.
 */

import { defineApi } from './api.ts'
import { int16, int32, int64, string } from './fields.ts'

export const addOffsetsToTxnApi = defineApi({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [0, 4],
  flexibleFrom: 3,
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    groupId: string(),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
  },
})
