import { afterEach, describe, expect, it } from 'vitest'
import { listOffsetsApi } from '../../../src/wire/02-list-offsets.ts'
import { offsetFetchApi } from '../../../src/wire/09-offset-fetch.ts'
import { joinGroupApi } from '../../../src/wire/11-join-group.ts'
import { syncGroupApi } from '../../../src/wire/14-sync-group.ts'
import { deleteTopicsApi } from '../../../src/wire/20-delete-topics.ts'
import { deleteRecordsApi } from '../../../src/wire/21-delete-records.ts'
import { deleteGroupsApi } from '../../../src/wire/42-delete-groups.ts'
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

/** A group of one, in a stable generation. */
async function joinAlone(connection: RawConnection) {
  const request = {
    groupId: 'group',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('x') }],
  }
  const { memberId } = await connection.request(joinGroupApi, 5, request)
  const { generationId } = await connection.request(joinGroupApi, 5, { ...request, memberId })
  await connection.request(syncGroupApi, 3, { groupId: 'group', generationId, memberId, assignments: [] })
  return { memberId, generationId }
}

async function deleteRecords(connection: RawConnection, offset: number): Promise<void> {
  const { topics } = await connection.request(deleteRecordsApi, 2, {
    topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset }] }],
    timeoutMs: 1000,
  })
  expect(topics[0]?.partitions[0]?.errorCode).toBe(0)
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

describe('a producer with a transactional id', () => {
  it('gets the same producer id with a new epoch each time, and fences its predecessor', async () => {
    const { connection, client: old } = await begin()
    await old.add()

    const next = await TransactionClient.begun(connection)

    expect(next).toMatchObject({ producerId: old.producerId, producerEpoch: old.producerEpoch + 2 })
    expect((await old.produce(['late'])).errorCode).toBe(KAFKA_ERROR.INVALID_PRODUCER_EPOCH)
    expect(await old.add()).toBe(KAFKA_ERROR.PRODUCER_FENCED)
    expect(await old.add('orders', [0], 1)).toBe(KAFKA_ERROR.INVALID_PRODUCER_EPOCH)
    expect(await old.addOffsets()).toBe(KAFKA_ERROR.PRODUCER_FENCED)
    expect(await old.addOffsets('group', 1)).toBe(KAFKA_ERROR.INVALID_PRODUCER_EPOCH)
    expect(await old.commitOffset(1)).toBe(KAFKA_ERROR.INVALID_PRODUCER_EPOCH)
    expect(await old.commit()).toBe(KAFKA_ERROR.PRODUCER_FENCED)
    expect(await old.end(true, 1)).toBe(KAFKA_ERROR.INVALID_PRODUCER_EPOCH)
    expect((await old.init({ expected: { ...old }, version: 4 })).errorCode).toBe(KAFKA_ERROR.PRODUCER_FENCED)
    expect((await old.init({ expected: { ...old }, version: 3 })).errorCode).toBe(
      KAFKA_ERROR.INVALID_PRODUCER_EPOCH,
    )
  })

  it('has what its predecessor left open aborted, before it is answered', async () => {
    const { connection, client: old } = await begin()
    await old.add('orders', [0, 1])
    await old.addOffsets()
    await old.produce(['left', 'open'])
    await old.commitOffset(5)

    const next = await TransactionClient.begun(connection)

    expect(await stableOffset(connection)).toBe(3)
    expect(await committed(connection)).toEqual([])
    expect(await offsetOf(connection, true)).toEqual({ errorCode: 0, committedOffset: -1 })
    await next.add()
    await next.produce(['new'])
    await next.commit()
    await eventually('the end', async () => (await stableOffset(connection)) === 5)
    expect(await committed(connection)).toEqual(['new'])
  })

  it('may ask for its next epoch by saying which it has, and again when the answer was lost (KIP-360)', async () => {
    const { client } = await begin()
    const expected = { producerId: client.producerId, producerEpoch: client.producerEpoch }

    const first = await client.init({ expected })
    const again = await client.init({ expected })

    expect(first).toMatchObject({ errorCode: 0, producerId: expected.producerId, producerEpoch: 1 })
    expect(again).toMatchObject({ errorCode: 0, producerId: expected.producerId, producerEpoch: 1 })
  })

  it('is not ended by a late copy of its own request for the epoch it has now', async () => {
    const { connection, client } = await begin()
    const expected = { producerId: client.producerId, producerEpoch: client.producerEpoch }
    await client.init({ expected })
    await client.add()
    await client.produce(['kept'])

    const late = await new TransactionClient(connection).init({ expected })
    await client.commit()

    expect(late.errorCode).toBe(KAFKA_ERROR.PRODUCER_FENCED)
    await eventually('the record', async () => (await committed(connection)).length === 1)
  })

  it.each([
    ['no time', { timeoutMs: 0 }, KAFKA_ERROR.INVALID_TRANSACTION_TIMEOUT],
    ['negative time', { timeoutMs: -1 }, KAFKA_ERROR.INVALID_TRANSACTION_TIMEOUT],
    ['too much time', { timeoutMs: 900_001 }, KAFKA_ERROR.INVALID_TRANSACTION_TIMEOUT],
    ['half an identity', { expected: { producerId: 5, producerEpoch: -1 } }, KAFKA_ERROR.INVALID_REQUEST],
  ])('is refused when it asks for %s', async (_, options, code) => {
    const connection = await connectTo(await startBroker())

    expect((await new TransactionClient(connection).init(options)).errorCode).toBe(code)
  })

  it('is refused under the empty name, and beyond the most ids that are kept', async () => {
    const connection = await connectTo(await startBroker({ transactionalIdsMax: 1 }))
    await TransactionClient.begun(connection, 'first')

    expect((await new TransactionClient(connection, '').init()).errorCode).toBe(KAFKA_ERROR.INVALID_REQUEST)
    expect((await new TransactionClient(connection, 'second').init()).errorCode).toBe(
      KAFKA_ERROR.POLICY_VIOLATION,
    )
    expect((await new TransactionClient(connection, 'first').init()).errorCode).toBe(0)
  })
})

