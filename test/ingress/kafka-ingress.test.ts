import { describe, expect, test } from 'vitest'
import { COMPRESSION } from '../../src/batch/record-batch.ts'
import { KafkaResponseError, KafkaTimeoutError } from '../../src/kafka/kafka-errors.ts'
import type { Vault, VaultWriter } from '../../src/vault/vault-writer.ts'
import { produceApi } from '../../src/wire/00-produce.ts'
import { fetchApi } from '../../src/wire/01-fetch.ts'
import { listOffsetsApi } from '../../src/wire/02-list-offsets.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { findCoordinatorApi } from '../../src/wire/10-find-coordinator.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { initProducerIdApi } from '../../src/wire/22-init-producer-id.ts'
import { describeClusterApi } from '../../src/wire/60-describe-cluster.ts'
import { KAFKA_ERROR } from '../../src/wire/error-codes.ts'
import { decodeResponse } from '../../src/wire/frame.ts'
import { eventually } from '../support/eventually.ts'
import { batchOf, createStream, produce, produceOf, RawKafkaClient, startKafka } from './kafka-fixture.ts'

/** The raw batches of a vault partition, read from the embedded broker. */
async function vaultBytes(brokerPort: number, topic: string, partition = 0): Promise<Buffer> {
  const client = await RawKafkaClient.open(brokerPort)
  const answer = await client.ask(fetchApi, 11, {
    maxWaitMs: 0,
    minBytes: 0,
    topics: [{ topic, partitions: [{ partition, fetchOffset: 0, partitionMaxBytes: 50_000_000 }] }],
  })
  return answer.responses[0]?.partitions[0]?.records ?? Buffer.alloc(0)
}

/** A vault whose appends a test can hold or fail. */
function heldVault(hold: (appendIndex: number) => Promise<void>): (vault: VaultWriter) => Vault {
  let appendCount = 0
  return (vault) => ({
    known: (stream) => vault.known(stream),
    open: (stream, options) => vault.open(stream, options),
    find: (stream) => vault.find(stream),
    append(...args) {
      const index = appendCount
      appendCount += 1
      return hold(index).then(() => vault.append(...args))
    },
    appendOwn: (...args) => vault.appendOwn(...args),
    initProducerId: (value, options) => vault.initProducerId(value, options),
  })
}

