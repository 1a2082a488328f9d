/** ListTransactions: which transactional ids there are (KIP-664). v1 can leave out transactions that are younger than a duration. */

import { defineApi } from './api.ts'
import { array, int16, int32, int64, string } from './fields.ts'

export const listTransactionsApi = defineApi({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 1],
  flexibleFrom: 0,
  request: {
    stateFilters: array(string()),
    producerIdFilters: array(int64()),
    durationFilter: int64({ since: 1, default: -1, essential: true }),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    unknownStateFilters: array(string()),
    transactionStates: array({
      transactionalId: string(),
      producerId: int64(),
      transactionState: string(),
    }),
  },
})
