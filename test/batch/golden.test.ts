/**
 * Bytes from encoders that are not ours (how each was made is written in the fixture), decoded here, and encoded again
 * where the encoding is fixed by the format. Kafka's own reader was given our batches in every codec when the fixture
 * was made, and read them all.
 */

import { describe, expect, test } from 'vitest'
import { inflate } from '../../src/batch/compression/codecs.ts'
import {
  COMPRESSION,
  checkBatch,
  checkClientBatch,
  patchBaseOffset,
  patchMaxTimestamp,
  patchPartitionLeaderEpoch,
  readBatchHeader,
} from '../../src/batch/record-batch.ts'
import { validateRecords } from '../../src/batch/validate-records.ts'
import golden from './golden/golden.json' with { type: 'json' }
import type { SampleRecord } from './samples.ts'
import { batchOf, codeOf, linesOf, recordsOf } from './samples.ts'

const batches = new Map(golden.batches.map(({ name, hex }) => [name, Buffer.from(hex, 'hex')]))
const streams = new Map(golden.streams.map(({ name, hex }) => [name, Buffer.from(hex, 'hex')]))
const batchNamed = (name: string) => Buffer.from(batches.get(name) ?? Buffer.alloc(0))

const T = 1_700_000_000_000
/** The records of MakeGolden.java. */
const javaRecords: SampleRecord[] = [
  { timestamp: T, key: Buffer.from('key'), value: Buffer.from('value'), headers: [] },
  { timestamp: T + 1, key: null, value: Buffer.from('no key'), headers: [] },
  { timestamp: T - 5, key: Buffer.from('tombstone'), value: null, headers: [] },
  {
    timestamp: T + 3_000_000_000,
    key: Buffer.alloc(0),
    value: Buffer.alloc(0),
    headers: [
      { key: 'h', value: Buffer.from('1') },
      { key: 'n', value: null },
      { key: 'h', value: Buffer.from('ü') },
    ],
  },
  { timestamp: T + 2, key: Buffer.from('k'), value: Buffer.from('x'.repeat(300)), headers: [] },
]

test('the fixture holds what it should', () => {
  expect(batches.size).toBe(22)
  expect(streams.size).toBe(11)
})

describe('batches of Apache Kafka’s client', () => {
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    test(`${codec}: every record reads as it was written`, () => {
      const batch = batchNamed(`java-${codec}`)
      checkClientBatch(batch, 0, batch.length)
      validateRecords(batch, 0)
      expect(readBatchHeader(batch, 0)).toMatchObject({ compression: COMPRESSION[codec], baseTimestamp: T })
      expect(linesOf(recordsOf(batch))).toEqual(linesOf(javaRecords))
    })
  }

  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
    test(`${codec}: a record over several compressed blocks reads as it was written`, () => {
      const [record] = recordsOf(batchNamed(`java-${codec}-blocks`))
      expect(record.value?.toString() === '0123456789'.repeat(7_000)).toBe(true)
    })
  }

  test('our encoder writes the same plain batch, byte for byte', () => {
    expect(batchOf(javaRecords).toString('hex')).toBe(batchNamed('java-none').toString('hex'))
  })

  test('our LZ4 and snappy framing starts with the same bytes', () => {
    for (const [codec, bytes] of [
      ['lz4', 7],
      ['snappy', 16],
    ] as const) {
      const ours = batchOf(javaRecords, { compression: COMPRESSION[codec] })
      expect(ours.toString('hex', 61, 61 + bytes)).toBe(
        batchNamed(`java-${codec}`).toString('hex', 61, 61 + bytes),
      )
    }
  })

  test('an appended batch reads with its offsets, leader epoch, append time and producer', () => {
    const batch = batchNamed('java-appended')
    checkBatch(batch, 0, batch.length)
    expect(readBatchHeader(batch, 0)).toMatchObject({
      baseOffset: 5_000_000_000,
      partitionLeaderEpoch: 9,
      isLogAppendTime: true,
      isTransactional: true,
      isControl: false,
      maxTimestamp: 1_710_000_000_000,
      producerId: 4242,
      producerEpoch: 7,
      baseSequence: 1000,
      recordCount: 5,
    })
    expect(recordsOf(batch).map(({ timestamp }) => timestamp)).toEqual(Array(5).fill(1_710_000_000_000))
  })

  test('our patches make the appended batch from the sent one, byte for byte', () => {
    const ours = batchOf(javaRecords, {
      producerId: 4242,
      producerEpoch: 7,
      baseSequence: 1000,
      isTransactional: true,
    })
    ours[22] |= 0x08
    patchBaseOffset(ours, 0, 5_000_000_000)
    patchPartitionLeaderEpoch(ours, 0, 9)
    patchMaxTimestamp(ours, 0, 1_710_000_000_000)
    expect(ours.toString('hex')).toBe(batchNamed('java-appended').toString('hex'))
  })
})

