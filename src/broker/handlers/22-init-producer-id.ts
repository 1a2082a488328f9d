/**
 * InitProducerId, versions 0–4, for idempotent producers: an id that was never given before, with epoch 0, whatever id and
 * epoch the producer had (as Kafka does without a transactional id).
 * Not supported: transactional ids, answered TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
 */

import { initProducerIdApi } from '../../wire/22-init-producer-id.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const initProducerIdRoute = route(initProducerIdApi, { from: 0, to: 4 }, handle)

type Response = ResponseInputOf<typeof initProducerIdApi>

async function handle(request: RequestOf<typeof initProducerIdApi>, call: Call): Promise<Response> {
  if (request.transactionalId !== null) {
    return failed(KAFKA_ERROR.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
  }
  try {
    return { errorCode: KAFKA_ERROR.NONE, producerId: await call.broker.producerIds.take(), producerEpoch: 0 }
  } catch (error) {
    call.broker.diagnostics.error({ err: error }, 'no producer ids could be reserved')
    return failed(KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE)
  }
}

function failed(errorCode: number): Response {
  return { errorCode, producerId: -1, producerEpoch: -1 }
}
