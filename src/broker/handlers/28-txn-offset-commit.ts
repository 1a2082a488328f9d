/**
 * TxnOffsetCommit, versions 0–4: offsets of a group that count when the transaction commits; durable before the answer. From
 * version 3 on the sender says which member of which generation it is, and one that has lost its partitions is refused
 * (KIP-447). Departure, as OffsetCommit: offsets of a topic that does not exist are refused for that partition only.
 */

import { txnOffsetCommitApi } from '../../wire/28-txn-offset-commit.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { isOvertaken } from '../transaction-connections.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'
import { selectOffsets } from './select-offsets.ts'
import { senderOf } from './transaction-sender.ts'

export const txnOffsetCommitRoute = route(txnOffsetCommitApi, { from: 0, to: 4 }, handle)

type Request = RequestOf<typeof txnOffsetCommitApi>
type Response = ResponseInputOf<typeof txnOffsetCommitApi>

async function handle(request: Request, call: Call): Promise<Response | null> {
  const { groups, transactions } = call.broker
  const producer = senderOf(request)
  if (isOvertaken(producer, 'group', call)) return null
  const { accepted, topics } = selectOffsets(request.topics, call)
  const member = {
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    generationId: request.generationId,
  }
  let errorCode = transactions.checkOffsets(producer)
  if (errorCode === KAFKA_ERROR.NONE) {
    errorCode = await groups.stage(request.groupId, member, producer, accepted)
  }
  if (errorCode !== KAFKA_ERROR.NONE) {
    for (const topic of topics) for (const partition of topic.partitions) partition.errorCode = errorCode
  }
  return { topics }
}
