/** A broker of our own for tests: in this process, on a free loopback port, in a temporary folder. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { Broker } from '../../src/broker/broker.ts'
import type { BrokerOptions } from '../../src/broker/broker-options.ts'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Disk } from '../../src/core/disk.ts'
import { systemRandom } from '../../src/core/random.ts'
import { systemDisk } from '../../src/core/system-disk.ts'
import type { Diagnostics } from '../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'

export interface TestBrokerOptions extends Partial<BrokerOptions> {
  readonly disk?: Disk
  readonly clock?: Clock
  readonly diagnostics?: Diagnostics
  /** Keep this folder instead of a temporary one: for tests that start a second broker on the same data. */
  readonly directory?: string
  /** The port to take again after a restart; any free one otherwise. */
  readonly port?: number
}

export interface TestBroker {
  readonly broker: Broker
  readonly metrics: Registry
  readonly port: number
  /** `127.0.0.1:<port>`, as clients take it. */
  readonly address: string
  readonly directory: string
  /** Stops the broker and starts another on the same folder and port. */
  restart(options?: TestBrokerOptions): Promise<TestBroker>
  /** Stops the broker, and removes the folder if it was a temporary one. */
  stop(): Promise<void>
}

/** Starts a broker; it is ready when this resolves. `await using` is not needed: call `stop` in `afterEach`. */
export async function startTestBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const { disk, clock, diagnostics, directory: kept, port = 0, ...brokerOptions } = options
  const directory = kept ?? (await mkdtemp(join(tmpdir(), 'gophership-broker-')))
  const metrics = new Registry()
  const broker = await Broker.start({
    disk: disk ?? systemDisk,
    clock: clock ?? systemClock,
    random: systemRandom,
    directory,
    host: '127.0.0.1',
    port,
    diagnostics: diagnostics ?? silentDiagnostics,
    metrics,
    options: { groupInitialRebalanceDelayMs: 0, ...brokerOptions },
  })
  return {
    broker,
    metrics,
    port: broker.port,
    address: `127.0.0.1:${broker.port}`,
    directory,
    async restart(changed = {}) {
      await broker.stop()
      const again = await startTestBroker({ ...options, ...changed, directory, port: broker.port })
      if (kept !== undefined) return again
      return {
        ...again,
        stop: () => again.stop().then(() => rm(directory, { recursive: true, force: true })),
      }
    },
    async stop() {
      await broker.stop()
      if (kept === undefined) await rm(directory, { recursive: true, force: true })
    },
  }
}
