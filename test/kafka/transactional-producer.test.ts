import { afterEach, describe, expect, test } from 'vitest'
import { baseSequenceAt, producerEpochAt } from '../../src/batch/record-batch.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import type { TransactionVersion } from '../../src/kafka/transaction-coordinator.ts'
import type { TransactionalProducerOptions } from '../../src/kafka/transactional-producer.ts'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.ts'
import { produceApi } from '../../src/wire/00-produce.ts'
import { findCoordinatorApi } from '../../src/wire/10-find-coordinator.ts'
import { initProducerIdApi } from '../../src/wire/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../src/wire/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../src/wire/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../src/wire/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../src/wire/28-txn-offset-commit.ts'
import type { AnyApi } from '../../src/wire/api.ts'
import { KAFKA_ERROR, kafkaErrorName } from '../../src/wire/error-codes.ts'
import type { Step } from './fake-broker.ts'
import {
  addPartitionsAnswer,
  doThenDrop,
  drop,
  FakeBroker,
  keepSilent,
  refuseProduce,
  TRANSACTIONAL_PRODUCER_ID,
  txnOffsetCommitAnswer,
} from './fake-broker.ts'
import { batchOf, openCluster, valuesOf } from './support.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const GROUP = { groupId: 'readers', generationId: 3, memberId: 'm', groupInstanceId: 'one' }
const POSITION = [{ topic: 'orders', partition: 0, offset: 5 }]

interface Bench {
  readonly broker: FakeBroker
  readonly cluster: KafkaCluster
  readonly producer: TransactionalProducer
}

async function startBench(
  version: TransactionVersion,
  options: Partial<TransactionalProducerOptions> = {},
): Promise<Bench> {
  const broker = await FakeBroker.start({
    topics: { orders: 4, payments: 4 },
    features: version === 2 ? { 'transaction.version': 2 } : {},
  })
  const cluster = openCluster([broker.address], { backoff: { initialMs: 2, maxMs: 10 }, requestMsMax: 2_000 })
  await cluster.connect()
  await cluster.refreshMetadata(['orders', 'payments'])
  const producer = new TransactionalProducer(cluster, { transactionalId: 'mover', ...options })
  cleanups.push(
    () => broker.stop(),
    () => cluster.close(),
    () => producer.stop(),
  )
  await producer.init()
  return { broker, cluster, producer }
}

/** The names of the transaction's requests in the order of arrival, without look-ups. */
function requestsOf(broker: FakeBroker): string[] {
  const others: readonly number[] = [18, 3, 10]
  return broker.requests.filter(({ api }) => !others.includes(api.key)).map(({ api }) => api.name)
}

const answerWith =
  <A extends AnyApi>(errorCode: number): Step<A> =>
  () =>
    ({ errorCode }) as never

const refuseOffsets =
  (errorCode: number): Step<typeof txnOffsetCommitApi> =>
  ({ value }) =>
    txnOffsetCommitAnswer(value, errorCode)

