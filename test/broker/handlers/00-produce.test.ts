import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { BatchEncoder } from '../../../src/batch/batch-encoder.ts'
import {
  BATCH_ATTRIBUTE,
  COMPRESSION,
  crcOf,
  patchAttributes,
  patchProducer,
  readBatchHeader,
} from '../../../src/batch/record-batch.ts'
import { encodeHeaders } from '../../../src/batch/record-headers.ts'
import { produceApi } from '../../../src/wire/00-produce.ts'
import { apiVersionsApi } from '../../../src/wire/18-api-versions.ts'
import { initProducerIdApi } from '../../../src/wire/22-init-producer-id.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import { eventually } from '../../support/eventually.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'
import {
  batchOf,
  connectTo,
  contentsOf,
  createTopic,
  fetchOne,
  NOW_MS,
  produce,
  restartBroker,
  startBroker,
  stopBrokers,
} from '../broker-client.ts'

afterEach(stopBrokers)

/** Edits a copy of a good batch and makes its CRC right again, so that only the edit is wrong. */
function spoiled(edit: (batch: Buffer) => void, batch: Buffer = batchOf(['a', 'b', 'c'])): Buffer {
  const copy = Buffer.from(batch)
  edit(copy)
  copy.writeUInt32BE(crcOf(copy, 21, copy.length), 17)
  return copy
}

/** A batch of one record that says it has `recordCount`, its records gzipped from `content`. */
function gzipped(content: Buffer, recordCount: number): Buffer {
  const body = gzipSync(content)
  const batch = Buffer.concat([batchOf(['x']).subarray(0, 61), body])
  return spoiled((copy) => {
    copy.writeInt32BE(copy.length - 12, 8)
    copy.writeInt16BE(COMPRESSION.gzip, 21)
    copy.writeInt32BE(recordCount - 1, 23)
    copy.writeInt32BE(recordCount, 57)
  }, batch)
}

const idempotent = (baseSequence: number, values: string[] = ['x'], producerEpoch = 0, producerId = 1000) =>
  batchOf(values, { producerId, producerEpoch, baseSequence })

describe('a good batch', () => {
  it.each([3, 5, 7, 8, 9, 11])(
    'is answered with its first offset and read back as it was, by version %i',
    async (version) => {
      const connection = await connectTo(await startBroker())
      await createTopic(connection)
      await produce(connection, batchOf(['a', 'b']), { version })

      const answer = await produce(connection, batchOf(['c', 'd']), { version })

      expect(answer).toMatchObject({ errorCode: 0, baseOffset: 2, logAppendTimeMs: -1 })
      expect(contentsOf((await fetchOne(connection)).records)).toEqual(['0:a', '1:b', '2:c', '3:d'])
    },
  )

  it.each(Object.keys(COMPRESSION) as (keyof typeof COMPRESSION)[])(
    'is stored verbatim when compressed with %s',
    async (codec) => {
      const connection = await connectTo(await startBroker())
      await createTopic(connection)
      const batch = batchOf(['one', 'two'.repeat(100), 'three'], { compression: COMPRESSION[codec] })

      const answer = await produce(connection, Buffer.from(batch))

      const { records } = await fetchOne(connection)
      expect(answer.errorCode).toBe(0)
      // Offset (8 bytes) and leader epoch (4, at 12) are the broker's; all else is the producer's.
      expect(records?.subarray(8, 12)).toEqual(batch.subarray(8, 12))
      expect(records?.subarray(16)).toEqual(batch.subarray(16))
    },
  )

  it('may be one of several, to several partitions and topics of one request', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'one', { partitionCount: 2 })
    await createTopic(connection, 'two')

    const response = await connection.request(produceApi, 9, {
      acks: -1,
      topicData: [
        {
          name: 'one',
          partitionData: [0, 1].map((index) => ({ index, records: batchOf([`one-${index}`]) })),
        },
        { name: 'two', partitionData: [{ index: 0, records: batchOf(['two']) }] },
        { name: 'none', partitionData: [{ index: 0, records: batchOf(['none']) }] },
      ],
    })

    expect(
      response.responses.map((topic) => topic.partitionResponses.map(({ errorCode }) => errorCode)),
    ).toEqual([[0, 0], [0], [KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION]])
    expect(contentsOf((await fetchOne(connection, { topic: 'one', partition: 1 })).records)).toEqual([
      '0:one-1',
    ])
  })

  it('is stamped with the time of the broker under LogAppendTime', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', { configs: { 'message.timestamp.type': 'LogAppendTime' } })
    const before = Date.now()

    const answer = await produce(connection, batchOf(['a'], { timestamps: [5] }))

    const { records } = await fetchOne(connection)
    const header = readBatchHeader(records as Buffer, 0)
    expect(answer.logAppendTimeMs).toBeGreaterThanOrEqual(before)
    expect(header).toMatchObject({ isLogAppendTime: true, maxTimestamp: answer.logAppendTimeMs })
    expect(header.crc).toBe(crcOf(records as Buffer, 21, header.batchBytes))
  })

  it('is answered in order when hundreds are pipelined', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', { partitionCount: 4 })
    const ids = Array.from({ length: 500 }, (_, index) =>
      connection.sendRequest(produceApi, 9, {
        acks: -1,
        topicData: [
          { name: 'orders', partitionData: [{ index: index % 4, records: batchOf([`v${index}`]) }] },
        ],
      }),
    )

    const answered: number[] = []
    for (let count = 0; count < ids.length; count += 1)
      answered.push((await connection.frame()).readInt32BE(0))

    expect(answered).toEqual(ids)
    expect(contentsOf((await fetchOne(connection, { partition: 3 })).records)).toHaveLength(125)
  })
})

