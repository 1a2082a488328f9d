/** The embedded broker's thread, from the configuration. */

import { join } from 'node:path'
import type { BrokerOptions } from '../broker/broker-options.ts'
import type { BrokerThreadOptions, BrokerThreadReady } from '../broker/broker-thread.ts'
import type { RetentionHold } from '../broker/topics/retention-hold.ts'
import { HOLD_RETENTION_CALL } from '../broker/topics/retention-hold.ts'
import type { Config } from '../config/schema.ts'
import { isWildcardHost } from '../core/loopback.ts'
import type { ThreadSupervisor } from '../core/thread-supervisor.ts'
import { DEFAULT_STREAM_TOPICS, vaultTopicsPattern } from '../vault/stream-topics.ts'
import type { AppContext } from './app-context.ts'
import { superviseThread } from './supervised-thread.ts'

/** Part of the half minute that a stop may take. */
const STOP_MS_MAX = 7_000

export interface BrokerPart {
  readonly port: number
  readonly bootstrapServers: readonly string[]
  readonly supervisor: ThreadSupervisor
  /** The broker's own status; null while it does not answer. */
  status(): Promise<unknown>
  /** Sets what retention may not delete yet. Rejects while the broker does not answer. */
  holdRetention(holds: readonly RetentionHold[]): Promise<unknown>
  stop(): Promise<void>
}

/** Starts the thread; resolves when the broker listens. */
export async function startBrokerPart(context: AppContext): Promise<BrokerPart> {
  const { config, dataDir, logger } = context
  const supervisor = superviseThread({
    ...context,
    name: 'broker',
    kind: 'broker',
    optionsOf: (ready): BrokerThreadOptions => ({
      directory: join(dataDir, 'broker'),
      host: config.broker.host,
      // Clients know the broker by its port, so a restart takes the one it had.
      port: (ready as BrokerThreadReady | null)?.port ?? config.broker.port,
      broker: brokerOptions(config),
      logger: { ...logger, thread: 'broker' },
    }),
  })
  const { port } = (await supervisor.start()) as BrokerThreadReady
  const host = isWildcardHost(config.broker.host) ? '127.0.0.1' : config.broker.host
  return {
    port,
    bootstrapServers: [`${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`],
    supervisor,
    status: async () => (await supervisor.handle?.status().catch(() => null)) ?? null,
    async holdRetention(holds) {
      await supervisor.handle?.call(HOLD_RETENTION_CALL, holds)
    },
    stop: () => supervisor.stop({ stopMsMax: STOP_MS_MAX }),
  }
}

function brokerOptions({ broker, streams }: Config): Partial<BrokerOptions> {
  return {
    advertisedHost: broker.advertisedHost === '' ? null : broker.advertisedHost,
    defaultPartitionCount: broker.partitionCount,
    sync:
      broker.syncPolicy === 'interval'
        ? { policy: 'interval', intervalMs: broker.syncIntervalMs }
        : { policy: broker.syncPolicy },
    retentionMs: broker.retentionMs,
    retentionBytes: broker.retentionBytes,
    segmentBytesMax: broker.segmentBytes,
    segmentAgeMsMax: broker.segmentMs,
    heldTopicsPattern: vaultTopicsPattern({ ...DEFAULT_STREAM_TOPICS, vault: streams.vaultTemplate }),
  }
}