describe('one virtual broker', () => {
  test('leads every partition of every stream, as many as the vault topic has', async () => {
    const { client, port } = await startKafka({ broker: { defaultPartitionCount: 3 } })
    const kafka = await client()
    const answer = await kafka.ask(metadataApi, 12, {
      topics: [{ name: 'orders' }, { name: 'default' }],
      allowAutoTopicCreation: true,
    })
    expect(answer.brokers).toMatchObject([{ nodeId: 1, host: '127.0.0.1', port }])
    expect(answer.controllerId).toBe(1)
    expect(answer.clusterId).toBeTruthy()
    for (const topic of answer.topics) {
      expect(topic.errorCode).toBe(0)
      expect(topic.partitions.map(({ leaderId, partitionIndex }) => [partitionIndex, leaderId])).toEqual([
        [0, 1],
        [1, 1],
        [2, 1],
      ])
    }
  })

  test('names streams, and only streams, when asked for all topics, in every version', async () => {
    const { client, cluster } = await startKafka()
    await cluster.ensureTopic('unrelated')
    const kafka = await client()
    await createStream(kafka, 'orders')
    await createStream(kafka, 'default')
    for (const version of [0, 1, 5, 9, 12]) {
      const answer = await kafka.ask(metadataApi, version, { topics: version === 0 ? [] : null })
      expect(answer.topics.map(({ name }) => name).sort()).toEqual(['default', 'orders'])
    }
    expect((await kafka.ask(metadataApi, 1, { topics: [] })).topics).toEqual([])
  })

  test('creates no stream for a client that does not want it, or when configured not to', async () => {
    const { client, cluster } = await startKafka()
    const kafka = await client()
    const answer = await kafka.ask(metadataApi, 5, {
      topics: [{ name: 'orders' }],
      allowAutoTopicCreation: false,
    })
    expect(answer.topics[0]?.errorCode).toBe(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
    expect((await cluster.listTopics()).map(({ name }) => name)).toEqual([])
    const strict = await startKafka({ autoCreateStreams: false })
    const other = await strict.client()
    expect((await other.ask(metadataApi, 1, { topics: [{ name: 'orders' }] })).topics[0]?.errorCode).toBe(3)
  })

  test('announces producer APIs only, in the ranges that make every client compress', async () => {
    const { client } = await startKafka()
    const kafka = await client()
    for (const version of [0, 1, 2, 3, 4]) {
      const answer = await kafka.ask(apiVersionsApi, version, {
        clientSoftwareName: 'raw',
        clientSoftwareVersion: '1',
      })
      expect(answer.errorCode).toBe(0)
      expect(
        answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, minVersion, maxVersion]),
      ).toEqual([
        [0, 0, 11],
        [1, 4, 16],
        [2, 1, 7],
        [3, 0, 12],
        [10, 0, 5],
        [18, 0, 4],
        [22, 0, 4],
        [60, 0, 1],
      ])
    }
  })

  test('says where it is to be found, as configured', async () => {
    const { client } = await startKafka({ advertisedHost: 'gateway.example', advertisedPort: 31_092 })
    const kafka = await client()
    const expected = { host: 'gateway.example', port: 31_092 }
    expect((await kafka.ask(metadataApi, 9, { topics: [] })).brokers).toMatchObject([expected])
    expect((await kafka.ask(describeClusterApi, 1, {})).brokers).toMatchObject([expected])
  })

  test('on a wildcard address names the address by which the client came in', async () => {
    const { client, port } = await startKafka({ host: '0.0.0.0' })
    const kafka = await client()
    expect((await kafka.ask(metadataApi, 9, { topics: [] })).brokers).toMatchObject([
      { host: '127.0.0.1', port },
    ])
  })

  test('lets nobody read, join or open a transaction, and says so for good', async () => {
    const { client } = await startKafka()
    const kafka = await client()
    await createStream(kafka, 'orders')
    const fetched = await kafka.ask(fetchApi, 11, {
      topics: [
        { topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 2 ** 31 - 1 }] },
      ],
    })
    expect(fetched.responses[0]?.partitions[0]?.errorCode).toBe(KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED)
    const group = await kafka.ask(findCoordinatorApi, 2, { key: 'group' })
    expect(group.errorCode).toBe(KAFKA_ERROR.GROUP_AUTHORIZATION_FAILED)
    const groups = await kafka.ask(findCoordinatorApi, 4, { coordinatorKeys: ['a', 'b'] })
    expect(groups.coordinators.map(({ errorCode }) => errorCode)).toEqual([30, 30])
    const transactional = await kafka.ask(initProducerIdApi, 4, {
      transactionalId: 'tx',
      transactionTimeoutMs: 1000,
    })
    expect(transactional.errorCode).toBe(KAFKA_ERROR.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
  })

  test('passes InitProducerId on, so that ids come from where batches are checked', async () => {
    const { client, broker } = await startKafka()
    const kafka = await client()
    const direct = await RawKafkaClient.open(broker.port)
    const ids: number[] = []
    for (const asking of [kafka, direct, kafka, direct]) {
      const answer = await asking.ask(initProducerIdApi, 4, { transactionalId: null })
      expect(answer.errorCode).toBe(0)
      ids.push(answer.producerId)
    }
    expect(new Set(ids).size).toBe(4)
  })

  test('answers ListOffsets from the vault topic under the stream name', async () => {
    const { client } = await startKafka()
    const kafka = await client()
    await createStream(kafka, 'orders')
    await produce(kafka, 'orders', batchOf(['a', 'b', 'c']))
    const ask = (name: string, partitionIndex: number, timestamp: number) =>
      kafka.ask(listOffsetsApi, 7, {
        replicaId: -1,
        topics: [{ name, partitions: [{ partitionIndex, timestamp }] }],
      })
    const partitionOf = async (...args: Parameters<typeof ask>) =>
      (await ask(...args)).topics[0]?.partitions[0]
    expect(await partitionOf('orders', 0, -1)).toMatchObject({ errorCode: 0, offset: 3 })
    expect(await partitionOf('orders', 0, -2)).toMatchObject({ errorCode: 0, offset: 0 })
    expect(await partitionOf('orders', 99, -1)).toMatchObject({ errorCode: 3 })
    expect(await partitionOf('nothing', 0, -1)).toMatchObject({ errorCode: 3 })
  })
})

