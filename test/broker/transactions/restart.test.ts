/** What a start makes of transactions that the last run left in each of their states. */

import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { offsetFetchApi } from '../../../src/wire/09-offset-fetch.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import type { RawConnection } from '../../listener/raw-connection.ts'
import type { TestBroker } from '../../support/broker.ts'
import { committedRecords } from '../../support/committed-reader.ts'
import { eventually } from '../../support/eventually.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'
import {
  connectTo,
  createTopic,
  fetchOne,
  metadataOf,
  restartBroker,
  startBroker,
  stopBrokers,
} from '../broker-client.ts'
import { fetchCommitted, TransactionClient } from './transaction-client.ts'

afterEach(stopBrokers)

async function committed(connection: RawConnection, partition = 0): Promise<string[]> {
  const answer = await fetchCommitted(connection, { partition })
  return committedRecords(answer, 0).records.map(({ value }) => value)
}

async function ends(connection: RawConnection, partition = 0) {
  const { lastStableOffset, highWatermark } = await fetchOne(connection, { partition })
  return { lastStableOffset, highWatermark }
}

async function groupOffset(connection: RawConnection) {
  const { topics } = await connection.request(offsetFetchApi, 7, {
    groupId: 'group',
    requireStable: true,
    topics: [{ name: 'orders', partitionIndexes: [0] }],
  })
  const { errorCode, committedOffset } = topics[0]?.partitions[0] ?? { errorCode: -1, committedOffset: -1 }
  return { errorCode, committedOffset }
}

async function begin(options: Parameters<typeof startBroker>[0] = {}) {
  const broker = await startBroker(options)
  const connection = await connectTo(broker)
  await createTopic(connection, 'orders', { partitionCount: 2 })
  return { broker, connection, client: await TransactionClient.begun(connection) }
}

/** One transaction in both partitions and with an offset, up to its end. */
async function openOne(client: TransactionClient): Promise<void> {
  expect(await client.add('orders', [0, 1])).toBe(0)
  await client.produce(['a'])
  await client.produce(['b'], { partition: 1 })
  await client.addOffsets()
  expect(await client.commitOffset(7)).toBe(0)
}

async function producerSnapshotPath(broker: TestBroker, connection: RawConnection, partition: number) {
  const { topics } = await metadataOf(connection, ['orders'])
  const id = topics[0]?.topicId.toString('hex') ?? ''
  return join(broker.directory, 'topics', 'orders', id, String(partition), 'producers.snapshot')
}

describe('after a restart', () => {
  it.each([true, false])('an open transaction goes on, and ends as asked: commit %s', async (isCommit) => {
    const { broker, client } = await begin()
    await openOne(client)

    const again = await restartBroker(broker)
    const connection = await connectTo(again)
    client.connection = connection
    const open = [await ends(connection), await ends(connection, 1), await groupOffset(connection)]
    await client.produce(['c'])
    expect(await client.end(isCommit)).toBe(0)
    await eventually('the end', async () => (await groupOffset(connection)).errorCode === 0)
    await eventually('the end', async () => (await ends(connection)).lastStableOffset === 3)

    expect(open).toEqual([
      { lastStableOffset: 0, highWatermark: 1 },
      { lastStableOffset: 0, highWatermark: 1 },
      { errorCode: KAFKA_ERROR.UNSTABLE_OFFSET_COMMIT, committedOffset: -1 },
    ])
    expect(await committed(connection)).toEqual(isCommit ? ['a', 'c'] : [])
    expect((await groupOffset(connection)).committedOffset).toBe(isCommit ? 7 : -1)
  })

  it('an open transaction is aborted when its time is up, the time before the restart included', async () => {
    const { broker, connection: before } = await begin()
    const client = await TransactionClient.begun(before, 'brief', 1500)
    await openOne(client)

    const connection = await connectTo(await restartBroker(broker))

    await eventually('the abort', async () => (await ends(connection)).lastStableOffset === 2)
    expect(await committed(connection)).toEqual([])
    expect(await groupOffset(connection)).toEqual({ errorCode: 0, committedOffset: -1 })
  })

  it.each(['with the snapshot of the producers', 'without it'])(
    'aborted records stay out, %s',
    async (which) => {
      const { broker, connection: before, client } = await begin()
      await openOne(client)
      await client.abort()
      await client.add()
      await client.produce(['kept'])
      await client.commit()
      await eventually('the end', async () => (await ends(before)).lastStableOffset === 4)
      const path = await producerSnapshotPath(broker, before, 0)
      await broker.broker.stop()
      if (which === 'without it') await unlink(path)

      const connection = await connectTo(await restartBroker(broker))

      expect(await committed(connection)).toEqual(['kept'])
      expect((await fetchCommitted(connection)).abortedTransactions).toHaveLength(1)
    },
  )

  it('a producer is still fenced, and the next one gets a later epoch', async () => {
    const { broker, connection: before, client: old } = await begin()
    await TransactionClient.begun(before)

    const connection = await connectTo(await restartBroker(broker))
    old.connection = connection
    const next = await TransactionClient.begun(connection)

    expect(await old.add()).toBe(KAFKA_ERROR.PRODUCER_FENCED)
    expect(next).toMatchObject({ producerId: old.producerId, producerEpoch: 2 })
  })

  it('a producer goes on with its sequences, in the epoch that it has', async () => {
    const { broker, client } = await begin()
    await openOne(client)
    await client.commit()

    client.connection = await connectTo(await restartBroker(broker))

    expect(await client.add()).toBe(0)
    expect((await client.produce(['next'])).errorCode).toBe(0)
    expect(await client.commit()).toBe(0)
  })
})

describe('when a disk refuses', () => {
  it('a decided transaction is completed in each partition as soon as that works again', async () => {
    const disk = new SimDisk()
    const options = { disk, directory: simPath('broker'), partitionReopenMs: 50 }
    const { broker, connection, client } = await begin(options)
    await openOne(client)
    const { topics } = await metadataOf(connection, ['orders'])
    const folder = join('orders', topics[0]?.topicId.toString('hex') ?? '', '1')
    disk.failAlways(['write', 'datasync'], 'EIO', folder)

    expect(await client.commit()).toBe(0)
    await eventually('the healthy partition', async () => (await ends(connection)).lastStableOffset === 2)
    const stuck = await ends(connection, 1)
    disk.heal()

    await eventually('the other one', async () => (await ends(connection, 1)).lastStableOffset === 2)
    expect(stuck.lastStableOffset).toBe(0)
    expect(await committed(connection, 1)).toEqual(['b'])
    expect(await client.add()).toBe(0)
    expect(broker.broker.status().failedPartitions).toEqual([])
  })

  it('nothing is answered as decided while the decision cannot be made durable', async () => {
    const disk = new SimDisk()
    const { connection, client } = await begin({ disk, directory: simPath('broker'), partitionReopenMs: 50 })
    await openOne(client)
    disk.failAlways(['write', 'datasync'], 'EIO', '__transaction_state')

    const refused = await client.commit()
    const undecided = await ends(connection)
    disk.heal()

    expect(refused).toBe(KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE)
    expect(undecided.lastStableOffset).toBe(0)
    await eventually('the answer', async () => (await client.commit()) === 0)
    await eventually('the end', async () => (await ends(connection)).lastStableOffset === 2)
    expect(await committed(connection)).toEqual(['a'])
  })
})
