/**
 * AddOffsetsToTxn, versions 0–4: a transaction will commit offsets of a group; durable before the answer. All groups keep
 * their offsets in one partition, so which group it is changes nothing.
 */

import { addOffsetsToTxnApi } from '../../wire/25-add-offsets-to-txn.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { isOvertaken } from '../transaction-connections.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'
import { codeOfFenced, senderOf } from './transaction-sender.ts'

export const addOffsetsToTxnRoute = route(addOffsetsToTxnApi, { from: 0, to: 4 }, handle)

type Request = RequestOf<typeof addOffsetsToTxnApi>
type Response = ResponseInputOf<typeof addOffsetsToTxnApi>

const FENCED_SINCE_VERSION = 2

async function handle(request: Request, call: Call): Promise<Response | null> {
  const sender = senderOf(request)
  if (request.groupId === '') return { errorCode: KAFKA_ERROR.INVALID_GROUP_ID }
  if (isOvertaken(sender, 'coordinator', call)) return null
  const errorCode = await call.broker.transactions.addOffsets(sender)
  return { errorCode: codeOfFenced(errorCode, call, FENCED_SINCE_VERSION) }
}
