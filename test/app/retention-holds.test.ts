import { afterEach, expect, test } from 'vitest'
import { holdsOf, RetentionHolds, type VaultHold } from '../../src/app/retention-holds.ts'
import { asOffset, asPartitionId } from '../../src/core/brands.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { commitOffsets } from '../../src/kafka/group-offsets.ts'
import { Producer } from '../../src/kafka/producer.ts'
import type { DebtEntry, DebtPartition } from '../../src/ledger/debt-entry.ts'
import { encodeDebtKey, encodeDebtValue } from '../../src/ledger/debt-record.ts'
import { LedgerFold } from '../../src/ledger/ledger-fold.ts'
import { encodeLedgerBatches, ensureLedgerTopic, LEDGER_TOPIC } from '../../src/ledger/ledger-topic.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { offsetFetchApi } from '../../src/wire/09-offset-fetch.ts'
import type { AnyApi, ResponseOf } from '../../src/wire/api.ts'
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

/** A cluster on a broker of its own, and a way to book debt and commit behind it, as a processor does. */
async function startBench({ onOffsetFetch = async () => {} }: { onOffsetFetch?: () => Promise<void> } = {}) {
  const broker = await startTestBroker()
  cleanups.push(() => broker.stop())
  class Watched extends KafkaCluster {
    override async request<A extends AnyApi>(
      ...[api, value, target, options]: Parameters<typeof KafkaCluster.prototype.request<A>>
    ): Promise<ResponseOf<A>> {
      if ((api as AnyApi) === offsetFetchApi) await onOffsetFetch()
      return super.request(api, value, target, options)
    }
  }
  const cluster = new Watched({
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
  const producer = new Producer(cluster)
  cleanups.push(() => producer.stop())
  const book = async (entry: DebtEntry, offsets: readonly number[]) => {
    await ensureLedgerTopic(cluster)
    for (const batch of encodeLedgerBatches([recordOf(entry)], 1)) await producer.send(LEDGER_TOPIC, 0, batch)
    const committed = offsets.map((offset, partition) => ({ topic: TOPIC, partition, offset }))
    await commitOffsets(cluster, { groupId: 'gophership' }, committed)
  }
  const hold = (tell: (holds: readonly VaultHold[]) => Promise<void>) => {
    const running = RetentionHolds.start({
      cluster,
      diagnostics: silentDiagnostics,
      vaultTemplate: 'raw-vault.{stream}',
      groupId: 'gophership',
      isProcessedHere: true,
      tell,
    })
    cleanups.push(() => running.stop())
  }
  return { cluster, book, hold }
}

test('the broker is told of every partition of the vault and of no other, again and again', async () => {
  const { cluster, book, hold } = await startBench()
  await cluster.ensureTopic(TOPIC, { partitionCount: 2 })
  await cluster.ensureTopic('enriched.web', { partitionCount: 1 })
  const told: (readonly VaultHold[])[] = []
  hold(async (now) => {
    told.push(now)
    if (told.length === 1) throw new Error('the broker is starting again')
  })
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
  await book(debt(3, 6), [10, 20])
  await untilTold([3, 20])

  expect(told.at(-1)).toEqual([
    { topic: TOPIC, partition: 0, offset: 3 },
    { topic: TOPIC, partition: 1, offset: 20 },
  ])
})

test('debt that is booked while the holds are worked out is never left out', async () => {
  let books: (() => Promise<void>) | null = null
  const { cluster, book, hold } = await startBench({
    // A processor commits at the worst moment: between what is read first and what is read second.
    onOffsetFetch: async () => {
      const now = books
      books = null
      await now?.()
    },
  })
  await cluster.ensureTopic(TOPIC, { partitionCount: 1 })
  await book(debt(0, 0, 'settled'), [10])
  const told: (number | null)[] = []
  hold(async (now) => void told.push(...now.map(({ offset }) => offset)))
  await eventually('told', () => told.length > 0)

  books = () => book(debt(10, 19), [20])
  await eventually(
    'the debt was booked, and told again',
    () => books === null && told.at(-1) === 10 && told.length > 20,
  )

  expect(Math.max(...told.map((offset) => offset ?? Number.POSITIVE_INFINITY))).toBe(10)
})
