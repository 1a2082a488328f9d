/** The compactor as a worker thread: the real clock and randomness go in here, and its own connections to the cluster. */

import type { Config } from '../config/schema.ts'
import { systemClock } from '../core/clock.ts'
import { importModule } from '../core/import-module.ts'
import { systemRandom } from '../core/random.ts'
import { serveThread } from '../core/thread-link.ts'
import { SourceTopics } from '../enrichment/source-topics.ts'
import { KafkaCluster } from '../kafka/cluster.ts'
import { AmbientReader } from '../pressure/ambient-status.ts'
import type { LoggerOptions } from '../telemetry/logger.ts'
import { openDiagnostics } from '../telemetry/logger.ts'
import { openThreadRegistry } from '../telemetry/metrics.ts'
import type { TopologyDeclaration } from '../topology/declaration.ts'
import { prepareTopology } from '../topology/prepare-topology.ts'
import { DEFAULT_STREAM_TOPICS } from '../vault/stream-topics.ts'
import { Compactor } from './compactor.ts'

export interface CompactorThreadOptions {
  readonly bootstrapServers: readonly string[]
  readonly clientId: string
  /** The processors' group; the compactors have `<groupId>-compactor`. */
  readonly groupId: string
  /** Names this compactor in its group, and its transactions, over restarts: `gophership-<instance>-compactor`. */
  readonly groupInstanceId: string
  /** Checked already; the thread compiles it for itself. */
  readonly topology: TopologyDeclaration
  /** Of event times, as the processors have it. */
  readonly timeZone: string
  readonly vaultTemplate: string
  /** Shared with the observer of the pressure. */
  readonly ambient: SharedArrayBuffer
  readonly config: Config['compactor']
  readonly logger: LoggerOptions
}

serveThread<CompactorThreadOptions>({
  async start(options) {
    const { bootstrapServers, clientId, topology, timeZone, vaultTemplate, logger } = options
    const diagnostics = openDiagnostics(logger)
    const metrics = openThreadRegistry(logger.thread)
    const cluster = new KafkaCluster({
      bootstrapServers,
      clientId: `${clientId}-compactor`,
      clock: systemClock,
      random: systemRandom,
      diagnostics,
    })
    await cluster.connect()
    const compactor = Compactor.start({
      cluster,
      clock: systemClock,
      diagnostics,
      metrics,
      groupId: options.groupId,
      groupInstanceId: options.groupInstanceId,
      topologyName: topology.name,
      topology: await prepareTopology(topology, importModule, { timeZone }),
      topics: new SourceTopics(topology, { ...DEFAULT_STREAM_TOPICS, vault: vaultTemplate }),
      ambient: new AmbientReader(options.ambient),
      config: options.config,
      onFailed(error) {
        // Out of any promise, so that the thread ends and its supervisor starts a new one, later and later.
        setImmediate(() => {
          throw error
        })
      },
    })
    return {
      ready: {},
      metrics,
      status: () => compactor.status(),
      async stop() {
        await compactor.stop()
        await cluster.close()
      },
    }
  },
})
