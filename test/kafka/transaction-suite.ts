/** What a transactional producer owes its users, against whatever server: the same promises for Apache Kafka and for the embedded broker. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { attributesAt, BATCH_ATTRIBUTE, producerEpochAt } from '../../src/batch/record-batch.ts'
import type { GopherShipError } from '../../src/core/errors.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Fetcher } from '../../src/kafka/fetcher.ts'
import { GroupMember } from '../../src/kafka/group-member.ts'
import { fetchCommittedOffsets } from '../../src/kafka/group-offsets.ts'
import { listOffsets } from '../../src/kafka/offsets.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { TopicReader } from '../../src/kafka/topic-reader.ts'
import type { TransactionVersion } from '../../src/kafka/transaction-coordinator.ts'
import type { TransactionalProducerOptions } from '../../src/kafka/transactional-producer.ts'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.ts'
import { eventually } from '../support/eventually.ts'
import { batchOf, openCluster } from './support.ts'

/** The client whose answers the proxy loses. */
export const CUT_CLIENT_ID = 'unlucky'

export interface TransactionServer {
  readonly bootstrapServers: readonly string[]
  /** Through a proxy that loses the answers to the client `CUT_CLIENT_ID`. */
  readonly cuttingServers: readonly string[]
  /** Takes the server away and starts it again on its data and port. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface TransactionSuiteOptions {
  readonly start: () => Promise<TransactionServer>
  readonly version: TransactionVersion
  /** Whether the server is also taken away in the middle, for which some take long. */
  readonly hasRestarts: boolean
}