describe('acks', () => {
  it('other than -1, 0 and 1 are refused (K11)', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)

    for (const acks of [2, -2, 32767]) {
      expect(await produce(connection, batchOf(['a']), { acks })).toMatchObject({
        errorCode: KAFKA_ERROR.INVALID_REQUIRED_ACKS,
      })
    }
    expect((await fetchOne(connection)).highWatermark).toBe(0)
  })

  it('of 0 are not answered, and the batch is stored', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)

    connection.sendRequest(produceApi, 9, {
      acks: 0,
      topicData: [{ name: 'orders', partitionData: [{ index: 0, records: batchOf(['a']) }] }],
    })

    // The next answer on the connection belongs to the next request.
    await connection.request(apiVersionsApi, 3, { clientSoftwareName: 'x', clientSoftwareVersion: '1' })
    await eventually('the batch is there', async () => (await fetchOne(connection)).highWatermark === 1)
  })

  it('of 0 with an error close the connection without an answer (K12)', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)

    connection.sendRequest(produceApi, 9, {
      acks: 0,
      topicData: [{ name: 'nowhere', partitionData: [{ index: 0, records: batchOf(['a']) }] }],
    })

    await expect(connection.frame()).rejects.toThrow('closed')
  })
})

describe('a place that cannot be written', () => {
  it.each([
    ['an unknown topic', 'nowhere', 0],
    ['an empty name', '', 0],
    ['partition -1', 'orders', -1],
    ['partition 2^31 - 1', 'orders', 2147483647],
    ['a name that would be a path', '../orders', 0],
    ['a name from the object prototype', '__proto__', 0],
  ])('is answered UNKNOWN_TOPIC_OR_PARTITION: %s (K13, K14)', async (_, topic, partition) => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)

    expect((await produce(connection, batchOf(['a']), { topic, partition })).errorCode).toBe(
      KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION,
    )
  })

  it.each(['__consumer_offsets', '__transaction_state'])(
    'may be the topic %s of the broker itself (K13)',
    async (topic) => {
      const connection = await connectTo(await startBroker())

      const { errorCode } = await produce(connection, batchOf(['a']), { topic })

      expect(errorCode).toBe(KAFKA_ERROR.INVALID_TOPIC_EXCEPTION)
    },
  )
})