describe('batches of other clients', () => {
  for (const { name, madeBy, hex } of golden.batches.filter((batch) => !batch.name.startsWith('java'))) {
    test(`${name} (${madeBy}) reads as it was written`, () => {
      const batch = Buffer.from(hex, 'hex')
      checkBatch(batch, 0, batch.length)
      validateRecords(batch, 0)
      const client = name.startsWith('kafkajs') ? 'kafkajs' : 'librdkafka'
      const records = recordsOf(batch)
      expect(records.map(({ key, value }) => `${key}=${value}`)).toEqual(
        Array.from(
          { length: 20 },
          (_, index) => `key${index}=${`${client} value ${index} `.repeat(index + 1)}`,
        ),
      )
      expect(records[7].headers.map(({ key, value }) => `${key}=${value}`)).toEqual(
        client === 'kafkajs' ? ['h=1', 'two=a', 'two=b'] : ['h=1', 'empty='],
      )
    })
  }

  test('librdkafka writes snappy without the framing that Java writes', () => {
    expect(batchNamed('kcat-snappy')[61]).not.toBe(0x82)
    expect(batchNamed('java-snappy')[61]).toBe(0x82)
  })

  test('our encoder writes kafkajs’s and librdkafka’s plain batches again, byte for byte', () => {
    for (const name of ['kcat-none', 'kafkajs-none']) {
      const theirs = batchNamed(name)
      const { baseTimestamp, maxTimestamp, producerId, producerEpoch, baseSequence, partitionLeaderEpoch } =
        readBatchHeader(theirs, 0)
      const ours = batchOf(recordsOf(theirs), { baseTimestamp, producerId, producerEpoch, baseSequence })
      patchPartitionLeaderEpoch(ours, 0, partitionLeaderEpoch)
      patchMaxTimestamp(ours, 0, maxTimestamp)
      expect(ours.toString('hex')).toBe(theirs.toString('hex'))
    }
  })
})

describe('streams of the codecs’ own tools', () => {
  const plain = 'the same line over and over, '.repeat(5_000)
  const codecs = { lz4: COMPRESSION.lz4, zstd: COMPRESSION.zstd, gzip: COMPRESSION.gzip }
  for (const { name, madeBy, hex } of golden.streams) {
    if (name === 'zstd-window-2-gib') continue
    test(`${name} (${madeBy}) inflates`, () => {
      const codec = codecs[name.split('-')[0] as keyof typeof codecs]
      const expected = name.includes('two') ? plain + plain : plain
      const packed = Buffer.from(hex, 'hex')
      expect(inflate(codec, packed, expected.length).toString() === expected).toBe(true)
      expect(codeOf(() => inflate(codec, packed, expected.length - 1))).toBe('GS_BATCH_TOO_LARGE')
    })
  }

  test('zstd with a window of 2 GiB is GS_BATCH_TOO_LARGE', () => {
    const packed = streams.get('zstd-window-2-gib') ?? Buffer.alloc(0)
    expect(codeOf(() => inflate(COMPRESSION.zstd, packed, 1 << 30))).toBe('GS_BATCH_TOO_LARGE')
  })
})