describe('what does not fit the state', () => {
  it('is refused for an id that nobody has asked for, and for another producer id', async () => {
    const { connection, client } = await begin()
    const stranger = new TransactionClient(connection, 'stranger')
    stranger.producerId = client.producerId
    stranger.producerEpoch = 0
    const impostor = new TransactionClient(connection)
    impostor.producerId = client.producerId + 1
    impostor.producerEpoch = 0

    for (const other of [stranger, impostor]) {
      expect(await other.add()).toBe(KAFKA_ERROR.INVALID_PRODUCER_ID_MAPPING)
      expect(await other.commit()).toBe(KAFKA_ERROR.INVALID_PRODUCER_ID_MAPPING)
      expect(await other.commitOffset(1)).toBe(KAFKA_ERROR.INVALID_PRODUCER_ID_MAPPING)
      expect((await other.produce(['no'])).errorCode).toBe(KAFKA_ERROR.INVALID_PRODUCER_ID_MAPPING)
    }
  })

  it('is refused for a partition that was not added: abortably from version 11 on', async () => {
    const { connection, client } = await begin()
    await client.add('orders', [1])

    expect((await client.produce(['no'], { version: 10 })).errorCode).toBe(KAFKA_ERROR.INVALID_TXN_STATE)
    expect((await client.produce(['no'], { version: 11 })).errorCode).toBe(KAFKA_ERROR.TRANSACTION_ABORTABLE)
    expect(await client.commitOffset(1)).toBe(KAFKA_ERROR.INVALID_TXN_STATE)
    expect(await everything(connection)).toEqual([])
  })

  it('is refused once the end is decided: a late batch never gets into the next transaction', async () => {
    const { connection, client } = await begin()
    await client.add()
    await client.produce(['in'])
    await client.commit()

    expect((await client.produce(['late'])).errorCode).toBe(KAFKA_ERROR.INVALID_TXN_STATE)
    await eventually('the end', async () => (await stableOffset(connection)) === 2)
    expect(await committed(connection)).toEqual(['in'])
  })

  it('is refused for a plain batch of the producer while its transaction is open there', async () => {
    const { connection, client } = await begin()
    await client.add()
    await client.produce(['in'])
    const { producerId, producerEpoch } = client

    const plain = await produce(connection, batchOf(['out'], { producerId, producerEpoch, baseSequence: 1 }))

    expect(plain.errorCode).toBe(KAFKA_ERROR.INVALID_TXN_STATE)
  })

  it('is refused for the other end, and answered again for the same one', async () => {
    const { client } = await begin()

    expect(await client.commit()).toBe(KAFKA_ERROR.INVALID_TXN_STATE)
    await client.add()
    expect(await client.commit()).toBe(0)
    expect(await client.commit()).toBe(0)
    expect(await client.abort()).toBe(KAFKA_ERROR.INVALID_TXN_STATE)
    await client.add()
    expect(await client.abort()).toBe(0)
    expect(await client.abort()).toBe(0)
    expect(await client.commit()).toBe(KAFKA_ERROR.INVALID_TXN_STATE)
  })

  it('is refused as a whole when one of the partitions does not exist', async () => {
    const { client } = await begin()

    expect(await client.add('orders', [0, 99])).toBe(KAFKA_ERROR.OPERATION_NOT_ATTEMPTED)
    expect(await client.add('nowhere')).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await client.add('__consumer_offsets')).toBe(KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED)
    expect((await client.produce(['no'])).errorCode).toBe(KAFKA_ERROR.INVALID_TXN_STATE)
  })
})

