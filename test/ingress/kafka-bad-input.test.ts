// Bad input over Kafka, row by row of the catalogue (K1–K23, K31–K37) as far as it concerns this endpoint, each on its real socket.
// K3, K15, K24's authorisation half and K26–K30 belong to authentication, which does not exist yet.

import { connect } from 'node:net'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { BATCH_ATTRIBUTE, COMPRESSION, crcOf, patchAttributes } from '../../src/batch/record-batch.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { DiagnosticFields, Diagnostics } from '../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { produceApi } from '../../src/wire/00-produce.ts'
import { fetchApi } from '../../src/wire/01-fetch.ts'
import { listOffsetsApi } from '../../src/wire/02-list-offsets.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { findCoordinatorApi } from '../../src/wire/10-find-coordinator.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { createTopicsApi } from '../../src/wire/19-create-topics.ts'
import { initProducerIdApi } from '../../src/wire/22-init-producer-id.ts'
import { endTxnApi } from '../../src/wire/26-end-txn.ts'
import { describeClusterApi } from '../../src/wire/60-describe-cluster.ts'
import { KAFKA_ERROR } from '../../src/wire/error-codes.ts'
import { decodeResponse, encodeRequestFrame } from '../../src/wire/frame.ts'
import { eventually } from '../support/eventually.ts'
import { allowedUnderAttack, p99OfRoundTrips } from '../support/round-trips.ts'
import type { KafkaFixture } from './kafka-fixture.ts'
import { batchOf, createStream, produce, produceOf, startKafka } from './kafka-fixture.ts'

const HEADER_BYTES = 61
const MAX_INT32 = 2 ** 31 - 1

/** A frame of raw bytes behind a size. */
function framed(body: Buffer, size = body.length): Buffer {
  const frame = Buffer.alloc(4 + body.length)
  frame.writeInt32BE(size)
  body.copy(frame, 4)
  return frame
}

/** A request header v1 and whatever follows it. */
function requestOf(apiKey: number, apiVersion: number, rest: readonly number[] | Buffer = []): Buffer {
  const head = Buffer.alloc(10)
  head.writeInt16BE(apiKey, 0)
  head.writeInt16BE(apiVersion, 2)
  head.writeInt32BE(7, 4)
  head.writeInt16BE(-1, 8)
  return framed(Buffer.concat([head, Buffer.from(rest)]))
}

const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** Changes bytes under the CRC and makes it right again, as a producer with a bug would. */
function withHeader(batch: Buffer, change: (batch: Buffer) => void): Buffer {
  const changed = Buffer.from(batch)
  change(changed)
  changed.writeUInt32BE(crcOf(changed, 21, changed.length), 17)
  return changed
}

/** A batch around ready-made record bytes, with a correct header and CRC. */
function rawBatch(records: Buffer, { recordCount = 1, compression = 0 } = {}): Buffer {
  const batch = Buffer.concat([batchOf(['x']).subarray(0, HEADER_BYTES), records])
  return withHeader(batch, (bytes) => {
    bytes.writeInt32BE(bytes.length - 12, 8)
    bytes.writeInt16BE(compression, 21)
    bytes.writeInt32BE(recordCount - 1, 23)
    bytes.writeInt32BE(recordCount, 57)
  })
}

