/** What a failed request means for a transaction. */

import { GopherShipError } from '../core/errors.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import { kafkaErrorCodeOf } from './kafka-errors.ts'

/**
 * passing   the same request may succeed later
 * abort     this transaction cannot be committed, the next one may
 * fenced    the id has a new holder, or the coordinator gave up on the transaction: this producer is finished
 * fatal     nothing that this producer does will succeed: not allowed, not offered
 */
export type TransactionVerdict = 'passing' | 'abort' | 'fenced' | 'fatal'

const FENCED_CODES: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.INVALID_PRODUCER_EPOCH,
  KAFKA_ERROR.PRODUCER_FENCED,
  // The id has another producer id by now, or the coordinator has forgotten it: in both cases ours counts for nothing.
  KAFKA_ERROR.INVALID_PRODUCER_ID_MAPPING,
  KAFKA_ERROR.TRANSACTION_COORDINATOR_FENCED,
])

const FATAL_CODES: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  KAFKA_ERROR.CLUSTER_AUTHORIZATION_FAILED,
  KAFKA_ERROR.UNSUPPORTED_VERSION,
  KAFKA_ERROR.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  KAFKA_ERROR.INVALID_TRANSACTION_TIMEOUT,
])

/** Answers by which a group says that the member is no longer what it was. */
const GENERATION_CODES: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.ILLEGAL_GENERATION,
  KAFKA_ERROR.UNKNOWN_MEMBER_ID,
  KAFKA_ERROR.FENCED_INSTANCE_ID,
  KAFKA_ERROR.REBALANCE_IN_PROGRESS,
  KAFKA_ERROR.STALE_MEMBER_EPOCH,
  KAFKA_ERROR.FENCED_MEMBER_EPOCH,
])

export function judgeTransactionFailure(error: unknown): TransactionVerdict {
  if (!(error instanceof GopherShipError)) return 'fatal'
  const code = kafkaErrorCodeOf(error)
  if (code === null) return error.retriable ? 'passing' : 'fatal'
  if (FENCED_CODES.has(code)) return 'fenced'
  if (FATAL_CODES.has(code)) return 'fatal'
  return error.retriable ? 'passing' : 'abort'
}

/** True when the positions were refused because the group has gone on without the member. */
export function isGenerationOver(error: unknown): boolean {
  return GENERATION_CODES.has(kafkaErrorCodeOf(error) ?? KAFKA_ERROR.NONE)
}
