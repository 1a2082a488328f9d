/** Every API that the broker serves, written out, in the order of their keys. */

import { produceRoute } from './handlers/00-produce.ts'
import { fetchRoute } from './handlers/01-fetch.ts'
import { listOffsetsRoute } from './handlers/02-list-offsets.ts'
import { metadataRoute } from './handlers/03-metadata.ts'
import { offsetCommitRoute } from './handlers/08-offset-commit.ts'
import { offsetFetchRoute } from './handlers/09-offset-fetch.ts'
import { findCoordinatorRoute } from './handlers/10-find-coordinator.ts'
import { joinGroupRoute } from './handlers/11-join-group.ts'
import { heartbeatRoute } from './handlers/12-heartbeat.ts'
import { leaveGroupRoute } from './handlers/13-leave-group.ts'
import { syncGroupRoute } from './handlers/14-sync-group.ts'
import { describeGroupsRoute } from './handlers/15-describe-groups.ts'
import { listGroupsRoute } from './handlers/16-list-groups.ts'
import { apiVersionsRoute } from './handlers/18-api-versions.ts'
import { createTopicsRoute } from './handlers/19-create-topics.ts'
import { deleteTopicsRoute } from './handlers/20-delete-topics.ts'
import { deleteRecordsRoute } from './handlers/21-delete-records.ts'
import { initProducerIdRoute } from './handlers/22-init-producer-id.ts'
import { offsetForLeaderEpochRoute } from './handlers/23-offset-for-leader-epoch.ts'
import { addPartitionsToTxnRoute } from './handlers/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnRoute } from './handlers/25-add-offsets-to-txn.ts'
import { endTxnRoute } from './handlers/26-end-txn.ts'
import { txnOffsetCommitRoute } from './handlers/28-txn-offset-commit.ts'
import { describeConfigsRoute } from './handlers/32-describe-configs.ts'
import { alterConfigsRoute } from './handlers/33-alter-configs.ts'
import { createPartitionsRoute } from './handlers/37-create-partitions.ts'
import { deleteGroupsRoute } from './handlers/42-delete-groups.ts'
import { incrementalAlterConfigsRoute } from './handlers/44-incremental-alter-configs.ts'
import { describeClusterRoute } from './handlers/60-describe-cluster.ts'
import { describeProducersRoute } from './handlers/61-describe-producers.ts'
import { describeTransactionsRoute } from './handlers/65-describe-transactions.ts'
import { listTransactionsRoute } from './handlers/66-list-transactions.ts'
import type { Route } from './handlers/route.ts'

/** KIP-848 (68, 69) is not offered: clients see that in ApiVersions and do without. */
export const ROUTES: readonly Route[] = [
  produceRoute,
  fetchRoute,
  listOffsetsRoute,
  metadataRoute,
  offsetCommitRoute,
  offsetFetchRoute,
  findCoordinatorRoute,
  joinGroupRoute,
  heartbeatRoute,
  leaveGroupRoute,
  syncGroupRoute,
  describeGroupsRoute,
  listGroupsRoute,
  apiVersionsRoute,
  createTopicsRoute,
  deleteTopicsRoute,
  deleteRecordsRoute,
  initProducerIdRoute,
  offsetForLeaderEpochRoute,
  addPartitionsToTxnRoute,
  addOffsetsToTxnRoute,
  endTxnRoute,
  txnOffsetCommitRoute,
  describeConfigsRoute,
  alterConfigsRoute,
  createPartitionsRoute,
  deleteGroupsRoute,
  incrementalAlterConfigsRoute,
  describeClusterRoute,
  describeProducersRoute,
  describeTransactionsRoute,
  listTransactionsRoute,
]

const byKey = new Map(ROUTES.map((route) => [route.apiKey, route]))

export function routeOf(apiKey: number): Route | undefined {
  return byKey.get(apiKey)
}

/** What ApiVersions lists. */
export const OFFERED_APIS = ROUTES.map(({ apiKey, versionMin, versionMax }) => ({
  apiKey,
  minVersion: versionMin,
  maxVersion: versionMax,
}))
