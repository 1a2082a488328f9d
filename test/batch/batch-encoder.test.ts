import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BatchEncoder, encodeHeaders, NO_HEADERS } from '../../src/batch/batch-encoder.ts'
import { COMPRESSION, checkClientBatch, readBatchHeader } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { seededRandom } from '../../src/core/random.ts'
import { anyRecord, fuzz } from './fuzzing.ts'
import { batchOf, codeOf, linesOf, plainRecords, recordsOf } from './samples.ts'

test('a batch is these bytes', () => {
  const encoder = new BatchEncoder()
  encoder.start({ producerId: 1, producerEpoch: 2, baseSequence: 3, isTransactional: true })
  encoder.append(1_000, Buffer.from('k'), Buffer.from('val'), encodeHeaders([{ key: 'h', value: null }]))
  encoder.append(999, null, null)
  const fields = [
    '0000000000000000', // base offset 0
    '00000046', // 70 bytes follow
    'ffffffff', // no leader epoch
    '02', // magic
    '89a8c693', // CRC-32C of the rest (accepted by Kafka's own reader)
    '0010', // transactional, not compressed
    '00000001', // last offset delta
    '00000000000003e8', // base timestamp 1000
    '00000000000003e8', // latest timestamp 1000
    '0000000000000001', // producer id
    '0002', // producer epoch
    '00000003', // base sequence
    '00000002', // two records
    '1a', // 13 bytes follow
    '00', // attributes
    '00', // timestamp delta 0
    '00', // offset delta 0
    `02${'6b'}`, // key of 1 byte: k
    `06${'76616c'}`, // value of 3 bytes: val
    `02${'0268'}01`, // one header: key of 1 byte, h; null value
    '0c', // 6 bytes follow
    '00', // attributes
    '01', // timestamp delta -1
    '02', // offset delta 1
    '01', // null key
    '01', // null value
    '00', // no headers
  ]
  const expected = Buffer.from(fields.join(''), 'hex')
  expect(encoder.finish().toString('hex')).toBe(expected.toString('hex'))
})

test('any records come back as they went in, in every codec', () => {
  fuzz(
    150,
    fc.property(
      fc.array(anyRecord, { minLength: 1, maxLength: 30 }),
      fc.constantFrom(...Object.values(COMPRESSION)),
      (records, compression) => {
        const batch = batchOf(records, { compression })
        checkClientBatch(batch, 0, batch.length)
        expect(linesOf(recordsOf(batch))).toEqual(linesOf(records))
        expect(readBatchHeader(batch, 0)).toMatchObject({
          compression,
          recordCount: records.length,
          baseTimestamp: records[0].timestamp,
          maxTimestamp: Math.max(...records.map(({ timestamp }) => timestamp)),
        })
      },
    ),
  )
})

test('the encoder is used again without a trace of the batch before', () => {
  const encoder = new BatchEncoder({ bytesInitial: 100 })
  encoder.start({
    compression: COMPRESSION.zstd,
    producerId: 5,
    producerEpoch: 5,
    baseSequence: 5,
    isTransactional: true,
  })
  encoder.append(9_000, Buffer.from('old'), Buffer.alloc(10_000, 1))
  encoder.finish()
  encoder.start()
  encoder.append(1_700_000_000_000, null, Buffer.from('value 0'))
  expect(encoder.finish()).toEqual(batchOf(plainRecords(1)))
})

test('records are appended from positions in a source, as a cursor gives them', () => {
  const original = [
    { timestamp: 10, key: Buffer.from('key'), value: Buffer.from('value'.repeat(20)), headers: [] },
    { timestamp: 11, key: null, value: Buffer.from('v'), headers: [{ key: 'a', value: Buffer.from('b') }] },
    { timestamp: 12, key: Buffer.from('k'), value: null, headers: [] },
  ]
  const cursor = new RecordCursor()
  cursor.open(batchOf(original))
  const encoder = new BatchEncoder()
  encoder.start()
  while (cursor.next()) {
    const { bytes, timestamp, keyStart, keyEnd, valueStart, valueEnd } = cursor
    encoder.appendRange(timestamp, bytes, keyStart, keyEnd, valueStart, valueEnd, cursor.headersBytes())
  }
  expect(recordsOf(encoder.finish())).toEqual(original)
})

