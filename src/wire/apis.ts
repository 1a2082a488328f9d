/** Every API that has a table, by its number. What a listener offers of them is its own choice. */

import { produceApi } from './00-produce.ts'
import { fetchApi } from './01-fetch.ts'
import { listOffsetsApi } from './02-list-offsets.ts'
import { metadataApi } from './03-metadata.ts'
import { offsetCommitApi } from './08-offset-commit.ts'
import { offsetFetchApi } from './09-offset-fetch.ts'
import { findCoordinatorApi } from './10-find-coordinator.ts'
import { joinGroupApi } from './11-join-group.ts'
import { heartbeatApi } from './12-heartbeat.ts'
import { leaveGroupApi } from './13-leave-group.ts'
import { syncGroupApi } from './14-sync-group.ts'
import { describeGroupsApi } from './15-describe-groups.ts'
import { listGroupsApi } from './16-list-groups.ts'
import { saslHandshakeApi } from './17-sasl-handshake.ts'
import { apiVersionsApi } from './18-api-versions.ts'
import { createTopicsApi } from './19-create-topics.ts'
import { deleteTopicsApi } from './20-delete-topics.ts'
import { deleteRecordsApi } from './21-delete-records.ts'
import { initProducerIdApi } from './22-init-producer-id.ts'
import { offsetForLeaderEpochApi } from './23-offset-for-leader-epoch.ts'
import { addPartitionsToTxnApi } from './24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from './25-add-offsets-to-txn.ts'
import { endTxnApi } from './26-end-txn.ts'
import { txnOffsetCommitApi } from './28-txn-offset-commit.ts'
import { describeConfigsApi } from './32-describe-configs.ts'
import { alterConfigsApi } from './33-alter-configs.ts'
import { saslAuthenticateApi } from './36-sasl-authenticate.ts'
import { createPartitionsApi } from './37-create-partitions.ts'
import { deleteGroupsApi } from './42-delete-groups.ts'
import { incrementalAlterConfigsApi } from './44-incremental-alter-configs.ts'
import { describeClusterApi } from './60-describe-cluster.ts'
import { describeProducersApi } from './61-describe-producers.ts'
import { describeTransactionsApi } from './65-describe-transactions.ts'
import { listTransactionsApi } from './66-list-transactions.ts'
import type { AnyApi } from './api.ts'

/** All tables, in the order of their numbers. */
export const ALL_APIS: readonly AnyApi[] = [
  produceApi,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  findCoordinatorApi,
  joinGroupApi,
  heartbeatApi,
  leaveGroupApi,
  syncGroupApi,
  describeGroupsApi,
  listGroupsApi,
  saslHandshakeApi,
  apiVersionsApi,
  createTopicsApi,
  deleteTopicsApi,
  deleteRecordsApi,
  initProducerIdApi,
  offsetForLeaderEpochApi,
  addPartitionsToTxnApi,
  addOffsetsToTxnApi,
  endTxnApi,
  txnOffsetCommitApi,
  describeConfigsApi,
  alterConfigsApi,
  saslAuthenticateApi,
  createPartitionsApi,
  deleteGroupsApi,
  incrementalAlterConfigsApi,
  describeClusterApi,
  describeProducersApi,
  describeTransactionsApi,
  listTransactionsApi,
]

const byKey = new Map<number, AnyApi>(ALL_APIS.map((api) => [api.key, api]))

/** The API with this number, or undefined when there is no table for it. */
export function findApi(key: number): AnyApi | undefined {
  return byKey.get(key)
}
