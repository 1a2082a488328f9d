/**
 * The worker threads that a start will need, loading their modules while the main thread loads its own and the parts before
 * them start: loading is most of what a start takes. This file imports nothing that takes time to load.
 */

import type { Config } from '../config/schema.ts'
import { moduleUrl } from '../core/module-url.ts'
import type { ThreadResources } from '../core/thread-link.ts'
import { WarmThread } from '../core/thread-link.ts'
import { poolLimits } from './worker-pool-plan.ts'

/** The entry module of each kind of thread. */
export const THREAD_MODULES = {
  broker: moduleUrl('../broker/broker-thread.ts', import.meta.url),
  processor: moduleUrl('../processor/processor-thread.ts', import.meta.url),
  compactor: moduleUrl('../compactor/compactor-thread.ts', import.meta.url),
} as const

/**
 * Heap limits of every thread. Over the first the thread crashes and is restarted, and the process lives on. V8's young
 * generation would by default let each thread hold tens of MiB of garbage before it looks. Data-path buffers live outside the
 * heap, so looking sooner costs little, and all threads together stay within 200 MiB when idle.
 */
export const THREAD_RESOURCES: ThreadResources = {
  maxOldGenerationSizeMb: 1_024,
  maxYoungGenerationSizeMb: 8,
}

export class WarmThreads {
  readonly #threads: Map<string, WarmThread>

  private constructor(threads: Map<string, WarmThread>) {
    this.#threads = threads
  }

  /** Threads for the roles that are configured, by the names that their parts give them. */
  static open(config: Config): WarmThreads {
    const { roles, kafka } = config
    const threads = new Map<string, WarmThread>()
    const warm = (name: string, module: URL) =>
      threads.set(name, WarmThread.open({ name, module, resourceLimits: THREAD_RESOURCES }))
    if (roles.includes('broker') && kafka.bootstrapServers.length === 0) warm('broker', THREAD_MODULES.broker)
    if (roles.includes('processor')) {
      for (let index = 0; index < poolLimits(config).countMin; index += 1) {
        warm(`processor-${index}`, THREAD_MODULES.processor)
      }
    }
    return new WarmThreads(threads)
  }

  /** None: every thread loads when it is started. */
  static none(): WarmThreads {
    return new WarmThreads(new Map())
  }

  /** The thread of this name, once. */
  take(name: string): WarmThread | undefined {
    const thread = this.#threads.get(name)
    this.#threads.delete(name)
    return thread
  }

  /** Ends those that nobody took. */
  async discard(): Promise<void> {
    await Promise.all([...this.#threads.values()].map((thread) => thread.discard()))
    this.#threads.clear()
  }
}
