/**
 * EndTxn, versions 0–4: commits or aborts, answered once the decision is durable. Departure: a request that is sent again
 * while the markers are being written is answered without an error (Kafka: CONCURRENT_TRANSACTIONS).
 */

import { endTxnApi } from '../../wire/26-end-txn.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { isOvertaken } from '../transaction-connections.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'
import { codeOfFenced, senderOf } from './transaction-sender.ts'

export const endTxnRoute = route(endTxnApi, { from: 0, to: 4 }, handle)

type Response = ResponseInputOf<typeof endTxnApi>

const FENCED_SINCE_VERSION = 2

async function handle(request: RequestOf<typeof endTxnApi>, call: Call): Promise<Response | null> {
  const sender = senderOf(request)
  if (isOvertaken(sender, 'coordinator', call)) return null
  const errorCode = await call.broker.transactions.end(sender, request.committed)
  return { errorCode: codeOfFenced(errorCode, call, FENCED_SINCE_VERSION) }
}
