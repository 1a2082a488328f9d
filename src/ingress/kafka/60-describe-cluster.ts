/** DescribeCluster 0–1: this one broker, for administration tools that begin with the question. */

import type { ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import { describeClusterApi } from '../../wire/60-describe-cluster.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import type { IngressContext } from './handler-types.ts'

export function handleDescribeCluster(request: ListenerRequest, context: IngressContext): ListenerReply {
  const { header, frame, bodyStart, connection } = request
  const { endpointType } = describeClusterApi.decodeRequest(frame, bodyStart, header.apiVersion)
  const { nodeId, host, port } = context.broker(connection)
  return encodeResponseFrame(describeClusterApi, header.apiVersion, header.correlationId, {
    clusterId: context.clusterId,
    controllerId: nodeId,
    endpointType,
    brokers: [{ brokerId: nodeId, host, port }],
  })
}
