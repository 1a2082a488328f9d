/**
 * What a failed append means, in the one distinction that matters to whoever sent the records: are they certainly not
 * in the vault, or might they be? Every listener translates this to its own protocol.
 */

import { isFailure } from '../core/errors.ts'
import { KafkaResponseError } from '../kafka/kafka-errors.ts'
import { KAFKA_ERROR, kafkaErrorName } from '../wire/error-codes.ts'

export type AppendOutcome =
  /** Nobody knows whether the records are stored. */
  | { readonly kind: 'unknown' }
  /** Certainly not stored; the same records may be taken later. */
  | { readonly kind: 'not-stored' }
  /** Certainly not stored, and the same records never will be. */
  | { readonly kind: 'refused'; readonly kafkaErrorCode: number; readonly kafkaErrorName: string }

/** Answers that say the write was tried and not confirmed. */
const UNCONFIRMED_CODES: ReadonlySet<number> = new Set<number>([
  KAFKA_ERROR.UNKNOWN_SERVER_ERROR,
  KAFKA_ERROR.REQUEST_TIMED_OUT,
  KAFKA_ERROR.NETWORK_EXCEPTION,
  KAFKA_ERROR.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
])

/** An error that is not a failure of ours is a bug, and a bug's outcome is unknown. */
export function outcomeOf(error: unknown): AppendOutcome {
  if (!isFailure(error)) return { kind: 'unknown' }
  // An earlier attempt may have been written even when the last one was clearly refused.
  if (error.facts['possiblyPersisted'] === true) return { kind: 'unknown' }
  if (error instanceof KafkaResponseError) {
    const { kafkaErrorCode, kafkaErrorName } = error
    if (UNCONFIRMED_CODES.has(kafkaErrorCode)) return { kind: 'unknown' }
    return error.retriable ? { kind: 'not-stored' } : { kind: 'refused', kafkaErrorCode, kafkaErrorName }
  }
  switch (error.code) {
    case 'GS_KAFKA_TIMEOUT':
    case 'GS_KAFKA_DISCONNECTED':
      return { kind: error.facts['possiblyPersisted'] === false ? 'not-stored' : 'unknown' }
    case 'GS_VAULT_STREAMS_MAX':
      return refusedWith(KAFKA_ERROR.POLICY_VIOLATION)
    case 'GS_KAFKA_QUEUE_FULL':
    case 'GS_KAFKA_UNSUPPORTED':
    case 'GS_STOPPED':
      return { kind: 'not-stored' }
    default:
      return { kind: 'unknown' }
  }
}

function refusedWith(kafkaErrorCode: number): AppendOutcome {
  return { kind: 'refused', kafkaErrorCode, kafkaErrorName: kafkaErrorName(kafkaErrorCode) }
}
