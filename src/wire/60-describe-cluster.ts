/**
 * DescribeCluster: the cluster's id, controller and brokers (KIP-700). Flexible from the start.
 *
 * v1 endpointType, 1 brokers or 2 controllers (KIP-919).
 */

import { defineApi } from './api.ts'
import { array, bool, int8, int16, int32, string } from './fields.ts'

export const describeClusterApi = defineApi({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 1],
  flexibleFrom: 0,
  request: {
    includeClusterAuthorizedOperations: bool(),
    endpointType: int8({ since: 1, default: 1 }),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string({ nullable: true, default: null }),
    endpointType: int8({ since: 1, default: 1 }),
    clusterId: string(),
    controllerId: int32({ default: -1 }),
    brokers: array({
      brokerId: int32(),
      host: string(),
      port: int32(),
      rack: string({ nullable: true, default: null }),
    }),
    clusterAuthorizedOperations: int32({ default: -2147483648 }),
  },
})