test('bytes and recordCount say what the plain batch would be', () => {
  const encoder = new BatchEncoder()
  encoder.start()
  expect([encoder.bytes, encoder.recordCount]).toEqual([61, 0])
  encoder.append(1, null, Buffer.from('abc'))
  encoder.append(2, null, Buffer.from('abc'))
  expect(encoder.recordCount).toBe(2)
  expect(encoder.finish().length).toBe(encoder.bytes)
})

test('a given base timestamp is kept, and deltas may be negative', () => {
  const batch = batchOf(plainRecords(2), { baseTimestamp: 1_800_000_000_000 })
  expect(readBatchHeader(batch, 0)).toMatchObject({
    baseTimestamp: 1_800_000_000_000,
    maxTimestamp: 1_700_000_000_001,
  })
  expect(recordsOf(batch)[0].timestamp).toBe(1_700_000_000_000)
})

test('a timestamp of 2^63, which 2^63 - 1 rounds to, is encoded without a throw', () => {
  const batch = batchOf([
    { timestamp: 1_700_000_000_000, key: null, value: null, headers: [] },
    { timestamp: 2 ** 63, key: null, value: null, headers: [] },
    { timestamp: -(2 ** 63), key: null, value: null, headers: [] },
  ])
  expect(codeOf(() => checkClientBatch(batch, 0, batch.length))).toBe('returned')
  expect(recordsOf(batch)).toHaveLength(3)
  expect(batch.readBigInt64BE(35)).toBe(2n ** 63n - 1n)
})

test('a timestamp that is not whole milliseconds is refused and nothing is appended', () => {
  const encoder = new BatchEncoder()
  for (const timestamp of [Number.NaN, Number.POSITIVE_INFINITY]) {
    encoder.start()
    expect(codeOf(() => encoder.append(timestamp, null, null))).toBe('GS_BATCH_INVALID')
    expect(codeOf(() => encoder.appendText(timestamp, NO_HEADERS, -1, -1, 'x'))).toBe('GS_BATCH_INVALID')
    expect(encoder.recordCount).toBe(0)
  }
  encoder.start()
  encoder.append(1_000, null, null)
  expect(codeOf(() => encoder.append(1_000.5, null, null))).toBe('GS_BATCH_INVALID')
})

describe('values written in place', () => {
  const encoder = new BatchEncoder({ bytesInitial: 64 })
  const source = Buffer.from('a key and more')

  test('text of any length and script becomes the value, between records of the other kind', () => {
    const headers = [{ key: 'h', value: Buffer.from('x') }]
    const encoded = encodeHeaders(headers)
    fuzz(
      300,
      fc.property(
        fc.array(
          fc.tuple(fc.string({ unit: 'binary', maxLength: 100 }), fc.nat(150), fc.boolean(), fc.boolean()),
          { minLength: 1, maxLength: 8 },
        ),
        (texts) => {
          encoder.start()
          const expected = texts.map(([text, repeat, keyed, headed], index) => {
            const value = text.repeat(repeat)
            encoder.appendText(
              1_000 + index,
              source,
              keyed ? 2 : -1,
              keyed ? 5 : -1,
              value,
              headed ? encoded : undefined,
            )
            encoder.append(5, null, source)
            return [
              {
                timestamp: 1_000 + index,
                key: keyed ? Buffer.from('key') : null,
                value: Buffer.from(value),
                headers: headed ? headers : [],
              },
              { timestamp: 5, key: null, value: source, headers: [] },
            ]
          })
          expect(linesOf(recordsOf(encoder.finish()))).toEqual(linesOf(expected.flat()))
        },
      ),
    )
  })

  test('the caller writes into the buffer and says how much, whatever it expected', () => {
    for (const expected of [0, 1, 63, 64, 8_191, 8_192, 20_000]) {
      for (const written of [0, 1, 63, 64, 8_191, 8_192, 20_000]) {
        encoder.start()
        encoder.append(1, null, Buffer.from('first'))
        const at = encoder.beginRecord(2, source, 2, 5, {
          valueBytesMax: 20_000,
          valueBytesExpected: expected,
        })
        encoder.buffer.fill('v', at, at + written)
        encoder.endRecord(written)
        encoder.append(3, null, Buffer.from('last'))
        const records = recordsOf(encoder.finish())
        expect(records.map(({ value }) => value?.length)).toEqual([5, written, 4])
        expect(records[1].value?.every((byte) => byte === 118)).toBe(true)
        expect(records[1].key?.toString()).toBe('key')
      }
    }
  })

  test('endRecord without beginRecord is refused', () => {
    encoder.start()
    expect(codeOf(() => encoder.endRecord(0))).toBe('GS_BATCH_INVALID')
    encoder.beginRecord(1, source, -1, -1, { valueBytesMax: 1 })
    encoder.append(1, null, null)
    expect(codeOf(() => encoder.endRecord(0))).toBe('GS_BATCH_INVALID')
  })
})