describe('on one endpoint', () => {
  let kafka: KafkaFixture
  beforeEach(async () => {
    kafka = await startKafka()
    return async () => {
      // Whatever a test sent: nothing is held, and the next client is served.
      await eventually('every byte was given back', () => kafka.admission.bytesHeld === 0)
      const client = await kafka.client()
      await createStream(client, 'unharmed')
      expect((await produce(client, 'unharmed', batchOf(['ok']))).errorCode).toBe(0)
    }
  })

  async function expectClosed(...bytes: Buffer[]): Promise<void> {
    const client = await kafka.client()
    client.write(...bytes)
    await client.untilClosed()
    expect(client.frames).toEqual([])
  }

  describe('frames', () => {
    test.each([
      ['K1: a negative size', int32(-1), 'frame-negative'],
      ['K1: the smallest size', int32(-(2 ** 31)), 'frame-negative'],
      ['K2: a size over the limit', int32(16 * 1024 * 1024 + 1), 'frame-too-large'],
      ['K2: the largest size', int32(MAX_INT32), 'frame-too-large'],
      ['K2: an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'http-on-kafka-port'],
      ['K37: a TLS hello', Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), 'tls-on-plaintext-port'],
    ])('%s closes at once, without memory for it, and is counted', async (_, bytes, reason) => {
      const before = process.memoryUsage()
      await expectClosed(bytes)
      expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(8 * 1024 * 1024)
      expect(await kafka.rejected(reason)).toBe(1)
    })

    test.each([
      ['K4: an empty frame', framed(Buffer.alloc(0))],
      ['K4: a frame shorter than a header', framed(Buffer.from([0, 18, 0]))],
      ['K5: an API nobody knows', requestOf(999, 0)],
      ['K5: a negative API', requestOf(-1, 0)],
      [
        'K5: an API that is known and not offered (CreateTopics)',
        requestOf(createTopicsApi.key, 4, int32(0)),
      ],
      ['K5: JoinGroup', requestOf(11, 5)],
      ['K7: Produce 2, announced for librdkafka only', requestOf(0, 2, [0, 1, 0, 0, 0, 0, 0, 0, 0, 0])],
      ['K7: Produce 12', requestOf(0, 12)],
      ['K7: Metadata 13', requestOf(3, 13)],
      ['K7: a negative version', requestOf(3, -1)],
      ['K25: EndTxn', requestOf(endTxnApi.key, 1)],
      ['K9: an array longer than what is left', requestOf(3, 1, int32(1000))],
      ['K9: an array of the largest length', requestOf(3, 1, int32(MAX_INT32))],
      [
        'K9: a negative array where none may be',
        requestOf(0, 3, Buffer.concat([Buffer.from([255, 255, 0, 1]), int32(1000), int32(-1)])),
      ],
      [
        'K9: a string longer than what is left',
        requestOf(3, 1, Buffer.concat([int32(1), Buffer.from([0x7f, 0xff])])),
      ],
      [
        'K9: a varint of six bytes',
        framed(Buffer.concat([requestOf(18, 3).subarray(4), Buffer.from([0, 255, 255, 255, 255, 255, 1])])),
      ],
      [
        'K9: 2^32-1 tagged fields',
        framed(Buffer.concat([requestOf(18, 3).subarray(4), Buffer.from([255, 255, 255, 255, 15])])),
      ],
      ['K10: bytes after the body', requestOf(findCoordinatorApi.key, 0, Buffer.from([0, 1, 0x67, 1, 2, 3]))],
    ])('%s closes without an answer', async (_, bytes) => {
      await expectClosed(bytes)
    })

    test('K6: ApiVersions in a version of the future is answered in version 0 with what is served, and stays open', async () => {
      const client = await kafka.client()
      client.write(requestOf(18, 99, [1, 2, 3, 4]))
      const { value } = decodeResponse(apiVersionsApi, 0, await client.nextFrame())
      expect(value.errorCode).toBe(35)
      expect(value.apiKeys).toEqual([{ apiKey: 18, minVersion: 0, maxVersion: 4 }])
      expect(
        (await client.ask(apiVersionsApi, 3, { clientSoftwareName: 'a', clientSoftwareVersion: '1' }))
          .errorCode,
      ).toBe(0)
    })

    test('K6: a client that calls itself something unprintable is answered 42', async () => {
      const client = await kafka.client()
      const answer = await client.ask(apiVersionsApi, 3, {
        clientSoftwareName: 'a\n{b}',
        clientSoftwareVersion: '1',
      })
      expect(answer.errorCode).toBe(42)
    })

    test.each([
      ['null', null],
      ['32 KiB', 'x'.repeat(32_000)],
      ['text with control bytes', 'a\0\x1b[31m\n'],
    ])(
      'K8: a client id that is %s is fine, and the correlation id comes back, negative too',
      async (_, clientId) => {
        const client = await kafka.client()
        client.write(encodeRequestFrame(metadataApi, 1, { correlationId: -5, clientId }, { topics: [] }))
        expect(decodeResponse(metadataApi, 1, await client.nextFrame()).correlationId).toBe(-5)
      },
    )

    test('K8: a client id of invalid UTF-8 does no harm', async () => {
      const client = await kafka.client()
      const body = Buffer.from([0, 3, 0, 1, 0, 0, 0, 9, 0, 3, 0xff, 0xfe, 0xfd, 0, 0, 0, 0])
      client.write(framed(body))
      expect((await client.nextFrame()).readInt32BE(0)).toBe(9)
    })

    test('K9: unknown tagged fields are stepped over', async () => {
      const client = await kafka.client()
      // Metadata 9: header tag, one topic-less request, then a tagged field nobody knows.
      const body = Buffer.concat([
        requestOf(3, 9).subarray(4),
        Buffer.from([1, 5, 2, 0xaa, 0xbb]),
        Buffer.from([1, 1, 0, 0]),
        Buffer.from([1, 9, 3, 1, 2, 3]),
      ])
      client.write(framed(body))
      expect((await client.nextFrame()).readInt32BE(0)).toBe(7)
    })
  })

  describe('produce requests', () => {
    test.each([2, -2, 127])('K11: acks %d is 21', async (acks) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      expect((await produce(client, 'orders', batchOf(['a']), { acks })).errorCode).toBe(21)
    })

    test.each([
      ['an unknown stream', produceOf('nothing', batchOf(['a']), { acks: 0 })],
      ['a reserved name', produceOf('raw-vault', batchOf(['a']), { acks: 0 })],
      ['a damaged batch', produceOf('orders', Buffer.alloc(100), { acks: 0 })],
    ])('K12: acks=0 to %s has no answer and closes', async (_, value) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      client.send(produceApi, 9, value)
      await client.untilClosed()
      expect(client.frames).toEqual([])
      expect(await kafka.rejected('produce-unacked-failed')).toBe(1)
    })

    test.each([
      ['', 17],
      ['.', 17],
      ['..', 17],
      ['a/b', 17],
      ['a b', 17],
      ['ü', 17],
      ['a\0b', 17],
      ['x'.repeat(250), 17],
      ['x'.repeat(239), 17],
      ['raw-vault', 29],
      ['raw-vault.orders', 29],
      ['raw-vaults', 29],
      ['enriched.orders', 29],
      ['passthrough.orders', 29],
      ['dead-letter', 29],
      ['gophership.debt', 29],
      ['__consumer_offsets', 29],
    ])('K13: the topic %j is %d, in Metadata and in Produce, and is not created', async (name, code) => {
      const client = await kafka.client()
      const metadata = await client.ask(metadataApi, 9, { topics: [{ name }], allowAutoTopicCreation: true })
      expect(metadata.topics[0]).toMatchObject({ name, errorCode: code })
      expect((await produce(client, name, batchOf(['a']))).errorCode).toBe(code)
      expect(await kafka.cluster.listTopics()).toEqual([])
    })

    test.each([-1, 4, MAX_INT32, -(2 ** 31)])('K14: partition %d is 3', async (partition) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      expect((await produce(client, 'orders', batchOf(['a']), { partition })).errorCode).toBe(3)
    })

    const good = batchOf(['a', 'b'])
    test.each([
      ['null', null],
      ['empty', Buffer.alloc(0)],
      ['shorter than a batch header', good.subarray(0, 60)],
      ['two batches', Buffer.concat([good, good])],
      ['a batch and a byte', Buffer.concat([good, Buffer.from([0])])],
      ['magic 0', withHeader(good, (b) => b.writeInt8(0, 16))],
      ['magic 1', withHeader(good, (b) => b.writeInt8(1, 16))],
      ['magic 3', withHeader(good, (b) => b.writeInt8(3, 16))],
      ['a batch length too short', withHeader(good, (b) => b.writeInt32BE(b.length - 13, 8))],
      ['a batch length too long', withHeader(good, (b) => b.writeInt32BE(b.length, 8))],
      ['a negative batch length', withHeader(good, (b) => b.writeInt32BE(-1, 8))],
      ['base offset 5', withHeader(good, (b) => b.writeBigInt64BE(5n, 0))],
      ['lastOffsetDelta not count - 1', withHeader(good, (b) => b.writeInt32BE(7, 23))],
      ['count 0', withHeader(good, (b) => b.writeInt32BE(0, 57))],
      ['count -1', withHeader(good, (b) => b.writeInt32BE(-1, 57))],
      ['count 2^31-1', withHeader(good, (b) => b.writeInt32BE(MAX_INT32, 57))],
      ['the control bit', withHeader(good, (b) => b.writeInt16BE(BATCH_ATTRIBUTE.control, 21))],
      [
        'the transactional bit without an id',
        withHeader(good, (b) => b.writeInt16BE(BATCH_ATTRIBUTE.transactional, 21)),
      ],
      [
        'the transactional bit with an id',
        batchOf(['a'], { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }),
      ],
      [
        'a producer id without a sequence',
        batchOf(['a'], { producerId: 1, producerEpoch: 0, baseSequence: -1 }),
      ],
    ])('K16: a record set that is %s is 87', async (_, records) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      expect((await produce(client, 'orders', records)).errorCode).toBe(87)
      expect((await produce(client, 'orders', good)).baseOffset).toBe(0)
    })

    test('K17: a wrong CRC is 2, three times for the same batch, then 87', async () => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const damaged = Buffer.from(good)
      damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1
      const codes: number[] = []
      for (let index = 0; index < 5; index += 1)
        codes.push((await produce(client, 'orders', damaged)).errorCode)
      expect(codes).toEqual([2, 2, 2, 87, 87])
      const other = Buffer.from(damaged)
      other[other.length - 2] = (other.at(-2) ?? 0) ^ 1
      other.writeUInt32BE(1, 17)
      expect((await produce(client, 'orders', other)).errorCode).toBe(2)
      expect((await produce(await kafka.client(), 'orders', damaged)).errorCode).toBe(2)
    })

    test.each([5, 6, 7])('K18: codec %d is 76', async (codec) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const batch = withHeader(good, (b) => b.writeInt16BE(codec, 21))
      expect((await produce(client, 'orders', batch)).errorCode).toBe(76)
    })

    test.each([3, 4, 5, 6])('K18: zstd in Produce %d is 76, in 7 it is stored', async (version) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const batch = batchOf(['a'], { compression: COMPRESSION.zstd })
      expect((await produce(client, 'orders', batch, { version })).errorCode).toBe(76)
      expect((await produce(client, 'orders', batch, { version: 7 })).errorCode).toBe(0)
    })

    test.each(Object.entries(COMPRESSION).filter(([name]) => name !== 'none'))(
      'K19: a broken %s stream under a right CRC is what the upstream says: 2',
      async (_, compression) => {
        const client = await kafka.client()
        await createStream(client, 'orders')
        const batch = rawBatch(Buffer.from('this is no compressed stream at all'), { compression })
        expect((await produce(client, 'orders', batch)).errorCode).toBe(2)
      },
    )

    test.each([
      ['gzip', COMPRESSION.gzip, () => gzipSync(Buffer.alloc(128 * 1024 * 1024))],
      ['zstd', COMPRESSION.zstd, () => zstdCompressSync(Buffer.alloc(128 * 1024 * 1024))],
      // A snappy block that says it inflates to 4 GiB - 1 and holds nothing.
      ['snappy', COMPRESSION.snappy, () => Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0])],
    ])('K20: a %s bomb is 10, without the memory for it', async (_, compression, makeBomb) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const batch = rawBatch(makeBomb(), { compression })
      const before = process.memoryUsage().rss
      expect((await produce(client, 'orders', batch)).errorCode).toBe(10)
      expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024)
    })

    test('K20: a flood of empty records is 10', async () => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const record = Buffer.from([12, 0, 0, 0, 1, 1, 0])
      const records = gzipSync(Buffer.concat(Array.from({ length: 1_000_000 }, () => record)))
      const batch = rawBatch(records, { compression: COMPRESSION.gzip, recordCount: 1_000_000 })
      expect((await produce(client, 'orders', batch)).errorCode).toBe(10)
    })

    test.each([
      ['a record longer than the batch', Buffer.from([100, 0, 0, 0, 1, 1, 0])],
      ['a record shorter than it says', Buffer.from([14, 0, 0, 0, 1, 1, 0])],
      ['a negative key length below -1', Buffer.from([12, 0, 0, 0, 3, 1, 0])],
      ['more headers than bytes', Buffer.from([12, 0, 0, 0, 1, 1, 100])],
      ['a null header key', Buffer.from([16, 0, 0, 0, 1, 1, 2, 1, 1])],
      ['a second record nobody counted', Buffer.from([12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0])],
    ])('K21: %s is 87, as the upstream says', async (_, records) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      expect((await produce(client, 'orders', rawBatch(records))).errorCode).toBe(87)
    })

    test.each([-2n, 2n ** 63n - 1n, -(2n ** 63n)])('K22: timestamp %d crashes nothing', async (timestamp) => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const batch = withHeader(good, (b) => {
        b.writeBigInt64BE(timestamp, 27)
        b.writeBigInt64BE(timestamp, 35)
      })
      expect([0, 32, 87]).toContain((await produce(client, 'orders', batch)).errorCode)
    })

    test('K23: a batch over the limit is 10, the largest allowed is stored', async () => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      expect((await produce(client, 'orders', batchOf(['x'.repeat(1_048_588)]))).errorCode).toBe(10)
      const largest = batchOf(['x'.repeat(1_048_588 - HEADER_BYTES - 18)])
      expect(largest.length).toBeGreaterThan(1_048_500)
      expect(largest.length).toBeLessThanOrEqual(1_048_588)
      expect((await produce(client, 'orders', largest)).errorCode).toBe(0)
    })

    test('K24: an idempotent producer is held to its sequence by the upstream, and a duplicate is told its offset', async () => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const { producerId } = await client.ask(initProducerIdApi, 4, { transactionalId: null })
      const numbered = (baseSequence: number, producerEpoch = 0) =>
        batchOf(['a', 'b'], { producerId, producerEpoch, baseSequence })
      expect(await produce(client, 'orders', numbered(0))).toMatchObject({ errorCode: 0, baseOffset: 0 })
      expect(await produce(client, 'orders', numbered(2))).toMatchObject({ errorCode: 0, baseOffset: 2 })
      expect(await produce(client, 'orders', numbered(0))).toMatchObject({ errorCode: 0, baseOffset: 0 })
      expect(await produce(client, 'orders', numbered(9))).toMatchObject({ errorCode: 45 })
      expect(await produce(client, 'orders', numbered(0, 1))).toMatchObject({ errorCode: 0, baseOffset: 4 })
      expect(await produce(client, 'orders', numbered(4))).toMatchObject({ errorCode: 47 })
    })

    test('K25: a produce request inside a transaction is 53', async () => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const answer = await client.ask(produceApi, 9, { ...produceOf('orders', good), transactionalId: 'tx' })
      expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(53)
    })
  })

  describe('connections', () => {
    test('K32: a request cut at every byte is the same request', async () => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      const frame = Buffer.concat(
        encodeRequestFrame(
          produceApi,
          9,
          { correlationId: 1, clientId: 'x' },
          produceOf('orders', batchOf(['a'])),
        ),
      )
      for (let at = 1; at < frame.length; at += 1) {
        client.write(frame.subarray(0, at))
        await new Promise((resolve) => setImmediate(resolve))
        client.write(frame.subarray(at))
        const { value } = decodeResponse(produceApi, 9, await client.nextFrame())
        expect(value.responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: at - 1 })
      }
    })

    test('K32: a thousand frames in one piece, and ten thousand pipelined, are answered in order', async () => {
      const client = await kafka.client()
      const ask = (correlationId: number) =>
        encodeRequestFrame(metadataApi, 1, { correlationId, clientId: 'x' }, { topics: [] })
      client.write(...Array.from({ length: 1_000 }, (_, index) => ask(index)))
      for (let index = 0; index < 1_000; index += 1)
        expect((await client.nextFrame()).readInt32BE(0)).toBe(index)
      for (let index = 0; index < 10_000; index += 1) client.write(ask(index))
      for (let index = 0; index < 10_000; index += 1)
        expect((await client.nextFrame()).readInt32BE(0)).toBe(index)
    })

    test('K34: a client that sends and closes its side is still answered', async () => {
      const client = await kafka.client()
      await createStream(client, 'orders')
      client.send(produceApi, 9, produceOf('orders', batchOf(['a'])))
      client.socket.end()
      const { value } = decodeResponse(produceApi, 9, await client.nextFrame())
      expect(value.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
    })

    test('K34: a reset in the middle of a frame, and one with requests under way, harm nobody', async () => {
      for (const cut of [10, 0]) {
        const client = await kafka.client()
        await createStream(client, 'orders')
        const frame = Buffer.concat(
          encodeRequestFrame(
            produceApi,
            9,
            { correlationId: 1, clientId: 'x' },
            produceOf('orders', batchOf(['a'])),
          ),
        )
        client.write(frame.subarray(0, frame.length - cut))
        await new Promise((resolve) => setImmediate(resolve))
        client.socket.resetAndDestroy()
      }
      await eventually('the connections are gone', () => kafka.ingress.status().connectionCount === 0)
    })

    test('K36: more topics, keys or partitions than anybody needs closes; large numbers alone cost nothing', async () => {
      const names = Array.from({ length: 10_001 }, (_, index) => ({ name: `t${index}` }))
      const metadata = await kafka.client()
      metadata.send(metadataApi, 9, { topics: names, allowAutoTopicCreation: true })
      await metadata.untilClosed()
      const coordinator = await kafka.client()
      coordinator.send(findCoordinatorApi, 4, {
        coordinatorKeys: Array.from({ length: 1_001 }, (_, i) => `${i}`),
      })
      await coordinator.untilClosed()
      const fetching = await kafka.client()
      const answer = await fetching.ask(fetchApi, 11, {
        maxWaitMs: MAX_INT32,
        minBytes: MAX_INT32,
        maxBytes: MAX_INT32,
        topics: [
          { topic: 'x', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: MAX_INT32 }] },
        ],
      })
      expect(answer.responses[0]?.partitions[0]?.errorCode).toBe(29)
      expect(await kafka.cluster.listTopics()).toEqual([])
    })

    test('K36: a client that asks for hundreds of new streams at once gets a few, and the rest later', async () => {
      const client = await kafka.client()
      const topics = Array.from({ length: 200 }, (_, index) => ({ name: `t${index}` }))
      const answer = await client.ask(metadataApi, 9, { topics, allowAutoTopicCreation: true })
      const codes = answer.topics.map(({ errorCode }) => errorCode)
      expect(codes.filter((code) => code === 0).length).toBe(64)
      expect(codes.filter((code) => code === 5).length).toBe(136)
    })
  })
})

