/**
 * FindCoordinator, versions 0–5; several keys from 4 on. This node coordinates every group and every transactional id. Offered
 * from 0 because librdkafka compresses with lz4 only then. Other kinds of key (share groups) are answered INVALID_REQUEST, as
 * Kafka does, and so is an empty transactional id.
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
  if (call.header.apiVersion < KEYS_SINCE_VERSION) return { ...locate(request.keyType, request.key, call) }
  return {
    coordinators: request.coordinatorKeys.map((key) => ({ key, ...locate(request.keyType, key, call) })),
  }
}

function locate(keyType: number, key: string, call: Call) {
  const isKnown = keyType === KEY_TYPE_GROUP || (keyType === KEY_TYPE_TRANSACTION && key !== '')
  if (!isKnown) {
    const errorMessage =
      keyType === KEY_TYPE_TRANSACTION
        ? 'the transactional id is empty'
        : 'only groups and transactional ids have a coordinator here'
    return { errorCode: KAFKA_ERROR.INVALID_REQUEST, errorMessage, nodeId: -1, host: '', port: -1 }
  }
  return {
    errorCode: KAFKA_ERROR.NONE,
    errorMessage: null,
    nodeId: NODE_ID,
    ...call.broker.endpointFor(call.connection),
  }
}
