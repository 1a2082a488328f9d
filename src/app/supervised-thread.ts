/** A role's worker thread as the app runs it: supervised, its crashes printed and counted. */

import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import { ThreadHandle } from '../core/thread-link.ts'
import { ThreadSupervisor } from '../core/thread-supervisor.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { Counter } from '../telemetry/metrics.ts'
import type { WarmThreads } from './warm-threads.ts'
import { THREAD_MODULES, THREAD_RESOURCES } from './warm-threads.ts'

export interface SupervisedThreadOptions {
  readonly name: string
  readonly kind: keyof typeof THREAD_MODULES
  /** The role's options for a run; `ready` is what the run before announced, null for the first. */
  readonly optionsOf: (ready: unknown) => unknown
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  readonly restartCounter: Counter<'thread'>
  /** Threads that may have been loaded for the first start. */
  readonly warmThreads: WarmThreads
}

export function superviseThread(options: SupervisedThreadOptions): ThreadSupervisor {
  const { name, kind, optionsOf, clock, random, diagnostics, restartCounter, warmThreads } = options
  // There from the start, so that an alert on its rate sees the first restart as a rise.
  restartCounter.inc({ thread: name }, 0)
  return new ThreadSupervisor({
    name,
    clock,
    random,
    open: ({ ready, onCrash }) => {
      const warm = warmThreads.take(name)
      return new ThreadHandle({
        name,
        module: THREAD_MODULES[kind],
        options: optionsOf(ready),
        clock,
        onCrash,
        resourceLimits: THREAD_RESOURCES,
        ...(warm && { warm }),
      })
    },
    onCrash: ({ failure, restartDelayMs }) => {
      diagnostics.error(
        { thread: name, error: failure, restartDelayMs },
        'a thread stopped; it will be restarted',
      )
    },
    onRestarted: () => {
      restartCounter.inc({ thread: name })
      diagnostics.info({ thread: name }, 'a thread was restarted')
    },
  })
}
