/**
 * What a producer is told when its batch is not stored. The rule behind the table: a code that
 * clients take as "not persisted" only when that is certain, a code they retry whenever a retry can help, and never
 * -1, 8 or 89, which some client treats as fatal.
 */

import type { BatchError } from '../../batch/batch-error.ts'
import { isFailure } from '../../core/errors.ts'
import { KafkaResponseError } from '../../kafka/kafka-errors.ts'
import { outcomeOf } from '../../vault/append-outcome.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'

/** The code for a batch that broke a rule the header shows. */
export function codeOfBatchError(error: BatchError): number {
  switch (error.code) {
    case 'GS_BATCH_CORRUPT':
      return KAFKA_ERROR.CORRUPT_MESSAGE
    case 'GS_BATCH_UNSUPPORTED_COMPRESSION':
      return KAFKA_ERROR.UNSUPPORTED_COMPRESSION_TYPE
    case 'GS_BATCH_TOO_LARGE':
      return KAFKA_ERROR.MESSAGE_TOO_LARGE
    default:
      return KAFKA_ERROR.INVALID_RECORD
  }
}

/**
 * Upstream answers that mean something to the producer as they are: about its batch, its sequence, its rights. All
 * others speak of brokers the producer does not know.
 */
const PASSED_THROUGH: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.CORRUPT_MESSAGE,
  KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION,
  KAFKA_ERROR.MESSAGE_TOO_LARGE,
  KAFKA_ERROR.INVALID_TOPIC_EXCEPTION,
  KAFKA_ERROR.RECORD_LIST_TOO_LARGE,
  KAFKA_ERROR.NOT_ENOUGH_REPLICAS,
  KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED,
  KAFKA_ERROR.CLUSTER_AUTHORIZATION_FAILED,
  KAFKA_ERROR.INVALID_TIMESTAMP,
  KAFKA_ERROR.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  KAFKA_ERROR.POLICY_VIOLATION,
  KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER,
  KAFKA_ERROR.DUPLICATE_SEQUENCE_NUMBER,
  KAFKA_ERROR.INVALID_PRODUCER_EPOCH,
  KAFKA_ERROR.INVALID_TXN_STATE,
  KAFKA_ERROR.UNKNOWN_PRODUCER_ID,
  KAFKA_ERROR.UNSUPPORTED_COMPRESSION_TYPE,
  KAFKA_ERROR.INVALID_RECORD,
])

/** The code for an append, or a look-up before it, that failed. */
export function codeOfAppendFailure(error: unknown): number {
  if (outcomeOf(error).kind === 'unknown') return KAFKA_ERROR.REQUEST_TIMED_OUT
  if (error instanceof KafkaResponseError) {
    if (PASSED_THROUGH.has(error.kafkaErrorCode)) return error.kafkaErrorCode
    return error.retriable ? KAFKA_ERROR.NOT_ENOUGH_REPLICAS : KAFKA_ERROR.INVALID_RECORD
  }
  // Time ran out while the topic was gone: asking for metadata again creates it anew.
  if (isFailure(error) && error.facts['lastKafkaErrorName'] === 'UNKNOWN_TOPIC_OR_PARTITION') {
    return KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION
  }
  return KAFKA_ERROR.NOT_ENOUGH_REPLICAS
}

/** How long an answer may be held: well inside the time the producer itself gives the request, and inside 30 s. */
export function holdMsOf(requestTimeoutMs: number): number {
  return Math.max(HOLD_MS_MIN, Math.min(HOLD_MS_MAX, Math.floor(requestTimeoutMs * HOLD_SHARE)))
}

const HOLD_SHARE = 0.7
const HOLD_MS_MIN = 50
/** Java, librdkafka and kafkajs break the connection after 30 s without an answer. */
const HOLD_MS_MAX = 25_000
