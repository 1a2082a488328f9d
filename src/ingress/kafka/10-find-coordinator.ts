/**
 * FindCoordinator 0–5: announced because without it librdkafka sends "lz4" uncompressed (its `rdkafka_feature.c`). There are
 * no groups and no transactions here, and the answers say so in codes that clients report instead of repeating.
 */

import type { ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import { findCoordinatorApi } from '../../wire/10-find-coordinator.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import { WireError } from '../../wire/wire-error.ts'
import type { IngressContext } from './handler-types.ts'

const KEYS_MAX = 1000
const TRANSACTION_KEY_TYPE = 1
const NO_NODE = { nodeId: -1, host: '', port: -1 }

export function handleFindCoordinator(request: ListenerRequest, context: IngressContext): ListenerReply {
  const { header, frame, bodyStart } = request
  const value = findCoordinatorApi.decodeRequest(frame, bodyStart, header.apiVersion)
  if (value.coordinatorKeys.length > KEYS_MAX) {
    throw new WireError('GS_WIRE_MALFORMED', `FindCoordinator: at most ${KEYS_MAX} keys at once`, {
      keyCount: value.coordinatorKeys.length,
    })
  }
  context.refused('coordinator-not-offered', { remoteAddress: request.connection.remoteAddress })
  const failure =
    value.keyType === TRANSACTION_KEY_TYPE
      ? {
          errorCode: KAFKA_ERROR.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
          errorMessage: 'transactions are not offered here',
        }
      : {
          errorCode: KAFKA_ERROR.GROUP_AUTHORIZATION_FAILED,
          errorMessage: 'this endpoint only takes records; consume from the broker that holds the vault',
        }
  return encodeResponseFrame(findCoordinatorApi, header.apiVersion, header.correlationId, {
    ...failure,
    ...NO_NODE,
    coordinators: value.coordinatorKeys.map((key) => ({ key, ...failure, ...NO_NODE })),
  })
}
