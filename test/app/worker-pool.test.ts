/** The pool of processor threads against a broker: partitions move to a new thread, and back when it goes. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { AppContext } from '../../src/app/app-context.ts'
import { ProcessorPart } from '../../src/app/processor-part.ts'
import { WarmThreads } from '../../src/app/warm-threads.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { createAmbientBuffer } from '../../src/pressure/ambient-status.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { openThreadRegistry, threadRestartCounter } from '../../src/telemetry/metrics.ts'
import { startTestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const PARTITION_COUNT = 4
/** Who is only silent, and not taken out of the group, keeps its partitions for ten seconds. */
const LESS_THAN_A_SESSION_MS = 7_000

async function startBench() {
  const broker = await startTestBroker()
  cleanups.push(() => broker.stop())
  const cluster = new KafkaCluster({
    bootstrapServers: [broker.address],
    clientId: 'test',
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
  })
  await cluster.connect()
  cleanups.push(() => cluster.close())
  await cluster.ensureTopic('raw-vault.web', { partitionCount: PARTITION_COUNT })
  const dataDir = await mkdtemp(join(tmpdir(), 'gophership-pool-'))
  cleanups.push(() => rm(dataDir, { recursive: true, force: true }))
  const registry = openThreadRegistry('main')
  const context: AppContext = {
    config: loadConfig({ flags: new Map([['processor.workerCountMax', '3']]) }).config,
    dataDir,
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
    logger: { level: 'silent', format: 'json', isColored: false, thread: 'main' },
    registry,
    restartCounter: threadRestartCounter(registry),
    warmThreads: WarmThreads.none(),
  }
  return async () => {
    const ambient = createAmbientBuffer()
    const part = await ProcessorPart.start(context, { cluster, bootstrapServers: [broker.address], ambient })
    cleanups.push(() => part.stop())
    return part
  }
}

/** Partitions of each worker. */
async function sharesOf(part: ProcessorPart): Promise<number[]> {
  return (await part.workers()).map(({ status }) => status?.partitions.length ?? 0)
}

const untilShares = (part: ProcessorPart, expected: readonly number[], withinMs = 12_000) =>
  eventually(`shares ${expected}`, async () => (await sharesOf(part)).join() === expected.join(), {
    withinMs,
  })

test('a thread more takes its share of the partitions, and gives it back at once when it goes', async () => {
  const start = await startBench()
  const part = await start()
  await untilShares(part, [4])

  part.resize(2)
  await untilShares(part, [2, 2])
  part.resize(1)
  await untilShares(part, [4], LESS_THAN_A_SESSION_MS)

  expect(part.supervisors.map(({ name }) => name)).toEqual(['processor-0'])
  const names = part.retiredMetrics.flat().map((metric) => (metric as { name: string }).name)
  expect(names).toContain('gophership_processor_commits_total')
  expect(names).not.toContain('gophership_thread_heap_used_bytes')
}, 40_000)

test('after a stop with more threads than the start begins with, the fewest have all partitions', async () => {
  const start = await startBench()
  const before = await start()
  before.resize(3)
  await eventually(
    'three share',
    async () => (await sharesOf(before)).filter((share) => share > 0).length === 3,
  )
  await before.stop()

  const after = await start()

  await untilShares(after, [4], LESS_THAN_A_SESSION_MS)
}, 40_000)

test('the pool stays within its limits', async () => {
  const start = await startBench()
  const part = await start()

  part.resize(99)
  await eventually('it has grown', () => part.supervisors.length === 3)
  await new Promise((resolve) => setImmediate(resolve))
  part.resize(0)

  await eventually('it has shrunk', () => part.supervisors.length === 1)
}, 40_000)
