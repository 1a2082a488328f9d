/**
 * What a failed append means to an HTTP client: one table. The distinction that matters is whether anything may be
 * stored: 502, 503 and 413 say no, 504 says perhaps.
 */

import { isFailure } from '../../core/errors.ts'
import type { AppendOutcome } from '../../vault/append-outcome.ts'
import { outcomeOf } from '../../vault/append-outcome.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { HttpRefusal } from './http-refusal.ts'
import type { StoredBody } from './store-body.ts'

const RETRY_AFTER_SECONDS = 2

/** `failures` holds at least one. Anything unknown is an unknown outcome. */
export function refusalOfVaultFailure({
  failures,
  stored,
}: Pick<StoredBody, 'failures' | 'stored'>): HttpRefusal {
  const [failure] = failures
  const outcome = outcomeOf(failure)
  const perhapsStored = stored.length > 0 || failures.some((one) => outcomeOf(one).kind === 'unknown')
  return perhapsStored ? outcomeUnknown(failure, stored) : refusalOfOutcome(failure, outcome)
}

/** The stream could not be opened. Whatever became of its topic, no record was on its way. */
export function refusalOfOpening(failure: unknown): HttpRefusal {
  return refusalOfOutcome(failure, outcomeOf(failure))
}

/** For a failure after which nothing of the request is stored. */
function refusalOfOutcome(failure: unknown, outcome: AppendOutcome): HttpRefusal {
  if (isFailure(failure, 'GS_STOPPED')) {
    return new HttpRefusal('stopping', 'this server is stopping; nothing was stored, send it again', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      cause: failure,
    })
  }
  if (isFailure(failure, 'GS_VAULT_STREAMS_MAX')) {
    const { streamCountMax = null } = failure.facts
    return new HttpRefusal(
      'too_many_streams',
      `this stream does not exist, and there may be ${streamCountMax} streams; nothing was stored. Send to one that exists, or raise streams.streamCountMax`,
      { facts: { limitStreams: streamCountMax }, cause: failure },
    )
  }
  if (outcome.kind === 'refused' && outcome.kafkaErrorCode === KAFKA_ERROR.MESSAGE_TOO_LARGE) {
    return new HttpRefusal(
      'record_too_large',
      'the vault topic allows smaller batches than this body needs; nothing was stored. Send smaller records, or raise max.message.bytes of the topic',
      { cause: failure },
    )
  }
  if (outcome.kind === 'refused') {
    return new HttpRefusal(
      'vault_refused',
      `the vault refused the records (${outcome.kafkaErrorName}); nothing was stored, and sending it again will not help`,
      { facts: { kafkaError: outcome.kafkaErrorName }, cause: failure },
    )
  }
  return new HttpRefusal(
    'vault_unavailable',
    'the vault could not take the records in time; nothing was stored, send it again',
    {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      cause: failure,
    },
  )
}

function outcomeUnknown(failure: unknown, stored: StoredBody['stored']): HttpRefusal {
  return new HttpRefusal(
    'outcome_unknown',
    'not all of the body was acknowledged by the vault: some of it may be stored, and sending it again may store that part twice',
    {
      facts: {
        storedRecords: stored.reduce((sum, appended) => sum + appended.recordCount, 0),
        stored: stored.map(({ partition, baseOffset, lastOffset, recordCount }) => ({
          partition,
          firstOffset: baseOffset,
          lastOffset,
          records: recordCount,
        })),
      },
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      cause: failure,
    },
  )
}