describe('bytes that are not one good batch', () => {
  const good = batchOf(['a', 'b', 'c'])
  const cases: [string, Buffer | null, number][] = [
    ['none at all (K16)', null, KAFKA_ERROR.INVALID_RECORD],
    ['an empty record set (K16)', Buffer.alloc(0), KAFKA_ERROR.INVALID_RECORD],
    ['less than a header (K16)', good.subarray(0, 60), KAFKA_ERROR.INVALID_RECORD],
    ['two batches (K16)', Buffer.concat([good, good]), KAFKA_ERROR.INVALID_RECORD],
    ['a batch cut short (K16)', good.subarray(0, -1), KAFKA_ERROR.INVALID_RECORD],
    ['a byte too many (K16)', Buffer.concat([good, Buffer.alloc(1)]), KAFKA_ERROR.INVALID_RECORD],
    ['magic 0 (K16)', spoiled((batch) => batch.writeInt8(0, 16)), KAFKA_ERROR.INVALID_RECORD],
    ['magic 1 (K16)', spoiled((batch) => batch.writeInt8(1, 16)), KAFKA_ERROR.INVALID_RECORD],
    ['magic 3 (K16)', spoiled((batch) => batch.writeInt8(3, 16)), KAFKA_ERROR.INVALID_RECORD],
    ['a length field of 0 (K16)', spoiled((batch) => batch.writeInt32BE(0, 8)), KAFKA_ERROR.INVALID_RECORD],
    [
      'a negative length field (K16)',
      spoiled((batch) => batch.writeInt32BE(-1, 8)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'a length field of 2^31 - 1 (K16)',
      spoiled((batch) => batch.writeInt32BE(2147483647, 8)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    ['base offset 1 (K16)', spoiled((batch) => batch.writeInt32BE(1, 4)), KAFKA_ERROR.INVALID_RECORD],
    [
      'a last offset delta that is not count - 1 (K16)',
      spoiled((batch) => batch.writeInt32BE(5, 23)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'no records (K16)',
      spoiled((batch) => {
        batch.writeInt32BE(-1, 23)
        batch.writeInt32BE(0, 57)
      }),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'a count of -1 (K16)',
      spoiled((batch) => {
        batch.writeInt32BE(-2, 23)
        batch.writeInt32BE(-1, 57)
      }),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'a count of 2^31 - 1 (K16)',
      spoiled((batch) => {
        batch.writeInt32BE(2147483646, 23)
        batch.writeInt32BE(2147483647, 57)
      }),
      KAFKA_ERROR.MESSAGE_TOO_LARGE,
    ],
    [
      'one record more than there are',
      spoiled((batch) => {
        batch.writeInt32BE(3, 23)
        batch.writeInt32BE(4, 57)
      }),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'one record fewer than there are',
      spoiled((batch) => {
        batch.writeInt32BE(1, 23)
        batch.writeInt32BE(2, 57)
      }),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'the control bit (K16)',
      spoiled((batch) => batch.writeInt16BE(BATCH_ATTRIBUTE.control, 21)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'the transactional bit without an id (K16)',
      spoiled((batch) => {
        batch.writeInt16BE(BATCH_ATTRIBUTE.transactional, 21)
      }, idempotent(0)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'a producer id without a sequence',
      spoiled((batch) => batch.writeBigInt64BE(5n, 43)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'a wrong CRC (K17)',
      Buffer.from(good.map((byte, at) => (at === 17 ? byte ^ 1 : byte))),
      KAFKA_ERROR.CORRUPT_MESSAGE,
    ],
    [
      'a flipped bit in a value (K17)',
      Buffer.from(good.map((byte, at) => (at === good.length - 2 ? byte ^ 1 : byte))),
      KAFKA_ERROR.CORRUPT_MESSAGE,
    ],
    ...[5, 6, 7].map((codec): [string, Buffer, number] => [
      `codec ${codec} (K18)`,
      spoiled((batch) => batch.writeInt16BE(codec, 21)),
      KAFKA_ERROR.UNSUPPORTED_COMPRESSION_TYPE,
    ]),
    ...(['gzip', 'snappy', 'lz4', 'zstd'] as const).map((codec): [string, Buffer, number] => [
      `a ${codec} stream that is none (K19)`,
      spoiled((batch) => batch.writeInt16BE(COMPRESSION[codec], 21)),
      KAFKA_ERROR.CORRUPT_MESSAGE,
    ]),
    ['a gzip of 64 MiB (K20)', gzipped(Buffer.alloc(64 * 1024 * 1024), 1), KAFKA_ERROR.MESSAGE_TOO_LARGE],
    [
      'a gzip of a million empty records (K20)',
      gzipped(Buffer.alloc(7_000_000), 1_000_000),
      KAFKA_ERROR.MESSAGE_TOO_LARGE,
    ],
    [
      'a record longer than it says (K21)',
      spoiled((batch) => batch.writeUInt8(2, 61)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    [
      'a record shorter than it says (K21)',
      spoiled((batch) => batch.writeUInt8(0x7e, 61)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    ['a key length of -2 (K21)', spoiled((batch) => batch.writeUInt8(3, 65)), KAFKA_ERROR.INVALID_RECORD],
    [
      'a header count beyond the record (K21)',
      spoiled((batch) => batch.writeUInt8(20, 68)),
      KAFKA_ERROR.INVALID_RECORD,
    ],
    ['an offset delta out of line', spoiled((batch) => batch.writeUInt8(6, 64)), KAFKA_ERROR.INVALID_RECORD],
    [
      'a timestamp of -2 (K22)',
      spoiled((batch) => {
        batch.writeBigInt64BE(-2n, 27)
        batch.writeBigInt64BE(-2n, 35)
      }),
      KAFKA_ERROR.INVALID_TIMESTAMP,
    ],
    [
      'a timestamp of 2^63 - 1 (K22)',
      spoiled((batch) => batch.writeBigInt64BE(2n ** 63n - 1n, 35)),
      KAFKA_ERROR.INVALID_TIMESTAMP,
    ],
    [
      'a timestamp of -2^63 (K22)',
      spoiled((batch) => batch.writeBigInt64BE(-(2n ** 63n), 27)),
      KAFKA_ERROR.INVALID_TIMESTAMP,
    ],
    ['more than max.message.bytes (K23)', batchOf(['x'.repeat(1_048_600)]), KAFKA_ERROR.MESSAGE_TOO_LARGE],
  ]

  it("are each answered with Kafka's code, and nothing of them is stored", async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    const answers: [string, number][] = []

    for (const [name, records] of cases) answers.push([name, (await produce(connection, records)).errorCode])

    expect(answers).toEqual(cases.map(([name, , code]) => [name, code]))
    expect((await fetchOne(connection)).highWatermark).toBe(0)
  }, 60_000)

  it('may be zstd, which versions before 7 do not know (K18)', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    const batch = batchOf(['a'], { compression: COMPRESSION.zstd })

    expect((await produce(connection, Buffer.from(batch), { version: 6 })).errorCode).toBe(
      KAFKA_ERROR.UNSUPPORTED_COMPRESSION_TYPE,
    )
    expect((await produce(connection, batch, { version: 7 })).errorCode).toBe(0)
  })

  it('may carry a header with a null key (K21)', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    const encoder = new BatchEncoder()
    encoder.start()
    encoder.append(NOW_MS, null, Buffer.from('v'), encodeHeaders([{ key: 'h', value: null }]))
    const batch = spoiled((copy) => copy.writeUInt8(1, copy.length - 3), Buffer.from(encoder.finish()))

    expect((await produce(connection, batch)).errorCode).toBe(KAFKA_ERROR.INVALID_RECORD)
  })

  it('may lack the key that a compacted topic needs', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', { configs: { 'cleanup.policy': 'compact' } })

    expect((await produce(connection, batchOf(['a']))).errorCode).toBe(KAFKA_ERROR.INVALID_RECORD)
    expect((await produce(connection, batchOf(['a'], { keys: ['k'] }))).errorCode).toBe(0)
  })

  it('name the records that lack the key a compacted topic needs, so that the others can be sent again', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', { configs: { 'cleanup.policy': 'compact' } })
    const encoder = new BatchEncoder({ bytesMax: 1024 })
    encoder.start()
    for (const key of ['a', null, 'b', null]) {
      encoder.append(NOW_MS, key === null ? null : Buffer.from(key), Buffer.from('v'))
    }

    const refused = await produce(connection, Buffer.from(encoder.finish()))

    expect(refused.errorCode).toBe(KAFKA_ERROR.INVALID_RECORD)
    expect(refused.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1, 3])
    expect(refused.errorMessage).toContain('needs a key')
  })

  it('that are damaged the same way three times running end the retries of the client', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    const damaged = Buffer.from(good)
    damaged.writeUInt8(0xff, damaged.length - 1)

    const codes: number[] = []
    for (let count = 0; count < 3; count += 1) codes.push((await produce(connection, damaged)).errorCode)

    expect(codes).toEqual([
      KAFKA_ERROR.CORRUPT_MESSAGE,
      KAFKA_ERROR.CORRUPT_MESSAGE,
      KAFKA_ERROR.INVALID_RECORD,
    ])
  })

  it('may be further from the clock than the topic allows (K22)', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection, 'orders', {
      configs: { 'message.timestamp.after.max.ms': '3600000', 'message.timestamp.before.max.ms': '3600000' },
    })
    const at = (ms: number) => produce(connection, batchOf(['a'], { timestamps: [ms] }))

    expect((await at(Date.now() + 7_200_000)).errorCode).toBe(KAFKA_ERROR.INVALID_TIMESTAMP)
    expect((await at(Date.now() - 7_200_000)).errorCode).toBe(KAFKA_ERROR.INVALID_TIMESTAMP)
    expect((await at(Date.now())).errorCode).toBe(0)
  })

  it('in a version that is not served close the connection', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)

    // Produce 2: acks 1, timeout 0, no topics.
    connection.send(
      Buffer.from('00000014 0000 0002 00000001 0000 0001 00000000 00000000'.replaceAll(' ', ''), 'hex'),
    )

    await expect(connection.frame()).rejects.toThrow('closed')
    expect(await broker.metrics.getSingleMetricAsString('gophership_broker_rejected_total')).toContain(
      'produce-version',
    )
  })
})

