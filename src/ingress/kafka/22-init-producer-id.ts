/**
 * InitProducerId 0–4: passed on upstream, because a producer id must be unique where batches are checked for
 * duplicates, and that is the upstream. Transactions are not offered: a transactional id is answered
 * TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
 */

import { isFailure } from '../../core/errors.ts'
import type { ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import { within } from '../../vault/within.ts'
import { initProducerIdApi } from '../../wire/22-init-producer-id.ts'
import type { ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import type { IngressContext } from './handler-types.ts'

type InitProducerIdAnswer = ResponseInputOf<typeof initProducerIdApi>

const UPSTREAM_MS_MAX = 10_000

export async function handleInitProducerId(
  request: ListenerRequest,
  context: IngressContext,
): Promise<ListenerReply> {
  const { header, frame, bodyStart } = request
  const value = initProducerIdApi.decodeRequest(frame, bodyStart, header.apiVersion)
  const answer =
    value.transactionalId === null
      ? await askUpstream(value, context)
      : { errorCode: KAFKA_ERROR.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, producerId: -1, producerEpoch: -1 }
  return encodeResponseFrame(initProducerIdApi, header.apiVersion, header.correlationId, answer)
}

async function askUpstream(
  value: ReturnType<typeof initProducerIdApi.decodeRequest>,
  { vault, clock }: IngressContext,
): Promise<InitProducerIdAnswer> {
  try {
    const asked = vault.initProducerId(value, { timeoutMs: UPSTREAM_MS_MAX })
    const { errorCode, producerId, producerEpoch } = await within(
      clock,
      UPSTREAM_MS_MAX,
      'InitProducerId',
      asked,
    )
    return { errorCode, producerId, producerEpoch }
  } catch (error) {
    if (!isFailure(error)) throw error
    // The one code that makes every client simply ask again.
    return { errorCode: KAFKA_ERROR.COORDINATOR_LOAD_IN_PROGRESS, producerId: -1, producerEpoch: -1 }
  }
}
