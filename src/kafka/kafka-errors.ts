/**
 * What the raw client throws. Each class is one `GS_KAFKA_…` code, so callers narrow by `code` and read `facts`:
 *
 *   GS_KAFKA_RESPONSE      the broker answered with an error code (`kafkaErrorCode`, `kafkaErrorName`)
 *   GS_KAFKA_TIMEOUT       no answer in time; for a produce, `facts.possiblyPersisted` says if it may be in the log
 *   GS_KAFKA_DISCONNECTED  the connection broke or could not be made
 *   GS_KAFKA_UNSUPPORTED   the broker does not offer the API, or no version we share
 *   GS_KAFKA_QUEUE_FULL    the producer's bounded queue has no room
 *   GS_KAFKA_FENCED        a transactional producer is finished: its id has a new holder, or its transaction timed out
 *   GS_KAFKA_TRANSACTION   a transaction can only be aborted; `cause` and the facts say why
 */

import type { ErrorOptions } from '../core/errors.ts'
import { GopherShipError } from '../core/errors.ts'
import { isRetriableKafkaError, KAFKA_ERROR, kafkaErrorName } from '../wire/error-codes.ts'

type Facts = NonNullable<ErrorOptions['facts']>

/** A broker's answer carried an error code. `retriable` follows Kafka's own table. */
export class KafkaResponseError extends GopherShipError {
  /** The number on the wire, for example 6. */
  readonly kafkaErrorCode: number
  /** Kafka's name of it, for example `NOT_LEADER_OR_FOLLOWER`. */
  readonly kafkaErrorName: string
  /** What the broker added in words, when it did. */
  readonly brokerMessage: string | null

  constructor(
    operation: string,
    kafkaErrorCode: number,
    facts: Facts = {},
    brokerMessage: string | null = null,
  ) {
    const name = kafkaErrorName(kafkaErrorCode)
    const said = brokerMessage === null || brokerMessage === '' ? '' : `: ${brokerMessage}`
    super('GS_KAFKA_RESPONSE', `the broker answered ${operation} with ${name} (${kafkaErrorCode})${said}`, {
      retriable: isRetriableKafkaError(kafkaErrorCode),
      facts: { ...facts, operation, kafkaErrorCode, kafkaErrorName: name },
    })
    this.kafkaErrorCode = kafkaErrorCode
    this.kafkaErrorName = name
    this.brokerMessage = brokerMessage
  }
}

/** No answer within the stated time. */
export class KafkaTimeoutError extends GopherShipError {
  constructor(message: string, facts: Facts, cause?: unknown) {
    super('GS_KAFKA_TIMEOUT', message, { retriable: true, facts, cause })
  }
}

/** The connection broke, or could not be made. Whether a request in flight was carried out is unknown. */
export class KafkaDisconnectedError extends GopherShipError {
  constructor(message: string, facts: Facts, cause?: unknown) {
    super('GS_KAFKA_DISCONNECTED', message, { retriable: true, facts, cause })
  }
}

/** The broker offers no version of an API that we can speak. Nothing will change by trying again. */
export class KafkaUnsupportedError extends GopherShipError {
  constructor(message: string, facts: Facts) {
    super('GS_KAFKA_UNSUPPORTED', message, { facts })
  }
}

/** The producer's bounded queue has no room: wait with `Producer.waitForRoom`, then send again. */
export class KafkaQueueFullError extends GopherShipError {
  constructor(facts: Facts) {
    super('GS_KAFKA_QUEUE_FULL', 'the producer queue is full; wait for room before sending more', {
      retriable: true,
      facts,
    })
  }
}

/**
 * A transactional producer is finished. For a commit, `facts.possiblyCommitted` says whether the transaction may have been
 * committed before; whoever takes up the work reads the committed positions again in any case.
 */
export class KafkaFencedError extends GopherShipError {
  constructor(facts: Facts, cause: unknown) {
    super(
      'GS_KAFKA_FENCED',
      `the transactional id ${facts['transactionalId']} has a new holder, or its transaction timed out; ` +
        'only a new producer can go on, and only if the id is still its own',
      { facts, cause },
    )
  }
}

/** The transaction cannot be committed any more: `abort` it, then `begin` again. The facts are those of the cause. */
export class KafkaTransactionError extends GopherShipError {
  constructor(message: string, facts: Facts, cause?: unknown) {
    super('GS_KAFKA_TRANSACTION', message, { facts, cause })
  }
}

/** Throws when `kafkaErrorCode` is not NONE. */
export function throwOnKafkaError(
  operation: string,
  kafkaErrorCode: number,
  facts: Facts = {},
  brokerMessage: string | null = null,
): void {
  if (kafkaErrorCode !== KAFKA_ERROR.NONE) {
    throw new KafkaResponseError(operation, kafkaErrorCode, facts, brokerMessage)
  }
}

/** Answers after which our picture of the cluster is wrong: refresh the metadata before the next attempt. */
const STALE_METADATA_CODES: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION,
  KAFKA_ERROR.LEADER_NOT_AVAILABLE,
  KAFKA_ERROR.NOT_LEADER_OR_FOLLOWER,
  KAFKA_ERROR.REPLICA_NOT_AVAILABLE,
  KAFKA_ERROR.KAFKA_STORAGE_ERROR,
  KAFKA_ERROR.LISTENER_NOT_FOUND,
  KAFKA_ERROR.FENCED_LEADER_EPOCH,
  KAFKA_ERROR.UNKNOWN_LEADER_EPOCH,
  KAFKA_ERROR.OFFSET_NOT_AVAILABLE,
  KAFKA_ERROR.UNKNOWN_TOPIC_ID,
  KAFKA_ERROR.INCONSISTENT_TOPIC_ID,
])

/** Answers after which the coordinator must be looked up again. */
const STALE_COORDINATOR_CODES: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE,
  KAFKA_ERROR.NOT_COORDINATOR,
])

export function isStaleMetadataCode(kafkaErrorCode: number): boolean {
  return STALE_METADATA_CODES.has(kafkaErrorCode)
}

export function isStaleCoordinatorCode(kafkaErrorCode: number): boolean {
  return STALE_COORDINATOR_CODES.has(kafkaErrorCode)
}

/** The same failure with more facts; what is not a failure of ours is returned as it is. */
export function withFacts(error: Error, facts: Facts): Error {
  if (!(error instanceof GopherShipError)) return error
  const all = { ...error.facts, ...facts }
  if (error instanceof KafkaResponseError) {
    return new KafkaResponseError(
      String(error.facts['operation']),
      error.kafkaErrorCode,
      all,
      error.brokerMessage,
    )
  }
  if (error instanceof KafkaDisconnectedError) return new KafkaDisconnectedError(error.message, all, error)
  if (error instanceof KafkaTimeoutError) return new KafkaTimeoutError(error.message, all, error)
  const { code, message, retriable } = error
  return new GopherShipError(code, message, { retriable, facts: all, cause: error })
}

/** The broker's error code, when `error` is a broker's answer. */
export function kafkaErrorCodeOf(error: unknown): number | null {
  return error instanceof KafkaResponseError ? error.kafkaErrorCode : null
}

/** True for lost connections and missing answers: the broker may be gone, so ask another or look again. */
export function isConnectionFailure(error: unknown): boolean {
  return error instanceof KafkaDisconnectedError || error instanceof KafkaTimeoutError
}