test('S1: a thousand mutated requests, each on its own socket, end in an answer or a closed connection, and never in a failure of ours', async () => {
  const kafka = await startKafka()
  await createStream(await kafka.client(), 'orders')
  const random = seededRandom(20_261_123)
  const seeds = [
    encodeRequestFrame(
      produceApi,
      9,
      { correlationId: 1, clientId: 'x' },
      produceOf('orders', batchOf(['a', 'b'])),
    ),
    encodeRequestFrame(
      produceApi,
      3,
      { correlationId: 1, clientId: 'x' },
      produceOf('orders', batchOf(['a'])),
    ),
    encodeRequestFrame(
      metadataApi,
      12,
      { correlationId: 1, clientId: 'x' },
      { topics: [{ name: 'orders' }] },
    ),
    encodeRequestFrame(metadataApi, 0, { correlationId: 1, clientId: 'x' }, { topics: [{ name: 'orders' }] }),
    encodeRequestFrame(
      fetchApi,
      12,
      { correlationId: 1, clientId: 'x' },
      { topics: [{ topic: 'orders', partitions: [{ partition: 0 }] }] },
    ),
    encodeRequestFrame(
      listOffsetsApi,
      7,
      { correlationId: 1, clientId: 'x' },
      { topics: [{ name: 'orders', partitions: [{ timestamp: -1 }] }] },
    ),
    encodeRequestFrame(
      findCoordinatorApi,
      4,
      { correlationId: 1, clientId: 'x' },
      { coordinatorKeys: ['g'] },
    ),
    encodeRequestFrame(
      apiVersionsApi,
      3,
      { correlationId: 1, clientId: 'x' },
      { clientSoftwareName: 'a', clientSoftwareVersion: '1' },
    ),
    encodeRequestFrame(initProducerIdApi, 4, { correlationId: 1, clientId: 'x' }, { transactionalId: null }),
    encodeRequestFrame(describeClusterApi, 1, { correlationId: 1, clientId: 'x' }, {}),
  ].map((parts) => Buffer.concat(parts))
  const mutated = () => {
    const frame = Buffer.from(seeds[random.below(seeds.length)] as Buffer)
    for (let change = random.below(4); change >= 0; change -= 1) {
      const at = 4 + random.below(frame.length - 4)
      const kind = random.below(3)
      if (kind === 0) frame[at] = random.below(256)
      else if (kind === 1) frame[at] = (frame[at] ?? 0) ^ (1 << random.below(8))
      else
        frame.writeInt32BE(
          [-1, 0, MAX_INT32, -(2 ** 31), 65_536][random.below(5)] ?? 0,
          Math.min(at, frame.length - 4),
        )
    }
    return frame
  }
  for (let round = 0; round < 50; round += 1) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await kafka.client()
        client.write(mutated())
        client.socket.end()
        await client.untilClosed()
        client.socket.destroy()
      }),
    )
  }
  expect(await kafka.rejected('handler-failed')).toBe(0)
  await eventually('every byte was given back', () => kafka.admission.bytesHeld === 0)
  expect((await produce(await kafka.client(), 'orders', batchOf(['ok']))).errorCode).toBe(0)
})