describe('an idempotent producer', () => {
  it('gets the first offset again when it sends a batch again (K24)', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    for (let sequence = 0; sequence < 5; sequence += 1) await produce(connection, idempotent(sequence))

    const again = []
    for (let sequence = 0; sequence < 5; sequence += 1)
      again.push((await produce(connection, idempotent(sequence))).baseOffset)

    expect(again).toEqual([0, 1, 2, 3, 4])
    expect((await fetchOne(connection)).highWatermark).toBe(5)
  })

  it('is told of a gap, a late duplicate and a stale epoch (K24)', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    for (let sequence = 0; sequence < 7; sequence += 1)
      await produce(connection, idempotent(sequence, ['x'], 1))

    const gap = await produce(connection, idempotent(9, ['x'], 1))
    const late = await produce(connection, idempotent(0, ['x'], 1))
    const stale = await produce(connection, idempotent(7, ['x'], 0))

    expect([gap.errorCode, late.errorCode, stale.errorCode]).toEqual([
      KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER,
      KAFKA_ERROR.DUPLICATE_SEQUENCE_NUMBER,
      KAFKA_ERROR.INVALID_PRODUCER_EPOCH,
    ])
  })

  it('wraps its sequence at 2^31 - 1 (K24)', async () => {
    const connection = await connectTo(await startBroker())
    await createTopic(connection)
    await produce(connection, idempotent(2147483646, ['a', 'b']))

    expect(await produce(connection, idempotent(0))).toMatchObject({ errorCode: 0, baseOffset: 2 })
  })

  it.each([
    ['a clean stop', true],
    ['a crash', false],
  ])('is known again after %s', async (_, isClean) => {
    const first = await startBroker()
    const before = await connectTo(first)
    await createTopic(before)
    await produce(before, idempotent(0, ['a', 'b']))
    await produce(before, idempotent(2, ['c']))
    const again = await restartBroker(first)
    if (!isClean) {
      // A crash leaves no snapshot of producers; the log alone must do.
      const { rm, readdir } = await import('node:fs/promises')
      await again.broker.stop()
      for (const path of await readdir(again.directory, { recursive: true })) {
        if (path.endsWith('producers.snapshot')) await rm(`${again.directory}/${path}`)
      }
      await restartBroker(again)
    }
    const after = await connectTo(again)

    const duplicate = await produce(after, idempotent(0, ['a', 'b']))
    const next = await produce(after, idempotent(3, ['d']))
    const gap = await produce(after, idempotent(7, ['e']))

    expect([duplicate.baseOffset, next.baseOffset, gap.errorCode]).toEqual([
      0,
      3,
      KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER,
    ])
  })

  it('gets an id that nobody had before, also after restarts', async () => {
    let broker = await startBroker()
    const ids: number[] = []
    for (let round = 0; round < 3; round += 1) {
      const connection = await connectTo(broker)
      for (let count = 0; count < 5; count += 1) {
        const { errorCode, producerId, producerEpoch } = await connection.request(initProducerIdApi, 4, {
          transactionalId: null,
        })
        expect([errorCode, producerEpoch]).toEqual([0, 0])
        ids.push(producerId)
      }
      broker = await restartBroker(broker)
    }

    expect(new Set(ids).size).toBe(15)
  })
})

