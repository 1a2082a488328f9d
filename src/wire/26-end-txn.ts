/**
 * EndTxn: commits or aborts a transaction.
 *
 * v3 flexible; v4 TRANSACTION_ABORTABLE may be answered. v5 gives the id and epoch of the
 * next transaction, and adds to the epoch each time (KIP-890): only for clusters that finalized transaction.version 2.
 */

import { defineApi } from './api.ts'
import { bool, int16, int32, int64, string } from './fields.ts'

export const endTxnApi = defineApi({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    committed: bool(),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    producerId: int64({ since: 5, default: -1 }),
    producerEpoch: int16({ since: 5, default: -1 }),
  },
})