describe('produce', () => {
  test.each(Object.entries(COMPRESSION))(
    'stores a %s batch byte for byte, but for its offset and epoch',
    async (_, compression) => {
      const { client, broker } = await startKafka()
      const kafka = await client()
      await createStream(kafka, 'orders')
      const batch = batchOf(
        Array.from({ length: 100 }, (__, index) => `value ${index}`),
        { compression },
      )
      expect(await produce(kafka, 'orders', batch)).toMatchObject({ errorCode: 0, baseOffset: 0 })
      expect(await produce(kafka, 'orders', batch)).toMatchObject({ errorCode: 0, baseOffset: 100 })
      const stored = await vaultBytes(broker.port, 'raw-vault.orders')
      expect(stored.length).toBe(2 * batch.length)
      // Base offset and leader epoch (bytes 0 to 8 and 12 to 16) belong to whoever appends.
      for (const at of [0, batch.length]) {
        expect(stored.subarray(at + 8, at + 12)).toEqual(batch.subarray(8, 12))
        expect(stored.subarray(at + 16, at + batch.length)).toEqual(batch.subarray(16))
      }
    },
  )

  test.each([3, 4, 5, 6, 7, 8, 9, 10, 11])('works in version %d', async (version) => {
    const { client } = await startKafka()
    const kafka = await client()
    await createStream(kafka, 'orders')
    expect(await produce(kafka, 'orders', batchOf(['a']), { version })).toMatchObject({
      errorCode: 0,
      baseOffset: 0,
    })
  })

  test('answers several topics and partitions of one request each on its own', async () => {
    const { client } = await startKafka()
    const kafka = await client()
    await createStream(kafka, 'orders')
    await createStream(kafka, 'default')
    const answer = await kafka.ask(produceApi, 9, {
      acks: -1,
      timeoutMs: 10_000,
      topicData: [
        {
          name: 'orders',
          partitionData: [
            { index: 3, records: batchOf(['a']) },
            { index: 0, records: batchOf(['b', 'c']) },
            { index: 77, records: batchOf(['d']) },
          ],
        },
        { name: 'raw-vault', partitionData: [{ index: 0, records: batchOf(['e']) }] },
        { name: 'default', partitionData: [{ index: 1, records: batchOf(['f']) }] },
      ],
    })
    expect(
      answer.responses.map(({ name, partitionResponses }) => [
        name,
        partitionResponses.map(({ index, errorCode, baseOffset }) => [index, errorCode, baseOffset]),
      ]),
    ).toEqual([
      [
        'orders',
        [
          [3, 0, 0],
          [0, 0, 0],
          [77, 3, -1],
        ],
      ],
      ['raw-vault', [[0, 29, -1]]],
      ['default', [[1, 0, 0]]],
    ])
  })

  test('with acks=0 has no answer at all, and the next request is answered as usual', async () => {
    const { client, vault } = await startKafka()
    const kafka = await client()
    await createStream(kafka, 'orders')
    kafka.send(produceApi, 9, produceOf('orders', batchOf(['a']), { acks: 0 }))
    const correlationId = kafka.send(produceApi, 9, produceOf('orders', batchOf(['b']), { acks: 1 }))
    const answer = decodeResponse(produceApi, 9, await kafka.nextFrame())
    expect(answer.correlationId).toBe(correlationId)
    expect(answer.value.responses[0]?.partitionResponses[0]?.baseOffset).toBe(1)
    expect(kafka.frames).toEqual([])
    expect(vault.status().durability).toBe('fsynced')
  })

  test('keeps the order of pipelined requests, also when the stream has to be looked up first', async () => {
    const { client, cluster, broker } = await startKafka()
    await cluster.ensureTopic('raw-vault.orders')
    const kafka = await client()
    const count = 200
    for (let index = 0; index < count; index += 1)
      kafka.send(produceApi, 9, produceOf('orders', batchOf([`${index}`])))
    const offsets: number[] = []
    for (let index = 0; index < count; index += 1) {
      const { value, correlationId } = decodeResponse(produceApi, 9, await kafka.nextFrame())
      expect(correlationId).toBe(index + 1)
      offsets.push(value.responses[0]?.partitionResponses[0]?.baseOffset ?? -1)
    }
    expect(offsets).toEqual(Array.from({ length: count }, (_, index) => index))
    expect((await vaultBytes(broker.port, 'raw-vault.orders')).length).toBeGreaterThan(0)
  })

  test('lets no request overtake an earlier one whose stream is still being looked up', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { client, cluster, vault } = await startKafka({
      // The stream is known before the look-up that found it has come back.
      wrapVault: (real) => ({
        ...heldVault(() => Promise.resolve())(real),
        find: (stream) => real.find(stream).then((found) => promise.then(() => found)),
      }),
    })
    await cluster.ensureTopic('raw-vault.orders')
    const kafka = await client()
    kafka.send(produceApi, 9, produceOf('orders', batchOf(['first'])))
    await eventually('the stream is known', () => vault.known('orders') !== null)
    kafka.send(produceApi, 9, produceOf('orders', batchOf(['second'])))
    await new Promise((wake) => setTimeout(wake, 100))
    resolve()
    for (const expected of [0, 1]) {
      const { value } = decodeResponse(produceApi, 9, await kafka.nextFrame())
      expect(value.responses[0]?.partitionResponses[0]?.baseOffset).toBe(expected)
    }
  })

  test('to a stream that was never created is 3, and creates nothing', async () => {
    const { client, cluster } = await startKafka()
    const kafka = await client()
    expect(await produce(kafka, 'orders', batchOf(['a']))).toMatchObject({ errorCode: 3 })
    expect(await cluster.listTopics()).toEqual([])
  })

  test('after a restart of the ingress works without asking for metadata', async () => {
    const { client, cluster } = await startKafka()
    await cluster.ensureTopic('raw-vault.orders')
    const kafka = await client()
    expect(await produce(kafka, 'orders', batchOf(['a']))).toMatchObject({ errorCode: 0, baseOffset: 0 })
  })
})

