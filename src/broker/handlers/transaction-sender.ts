/** What the handlers of transactions share: who sent a request, and how old versions are told that they are fenced. */

import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { TransactionSender } from '../transactions/transaction-coordinator.ts'
import type { Call } from './route.ts'

export function senderOf({
  transactionalId,
  producerId,
  producerEpoch,
}: TransactionSender): TransactionSender {
  return { transactionalId, producerId, producerEpoch }
}

/** Clients that do not know PRODUCER_FENCED are told INVALID_PRODUCER_EPOCH (KIP-588). */
export function codeOfFenced(errorCode: number, call: Call, fencedSinceVersion: number): number {
  const isUnknown = call.header.apiVersion < fencedSinceVersion
  return errorCode === KAFKA_ERROR.PRODUCER_FENCED && isUnknown
    ? KAFKA_ERROR.INVALID_PRODUCER_EPOCH
    : errorCode
}
