import { afterEach, describe, expect, it } from 'vitest'
import { listOffsetsApi } from '../../../src/wire/02-list-offsets.ts'
import { offsetFetchApi } from '../../../src/wire/09-offset-fetch.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import type { RawConnection } from '../../listener/raw-connection.ts'
import { committedRecords } from '../../support/committed-reader.ts'
import { eventually } from '../../support/eventually.ts'
import {
  batchOf,
  connectTo,
  createTopic,
  fetchOne,
  produce,
  startBroker,
  stopBrokers,
} from '../broker-client.ts'
import { everything, fetchCommitted, TransactionClient } from './transaction-client.ts'

afterEach(stopBrokers)

/** The values a read_committed consumer has, from the start to where it would wait. */
async function committed(connection: RawConnection, topic = 'orders', partition = 0): Promise<string[]> {
  const values: string[] = []
  for (let offset = 0; ; ) {
    const answer = await fetchCommitted(connection, { topic, partition, offset })
    const { records, nextOffset } = committedRecords(answer, offset)
    values.push(...records.map(({ value }) => value))
    if (nextOffset === offset) return values
    offset = nextOffset
  }
}

async function stableOffset(connection: RawConnection, topic = 'orders', partition = 0): Promise<number> {
  return (await fetchOne(connection, { topic, partition })).lastStableOffset
}

async function latest(connection: RawConnection, isolationLevel: number, timestamp = -1) {
  const { topics } = await connection.request(listOffsetsApi, 5, {
    isolationLevel,
    topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, timestamp }] }],
  })
  return topics[0]?.partitions[0]?.offset
}

async function offsetOf(connection: RawConnection, requireStable = false) {
  const { topics } = await connection.request(offsetFetchApi, 7, {
    groupId: 'group',
    requireStable,
    topics: [{ name: 'orders', partitionIndexes: [0] }],
  })
  const { errorCode, committedOffset } = topics[0]?.partitions[0] ?? { errorCode: -1, committedOffset: -1 }
  return { errorCode, committedOffset }
}

async function begin(timeoutMs = 60_000) {
  const broker = await startBroker()
  const connection = await connectTo(broker)
  await createTopic(connection, 'orders', { partitionCount: 3 })
  return { broker, connection, client: await TransactionClient.begun(connection, 'tx', timeoutMs) }
}

describe('a transaction', () => {
  it('is seen by read_committed once it has committed, in all its partitions', async () => {
    const { connection, client } = await begin()
    await client.add('orders', [0, 1])
    await client.produce(['a', 'b'])
    await client.produce(['c'], { partition: 1 })

    const before = [await committed(connection), await committed(connection, 'orders', 1)]
    expect(await client.commit()).toBe(0)
    await eventually('the markers', async () => (await stableOffset(connection)) === 3)

    expect(before).toEqual([[], []])
    await eventually('both', async () => (await committed(connection, 'orders', 1)).length === 1)
    expect(await committed(connection)).toEqual(['a', 'b'])
    expect(await everything(connection)).toHaveLength(3)
  })

  it('is never seen by read_committed when it was aborted, and is by others', async () => {
    const { connection, client } = await begin()
    await produce(connection, batchOf(['plain']))
    await client.add()
    await client.produce(['no'])
    await produce(connection, batchOf(['between']))
    await client.abort()
    await client.add()
    await client.produce(['yes'])
    await client.commit()

    await eventually('the end', async () => (await stableOffset(connection)) === 6)
    expect(await committed(connection)).toEqual(['plain', 'between', 'yes'])
    expect((await everything(connection)).filter((content) => content.endsWith(':no'))).toHaveLength(1)
  })

  it('holds back what others wrote behind its first record, for read_committed', async () => {
    const { connection, client } = await begin()
    await produce(connection, batchOf(['before']))
    await client.add()
    await client.produce(['open'])
    await produce(connection, batchOf(['behind']))

    expect(await committed(connection)).toEqual(['before'])
    expect(await latest(connection, 1)).toBe(1)
    expect(await latest(connection, 0)).toBe(3)
    expect(await latest(connection, 1, 0)).toBe(0)
  })

  it('moves the offsets of a group when it commits, and only then', async () => {
    const { connection, client } = await begin()
    await client.add()
    await client.addOffsets()
    expect(await client.commitOffset(7)).toBe(0)

    const open = await offsetOf(connection)
    const unstable = await offsetOf(connection, true)
    await client.commit()
    await eventually('stable', async () => (await offsetOf(connection, true)).errorCode === 0)
    const after = await offsetOf(connection, true)
    await client.addOffsets()
    await client.commitOffset(9)
    await client.abort()
    await eventually('stable', async () => (await offsetOf(connection, true)).errorCode === 0)

    expect(open).toEqual({ errorCode: 0, committedOffset: -1 })
    expect(unstable).toEqual({ errorCode: KAFKA_ERROR.UNSTABLE_OFFSET_COMMIT, committedOffset: -1 })
    expect(after).toEqual({ errorCode: 0, committedOffset: 7 })
    expect(await offsetOf(connection, true)).toEqual({ errorCode: 0, committedOffset: 7 })
  })
})