/** Declares the suite; call it within a `describe`. */
export function transactionSuite({ start, version, hasRestarts }: TransactionSuiteOptions): void {
  let server: TransactionServer
  let cluster: KafkaCluster
  const cleanups: (() => unknown)[] = []
  let serial = 0

  beforeAll(async () => {
    server = await start()
    cluster = openCluster(server.bootstrapServers)
    await cluster.connect()
  }, 300_000)
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })
  afterAll(async () => {
    await cluster?.close()
    await server?.stop()
  })

  /** A name that no other test has. */
  const unique = (name: string) => `${name}-v${version}-${++serial}`

  async function newTopic(name: string, partitionCount = 1): Promise<string> {
    const topic = unique(name)
    await cluster.ensureTopic(topic, { partitionCount })
    return topic
  }

  async function startProducer(
    transactionalId: string,
    options: Partial<TransactionalProducerOptions> & { on?: KafkaCluster } = {},
  ): Promise<TransactionalProducer> {
    const { on = cluster, ...rest } = options
    const producer = new TransactionalProducer(on, {
      transactionalId,
      transactionVersionMax: version,
      ...rest,
    })
    cleanups.push(() => producer.stop())
    await producer.init()
    return producer
  }

  /** Everything a committed reader sees of a topic up to its end, as `partition/value`. */
  async function committedOf(topic: string): Promise<string[]> {
    const seen: string[] = []
    const onRecord = ({ partition, value }: { partition: number; value: Buffer | null }) =>
      seen.push(`${partition}/${value}`)
    const reader = new TopicReader(cluster, { topic, onRecord })
    await reader.catchUp({ timeoutMs: 20_000 })
    await reader.stop()
    return seen
  }

  const startMember = async (groupId: string, topic: string, groupInstanceId?: string) => {
    const options = groupInstanceId === undefined ? {} : { groupInstanceId }
    const member = new GroupMember(cluster, {
      groupId,
      topics: [topic],
      heartbeatIntervalMs: 100,
      topicsPollMs: 200,
      ...options,
    })
    cleanups.push(() => member.stop())
    member.start({ onAssigned: () => {}, onRevoked: () => {}, onLost: () => {} })
    await eventually('the member is assigned', () => member.status().assignment.length > 0)
    return member
  }

  test('speaks the protocol that is asked for', async () => {
    const producer = await startProducer(unique('version'))
    expect(producer.transactionVersion).toBe(version)
  })

  test('what is committed is seen, in order, from all partitions at once; what is open is not', async () => {
    const topic = await newTopic('committed', 3)
    const producer = await startProducer(unique('commit'))
    producer.begin()
    for (let index = 0; index < 30; index++) void producer.send(topic, index % 3, batchOf(`v${index}`))
    await eventually('all are stored', async () => {
      const ends = await listOffsets(
        cluster,
        [0, 1, 2].map((partition) => ({ topic, partition, at: 'latest' as const })),
      )
      return ends.every(({ offset }) => offset === 10)
    })
    const stable = await listOffsets(
      cluster,
      [0, 1, 2].map((partition) => ({ topic, partition, at: 'latest' as const })),
      { isolation: 'read_committed' },
    )
    expect(stable.map(({ offset }) => offset)).toEqual([0, 0, 0])
    await producer.commit()
    const seen = await committedOf(topic)
    for (const partition of [0, 1, 2]) {
      expect(seen.filter((one) => one.startsWith(`${partition}/`))).toEqual(
        Array.from({ length: 10 }, (_, index) => `${partition}/v${index * 3 + partition}`),
      )
    }
  })

  test('what is aborted is not seen, neither by one who reads from the start nor from the middle', async () => {
    const topic = await newTopic('aborted')
    const producer = await startProducer(unique('abort'))
    for (const [value, isCommitted] of [
      ['a', true],
      ['b', false],
      ['c', true],
      ['d', false],
      ['e', true],
    ] as const) {
      producer.begin()
      await producer.send(topic, 0, batchOf(`${value}1`))
      await producer.send(topic, 0, batchOf(`${value}2`))
      if (isCommitted) await producer.commit()
      else await producer.abort()
    }
    expect(await committedOf(topic)).toEqual(['0/a1', '0/a2', '0/c1', '0/c2', '0/e1', '0/e2'])
    const seen: string[] = []
    const reader = new TopicReader(cluster, {
      topic,
      from: new Map([[0, 4]]), // the second batch of the first aborted transaction
      onRecord: ({ value }) => seen.push(`${value}`),
    })
    await reader.catchUp()
    await reader.stop()
    expect(seen).toEqual(['c1', 'c2', 'e1', 'e2'])
  })

  test('a transaction without anything in it commits and aborts without a request', async () => {
    const producer = await startProducer(unique('empty'))
    for (let round = 0; round < 3; round++) {
      producer.begin()
      await producer.commit()
      producer.begin()
      await producer.abort()
    }
    expect(producer.state).toBe('ready')
  })

  test('many transactions in a row, each with all partitions, lose and double nothing', async () => {
    const topic = await newTopic('many', 4)
    const producer = await startProducer(unique('many'))
    const expected: string[] = []
    for (let round = 0; round < 40; round++) {
      producer.begin()
      const isCommitted = round % 5 !== 4
      for (let index = 0; index < 8; index++) {
        void producer.send(topic, index % 4, batchOf(`${round}.${index}`))
        if (isCommitted) expected.push(`${index % 4}/${round}.${index}`)
      }
      if (isCommitted) await producer.commit()
      else await producer.abort()
    }
    const seen = await committedOf(topic)
    for (const partition of ['0/', '1/', '2/', '3/']) {
      expect(seen.filter((one) => one.startsWith(partition))).toEqual(
        expected.filter((one) => one.startsWith(partition)),
      )
    }
  })

  test('positions are committed with the transaction, and not without it', async () => {
    const topic = await newTopic('positions')
    const groupId = unique('group')
    const member = await startMember(groupId, topic)
    const producer = await startProducer(unique('offsets'))
    const offsetsAt = (offset: number) => [{ topic, partition: 0, offset }]
    const committed = async () =>
      (await fetchCommittedOffsets(cluster, groupId, [{ topic, partition: 0 }]))[0]?.offset

    producer.begin()
    void producer.send(topic, 0, batchOf('x'))
    await producer.sendOffsets(member.generation(), offsetsAt(7))
    expect(await committed()).toBe(-1)
    await producer.commit()
    const [stable] = await member.committed([{ topic, partition: 0 }])
    expect(stable?.offset).toBe(7)

    producer.begin()
    await producer.sendOffsets(member.generation(), offsetsAt(99))
    await producer.abort()
    expect((await member.committed([{ topic, partition: 0 }]))[0]?.offset).toBe(7)

    producer.begin()
    void producer.sendOffsets(member.generation(), offsetsAt(8))
    void producer.sendOffsets(member.generation(), offsetsAt(9))
    await producer.commit()
    expect((await member.committed([{ topic, partition: 0 }]))[0]?.offset).toBe(9)
  })

  test('a new owner waits for the positions that the last one is still committing', async () => {
    const topic = await newTopic('stable')
    const groupId = unique('group')
    const member = await startMember(groupId, topic)
    const producer = await startProducer(unique('stable'))
    producer.begin()
    await producer.sendOffsets(member.generation(), [{ topic, partition: 0, offset: 5 }])
    const asked = member.committed([{ topic, partition: 0 }])
    await new Promise((resolve) => setTimeout(resolve, 100))
    await producer.commit()
    expect((await asked)[0]?.offset).toBe(5)
  })

  test('a member whose generation is over cannot commit positions, and its output is not seen', async () => {
    const topic = await newTopic('deposed')
    const groupId = unique('group')
    const zombie = await startMember(groupId, topic, 'one')
    const generation = zombie.generation()
    const producer = await startProducer(unique('deposed'))
    const successor = await startMember(groupId, topic, 'one')
    producer.begin()
    void producer.send(topic, 0, batchOf('from the zombie'))
    await expect(
      producer.sendOffsets(generation, [{ topic, partition: 0, offset: 5 }]),
    ).rejects.toMatchObject({
      code: 'GS_KAFKA_TRANSACTION',
      facts: { isGenerationOver: true },
    })
    await expect(producer.commit()).rejects.toMatchObject({ code: 'GS_KAFKA_TRANSACTION' })
    await producer.abort()
    producer.begin()
    await producer.send(topic, 0, batchOf('from the successor'))
    await producer.sendOffsets(successor.generation(), [{ topic, partition: 0, offset: 1 }])
    await producer.commit()
    expect(await committedOf(topic)).toEqual(['0/from the successor'])
    expect((await successor.committed([{ topic, partition: 0 }]))[0]?.offset).toBe(1)
  })

  test('a newer producer with the same id fences the older one, whatever it was doing', async () => {
    const topic = await newTopic('fenced', 2)
    const transactionalId = unique('fenced')
    const older = await startProducer(transactionalId)
    older.begin()
    await older.send(topic, 0, batchOf('left open'))
    const newer = await startProducer(transactionalId)
    await expect(older.send(topic, 1, batchOf('too late'))).rejects.toMatchObject({ code: 'GS_KAFKA_FENCED' })
    await expect(older.commit()).rejects.toMatchObject({
      code: 'GS_KAFKA_FENCED',
      facts: { possiblyCommitted: false },
    })
    expect(older.state).toBe('fenced')
    expect(() => older.begin()).toThrow(expect.objectContaining({ code: 'GS_KAFKA_FENCED' }))
    newer.begin()
    await newer.send(topic, 0, batchOf('from the newer'))
    await newer.commit()
    expect(await committedOf(topic)).toEqual(['0/from the newer'])
  })

  test('a fenced producer that had sent everything before cannot commit either', async () => {
    const topic = await newTopic('fenced-late')
    const transactionalId = unique('fenced')
    const older = await startProducer(transactionalId)
    older.begin()
    await older.send(topic, 0, batchOf('left open'))
    await startProducer(transactionalId)
    await expect(older.commit()).rejects.toMatchObject({
      code: 'GS_KAFKA_FENCED',
      facts: { possiblyCommitted: false },
    })
    expect(await committedOf(topic)).toEqual([])
  })

  test('after a failure nothing of the transaction is seen, and the next one is whole', async () => {
    const topic = await newTopic('broken')
    const small = unique('small')
    await cluster.ensureTopic(small, { partitionCount: 1, configs: { 'max.message.bytes': '1024' } })
    const producer = await startProducer(unique('broken'))
    for (let round = 0; round < 3; round++) {
      producer.begin()
      void producer.send(topic, 0, batchOf(`lost ${round}`))
      await expect(producer.send(small, 0, batchOf('x'.repeat(5_000)))).rejects.toMatchObject({
        code: 'GS_KAFKA_TRANSACTION',
        facts: { kafkaErrorName: 'MESSAGE_TOO_LARGE' },
      })
      expect(producer.state).toBe('broken')
      await expect(producer.send(topic, 0, batchOf('refused'))).rejects.toMatchObject({
        code: 'GS_KAFKA_TRANSACTION',
      })
      await expect(producer.commit()).rejects.toMatchObject({ code: 'GS_KAFKA_TRANSACTION' })
      await producer.abort()
      producer.begin()
      void producer.send(topic, 0, batchOf(`kept ${round}`))
      void producer.send(small, 0, batchOf('fits'))
      await producer.commit()
    }
    expect(await committedOf(topic)).toEqual(['0/kept 0', '0/kept 1', '0/kept 2'])
  })

  test('a transaction that outlives its timeout is aborted, and its producer hears of it', async () => {
    const topic = await newTopic('timeout')
    const producer = await startProducer(unique('timeout'), { transactionTimeoutMs: 1_000 })
    producer.begin()
    await producer.send(topic, 0, batchOf('too slow'))
    // The coordinator looks for such transactions every so often: its abort is what lets a reader reach the end.
    expect(await committedOf(topic)).toEqual([])
    const error = await producer.commit().catch((failure: unknown) => failure)
    expect(['GS_KAFKA_FENCED', 'GS_KAFKA_TRANSACTION']).toContain((error as GopherShipError).code)
    if (producer.state === 'fenced') return
    await producer.abort()
    producer.begin()
    await producer.send(topic, 0, batchOf('in time'))
    await producer.commit()
    expect(await committedOf(topic)).toEqual(['0/in time'])
  }, 40_000)

  test('answers that are lost, of whatever request, neither lose nor double anything', async () => {
    const topic = await newTopic('cut', 3)
    const groupId = unique('group')
    const member = await startMember(groupId, topic)
    const cut = openCluster(server.cuttingServers, { backoff: { initialMs: 5, maxMs: 20 } }, CUT_CLIENT_ID)
    await cut.connect()
    cleanups.push(() => cut.close())
    const producer = await startProducer(unique('cut'), { on: cut })
    const expected: string[] = []
    for (let round = 0; round < 30; round++) {
      producer.begin()
      for (let index = 0; index < 6; index++) {
        void producer.send(topic, index % 3, batchOf(`${round}.${index}`))
        expected.push(`${index % 3}/${round}.${index}`)
      }
      void producer.sendOffsets(member.generation(), [{ topic, partition: 0, offset: round + 1 }])
      await producer.commit()
    }
    const seen = await committedOf(topic)
    expect(seen.toSorted()).toEqual(expected.toSorted())
    expect((await member.committed([{ topic, partition: 0 }]))[0]?.offset).toBe(30)
  }, 60_000)

  test('a killed producer leaves nothing behind that its successor does not end', async () => {
    const topic = await newTopic('killed')
    const transactionalId = unique('killed')
    const doomed = openCluster(server.bootstrapServers)
    await doomed.connect()
    const killed = await startProducer(transactionalId, { on: doomed, transactionTimeoutMs: 60_000 })
    killed.begin()
    await killed.send(topic, 0, batchOf('half'))
    await doomed.close()
    const startedAt = performance.now()
    const successor = await startProducer(transactionalId)
    successor.begin()
    await successor.send(topic, 0, batchOf('whole'))
    await successor.commit()
    expect(await committedOf(topic)).toEqual(['0/whole'])
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  test('batches carry the transactional bit, and what was encoded without it is given it', async () => {
    const topic = await newTopic('bits')
    const producer = await startProducer(unique('bits'))
    const batch = batchOf('x')
    producer.begin()
    await producer.send(topic, 0, batch)
    expect(attributesAt(batch, 0) & BATCH_ATTRIBUTE.transactional).not.toBe(0)
    expect(producerEpochAt(batch, 0)).toBe(producer.producerId.producerEpoch)
    await producer.commit()
    const fetcher = new Fetcher(cluster, { isolation: 'read_committed' })
    const plain = new Producer(cluster)
    cleanups.push(
      () => fetcher.stop(),
      () => plain.stop(),
    )
    await plain.send(topic, 0, batchOf('plain'))
    expect(await committedOf(topic)).toEqual(['0/x', '0/plain'])
  })

  if (!hasRestarts) return

  test('a server that goes away in the middle comes back with everything committed and nothing else', async () => {
    const topic = await newTopic('restarted', 2)
    const producer = await startProducer(unique('restarted'), { transactionTimeoutMs: 30_000 })
    const expected: string[] = []
    const run = async (round: number, isCommitted: boolean) => {
      producer.begin()
      for (const partition of [0, 1]) void producer.send(topic, partition, batchOf(`${round}`))
      if (isCommitted) await producer.commit()
      else await producer.abort()
      if (isCommitted) expected.push(`0/${round}`, `1/${round}`)
    }
    for (let round = 0; round < 5; round++) await run(round, round % 2 === 0)
    producer.begin()
    for (const partition of [0, 1]) await producer.send(topic, partition, batchOf('open over the restart'))
    expected.push('0/open over the restart', '1/open over the restart')
    await server.restart()
    await producer.commit()
    for (let round = 6; round < 10; round++) await run(round, round % 2 === 0)
    const seen = await committedOf(topic)
    expect(seen.toSorted()).toEqual(expected.toSorted())
  }, 60_000)
}

/** One suite for each protocol that the server speaks. */
export function describeTransactions(
  name: string,
  {
    versions,
    ...options
  }: Omit<TransactionSuiteOptions, 'version'> & { readonly versions: readonly TransactionVersion[] },
): void {
  describe(name, () => {
    for (const version of versions) {
      const protocol = version === 1 ? 'the classic protocol' : 'the second protocol'
      describe(protocol, () => transactionSuite({ ...options, version }))
    }
  })
}
