import { afterEach, describe, expect, it } from 'vitest'
import { describeProducersApi } from '../../../src/wire/61-describe-producers.ts'
import { describeTransactionsApi } from '../../../src/wire/65-describe-transactions.ts'
import { listTransactionsApi } from '../../../src/wire/66-list-transactions.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import { connectTo, createTopic, startBroker, stopBrokers } from '../broker-client.ts'
import { TransactionClient } from '../transactions/transaction-client.ts'

afterEach(stopBrokers)

async function oneOpen() {
  const connection = await connectTo(await startBroker())
  await createTopic(connection, 'orders', { partitionCount: 2 })
  const idle = await TransactionClient.begun(connection, 'idle')
  const client = await TransactionClient.begun(connection, 'open')
  await client.add('orders', [1, 0])
  await client.produce(['a', 'b'])
  return { connection, client, idle }
}

describe('who asks about transactions', () => {
  it('is told the state, the producer and the partitions of an id', async () => {
    const { connection, client } = await oneOpen()

    const { transactionStates } = await connection.request(describeTransactionsApi, 0, {
      transactionalIds: ['open', 'idle', 'nobody'],
    })

    expect(transactionStates[0]).toMatchObject({
      errorCode: 0,
      transactionState: 'Ongoing',
      transactionTimeoutMs: 60_000,
      producerId: client.producerId,
      producerEpoch: 0,
      topics: [{ topic: 'orders', partitions: [0, 1] }],
    })
    expect(transactionStates[1]).toMatchObject({
      transactionState: 'Empty',
      transactionStartTimeMs: -1,
      topics: [],
    })
    expect(transactionStates[2]?.errorCode).toBe(KAFKA_ERROR.TRANSACTIONAL_ID_NOT_FOUND)
  })

  it('may list them by state, by producer and by duration', async () => {
    const { connection, client, idle } = await oneOpen()
    const idsOf = async (request: object) => {
      const { transactionStates } = await connection.request(listTransactionsApi, 1, request)
      return transactionStates.map(({ transactionalId }) => transactionalId).sort()
    }

    expect(await idsOf({})).toEqual(['idle', 'open'])
    expect(await idsOf({ stateFilters: ['Ongoing'] })).toEqual(['open'])
    expect(await idsOf({ producerIdFilters: [idle.producerId] })).toEqual(['idle'])
    expect(await idsOf({ producerIdFilters: [idle.producerId, client.producerId] })).toHaveLength(2)
    expect(await idsOf({ durationFilter: 60_000 })).toEqual([])
    expect(await idsOf({ durationFilter: 0 })).toEqual(['open'])
    const { unknownStateFilters } = await connection.request(listTransactionsApi, 0, {
      stateFilters: ['Ongoing', 'Nonsense'],
    })
    expect(unknownStateFilters).toEqual(['Nonsense'])
  })

  it('is told of the producers of a partition', async () => {
    const { connection, client } = await oneOpen()

    const { topics } = await connection.request(describeProducersApi, 0, {
      topics: [{ name: 'orders', partitionIndexes: [0, 1, 9] }],
    })

    const [written, empty, unknown] = topics[0]?.partitions ?? []
    expect(written?.activeProducers).toMatchObject([
      { producerId: client.producerId, producerEpoch: 0, lastSequence: 1, currentTxnStartOffset: 0 },
    ])
    expect(empty).toMatchObject({ errorCode: 0, activeProducers: [] })
    expect(unknown?.errorCode).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
  })
})
