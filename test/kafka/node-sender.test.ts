import { expect, test } from 'vitest'
import type { BrokerConnection } from '../../src/kafka/broker-connection.ts'
import { NodeSender } from '../../src/kafka/node-sender.ts'
import { PartitionQueue } from '../../src/kafka/partition-queue.ts'
import type { ProduceBatch } from '../../src/kafka/produce-batch.ts'
import { batchOf } from './support.ts'

/** A connection that answers when told to. */
class FakeConnection {
  isOpen = true
  readonly requests: PromiseWithResolvers<never>[] = []

  request(): Promise<never> {
    const request = Promise.withResolvers<never>()
    this.requests.push(request)
    return request.promise
  }
}

function queuedBatch(serial: number): ProduceBatch {
  return {
    topic: 'orders',
    partition: 0,
    bytes: batchOf(String(serial)),
    acks: -1,
    serial,
    deadlineAtMs: Number.POSITIVE_INFINITY,
    retryUntilMs: Number.POSITIVE_INFINITY,
    resolve: () => {},
    reject: () => {},
    timer: null,
    isStamped: false,
    state: 'queued',
    isOnSocket: false,
    isExpired: false,
    possiblyPersisted: false,
    lastError: null,
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('nothing goes out on a new connection before every request of the broken one has reported', async () => {
  const connections: FakeConnection[] = []
  const queue = new PartitionQueue('orders', 0)
  const sender = new NodeSender({
    nodeId: 1,
    inFlightMax: 5,
    inFlightPerPartitionMax: 5,
    requestBytesMax: 1_000_000,
    transaction: null,
    connect: async () => {
      const connection = new FakeConnection()
      connections.push(connection)
      return connection as unknown as BrokerConnection
    },
    brokerWaitMs: () => 1,
    onTake: () => {},
    onWritten: () => {},
    onUnreachable: () => {},
    onOutcome: (failed, batch) => {
      failed.putBack(batch)
      if (failed.inFlightCount > 0) return
      failed.resume()
      sender.add(failed)
    },
  })
  const first = queuedBatch(1)
  queue.push(first)
  sender.add(queue)
  await turn()
  await turn()
  expect(connections[0]?.requests).toHaveLength(1)
  // 1. The connection breaks; its request has not reported yet. 2. Another batch comes.
  if (connections[0] !== undefined) connections[0].isOpen = false
  const second = queuedBatch(2)
  queue.push(second)
  sender.add(queue)
  await turn()
  await turn()
  expect(connections).toHaveLength(1)
  connections[0]?.requests[0]?.reject(new Error('broken'))
  await turn()
  await turn()
  await turn()
  expect(connections).toHaveLength(2)
  expect(connections[1]?.requests).toHaveLength(1)
  expect([first.state, second.state]).toEqual(['in flight', 'queued'])
})
