/**
 * Metadata: brokers, topics, partitions and their leaders.
 *
 * All topics are asked for by an empty array in v0 and by null from v1; from v1 an empty array asks for none. v1 rack, controller,
 * isInternal; v2 clusterId; v4 allowAutoTopicCreation; v5 offlineReplicas; v7 leaderEpoch; v8 authorized operations;
 * v9 flexible; v10 topic ids in the answer; v12 look-up by topic id, with a null name; v13 a top-level error code (KIP-1102).
 *
 * librdkafka (seen in 2.15 and 2.16) asks for all topics in v9 and later with three bytes behind the last field: it reserves
 * four bytes for the topic count and writes the one-byte null over the first of them. Kafka reads no further than the last
 * field, and so do we.
 */

import { defineApi } from './api.ts'
import { array, bool, int16, int32, string, uuid } from './fields.ts'

export const metadataApi = defineApi({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexibleFrom: 9,
  ignoresRequestTrailer: true,
  request: {
    topics: array(
      {
        topicId: uuid({ since: 10 }),
        name: string({ nullable: 10 }),
      },
      { nullable: 1 },
    ),
    allowAutoTopicCreation: bool({ since: 4, default: true, essential: true }),
    includeClusterAuthorizedOperations: bool({ since: 8, until: 10 }),
    includeTopicAuthorizedOperations: bool({ since: 8 }),
  },
  response: {
    throttleTimeMs: int32({ since: 3 }),
    brokers: array({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string({ since: 1, nullable: true, default: null }),
    }),
    clusterId: string({ since: 2, nullable: true, default: null }),
    controllerId: int32({ since: 1, default: -1 }),
    topics: array({
      errorCode: int16(),
      name: string({ nullable: 12 }),
      topicId: uuid({ since: 10 }),
      isInternal: bool({ since: 1 }),
      partitions: array({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32({ since: 7, default: -1 }),
        replicaNodes: array(int32()),
        isrNodes: array(int32()),
        offlineReplicas: array(int32(), { since: 5 }),
      }),
      topicAuthorizedOperations: int32({ since: 8, default: -2147483648 }),
    }),
    clusterAuthorizedOperations: int32({ since: 8, until: 10, default: -2147483648 }),
    errorCode: int16({ since: 13 }),
  },
})
