/** A processor as a worker thread: the real clock and randomness go in here, and its own connection to the cluster. */

import { systemClock } from '../core/clock.ts'
import { importModule } from '../core/import-module.ts'
import { systemRandom } from '../core/random.ts'
import { serveThread } from '../core/thread-link.ts'
import { SourceTopics } from '../enrichment/source-topics.ts'
import { KafkaCluster } from '../kafka/cluster.ts'
import type { LoggerOptions } from '../telemetry/logger.ts'
import { openDiagnostics } from '../telemetry/logger.ts'
import { openThreadRegistry } from '../telemetry/metrics.ts'
import type { TopologyDeclaration } from '../topology/declaration.ts'
import { prepareTopology } from '../topology/prepare-topology.ts'
import { DEFAULT_STREAM_TOPICS } from '../vault/stream-topics.ts'
import type { PassthroughMode } from './batch-tiers.ts'
import type { Guarantee } from './delivery.ts'
import { Processor } from './processor.ts'

export interface ProcessorThreadOptions {
  readonly bootstrapServers: readonly string[]
  readonly clientId: string
  readonly groupId: string
  /** Names this worker in the group over restarts. */
  readonly groupInstanceId: string
  readonly workerIndex: number
  /** Checked already; the thread compiles it for itself. */
  readonly topology: TopologyDeclaration
  readonly timeZone: string
  readonly vaultTemplate: string
  readonly commitIntervalMs: number
  readonly guarantee: Guarantee
  readonly transactionTimeoutMs: number
  readonly passthrough: PassthroughMode
  /** Where the observer publishes the pressure; without it everything is enriched fully. */
  readonly ambient?: SharedArrayBuffer
  readonly checkEveryRecords?: number
  readonly logger: LoggerOptions
}

serveThread<ProcessorThreadOptions>({
  async start({
    bootstrapServers,
    clientId,
    groupId,
    groupInstanceId,
    workerIndex,
    topology,
    timeZone,
    vaultTemplate,
    commitIntervalMs,
    guarantee,
    transactionTimeoutMs,
    passthrough,
    ambient,
    checkEveryRecords,
    logger,
  }) {
    const diagnostics = openDiagnostics(logger)
    const metrics = openThreadRegistry(logger.thread)
    const cluster = new KafkaCluster({
      bootstrapServers,
      clientId: `${clientId}-processor-${workerIndex}`,
      clock: systemClock,
      random: systemRandom,
      diagnostics,
    })
    await cluster.connect()
    const processor = Processor.start({
      cluster,
      clock: systemClock,
      random: systemRandom,
      diagnostics,
      metrics,
      groupId,
      groupInstanceId,
      guarantee,
      // One name for both fences: the group's and the transaction coordinator's.
      transactionalId: groupInstanceId,
      transactionTimeoutMs,
      passthrough,
      ...(ambient === undefined ? {} : { ambient }),
      ...(checkEveryRecords === undefined ? {} : { checkEveryRecords }),
      topology: await prepareTopology(topology, importModule, { timeZone }),
      topics: new SourceTopics(topology, { ...DEFAULT_STREAM_TOPICS, vault: vaultTemplate }),
      commitIntervalMs,
      onFailed(error) {
        // Out of any promise, so that the thread ends and its supervisor starts a new one, later and later.
        setImmediate(() => {
          throw error
        })
      },
    })
    return {
      ready: { workerIndex },
      metrics,
      status: () => processor.status(),
      async stop() {
        await processor.stop()
        await cluster.close()
      },
    }
  },
})
