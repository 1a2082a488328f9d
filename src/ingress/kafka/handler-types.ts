/** What every handler of the Kafka ingress is given. A handler's header lists its versions and departures. */

import type { Clock } from '../../core/clock.ts'
import type { KafkaCluster } from '../../kafka/cluster.ts'
import type { ListenerConnection, ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import type { StreamTopicTemplates } from '../../vault/stream-topics.ts'
import type { Vault } from '../../vault/vault-writer.ts'
import type { AnyApi } from '../../wire/api.ts'
import type { ListenerMetrics } from '../ingress-metrics.ts'

/** Its node id. */
export const VIRTUAL_NODE_ID = 1

/** The one broker that clients see: leader of every partition, controller, everything. */
export interface VirtualBroker {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export interface IngressContext {
  readonly vault: Vault
  readonly cluster: KafkaCluster
  readonly templates: StreamTopicTemplates
  readonly clock: Clock
  readonly metrics: ListenerMetrics
  readonly clusterId: string
  readonly autoCreateStreams: boolean
  /** As this client is told to reach it. */
  readonly broker: (connection: ListenerConnection) => VirtualBroker
  /** Counts a refused request or partition, and prints it now and then. Text from outside comes escaped. */
  readonly refused: (
    reason: string,
    facts: Readonly<Record<string, string | number | boolean | null>>,
  ) => void
}

export type IngressHandler = (
  request: ListenerRequest,
  context: IngressContext,
) => ListenerReply | Promise<ListenerReply>

/** One API as the ingress serves it. */
export interface IngressApi {
  readonly api: AnyApi
  /** What ApiVersions says: for librdkafka's sake it may say more than is served (its `rdkafka_feature.c`). */
  readonly announced: readonly [number, number]
  /** What is really decoded; anything else closes the connection. */
  readonly served: readonly [number, number]
  readonly handle: IngressHandler
}