describe.each([1, 2] as const)('with transaction.version %i', (version) => {
  test('the requests are those of the protocol, in their order and versions', async () => {
    const { broker, producer } = await startBench(version)
    producer.begin()
    await producer.send('orders', 0, batchOf('a'))
    await producer.sendOffsets(GROUP, POSITION)
    await producer.commit()
    const own = broker.requests.map(({ api, version: spoken }) => `${api.name} ${spoken}`)
    expect(own.filter((one) => /Produce |Txn/.test(one))).toEqual(
      version === 1
        ? ['AddPartitionsToTxn 3', 'Produce 11', 'AddOffsetsToTxn 4', 'TxnOffsetCommit 4', 'EndTxn 4']
        : ['Produce 12', 'TxnOffsetCommit 5', 'EndTxn 5'],
    )
    expect(broker.requestsOf(produceApi)[0]?.value).toMatchObject({ transactionalId: 'mover', acks: -1 })
    expect(broker.requestsOf(txnOffsetCommitApi)[0]?.value).toMatchObject({
      transactionalId: 'mover',
      producerId: TRANSACTIONAL_PRODUCER_ID,
      ...GROUP,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, committedOffset: 5 }] }],
    })
    expect(broker.requestsOf(endTxnApi)[0]?.value).toMatchObject({ committed: true, producerEpoch: 0 })
    expect(producer.state).toBe('ready')
  })

  test.each(['answered and cut', 'cut before'])(
    'a commit whose EndTxn is %s is repeated until it is decided',
    async (how) => {
      const { broker, producer } = await startBench(version)
      const step = how === 'cut before' ? drop : doThenDrop
      broker.script(endTxnApi, step as never, step as never)
      producer.begin()
      void producer.send('orders', 0, batchOf('a'))
      await producer.commit()
      const ends = broker.requestsOf(endTxnApi).map(({ value }) => [value.committed, value.producerEpoch])
      expect(ends).toEqual([
        [true, 0],
        [true, 0],
        [true, 0],
      ])
      expect(producer.state).toBe('ready')
    },
  )

  test('where an answer was lost, the next transaction has a new epoch, so that nothing late reaches into it', async () => {
    const { broker, producer } = await startBench(version)
    broker.script(endTxnApi, doThenDrop as never)
    producer.begin()
    await producer.send('orders', 0, batchOf('a'))
    await producer.commit()
    producer.begin()
    await producer.send('orders', 0, batchOf('b'))
    await producer.commit()
    const [first, second] = broker.log('orders', 0) as [Buffer, Buffer]
    expect(producerEpochAt(second, 0)).toBeGreaterThan(producerEpochAt(first, 0))
    expect(baseSequenceAt(second, 0)).toBe(0)
    const renewals = broker.requestsOf(initProducerIdApi).slice(1)
    // Only the one who still has the id may renew it: the request says who we are.
    expect(renewals.map(({ value }) => [value.producerId, value.producerEpoch])).toEqual(
      version === 1 ? [[TRANSACTIONAL_PRODUCER_ID, 0]] : [],
    )
  })

  test('CONCURRENT_TRANSACTIONS is waited out, wherever it is answered', async () => {
    const { broker, cluster } = await startBench(version)
    const concurrent = KAFKA_ERROR.CONCURRENT_TRANSACTIONS
    const again = new TransactionalProducer(cluster, { transactionalId: 'mover' })
    cleanups.push(() => again.stop())
    broker.script(initProducerIdApi, answerWith(concurrent), answerWith(concurrent))
    broker.script(addPartitionsToTxnApi, ({ value }) => addPartitionsAnswer(value, () => concurrent))
    broker.script(addOffsetsToTxnApi, answerWith(concurrent))
    broker.script(txnOffsetCommitApi, refuseOffsets(concurrent))
    broker.script(produceApi, refuseProduce(concurrent))
    broker.script(endTxnApi, answerWith(concurrent), answerWith(concurrent))
    await again.init()
    again.begin()
    void again.send('orders', 0, batchOf('a'))
    void again.sendOffsets(GROUP, POSITION)
    await again.commit()
    expect(broker.log('orders', 0)).toHaveLength(1)
  })

  test('a coordinator that moves is found again', async () => {
    const { broker, producer } = await startBench(version)
    const other = await FakeBroker.start({
      nodeId: 2,
      topics: { orders: 4 },
      features: version === 2 ? { 'transaction.version': 2 } : {},
    })
    cleanups.push(() => other.stop())
    broker.peers.push(other)
    producer.begin()
    await producer.send('orders', 0, batchOf('a'))
    broker.coordinator = other
    broker.script(endTxnApi, answerWith(KAFKA_ERROR.NOT_COORDINATOR))
    broker.script(txnOffsetCommitApi, refuseOffsets(KAFKA_ERROR.NOT_COORDINATOR))
    await producer.sendOffsets(GROUP, POSITION)
    await producer.commit()
    expect(other.requestsOf(txnOffsetCommitApi)).toHaveLength(1)
    expect(other.requestsOf(endTxnApi)).toHaveLength(1)
    expect(broker.requestsOf(findCoordinatorApi).length).toBeGreaterThan(1)
  })

  test('a commit that is refused as fenced says whether an earlier attempt may have been carried out', async () => {
    for (const isAnswerLost of [false, true]) {
      const { broker, producer } = await startBench(version)
      if (isAnswerLost) broker.script(endTxnApi, doThenDrop as never)
      broker.script(endTxnApi, answerWith(KAFKA_ERROR.PRODUCER_FENCED))
      producer.begin()
      void producer.send('orders', 0, batchOf('a'))
      await expect(producer.commit()).rejects.toMatchObject({
        code: 'GS_KAFKA_FENCED',
        facts: { transactionalId: 'mover', possiblyCommitted: isAnswerLost },
      })
      expect(producer.state).toBe('fenced')
    }
  })

  test('a commit given up by its signal is not called failed, and can be asked for again', async () => {
    const { broker, producer } = await startBench(version)
    broker.script(endTxnApi, keepSilent as never)
    producer.begin()
    void producer.send('orders', 0, batchOf('a'))
    const giveUp = new AbortController()
    const committing = producer.commit(giveUp.signal)
    await expect.poll(() => broker.requestsOf(endTxnApi).length).toBe(1)
    giveUp.abort(new Error('no time'))
    await expect(committing).rejects.toMatchObject({
      code: 'GS_KAFKA_TIMEOUT',
      facts: { possiblyCommitted: true },
    })
    expect(producer.state).toBe('committing')
    expect(() => producer.begin()).toThrow(expect.objectContaining({ code: 'GS_KAFKA_TRANSACTION' }))
    await expect(producer.abort()).rejects.toMatchObject({ code: 'GS_KAFKA_TRANSACTION' })
    await producer.commit()
    expect(producer.state).toBe('ready')
    producer.begin()
    await producer.send('orders', 0, batchOf('b'))
    await producer.commit()
  })

  test('a stop in the middle of a commit says that it may have been carried out', async () => {
    const { broker, producer } = await startBench(version)
    broker.always(endTxnApi, keepSilent as never)
    producer.begin()
    void producer.send('orders', 0, batchOf('a'))
    const committing = producer.commit()
    const expectation = expect(committing).rejects.toMatchObject({ facts: { possiblyCommitted: true } })
    await expect.poll(() => broker.requestsOf(endTxnApi).length).toBe(1)
    await producer.stop()
    await expectation
    expect(producer.state).toBe('stopped')
  })

  test.each([KAFKA_ERROR.INVALID_PRODUCER_EPOCH, KAFKA_ERROR.PRODUCER_FENCED])(
    'a batch refused with code %i finishes the producer, and everything it still holds',
    async (code) => {
      const { broker, producer } = await startBench(version)
      broker.script(produceApi, refuseProduce(code))
      producer.begin()
      const sent = ['a', 'b', 'c'].map((value) => producer.send('orders', 0, batchOf(value)))
      const outcomes = await Promise.allSettled(sent)
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'GS_KAFKA_FENCED' } })
      }
      expect(broker.log('orders', 0)).toEqual([])
      expect(producer.state).toBe('fenced')
      const fenced = expect.objectContaining({ code: 'GS_KAFKA_FENCED' })
      await expect(producer.commit()).rejects.toEqual(fenced)
      await expect(producer.abort()).rejects.toEqual(fenced)
      await expect(producer.send('orders', 0, batchOf('d'))).rejects.toEqual(fenced)
      await expect(producer.init()).rejects.toEqual(fenced)
      expect(() => producer.begin()).toThrow(fenced)
      expect(broker.requestsOf(endTxnApi)).toEqual([])
    },
  )

  test.each([KAFKA_ERROR.ILLEGAL_GENERATION, KAFKA_ERROR.UNKNOWN_MEMBER_ID, KAFKA_ERROR.FENCED_INSTANCE_ID])(
    'positions refused with code %i leave the id, and nothing but an abort',
    async (code) => {
      const { broker, producer } = await startBench(version)
      broker.script(txnOffsetCommitApi, refuseOffsets(code))
      producer.begin()
      await producer.send('orders', 0, batchOf('a'))
      await expect(producer.sendOffsets(GROUP, POSITION)).rejects.toMatchObject({
        code: 'GS_KAFKA_TRANSACTION',
        facts: { isGenerationOver: true, kafkaErrorName: kafkaErrorName(code) },
      })
      await expect(producer.commit()).rejects.toMatchObject({ code: 'GS_KAFKA_TRANSACTION' })
      await producer.abort()
      expect(broker.requestsOf(endTxnApi).map(({ value }) => value.committed)).toEqual([false])
      producer.begin()
      await producer.sendOffsets(GROUP, POSITION)
      await producer.commit()
    },
  )

  test('a member that owns nothing has no positions to commit', async () => {
    const { producer } = await startBench(version)
    producer.begin()
    await expect(producer.sendOffsets(null, POSITION)).rejects.toMatchObject({
      code: 'GS_KAFKA_TRANSACTION',
      facts: { isGenerationOver: true },
    })
    await expect(producer.commit()).rejects.toMatchObject({ code: 'GS_KAFKA_TRANSACTION' })
    await producer.abort()
    expect(producer.state).toBe('ready')
  })

  test('a failure that nobody looked at is told by the commit', async () => {
    const { broker, producer } = await startBench(version)
    broker.script(produceApi, refuseProduce(KAFKA_ERROR.MESSAGE_TOO_LARGE))
    producer.begin()
    void producer.send('orders', 0, batchOf('a'))
    void producer.send('payments', 0, batchOf('b'))
    await expect(producer.commit()).rejects.toMatchObject({
      code: 'GS_KAFKA_TRANSACTION',
      facts: { kafkaErrorName: 'MESSAGE_TOO_LARGE', topic: 'orders', isGenerationOver: false },
    })
    await producer.abort()
  })

  test('a batch that found no room breaks the transaction: it would be missing from it', async () => {
    const { broker, producer } = await startBench(version, { bytesInFlightMax: 100 })
    broker.script(produceApi, async ({ answer }) => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return answer()
    })
    producer.begin()
    void producer.send('orders', 0, batchOf('a'))
    void producer.send('orders', 1, batchOf('b'))
    await expect(producer.commit()).rejects.toMatchObject({
      code: 'GS_KAFKA_TRANSACTION',
      cause: { code: 'GS_KAFKA_QUEUE_FULL' },
    })
    await producer.abort()
  })

  test('an abort waits for what is under way before it ends the transaction', async () => {
    const { broker, producer } = await startBench(version)
    let isStored = false
    broker.script(produceApi, async ({ answer }) => {
      await new Promise((resolve) => setTimeout(resolve, 100))
      isStored = true
      return answer()
    })
    broker.script(endTxnApi, ({ answer }) => {
      expect(isStored).toBe(true)
      return answer()
    })
    producer.begin()
    void producer.send('orders', 0, batchOf('a'))
    await expect.poll(() => broker.requestsOf(produceApi).length).toBe(1)
    const unsent = producer.send('orders', 0, batchOf('b'))
    await producer.abort()
    await expect(unsent).rejects.toMatchObject({ code: 'GS_KAFKA_TRANSACTION' })
    expect(broker.requestsOf(endTxnApi).map(({ value }) => value.committed)).toEqual([false])
  })

  test('nothing of a transaction that can only be aborted is sent again', async () => {
    const { broker, producer } = await startBench(version)
    broker.script(produceApi, ({ value }) => ({
      responses: value.topicData.map(({ name }) => {
        const errorCode =
          name === 'payments' ? KAFKA_ERROR.MESSAGE_TOO_LARGE : KAFKA_ERROR.NOT_LEADER_OR_FOLLOWER
        return { name, partitionResponses: [{ index: 0, errorCode, baseOffset: -1 }] }
      }),
    }))
    producer.begin()
    void producer.send('payments', 0, batchOf('too large'))
    const passing = producer.send('orders', 0, batchOf('would pass later'))
    await expect(passing).rejects.toMatchObject({ code: 'GS_KAFKA_TRANSACTION' })
    await producer.abort()
    expect(broker.requestsOf(produceApi)).toHaveLength(1)
    expect(broker.log('orders', 0)).toEqual([])
  })

  test('sequences are whole after a clean transaction and begin anew after a broken one', async () => {
    const { broker, producer } = await startBench(version)
    const run = async (values: readonly string[], end: 'commit' | 'abort') => {
      producer.begin()
      for (const value of values) await producer.send('orders', 0, batchOf(value)).catch(() => {})
      await producer[end]()
    }
    await run(['a', 'b'], 'commit')
    await run(['c'], 'abort')
    await run(['d'], 'commit')
    broker.script(produceApi, refuseProduce(KAFKA_ERROR.MESSAGE_TOO_LARGE))
    await run(['refused'], 'abort')
    await run(['e', 'f'], 'commit')
    const stamps = broker.log('orders', 0).map((batch) => {
      const [value] = valuesOf({ records: batch, fetchOffset: 0 as never })
      return `${value}:${producerEpochAt(batch, 0)}.${baseSequenceAt(batch, 0)}`
    })
    expect(stamps).toEqual(
      version === 1
        ? ['a:0.0', 'b:0.1', 'c:0.2', 'd:0.3', 'e:1.0', 'f:1.1']
        : ['a:0.0', 'b:0.1', 'c:1.0', 'd:2.0', 'e:4.0', 'f:4.1'],
    )
  })

  test('a lost acknowledgement is sent for again with the same bytes, behind nothing that came later', async () => {
    const { broker, producer } = await startBench(version)
    producer.begin()
    await producer.send('orders', 0, batchOf('first'))
    broker.script(produceApi, drop as never)
    for (const value of ['a', 'b', 'c']) void producer.send('orders', 0, batchOf(value))
    await producer.commit()
    const stored = broker.log('orders', 0)
    expect(stored.flatMap((records) => valuesOf({ records, fetchOffset: 0 as never }))).toEqual([
      'first',
      'a',
      'b',
      'c',
    ])
    expect(stored.map((batch) => baseSequenceAt(batch, 0))).toEqual([0, 1, 2, 3])
  })

  test('positions go out in the order in which they were given, whatever has to be repeated', async () => {
    const { broker, producer } = await startBench(version)
    broker.script(txnOffsetCommitApi, refuseOffsets(KAFKA_ERROR.COORDINATOR_LOAD_IN_PROGRESS), drop as never)
    producer.begin()
    for (const offset of [1, 2, 3])
      void producer.sendOffsets(GROUP, [{ topic: 'orders', partition: 0, offset }])
    await producer.commit()
    const offsets = broker
      .requestsOf(txnOffsetCommitApi)
      .map(({ value }) => value.topics[0]?.partitions[0]?.committedOffset)
    expect(offsets).toEqual([1, 1, 1, 2, 3])
    expect(broker.requestsOf(addOffsetsToTxnApi)).toHaveLength(version === 1 ? 1 : 0)
  })

  test('nothing is added any more once the end has begun', async () => {
    const { broker, producer } = await startBench(version)
    producer.begin()
    void producer.send('orders', 0, batchOf('a'))
    const committing = producer.commit()
    await expect(producer.send('orders', 0, batchOf('late'))).rejects.toMatchObject({
      code: 'GS_KAFKA_TRANSACTION',
    })
    // A record that was meant to be in it is missing: it must not be committed without.
    await expect(committing).rejects.toMatchObject({ code: 'GS_KAFKA_TRANSACTION' })
    await producer.abort()
    expect(broker.requestsOf(endTxnApi).map(({ value }) => value.committed)).toEqual([false])
  })

  test('stop aborts what is open, so that readers need not wait for its timeout', async () => {
    const { broker, producer } = await startBench(version)
    producer.begin()
    await producer.send('orders', 0, batchOf('a'))
    await producer.stop()
    expect(broker.requestsOf(endTxnApi).map(({ value }) => value.committed)).toEqual([false])
    expect(() => producer.begin()).toThrow(expect.objectContaining({ code: 'GS_STOPPED' }))
  })

  test('stop does not wait long for a coordinator that does not answer', async () => {
    const { broker, producer } = await startBench(version)
    broker.always(endTxnApi, keepSilent as never)
    producer.begin()
    await producer.send('orders', 0, batchOf('a'))
    const startedAt = performance.now()
    await producer.stop()
    expect(performance.now() - startedAt).toBeLessThan(1_900)
  })

  test('an id that may not be used is told as what it is', async () => {
    const { broker, cluster } = await startBench(version)
    const denied = new TransactionalProducer(cluster, { transactionalId: 'denied' })
    cleanups.push(() => denied.stop())
    broker.script(initProducerIdApi, answerWith(KAFKA_ERROR.TRANSACTIONAL_ID_AUTHORIZATION_FAILED))
    await expect(denied.init()).rejects.toMatchObject({
      code: 'GS_KAFKA_RESPONSE',
      kafkaErrorName: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    })
    await denied.init()
    expect(denied.state).toBe('ready')
  })
})

