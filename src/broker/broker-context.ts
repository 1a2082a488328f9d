/** What handlers may use: the broker's parts, each the owner of its own state. */

import type { Clock } from '../core/clock.ts'
import type { ListenerConnection } from '../listener/listener-types.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { BrokerMetrics } from './broker-metrics.ts'
import type { BrokerOptions } from './broker-options.ts'
import type { GroupCoordinator } from './groups/group-coordinator.ts'
import type { OffsetStore } from './groups/offset-store.ts'
import type { ProducerIds } from './producer-ids.ts'
import type { StopSignal } from './stop-signal.ts'
import type { TopicRegistry } from './topics/topic-registry.ts'
import type { TransactionCoordinator } from './transactions/transaction-coordinator.ts'

/** The one node's id; also the controller's and the coordinator's. */
export const NODE_ID = 1
/** Leadership never moves, so its epoch is always the first. */
export const LEADER_EPOCH = 0

export interface BrokerContext {
  readonly options: BrokerOptions
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly topics: TopicRegistry
  readonly groups: GroupCoordinator
  readonly offsets: OffsetStore
  readonly producerIds: ProducerIds
  readonly transactions: TransactionCoordinator
  readonly metrics: BrokerMetrics
  /** What ApiVersions lists. */
  readonly offeredApis: readonly {
    readonly apiKey: number
    readonly minVersion: number
    readonly maxVersion: number
  }[]
  /** Where this client should connect. */
  endpointFor(connection: ListenerConnection): { readonly host: string; readonly port: number }
  /** For whoever waits long. */
  readonly stopping: StopSignal
}