test('K31: 64 clients that declare 16 MiB and send 1 KiB do not slow down an honest producer', async () => {
  const kafka = await startKafka()
  const honest = await kafka.client()
  await createStream(honest, 'orders')
  const batch = batchOf(['x'.repeat(16_000)])
  const roundTrip = async () =>
    expect((await produce(honest, 'orders', Buffer.from(batch))).errorCode).toBe(0)
  await p99OfRoundTrips(50, roundTrip)
  const before = await p99OfRoundTrips(150, roundTrip)

  const silent = await Promise.all(Array.from({ length: 64 }, () => kafka.client()))
  for (const client of silent) client.write(framed(Buffer.alloc(1024), 16 * 1024 * 1024))
  const after = await p99OfRoundTrips(150, roundTrip)

  expect(after).toBeLessThan(allowedUnderAttack(before))
  await eventually('none of it is held', () => kafka.admission.bytesHeld === 0)
})

describe('with small limits', () => {
  test('K31: a frame that does not come to its end is closed, however it trickles', async () => {
    const kafka = await startKafka({ limits: { frameMsMax: 300 } })
    const client = await kafka.client()
    const startedMs = performance.now()
    client.write(int32(100))
    const trickle = setInterval(() => client.write(Buffer.from([0])), 50)
    await client.untilClosed()
    clearInterval(trickle)
    expect(performance.now() - startedMs).toBeLessThan(3_000)
    expect(await kafka.rejected('frame-slow')).toBe(1)
    expect(kafka.admission.bytesHeld).toBe(0)
  })

  test('K31: a connection on which nothing comes is closed', async () => {
    const kafka = await startKafka({ limits: { idleMsMax: 300 } })
    const client = await kafka.client()
    await client.untilClosed()
    expect(await kafka.rejected('idle')).toBe(1)
  })

  test('K33: a client that asks and never reads is closed', async () => {
    const kafka = await startKafka({ limits: { writeQueueBytesMax: 256 * 1024, writeStallMsMax: 500 } })
    const client = await kafka.client()
    for (let index = 0; index < 50; index += 1) await createStream(client, `stream-${index}`)
    client.socket.pause()
    const ask = encodeRequestFrame(metadataApi, 9, { correlationId: 1, clientId: 'x' }, { topics: null })
    const requests = Buffer.concat(Array.from({ length: 2_000 }, () => Buffer.concat(ask)))
    client.socket.write(requests)
    await eventually('the connection is closed', () => kafka.ingress.status().connectionCount === 0, {
      withinMs: 15_000,
    })
    expect((await kafka.rejected('write-stalled')) + (await kafka.rejected('write-queue-full'))).toBe(1)
  })

  test('K36: a client that makes streams up is refused beyond their limit, and streams there are go on', async () => {
    const kafka = await startKafka({ streamCountMax: 10 })
    const client = await kafka.client()
    await createStream(client, 'orders')
    const topics = Array.from({ length: 60 }, (_, index) => ({ name: `t${index}` }))
    const answer = await client.ask(metadataApi, 9, { topics, allowAutoTopicCreation: true })
    const codes = answer.topics.map(({ errorCode }) => errorCode)
    expect(codes.filter((code) => code === 0)).toHaveLength(9)
    expect(codes.filter((code) => code === KAFKA_ERROR.POLICY_VIOLATION)).toHaveLength(51)
    expect(await kafka.rejected('policy_violation')).toBe(51)
    expect((await produce(client, 'orders', batchOf(['a']))).errorCode).toBe(0)
  })

  test('K35: connections over the limits are reset, and those that are in are served', async () => {
    const kafka = await startKafka({ limits: { connectionsMax: 10, connectionsPerAddressMax: 5 } })
    const inside = await kafka.client()
    await createStream(inside, 'orders')
    const others = Array.from({ length: 50 }, () =>
      connect({ host: '127.0.0.1', port: kafka.port }).on('error', () => {}),
    )
    await eventually(
      'the surplus was refused',
      async () => (await kafka.rejected('connections-per-address-max')) >= 46,
    )
    for (let index = 0; index < 20; index += 1)
      expect((await produce(inside, 'orders', batchOf(['a']))).errorCode).toBe(0)
    for (const socket of others) socket.destroy()
  })

  test('K32: reading stops at the in-flight limit', async () => {
    const kafka = await startKafka({ limits: { inFlightRequestsMax: 4 } })
    const client = await kafka.client()
    await createStream(client, 'orders')
    for (let index = 0; index < 200; index += 1)
      client.send(produceApi, 9, produceOf('orders', batchOf([`${index}`])))
    await new Promise((resolve) => setImmediate(resolve))
    expect(kafka.ingress.status().requestsInFlight).toBeLessThanOrEqual(4)
    for (let index = 0; index < 200; index += 1) {
      const { value } = decodeResponse(produceApi, 9, await client.nextFrame())
      expect(value.responses[0]?.partitionResponses[0]?.baseOffset).toBe(index)
    }
  })
})

test('refusals are printed with escaped bytes and not once per request', async () => {
  const lines: DiagnosticFields[] = []
  const diagnostics: Diagnostics = {
    ...silentDiagnostics,
    warn: (fields) => void lines.push(fields),
    child: () => diagnostics,
  }
  const kafka = await startKafka({ diagnostics })
  const client = await kafka.client()
  for (let index = 0; index < 20; index += 1) await produce(client, 'bad\x1b[31m\nname', batchOf(['a']))
  expect(lines.filter((line) => line['reason'] === 'invalid_topic_exception').length).toBe(1)
  expect(JSON.stringify(lines)).not.toContain('\x1b')
  expect(lines[0]?.['topic']).toBe('"bad\\u001b[31m\\nname"')
  expect(await kafka.rejected('invalid_topic_exception')).toBe(20)
})

test('patching attributes is what the tests above rely on for a right CRC', () => {
  const batch = batchOf(['a'])
  patchAttributes(batch, 0, 3)
  expect(batch).toEqual(withHeader(batchOf(['a']), (b) => b.writeInt16BE(3, 21)))
})