describe('announcing partitions, in the classic protocol', () => {
  test('many partitions are announced with one request, each once per transaction', async () => {
    const { broker, producer } = await startBench(1)
    for (let round = 0; round < 2; round++) {
      producer.begin()
      for (const topic of ['orders', 'payments']) {
        for (const partition of [0, 1, 2, 3]) void producer.send(topic, partition, batchOf('a'))
        for (const partition of [0, 1, 2, 3]) void producer.send(topic, partition, batchOf('b'))
      }
      await producer.commit()
    }
    const announced = broker.requestsOf(addPartitionsToTxnApi).map(({ value }) => value.v3AndBelowTopics)
    const all = ['orders', 'payments'].map((name) => ({ name, partitions: [0, 1, 2, 3] }))
    expect(announced).toEqual([all, all])
  })

  test('what comes while one announcement is under way shares the next', async () => {
    const { broker, producer } = await startBench(1)
    const held = Promise.withResolvers<void>()
    broker.script(addPartitionsToTxnApi, async ({ answer }) => {
      await held.promise
      return answer()
    })
    producer.begin()
    void producer.send('orders', 0, batchOf('a'))
    await expect.poll(() => broker.requestsOf(addPartitionsToTxnApi).length).toBe(1)
    void producer.send('orders', 1, batchOf('a'))
    await new Promise((resolve) => setImmediate(resolve))
    void producer.send('orders', 2, batchOf('a'))
    held.resolve()
    await producer.commit()
    const partitions = broker
      .requestsOf(addPartitionsToTxnApi)
      .map(({ value }) => value.v3AndBelowTopics.flatMap((topic) => topic.partitions))
    expect(partitions).toEqual([[0], [1, 2]])
  })

  test('nothing is sent to a partition before it is announced', async () => {
    const { broker, producer } = await startBench(1)
    producer.begin()
    for (const partition of [0, 1, 2]) void producer.send('orders', partition, batchOf('a'))
    await producer.commit()
    expect(requestsOf(broker)).toEqual(['InitProducerId', 'AddPartitionsToTxn', 'Produce', 'EndTxn'])
  })

  test('a refusal names the partition that was refused, not those that were left out because of it', async () => {
    const { broker, producer } = await startBench(1)
    broker.script(addPartitionsToTxnApi, ({ value }) =>
      addPartitionsAnswer(value, (_topic, partition) =>
        partition === 2 ? KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED : KAFKA_ERROR.OPERATION_NOT_ATTEMPTED,
      ),
    )
    producer.begin()
    const sent = [0, 1, 2].map((partition) => producer.send('orders', partition, batchOf('a')))
    const outcomes = await Promise.allSettled(sent)
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        reason: {
          code: 'GS_KAFKA_TRANSACTION',
          facts: { kafkaErrorName: 'TOPIC_AUTHORIZATION_FAILED', partition: 2 },
        },
      })
    }
    expect(broker.requestsOf(produceApi)).toEqual([])
    broker.script(endTxnApi, answerWith(KAFKA_ERROR.INVALID_TXN_STATE))
    await producer.abort()
    expect(producer.state).toBe('ready')
  })

  test('an announcement that is refused as fenced finishes the producer', async () => {
    const { broker, producer } = await startBench(1)
    broker.script(addPartitionsToTxnApi, ({ value }) =>
      addPartitionsAnswer(value, () => KAFKA_ERROR.PRODUCER_FENCED),
    )
    producer.begin()
    await expect(producer.send('orders', 0, batchOf('a'))).rejects.toMatchObject({ code: 'GS_KAFKA_FENCED' })
    expect(producer.state).toBe('fenced')
  })

  test('a new epoch that another has taken meanwhile finishes the producer', async () => {
    const { broker, producer } = await startBench(1)
    broker.script(endTxnApi, doThenDrop as never)
    producer.begin()
    void producer.send('orders', 0, batchOf('a'))
    await producer.commit()
    broker.script(initProducerIdApi, answerWith(KAFKA_ERROR.PRODUCER_FENCED))
    producer.begin()
    await expect(producer.send('orders', 0, batchOf('b'))).rejects.toMatchObject({ code: 'GS_KAFKA_FENCED' })
    expect(broker.log('orders', 0)).toHaveLength(1)
  })
})