describe('the size limit', () => {
  test('a record that would pass it is refused, and the batch can be finished as it was', () => {
    const encoder = new BatchEncoder({ bytesMax: 200 })
    encoder.start()
    encoder.append(1, null, Buffer.alloc(100))
    for (const append of [
      () => encoder.append(1, null, Buffer.alloc(50)),
      () => encoder.append(1, Buffer.alloc(50), null),
      () => encoder.appendText(1, NO_HEADERS, -1, -1, 'x'.repeat(50)),
      () => encoder.appendText(1, NO_HEADERS, -1, -1, 'ü'.repeat(20)),
      () => encoder.appendText(1, NO_HEADERS, -1, -1, 'x'.repeat(1_000_000)),
    ]) {
      expect(codeOf(append)).toBe('GS_BATCH_TOO_LARGE')
    }
    const batch = encoder.finish()
    expect(codeOf(() => checkClientBatch(batch, 0, batch.length))).toBe('returned')
    expect(recordsOf(batch)).toHaveLength(1)
  })

  test('a batch of exactly the limit passes, one byte more does not', () => {
    const encoder = new BatchEncoder({ bytesMax: 61 + 7 + 20 })
    encoder.start()
    expect(codeOf(() => encoder.append(1, null, Buffer.alloc(21)))).toBe('GS_BATCH_TOO_LARGE')
    encoder.append(1, null, Buffer.alloc(20))
    expect(encoder.finish().length).toBe(61 + 7 + 20)
  })

  test('what fits says fits, fits', () => {
    const encoder = new BatchEncoder({ bytesMax: 5_000 })
    encoder.start()
    let appended = 0
    for (; encoder.fits(100); appended += 1)
      encoder.append(appended * 1e12, Buffer.alloc(30), Buffer.alloc(69))
    expect(appended).toBeGreaterThan(40)
    expect(encoder.finish().length).toBeLessThanOrEqual(5_000)
  })

  test('a batch that compression would push over it stays plain', () => {
    const noise = seededRandom(1).bytes(300)
    const encoder = new BatchEncoder({ bytesMax: 61 + 9 + 300 })
    encoder.start({ compression: COMPRESSION.gzip })
    encoder.append(1, null, noise)
    const batch = encoder.finish()
    expect(readBatchHeader(batch, 0).compression).toBe(COMPRESSION.none)
    expect(recordsOf(batch)[0].value).toEqual(noise)
  })

  test('an empty batch cannot be finished', () => {
    const encoder = new BatchEncoder()
    encoder.start()
    expect(codeOf(() => encoder.finish())).toBe('GS_BATCH_INVALID')
  })
})