describe('offsets in a transaction', () => {
  it('are refused from a member that has lost its partitions (KIP-447)', async () => {
    const { connection, client } = await begin()
    const { memberId, generationId } = await joinAlone(connection)
    await client.addOffsets()
    const member = { memberId, generationId }

    expect(await client.commitOffset(1, { ...member, generationId: generationId - 1 })).toBe(
      KAFKA_ERROR.ILLEGAL_GENERATION,
    )
    expect(await client.commitOffset(1, { ...member, memberId: 'gone' })).toBe(KAFKA_ERROR.UNKNOWN_MEMBER_ID)
    expect(await client.commitOffset(1, { groupId: 'none', ...member })).toBe(KAFKA_ERROR.ILLEGAL_GENERATION)
    expect(await client.commitOffset(1, member)).toBe(0)
    // Senders of before KIP-447 do not say who they are.
    expect(await client.commitOffset(2)).toBe(0)
  })

  it('are refused for a partition that does not exist', async () => {
    const { client } = await begin()
    await client.addOffsets()

    expect(await client.commitOffset(1, {}, 'nowhere')).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('do not undo what was committed after they had been staged', async () => {
    const { connection, client: slow } = await begin()
    const quick = await TransactionClient.begun(connection, 'quick')
    await slow.addOffsets()
    await slow.commitOffset(5)
    await quick.addOffsets()
    await quick.commitOffset(8)
    await quick.commit()

    await slow.commit()

    await eventually('stable', async () => (await offsetOf(connection, true)).errorCode === 0)
    expect(await offsetOf(connection)).toEqual({ errorCode: 0, committedOffset: 8 })
  })

  it('keep their group, and go with it when it is deleted', async () => {
    const { connection, client } = await begin()
    await client.addOffsets()
    await client.commitOffset(5)

    const { results } = await connection.request(deleteGroupsApi, 1, { groupsNames: ['group'] })
    await client.commit()

    expect(results[0]?.errorCode).toBe(0)
    await eventually('stable', async () => (await offsetOf(connection, true)).errorCode === 0)
    expect(await offsetOf(connection)).toEqual({ errorCode: 0, committedOffset: -1 })
  })
})

describe('a transaction that takes too long', () => {
  it('is aborted, and its producer fenced', async () => {
    const { broker, connection, client } = await begin(300)
    await client.add()
    await client.produce(['never'])
    await client.addOffsets()
    await client.commitOffset(3)

    await eventually('the abort', async () => (await stableOffset(connection)) === 2)

    expect(await committed(connection)).toEqual([])
    expect(await client.commit()).toBe(KAFKA_ERROR.PRODUCER_FENCED)
    expect((await client.produce(['late'])).errorCode).toBe(KAFKA_ERROR.INVALID_PRODUCER_EPOCH)
    expect(await offsetOf(connection, true)).toEqual({ errorCode: 0, committedOffset: -1 })
    expect(
      await broker.metrics.getSingleMetricAsString('gophership_broker_transactions_timed_out_total'),
    ).toMatch(/ 1$/m)
    expect((await client.init()).producerEpoch).toBe(2)
  })

  it('is counted from its own beginning, not from the one before', async () => {
    const { connection, client } = await begin(400)
    for (let count = 0; count < 6; count += 1) {
      expect(await client.add()).toBe(0)
      expect((await client.produce([`v${count}`])).errorCode).toBe(0)
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(await client.commit()).toBe(0)
    }

    await eventually('all', async () => (await committed(connection)).length === 6)
  })
})

describe('a request that was held up on a connection its producer has left', () => {
  it('does not end the next transaction, which has the same producer id and epoch', async () => {
    const { broker, connection: left, client } = await begin()
    await client.add()
    await client.produce(['one'])
    // The producer gave up waiting for the answer to its EndTxn and asked again on a new connection.
    client.connection = await connectTo(broker)
    await client.commit()
    await client.add()
    await client.produce(['two'])

    client.connection = left
    const late = client.commit()

    await expect(late).rejects.toThrow('closed')
    client.connection = await connectTo(broker)
    await client.produce(['three'])
    expect(await committed(client.connection)).toEqual(['one'])
    await client.abort()
    await eventually('the end', async () => (await stableOffset(client.connection)) === 5)
    expect(await committed(client.connection)).toEqual(['one'])
  })

  it('does not stage old offsets in the next transaction', async () => {
    const { broker, connection: left, client } = await begin()
    client.connection = await connectTo(broker)
    await client.addOffsets()
    await client.commitOffset(9)

    client.connection = left

    await expect(client.commitOffset(5)).rejects.toThrow('closed')
  })
})

describe('fetching under read_committed', () => {
  it('names the aborted transactions among the records, and no others', async () => {
    const { connection, client } = await begin()
    const ends: number[] = []
    for (const value of ['a', 'b', 'c']) {
      await client.add()
      ends.push((await client.produce([value])).baseOffset)
      await client.abort()
    }
    await eventually('the end', async () => (await stableOffset(connection)) === 6)
    const { producerId } = client

    const all = await fetchCommitted(connection)
    const tail = await fetchCommitted(connection, { offset: 3 })
    const first = await fetchOne(connection, { isolationLevel: 1, partitionMaxBytes: 1 })
    const plain = await fetchOne(connection)

    expect(ends).toEqual([0, 2, 4])
    expect(all.abortedTransactions).toEqual(ends.map((firstOffset) => ({ producerId, firstOffset })))
    expect(tail.abortedTransactions).toEqual([2, 4].map((firstOffset) => ({ producerId, firstOffset })))
    expect(first.abortedTransactions).toEqual([{ producerId, firstOffset: 0 }])
    expect(plain.abortedTransactions).toBeNull()
  })

  it('waits while there is only an open transaction, and is answered when it ends', async () => {
    const { broker, connection, client } = await begin()
    const reader = await connectTo(broker)
    await client.add()
    await client.produce(['x'.repeat(5000)])

    const waiting = fetchCommitted(reader, { maxWaitMs: 20_000, minBytes: 4000 })
    await produce(connection, batchOf(['more'.repeat(2000)]))
    const early = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 100, 'waiting'))])
    const startedMs = performance.now()
    await client.commit()
    const { records } = await waiting

    expect(early).toBe('waiting')
    expect(performance.now() - startedMs).toBeLessThan(5000)
    expect(records?.length).toBeGreaterThan(12_000)
  })
})

describe('deleting', () => {
  it('records below an open transaction leaves it to end as it does', async () => {
    const { connection, client } = await begin()
    await client.add()
    await client.produce(['a', 'b', 'c'])
    await deleteRecords(connection, 2)

    expect(await latest(connection, 1)).toBe(2)
    expect((await fetchCommitted(connection, { offset: 2 })).records).toHaveLength(0)
    await client.commit()
    await eventually('the end', async () => (await latest(connection, 1)) === 4)
    const answer = await fetchCommitted(connection, { offset: 2 })
    expect(committedRecords(answer, 2).records.map(({ value }) => value)).toEqual(['c'])
  })

  it('a topic with an open transaction lets the others be committed', async () => {
    const { connection, client } = await begin()
    await createTopic(connection, 'doomed')
    await client.add('doomed')
    await client.add()
    await client.produce(['gone'], { topic: 'doomed' })
    await client.produce(['stays'])

    await connection.request(deleteTopicsApi, 5, { topicNames: ['doomed'] })

    expect(await client.commit()).toBe(0)
    await eventually('the record', async () => (await committed(connection)).length === 1)
    expect(await client.add()).toBe(0)
  })
})
