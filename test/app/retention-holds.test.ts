import { afterEach, expect, test } from 'vitest'
import { holdsOf, RetentionHolds, type VaultHold } from '../../src/app/retention-holds.ts'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { asOffset, asPartitionId } from '../../src/core/brands.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { commitOffsets } from '../../src/kafka/group-offsets.ts'
import { Producer } from '../../src/kafka/producer.ts'
import type { DebtEntry, DebtPartition } from '../../src/ledger/debt-entry.ts'
import { encodeDebtKey, encodeDebtValue } from '../../src/ledger/debt-record.ts'
import { LedgerFold } from '../../src/ledger/ledger-fold.ts'
import { encodeLedgerBatch, ensureLedgerTopic, LEDGER_TOPIC } from '../../src/ledger/ledger-topic.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { startTestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const TOPIC = 'raw-vault.web'
const PARTITION: DebtPartition = { topology: 'density-tier', topic: TOPIC, partition: asPartitionId(0) }

function debt(
  first: number,
  last: number,
  state: DebtEntry['state'] = 'open',
  partition = PARTITION,
): DebtEntry {
  return {
    ...partition,
    first: asOffset(first),
    last: asOffset(last),
    tier: 'passthrough',
    recordCount: last - first + 1,
    bytes: 100,
    timestampMinMs: 1,
    timestampMaxMs: 2,
    reason: { zone: 'red', driver: 'lagSeconds' },
    openedMs: 3,
    state,
    closedMs: state === 'open' ? null : 4,
  }
}

const recordOf = (entry: DebtEntry) => {
  const account = entry.state === 'open' ? ('owed' as const) : ('repaid' as const)
  return { key: encodeDebtKey({ ...entry, account }), value: encodeDebtValue(entry) }
}

function ledgerOf(...entries: readonly DebtEntry[]): LedgerFold {
  const fold = new LedgerFold()
  for (const { key, value } of entries.map(recordOf)) fold.apply(key, value)
  return fold
}

const holds = (offset: number | undefined, entries: readonly DebtEntry[], isProcessed = true) =>
  holdsOf([{ name: TOPIC, partitionCount: 1 }], {
    committed: offset === undefined ? [] : [{ topic: TOPIC, partition: 0, offset }],
    ledger: ledgerOf(...entries),
    isProcessed,
  })[0]?.offset

test('a partition is held from what is not committed, or from the first that is owed', () => {
  const other = { ...PARTITION, topology: 'mine' }

  expect(holds(50, [])).toBe(50)
  expect(holds(50, [debt(20, 29)])).toBe(20)
  expect(holds(50, [debt(10, 19), debt(20, 29), debt(10, 19, 'settled')])).toBe(20)
  expect(holds(50, [debt(20, 29), debt(20, 24, 'settled')])).toBe(25)
  expect(holds(50, [debt(20, 29), debt(20, 29, 'lost')])).toBe(50)
  expect(holds(50, [debt(30, 39), debt(7, 9, 'open', other)])).toBe(7)
})

test('all of a partition that was never committed is held, and nothing of a vault that nobody ever read', () => {
  expect(holds(undefined, [])).toBe(0)
  expect(holds(-1, [])).toBe(0)
  expect(holds(undefined, [], false)).toBeNull()
  expect(holds(undefined, [debt(20, 29)], false)).toBe(20)
})

test('the broker is told of every partition of the vault and of no other, again and again', async () => {
  const broker = await startTestBroker()
  cleanups.push(() => broker.stop())
  const cluster = new KafkaCluster({
    bootstrapServers: [broker.address],
    clientId: 'test',
    clock: {
      ...systemClock,
      // Told every 15 s; here every 5 ms.
      after: (delayMs, run) => systemClock.after(delayMs === 15_000 ? 5 : delayMs, run),
    },
    random: systemRandom,
    diagnostics: silentDiagnostics,
  })
  await cluster.connect()
  cleanups.push(() => cluster.close())
  await cluster.ensureTopic(TOPIC, { partitionCount: 2 })
  await cluster.ensureTopic('enriched.web', { partitionCount: 1 })
  const told: (readonly VaultHold[])[] = []
  const running = RetentionHolds.start({
    cluster,
    diagnostics: silentDiagnostics,
    vaultTemplate: 'raw-vault.{stream}',
    groupId: 'gophership',
    isProcessedHere: true,
    tell: async (now) => {
      told.push(now)
      if (told.length === 1) throw new Error('the broker is starting again')
    },
  })
  cleanups.push(() => running.stop())
  const untilTold = (offsets: readonly number[]) =>
    eventually(
      `told ${offsets}`,
      () =>
        told
          .at(-1)
          ?.map(({ offset }) => offset)
          .join() === offsets.join(),
    )

  await untilTold([0, 0])
  await ensureLedgerTopic(cluster)
  const producer = new Producer(cluster)
  cleanups.push(() => producer.stop())
  const batch = encodeLedgerBatch(new BatchEncoder({ bytesInitial: 1_024 }), [recordOf(debt(3, 6))], 1)
  await producer.send(LEDGER_TOPIC, 0, Buffer.from(batch))
  await commitOffsets(cluster, { groupId: 'gophership' }, [
    { topic: TOPIC, partition: 0, offset: 10 },
    { topic: TOPIC, partition: 1, offset: 20 },
  ])
  await untilTold([3, 20])

  expect(told.at(-1)).toEqual([
    { topic: TOPIC, partition: 0, offset: 3 },
    { topic: TOPIC, partition: 1, offset: 20 },
  ])
})
