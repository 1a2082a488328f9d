/**
 * FindCoordinator, versions 0–5; several keys from 4 on. This node coordinates every group. Offered from 0 because
 * librdkafka compresses with lz4 only then. Not supported: transaction coordinators, answered
 * TRANSACTIONAL_ID_AUTHORIZATION_FAILED as InitProducerId is, which clients report at once; any retriable code would have
 * them ask until they time out. Other kinds of key (share groups) are answered INVALID_REQUEST, as Kafka does.
 */

import { findCoordinatorApi } from '../../wire/10-find-coordinator.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { NODE_ID } from '../broker-context.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const findCoordinatorRoute = route(findCoordinatorApi, { from: 0, to: 5 }, handle)

type Request = RequestOf<typeof findCoordinatorApi>
type Response = ResponseInputOf<typeof findCoordinatorApi>

const KEY_TYPE_GROUP = 0
const KEY_TYPE_TRANSACTION = 1
const KEYS_SINCE_VERSION = 4

function handle(request: Request, call: Call): Response {
  if (call.header.apiVersion < KEYS_SINCE_VERSION) return { ...locate(request.keyType, call) }
  return { coordinators: request.coordinatorKeys.map((key) => ({ key, ...locate(request.keyType, call) })) }
}

function locate(keyType: number, call: Call) {
  if (keyType !== KEY_TYPE_GROUP) {
    const errorCode =
      keyType === KEY_TYPE_TRANSACTION
        ? KAFKA_ERROR.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        : KAFKA_ERROR.INVALID_REQUEST
    const errorMessage = 'only consumer groups have a coordinator here'
    return { errorCode, errorMessage, nodeId: -1, host: '', port: -1 }
  }
  return {
    errorCode: KAFKA_ERROR.NONE,
    errorMessage: null,
    nodeId: NODE_ID,
    ...call.broker.endpointFor(call.connection),
  }
}
