/** ListTransactions, versions 0–1: by state, by producer id, and from 1 on by how long the transaction has been open. */

import { listTransactionsApi } from '../../wire/66-list-transactions.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { TRANSACTION_STATUS_NAME } from '../transactions/transaction.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const listTransactionsRoute = route(listTransactionsApi, { from: 0, to: 1 }, handle)

type Request = RequestOf<typeof listTransactionsApi>

const STATES: ReadonlySet<string> = new Set(Object.values(TRANSACTION_STATUS_NAME))

function handle(request: Request, { broker }: Call): ResponseInputOf<typeof listTransactionsApi> {
  const states = new Set(request.stateFilters)
  const producerIds = new Set(request.producerIdFilters)
  const startedBeforeMs = broker.clock.wallMs() - request.durationFilter
  const transactionStates = []
  for (const { transactionalId, producerId, status, startedMs } of broker.transactions.transactions) {
    const transactionState = TRANSACTION_STATUS_NAME[status]
    if (states.size > 0 && !states.has(transactionState)) continue
    if (producerIds.size > 0 && !producerIds.has(producerId)) continue
    if (request.durationFilter >= 0 && (startedMs < 0 || startedMs > startedBeforeMs)) continue
    transactionStates.push({ transactionalId, producerId, transactionState })
  }
  return {
    errorCode: KAFKA_ERROR.NONE,
    unknownStateFilters: request.stateFilters.filter((state) => !STATES.has(state)),
    transactionStates,
  }
}
