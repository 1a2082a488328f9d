/**
 * kill -9 of the broker while transactions are open, being committed or being aborted. Whatever a read_committed reader sees
 * is whole transactions, each once; a group's offset is that of the last one that committed; and nothing stays open for
 * longer than its timeout.
 */

import { afterEach, expect, it } from 'vitest'
import { seededRandom } from '../../../src/core/random.ts'
import { RawConnection } from '../../listener/raw-connection.ts'
import { BrokerProcess } from '../../support/broker-process.ts'
import { eventually } from '../../support/eventually.ts'
import { createTopic } from '../broker-client.ts'
import {
  checkOffset,
  checkSeen,
  committedOffset,
  nothingIsOpen,
  OracleProducer,
  OracleReader,
  PARTITIONS,
  TIMEOUT_MS,
} from './transaction-oracle.ts'

const PRODUCERS = 3
const KILLS = process.env['GOPHERSHIP_TEST_LONG'] === '1' ? 300 : 4

let broker: BrokerProcess | null = null
const connections: RawConnection[] = []

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close()
  await broker?.destroy()
  broker = null
})

async function connect(): Promise<RawConnection> {
  const connection = await RawConnection.open((broker as BrokerProcess).port)
  connections.push(connection)
  return connection
}

it(`transactions are all or nothing over ${KILLS} kills of the broker`, async () => {
  const random = seededRandom(Number(process.env['GOPHERSHIP_TEST_SEED'] ?? 1))
  broker = await BrokerProcess.start({ retentionCheckMs: 500, producerSnapshotBytes: 4096 })
  await createTopic(await connect(), 'orders', { partitionCount: PARTITIONS.length })
  const producers = Array.from({ length: PRODUCERS }, (_, index) => new OracleProducer(index, random))
  const reader = new OracleReader()
  for (let kill = 0; kill < KILLS; kill += 1) {
    const working = [reader.follow(await connect())]
    for (const producer of producers) working.push(producer.work(await connect()))
    await new Promise((resolve) => setTimeout(resolve, 30 + random.below(300)))
    await broker.kill()
    await Promise.all(working)
    await broker.start()
  }

  const connection = await connect()
  await eventually('all transactions to end', () => nothingIsOpen(connection), {
    withinMs: TIMEOUT_MS + 10_000,
  })
  while (await reader.poll(connection));
  const whole = new OracleReader()
  while (await whole.poll(connection));

  expect(reader.values).toEqual(whole.values)
  const present = checkSeen(producers, whole.values)
  for (const producer of producers) {
    checkOffset(producer, present, await committedOffset(connection, `group-${producer.index}`))
  }
  expect(present.size).toBeGreaterThan(KILLS)
}, 3_600_000)
