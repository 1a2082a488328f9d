/** What every part of the app is made from: the configuration, and the real things that modules below take as arguments. */

import type { Config } from '../config/schema.ts'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { LoggerOptions } from '../telemetry/logger.ts'
import type { Counter, Registry } from '../telemetry/metrics.ts'
import type { WarmThreads } from './warm-threads.ts'

export interface AppContext {
  readonly config: Config
  /** `config.dataDir` as an absolute path. */
  readonly dataDir: string
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  /** For this thread; worker threads get the same with their own name. */
  readonly logger: LoggerOptions
  /** The main thread's metrics. */
  readonly registry: Registry
  readonly restartCounter: Counter<'thread'>
  readonly warmThreads: WarmThreads
}
