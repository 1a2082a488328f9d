/** DescribeCluster, versions 0–1: this one node, which is its own controller. */

import { describeClusterApi } from '../../wire/60-describe-cluster.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED } from '../authorized-operations.ts'
import { NODE_ID } from '../broker-context.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const describeClusterRoute = route(describeClusterApi, { from: 0, to: 1 }, handle)

/** Asks for brokers (the only kind there is); 2 asks for controllers. */
const ENDPOINT_BROKERS = 1

function handle(
  request: RequestOf<typeof describeClusterApi>,
  call: Call,
): ResponseInputOf<typeof describeClusterApi> {
  const { broker, connection } = call
  if (request.endpointType !== ENDPOINT_BROKERS) {
    return {
      errorCode: KAFKA_ERROR.MISMATCHED_ENDPOINT_TYPE,
      errorMessage: 'this is a broker',
      endpointType: ENDPOINT_BROKERS,
      clusterId: '',
    }
  }
  const { host, port } = broker.endpointFor(connection)
  return {
    errorCode: KAFKA_ERROR.NONE,
    endpointType: ENDPOINT_BROKERS,
    clusterId: broker.topics.clusterId,
    controllerId: NODE_ID,
    brokers: [{ brokerId: NODE_ID, host, port, rack: null }],
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? CLUSTER_OPERATIONS
      : OPERATIONS_NOT_ASKED,
  }
}
