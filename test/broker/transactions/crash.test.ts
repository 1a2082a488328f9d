/**
 * Power cuts at any disk call, while transactions run: the broker is on a simulated disk that stops at the Nth call, and what
 * a cut leaves of un-synced writes and names is chosen from a seed.
 */

import { afterEach, expect, it } from 'vitest'
import { seededRandom } from '../../../src/core/random.ts'
import { RawConnection } from '../../listener/raw-connection.ts'
import type { TestBroker } from '../../support/broker.ts'
import { startTestBroker } from '../../support/broker.ts'
import { eventually } from '../../support/eventually.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'
import { createTopic } from '../broker-client.ts'
import {
  checkOffset,
  checkSeen,
  committedOffset,
  nothingIsOpen,
  OracleProducer,
  OracleReader,
  PARTITIONS,
} from './transaction-oracle.ts'

const SEEDS = process.env['GOPHERSHIP_TEST_LONG'] === '1' ? 1000 : 25
const CUTS = 3

const open: TestBroker[] = []
const connections: RawConnection[] = []

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close()
  // A broker on a dead disk can never finish its stop; its listener is closed by then.
  const stopped = Promise.all(open.splice(0).map(({ broker }) => broker.stop()))
  await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 100))])
})

async function start(disk: SimDisk): Promise<TestBroker> {
  const broker = await startTestBroker({
    disk,
    directory: simPath('broker'),
    drainMs: 0,
    producerSnapshotBytes: 2000,
  })
  open.push(broker)
  return broker
}

async function connect(broker: TestBroker): Promise<RawConnection> {
  const connection = await RawConnection.open(broker.port)
  connections.push(connection)
  return connection
}

async function survive(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const producers = [0, 1].map((index) => new OracleProducer(index, random))
  let disk = new SimDisk()
  let broker = await start(disk)
  await createTopic(await connect(broker), 'orders', { partitionCount: PARTITIONS.length })
  const reader = new OracleReader()
  for (let cut = 0; cut < CUTS; cut += 1) {
    const died = disk.dieAfter(1 + random.below(250))
    const working: Promise<void>[] = []
    for (const producer of producers) working.push(producer.work(await connect(broker)))
    working.push(reader.follow(await connect(broker)))
    await Promise.race([died, ...working])
    // An answer that the broker gave before the cut still reaches the client, a few turns of the loop later.
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    for (const connection of connections.splice(0)) connection.close()
    await Promise.all(working)
    disk = disk.crash(random)
    void broker.broker.stop()
    broker = await start(disk)
  }
  const connection = await connect(broker)
  // The next holder of each id has what is open aborted.
  for (const producer of producers) await producer.takeOver(connection)
  await eventually('all transactions to end', () => nothingIsOpen(connection))
  while (await reader.poll(connection));
  const whole = new OracleReader()
  while (await whole.poll(connection));

  expect(reader.values).toEqual(whole.values)
  const present = checkSeen(producers, whole.values)
  for (const producer of producers) {
    checkOffset(producer, present, await committedOffset(connection, `group-${producer.index}`))
  }
  await broker.stop()
}

it(`transactions are all or nothing over ${SEEDS} seeds of ${CUTS} power cuts each`, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      await survive(seed)
    } catch (error) {
      throw new Error(`seed ${seed} failed; repeat it by starting the loop of this test there`, {
        cause: error,
      })
    }
  }
}, 3_600_000)