describe('when the disk fails', () => {
  it('the batch under way gets no answer but a closed connection, and later ones KAFKA_STORAGE_ERROR', async () => {
    const disk = new SimDisk()
    const broker = await startBroker({ disk, directory: simPath('broker') })
    const connection = await connectTo(broker)
    await createTopic(connection)
    await produce(connection, batchOf(['safe']))
    disk.failAlways(['datasync'], 'EIO')

    connection.sendRequest(produceApi, 9, {
      acks: -1,
      topicData: [{ name: 'orders', partitionData: [{ index: 0, records: batchOf(['lost']) }] }],
    })

    await expect(connection.frame()).rejects.toThrow('closed')
    const second = await connectTo(broker)
    expect((await produce(second, batchOf(['later']))).errorCode).toBe(KAFKA_ERROR.KAFKA_STORAGE_ERROR)
    expect(contentsOf((await fetchOne(second)).records)).toEqual(['0:safe'])
    expect(broker.broker.status().failedPartitions).toEqual(['orders-0'])
  })

  it('the partition recovers by itself once the disk is well again, with what was acknowledged and no more', async () => {
    const disk = new SimDisk()
    const broker = await startBroker({ disk, directory: simPath('broker'), partitionReopenMs: 20 })
    const connection = await connectTo(broker)
    await createTopic(connection)
    await produce(connection, idempotent(0, ['safe']))
    disk.failAlways(['write', 'datasync'], 'ENOSPC')
    connection.sendRequest(produceApi, 9, {
      acks: -1,
      topicData: [
        { name: 'orders', partitionData: [{ index: 0, records: idempotent(1, ['unacknowledged']) }] },
      ],
    })
    await connection.closed
    const second = await connectTo(broker)
    const whileFull = await produce(second, idempotent(1, ['retried']))

    disk.heal()

    const retried = await eventually('the partition takes batches again', async () => {
      const answer = await produce(second, idempotent(1, ['retried']))
      return answer.errorCode === 0 && answer
    })
    expect(whileFull.errorCode).toBe(KAFKA_ERROR.KAFKA_STORAGE_ERROR)
    expect(retried.baseOffset).toBe(1)
    expect(contentsOf((await fetchOne(second, { offset: 1 })).records)).toEqual(['1:retried'])
    expect(broker.broker.status().failedPartitions).toEqual([])
  })

  it('nothing is answered before its sync is done', async () => {
    const disk = new SimDisk()
    const connection = await connectTo(await startBroker({ disk, directory: simPath('broker') }))
    await createTopic(connection)
    disk.isTraced = true

    await produce(connection, batchOf(['a']))

    const calls = disk.trace.filter((call) => call.includes('/orders/')).map((call) => call.split(' ')[0])
    expect(calls.slice(calls.indexOf('write'))).toContain('datasync')
  })
})

it('a batch that claims the broker stamped it is not believed', async () => {
  const connection = await connectTo(await startBroker())
  await createTopic(connection)
  const batch = batchOf(['a'])
  patchAttributes(batch, 0, BATCH_ATTRIBUTE.logAppendTime)
  patchProducer(batch, 0, { producerId: -1, producerEpoch: -1, baseSequence: -1 })

  await produce(connection, batch)

  expect(readBatchHeader((await fetchOne(connection)).records as Buffer, 0).isLogAppendTime).toBe(false)
})
