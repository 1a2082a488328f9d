import { afterEach, expect, it } from 'vitest'
import { COMPRESSION } from '../../../src/batch/record-batch.ts'
import { listOffsetsApi } from '../../../src/wire/02-list-offsets.ts'
import { offsetForLeaderEpochApi } from '../../../src/wire/23-offset-for-leader-epoch.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import type { RawConnection } from '../../listener/raw-connection.ts'
import { batchOf, connectTo, createTopic, produce, startBroker, stopBrokers } from '../broker-client.ts'

afterEach(stopBrokers)

async function listOffset(
  connection: RawConnection,
  timestamp: number,
  version = 7,
  more: { partition?: number; epoch?: number } = {},
) {
  const response = await connection.request(listOffsetsApi, version, {
    topics: [
      {
        name: 'orders',
        partitions: [
          { partitionIndex: more.partition ?? 0, timestamp, currentLeaderEpoch: more.epoch ?? -1 },
        ],
      },
    ],
  })
  return response.topics[0]?.partitions[0]
}

async function withTimes(): Promise<RawConnection> {
  const connection = await connectTo(await startBroker())
  await createTopic(connection)
  await produce(connection, batchOf(['a', 'b', 'c'], { timestamps: [1000, 2000, 3000] }))
  await produce(connection, batchOf(['d', 'e'], { timestamps: [9000, 4000], compression: COMPRESSION.lz4 }))
  await produce(connection, batchOf(['f'], { timestamps: [5000] }))
  return connection
}

it.each([1, 2, 4, 6, 7])('gives the ends of the log in version %i', async (version) => {
  const connection = await withTimes()

  expect(await listOffset(connection, -1, version)).toMatchObject({ errorCode: 0, offset: 6, timestamp: -1 })
  expect(await listOffset(connection, -2, version)).toMatchObject({ errorCode: 0, offset: 0, timestamp: -1 })
})

it('finds the first offset at or after a time, exact to the record', async () => {
  const connection = await withTimes()

  const found = []
  for (const time of [0, 1000, 1001, 2500, 3001, 8999, 9001])
    found.push((await listOffset(connection, time))?.offset)

  expect(found).toEqual([0, 0, 1, 2, 3, 3, -1])
})

it('finds the record with the greatest timestamp', async () => {
  expect(await listOffset(await withTimes(), -3)).toMatchObject({ errorCode: 0, offset: 3, timestamp: 9000 })
})

it('says -1 of an empty log', async () => {
  const connection = await connectTo(await startBroker())
  await createTopic(connection)

  expect(await listOffset(connection, -3)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 })
  expect(await listOffset(connection, 0)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 })
  expect(await listOffset(connection, -1)).toMatchObject({ errorCode: 0, offset: 0 })
})

it('refuses unknown partitions, later leader epochs and unknown specials', async () => {
  const connection = await withTimes()

  expect((await listOffset(connection, -1, 7, { partition: 5 }))?.errorCode).toBe(
    KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION,
  )
  expect((await listOffset(connection, -1, 7, { epoch: 1 }))?.errorCode).toBe(
    KAFKA_ERROR.UNKNOWN_LEADER_EPOCH,
  )
  expect((await listOffset(connection, -5))?.errorCode).toBe(KAFKA_ERROR.UNSUPPORTED_VERSION)
})

it('says that the only leader epoch ends at the high watermark', async () => {
  const connection = await withTimes()
  const ask = async (leaderEpoch: number) =>
    (
      await connection.request(offsetForLeaderEpochApi, 4, {
        topics: [{ topic: 'orders', partitions: [{ partition: 0, leaderEpoch }] }],
      })
    ).topics[0]?.partitions[0]

  expect(await ask(0)).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 6 })
  expect(await ask(5)).toMatchObject({ errorCode: 0, leaderEpoch: -1, endOffset: -1 })
})
