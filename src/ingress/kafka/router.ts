/**
 * The APIs of the Kafka ingress, written out: what is announced, what is served, who handles it.
 * Nothing that reads, and nothing that administers, is in this list.
 */

import { produceApi } from '../../wire/00-produce.ts'
import { fetchApi } from '../../wire/01-fetch.ts'
import { listOffsetsApi } from '../../wire/02-list-offsets.ts'
import { metadataApi } from '../../wire/03-metadata.ts'
import { findCoordinatorApi } from '../../wire/10-find-coordinator.ts'
import { apiVersionsApi } from '../../wire/18-api-versions.ts'
import { initProducerIdApi } from '../../wire/22-init-producer-id.ts'
import { describeClusterApi } from '../../wire/60-describe-cluster.ts'
import { handleProduce } from './00-produce.ts'
import { handleFetch } from './01-fetch.ts'
import { handleListOffsets } from './02-list-offsets.ts'
import { handleMetadata } from './03-metadata.ts'
import { handleFindCoordinator } from './10-find-coordinator.ts'
import { apiVersionsHandler } from './18-api-versions.ts'
import { handleInitProducerId } from './22-init-producer-id.ts'
import { handleDescribeCluster } from './60-describe-cluster.ts'
import type { IngressApi } from './handler-types.ts'

export const INGRESS_APIS: readonly IngressApi[] = [
  // librdkafka before 2.11 compresses nothing when Produce does not begin at 0 (KAFKA-18659).
  { api: produceApi, announced: [0, 11], served: [3, 11], handle: handleProduce },
  { api: fetchApi, announced: [4, 16], served: [4, 16], handle: handleFetch },
  { api: listOffsetsApi, announced: [1, 7], served: [1, 7], handle: handleListOffsets },
  { api: metadataApi, announced: [0, 12], served: [0, 12], handle: handleMetadata },
  { api: findCoordinatorApi, announced: [0, 5], served: [0, 5], handle: handleFindCoordinator },
  {
    api: apiVersionsApi,
    announced: [0, 4],
    // Any version is answered: see the handler.
    served: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    handle: apiVersionsHandler(() => INGRESS_APIS),
  },
  { api: initProducerIdApi, announced: [0, 4], served: [0, 4], handle: handleInitProducerId },
  { api: describeClusterApi, announced: [0, 1], served: [0, 1], handle: handleDescribeCluster },
]

const byKey = new Map<number, IngressApi>(INGRESS_APIS.map((entry) => [entry.api.key, entry]))

/** The entry that serves this API in this version, or undefined: the connection is then closed, as Kafka does. */
export function findIngressApi(apiKey: number, apiVersion: number): IngressApi | undefined {
  const entry = byKey.get(apiKey)
  if (entry === undefined || apiVersion < entry.served[0] || apiVersion > entry.served[1]) return undefined
  return entry
}
