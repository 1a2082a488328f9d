/**
 * InitProducerId: gives a producer its id and epoch.
 *
 * v2 flexible; v3 the current id and epoch, to bump the epoch after an error (KIP-360); v4 PRODUCER_FENCED may be answered;
 * v5 TRANSACTION_ABORTABLE may be answered.
 */

import { defineApi } from './api.ts'
import { int16, int32, int64, string } from './fields.ts'

export const initProducerIdApi = defineApi({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  flexibleFrom: 2,
  request: {
    transactionalId: string({ nullable: true }),
    transactionTimeoutMs: int32(),
    producerId: int64({ since: 3, default: -1, essential: true }),
    producerEpoch: int16({ since: 3, default: -1, essential: true }),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    producerId: int64({ default: -1 }),
    producerEpoch: int16(),
  },
})