describe('when the vault is slow or away', () => {
  test('an answer is held, not refused, and other connections are answered meanwhile', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { client } = await startKafka({
      wrapVault: heldVault((index) => (index === 0 ? promise : Promise.resolve())),
    })
    const slow = await client()
    const other = await client()
    await createStream(slow, 'orders')
    slow.send(produceApi, 9, produceOf('orders', batchOf(['a'])))
    expect(await produce(other, 'orders', batchOf(['b']), { partition: 1 })).toMatchObject({ errorCode: 0 })
    expect(slow.frames).toEqual([])
    resolve()
    const { value } = decodeResponse(produceApi, 9, await slow.nextFrame())
    expect(value.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
  })

  test.each([
    ['nothing was stored', new KafkaTimeoutError('late', { possiblyPersisted: false }), 19],
    ['perhaps it was stored', new KafkaTimeoutError('late', { possiblyPersisted: true }), 7],
    ['the upstream does not know', new KafkaResponseError('Produce', -1), 7],
    ['an upstream replica fell behind after the write', new KafkaResponseError('Produce', 20), 7],
    ['the upstream leader moved', new KafkaResponseError('Produce', 6), 19],
    ['the upstream throttles', new KafkaResponseError('Produce', 89), 19],
    ['the upstream wants other rights', new KafkaResponseError('Produce', 29), 29],
    ['the sequence has a gap', new KafkaResponseError('Produce', 45), 45],
    ['the upstream found a record invalid', new KafkaResponseError('Produce', 87), 87],
    ['a bug of ours', new Error('bug'), 7],
  ])('%s: the producer is told so in a code it understands', async (_, error, code) => {
    const { client } = await startKafka({ wrapVault: heldVault(() => Promise.reject(error)) })
    const kafka = await client()
    await createStream(kafka, 'orders')
    expect((await produce(kafka, 'orders', batchOf(['a']))).errorCode).toBe(code)
  })

  test('an upstream that has gone is answered 19 well inside the request timeout, with a throttle time', async () => {
    const { client, broker } = await startKafka()
    const kafka = await client()
    await createStream(kafka, 'orders')
    await broker.broker.stop()
    const startedMs = performance.now()
    const answer = await kafka.ask(produceApi, 9, produceOf('orders', batchOf(['a']), { timeoutMs: 1_000 }))
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(19)
    expect(answer.throttleTimeMs).toBeGreaterThan(0)
    expect(performance.now() - startedMs).toBeLessThan(1_000)
    const metadata = await kafka.ask(metadataApi, 9, { topics: [{ name: 'orders' }] })
    expect(metadata.topics[0]?.errorCode).toBe(0)
  })

  test('beyond the budget requests wait on their sockets, none fails, and the bytes held stay in bounds', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const bytesMax = 400_000
    const { client, admission } = await startKafka({
      admissionBytesMax: bytesMax,
      wrapVault: heldVault(() => promise),
    })
    const first = await client()
    await createStream(first, 'orders')
    const batch = batchOf(['x'.repeat(100_000)])
    const clients = await Promise.all(Array.from({ length: 12 }, () => client()))
    for (const kafka of clients) kafka.send(produceApi, 9, produceOf('orders', batch))
    await eventually('requests wait for room', () => admission.waitingCount >= 9)
    expect(admission.bytesHeld).toBeLessThanOrEqual(bytesMax)
    resolve()
    for (const kafka of clients) {
      const { value } = decodeResponse(produceApi, 9, await kafka.nextFrame())
      expect(value.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
    }
    await eventually('every byte was given back', () => admission.bytesHeld === 0)
  })
})
