/** The compactor's thread, from the configuration: one per process, and one member of its group among all instances. */

import type { CompactorStatus } from '../compactor/compactor-status.ts'
import type { CompactorThreadOptions } from '../compactor/compactor-thread.ts'
import { moduleUrl } from '../core/module-url.ts'
import { systemDisk } from '../core/system-disk.ts'
import type { ThreadSupervisor } from '../core/thread-supervisor.ts'
import type { AppContext } from './app-context.ts'
import { loadInstanceId } from './instance-id.ts'
import { superviseThread } from './supervised-thread.ts'
import { loadTopology } from './topology-file.ts'

/** Part of the half minute that a stop may take. What is cut is a transaction that then did not happen. */
const STOP_MS_MAX = 3_000
const HEAP_MIB_MAX = 1_024

export interface CompactorPart {
  readonly supervisor: ThreadSupervisor
  /** Null while it does not answer. */
  status(): Promise<CompactorStatus | null>
  /** Finishes or gives up the transaction under way, and leaves the group. */
  stop(): Promise<void>
}

/** Starts the thread; resolves when it runs. */
export async function startCompactorPart(
  context: AppContext,
  { bootstrapServers, ambient }: Pick<CompactorThreadOptions, 'bootstrapServers' | 'ambient'>,
): Promise<CompactorPart> {
  const { config, logger } = context
  const { groupId, timeZone } = config.processor
  const topology = await loadTopology(config.processor.topology)
  const instanceId = await loadInstanceId(systemDisk, context.random, context.dataDir)
  const supervisor = superviseThread({
    ...context,
    name: 'compactor',
    module: moduleUrl('../compactor/compactor-thread.ts', import.meta.url),
    heapMibMax: HEAP_MIB_MAX,
    optionsOf: (): CompactorThreadOptions => ({
      bootstrapServers,
      clientId: config.kafka.clientId,
      groupId,
      groupInstanceId: `gophership-${instanceId}-compactor`,
      topology,
      timeZone,
      vaultTemplate: config.streams.vaultTemplate,
      ambient,
      config: config.compactor,
      logger: { ...logger, thread: 'compactor' },
    }),
  })
  await supervisor.start()
  return {
    supervisor,
    status: async () =>
      ((await supervisor.handle?.status().catch(() => null)) ?? null) as CompactorStatus | null,
    stop: () => supervisor.stop({ stopMsMax: STOP_MS_MAX }),
  }
}
