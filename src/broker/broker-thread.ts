/** The embedded broker as a worker thread: real clock, randomness and disk go in here. */

import { systemClock } from '../core/clock.ts'
import { systemRandom } from '../core/random.ts'
import { systemDisk } from '../core/system-disk.ts'
import { serveThread } from '../core/thread-link.ts'
import type { LoggerOptions } from '../telemetry/logger.ts'
import { openDiagnostics } from '../telemetry/logger.ts'
import { openThreadRegistry } from '../telemetry/metrics.ts'
import { Broker } from './broker.ts'
import type { BrokerOptions } from './broker-options.ts'
import type { RetentionHold } from './topics/retention-hold.ts'
import { HOLD_RETENTION_CALL } from './topics/retention-hold.ts'

export interface BrokerThreadOptions {
  readonly directory: string
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly broker: Partial<BrokerOptions>
  readonly logger: LoggerOptions
}

/** What the thread announces. */
export interface BrokerThreadReady {
  readonly port: number
}

serveThread<BrokerThreadOptions>({
  async start({ directory, host, port, broker: options, logger }) {
    const metrics = openThreadRegistry(logger.thread)
    const broker = await Broker.start({
      disk: systemDisk,
      clock: systemClock,
      random: systemRandom,
      directory,
      host,
      port,
      diagnostics: openDiagnostics(logger),
      metrics,
      options,
    })
    return {
      ready: { port: broker.port } satisfies BrokerThreadReady,
      metrics,
      status: () => broker.status(),
      call(name, argument) {
        if (name === HOLD_RETENTION_CALL) return broker.holdRetention(argument as readonly RetentionHold[])
        throw new TypeError(`the broker thread takes no call named ${name}`)
      },
      stop: () => broker.stop(),
    }
  },
})
