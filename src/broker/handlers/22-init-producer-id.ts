/**
 * InitProducerId, versions 0–5. Without a transactional id: an id that was never given before, with epoch 0, whatever id and
 * epoch the producer had (as Kafka does). With one: the next epoch of that id, once what its last holder left is aborted.
 * Departure: the answer waits for that, where Kafka says CONCURRENT_TRANSACTIONS.
 */

import { initProducerIdApi } from '../../wire/22-init-producer-id.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'
import { codeOfFenced } from './transaction-sender.ts'

export const initProducerIdRoute = route(initProducerIdApi, { from: 0, to: 5 }, handle)

type Request = RequestOf<typeof initProducerIdApi>
type Response = ResponseInputOf<typeof initProducerIdApi>

const FENCED_SINCE_VERSION = 4

async function handle(request: Request, call: Call): Promise<Response> {
  try {
    if (request.transactionalId !== null)
      return await initTransactional(request.transactionalId, request, call)
    return { errorCode: KAFKA_ERROR.NONE, producerId: await call.broker.producerIds.take(), producerEpoch: 0 }
  } catch (error) {
    call.broker.diagnostics.error({ err: error }, 'no producer ids could be reserved')
    return failed(KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE)
  }
}

async function initTransactional(transactionalId: string, request: Request, call: Call): Promise<Response> {
  const { producerId, producerEpoch, transactionTimeoutMs } = request
  // Both or neither.
  if (producerId >= 0 !== producerEpoch >= 0) return failed(KAFKA_ERROR.INVALID_REQUEST)
  const initialized = await call.broker.transactions.initProducer({
    transactionalId,
    timeoutMs: transactionTimeoutMs,
    expected: producerId >= 0 ? { producerId, producerEpoch } : null,
  })
  return { ...initialized, errorCode: codeOfFenced(initialized.errorCode, call, FENCED_SINCE_VERSION) }
}

function failed(errorCode: number): Response {
  return { errorCode, producerId: -1, producerEpoch: -1 }
}
