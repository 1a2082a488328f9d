import { expect, test } from 'vitest'
import { startTestBroker } from '../support/broker.ts'
import { runSchedules } from './transaction-schedules.ts'

/** More of them in the long run, and there against Apache Kafka as well (`test/compat/transaction-schedules.long.ts`). */
const SEEDS =
  process.env['GOPHERSHIP_TEST_LONG'] === '1' ? Array.from({ length: 40 }, (_, seed) => seed + 1) : [1, 2]

test.each(SEEDS)(
  'under a bad network and with zombies, every transaction is whole or absent, and what was said of it is true (seed %i)',
  async (seed) => {
    const start = async (proxyPort: number) => {
      const broker = await startTestBroker({ advertisedPort: proxyPort })
      return { port: broker.port, stop: () => broker.stop() }
    }
    const result = await runSchedules({ seed, transactionCount: 80, version: 1, start })
    // The schedule really was what it is meant to be.
    expect(result.outcomes.committed).toBeGreaterThan(10)
    expect(result.outcomes['not committed']).toBeGreaterThan(5)
    expect(result.fencedCount).toBeGreaterThan(1)
    expect(result.cutCount).toBeGreaterThan(2)
  },
  60_000,
)
