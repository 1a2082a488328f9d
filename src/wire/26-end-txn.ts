/**
 * EndTxn: commits or aborts a transaction.
 *
 * v3 flexible; v4 TRANSACTION_ABORTABLE may be answered. v5 belongs to the second transaction protocol (KIP-890) and is not in this table.
 */

import { defineApi } from './api.ts'
import { bool, int16, int32, int64, string } from './fields.ts'

export const endTxnApi = defineApi({
  key: 26,
  name: 'EndTxn',
  versions: [0, 4],
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
  },
})
