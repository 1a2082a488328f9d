/**
 * AddPartitionsToTxn, versions 0–3 (4 and later are for brokers among themselves): partitions that a transaction will write
 * to, durable before the answer. All or none are added: when one does not exist, the others are answered
 * OPERATION_NOT_ATTEMPTED. Departure: while the transaction before is being ended, the answer waits (Kafka: 51).
 */

import { addPartitionsToTxnApi } from '../../wire/24-add-partitions-to-txn.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { isOvertaken } from '../transaction-connections.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'
import { codeOfFenced, senderOf } from './transaction-sender.ts'

export const addPartitionsToTxnRoute = route(addPartitionsToTxnApi, { from: 0, to: 3 }, handle)

type Request = RequestOf<typeof addPartitionsToTxnApi>
type Response = ResponseInputOf<typeof addPartitionsToTxnApi>

/** Before it, clients know no PRODUCER_FENCED. */
const FENCED_SINCE_VERSION = 2

async function handle(request: Request, call: Call): Promise<Response | null> {
  const sender = senderOf({
    transactionalId: request.v3AndBelowTransactionalId,
    producerId: request.v3AndBelowProducerId,
    producerEpoch: request.v3AndBelowProducerEpoch,
  })
  if (isOvertaken(sender, 'coordinator', call)) return null
  const topics = request.v3AndBelowTopics
  const partitions = topics.flatMap(({ name, partitions }) =>
    partitions.map((index) => ({ topic: name, index })),
  )
  const problems = partitions.map(({ topic, index }) => problemOf(topic, index, call))
  const hasProblem = problems.some((errorCode) => errorCode !== KAFKA_ERROR.NONE)
  let forAll: number = KAFKA_ERROR.OPERATION_NOT_ATTEMPTED
  if (!hasProblem) {
    const errorCode = await call.broker.transactions.addPartitions(sender, partitions)
    forAll = codeOfFenced(errorCode, call, FENCED_SINCE_VERSION)
  }
  return {
    resultsByTopicV3AndBelow: topics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => ({
        partitionIndex,
        partitionErrorCode: problemOf(name, partitionIndex, call) || forAll,
      })),
    })),
  }
}

function problemOf(topicName: string, index: number, call: Call): number {
  const topic = call.broker.topics.byName(topicName)
  if (topic?.partitions[index] === undefined) return KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION
  return topic.isInternal ? KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED : KAFKA_ERROR.NONE
}
