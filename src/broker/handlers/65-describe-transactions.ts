/** DescribeTransactions, version 0. */

import { describeTransactionsApi } from '../../wire/65-describe-transactions.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { TRANSACTION_STATUS_NAME } from '../transactions/transaction.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const describeTransactionsRoute = route(describeTransactionsApi, { from: 0, to: 0 }, handle)

type Request = RequestOf<typeof describeTransactionsApi>

function handle(request: Request, { broker }: Call): ResponseInputOf<typeof describeTransactionsApi> {
  return {
    transactionStates: request.transactionalIds.map((transactionalId) => {
      const transaction = broker.transactions.find(transactionalId)
      if (transaction === undefined) {
        return { transactionalId, errorCode: KAFKA_ERROR.TRANSACTIONAL_ID_NOT_FOUND }
      }
      return {
        errorCode: KAFKA_ERROR.NONE,
        transactionalId,
        transactionState: TRANSACTION_STATUS_NAME[transaction.status],
        transactionTimeoutMs: transaction.timeoutMs,
        transactionStartTimeMs: transaction.startedMs,
        producerId: transaction.producerId,
        producerEpoch: transaction.producerEpoch,
        topics: Array.from(transaction.partitions, ([topic, indexes]) => ({
          topic,
          partitions: [...indexes].sort((a, b) => a - b),
        })),
      }
    }),
  }
}
