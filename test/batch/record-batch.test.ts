import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  baseOffsetAt,
  COMPRESSION,
  checkBatch,
  checkClientBatch,
  isBatchIntact,
  lastOffsetAt,
  maxTimestampAt,
  partitionLeaderEpochAt,
  patchAttributes,
  patchBaseOffset,
  patchMaxTimestamp,
  patchPartitionLeaderEpoch,
  patchProducer,
  readBatchHeader,
} from '../../src/batch/record-batch.ts'
import { isFailure } from '../../src/core/errors.ts'
import { fuzz } from './fuzzing.ts'
import { batchOf, codeOf, plainRecords, recordsOf } from './samples.ts'

const sample = () => batchOf(plainRecords(3), { producerId: 7, producerEpoch: 1, baseSequence: 5 })
const check = (batch: Buffer) => codeOf(() => checkBatch(batch, 0, batch.length))
const checkClient = (batch: Buffer) => codeOf(() => checkClientBatch(batch, 0, batch.length))

/** Changes a batch behind the CRC's back and then makes the CRC right again. */
function resealed(batch: Buffer, change: (batch: Buffer) => void): Buffer {
  change(batch)
  patchAttributes(batch, 0, attributesAt(batch, 0))
  return batch
}

test('a header is read field by field', () => {
  const batch = batchOf(plainRecords(3), {
    compression: COMPRESSION.gzip,
    producerId: 9_007_199_254_740_991,
    producerEpoch: 32_767,
    baseSequence: 2_147_483_647,
    isTransactional: true,
  })
  expect(readBatchHeader(batch, 0)).toMatchObject({
    baseOffset: 0,
    batchBytes: batch.length,
    partitionLeaderEpoch: -1,
    magic: 2,
    compression: COMPRESSION.gzip,
    isTransactional: true,
    isControl: false,
    isLogAppendTime: false,
    lastOffsetDelta: 2,
    baseTimestamp: 1_700_000_000_000,
    maxTimestamp: 1_700_000_000_002,
    producerId: 9_007_199_254_740_991,
    producerEpoch: 32_767,
    baseSequence: 2_147_483_647,
    recordCount: 3,
  })
})

describe('patching', () => {
  test('the base offset and leader epoch change without touching the CRC', () => {
    const batch = sample()
    const covered = Buffer.from(batch.subarray(16))
    patchBaseOffset(batch, 0, 5_000_000_000)
    patchPartitionLeaderEpoch(batch, 0, 12)
    expect(baseOffsetAt(batch, 0)).toBe(5_000_000_000)
    expect(lastOffsetAt(batch, 0)).toBe(5_000_000_002)
    expect(partitionLeaderEpochAt(batch, 0)).toBe(12)
    expect(batch.subarray(16)).toEqual(covered)
    expect(check(batch)).toBe('returned')
  })

  test('the producer, attributes and latest timestamp change and the CRC follows', () => {
    const batch = sample()
    patchProducer(batch, 0, { producerId: 1_000, producerEpoch: 2, baseSequence: 3 })
    patchMaxTimestamp(batch, 0, 1_800_000_000_000)
    patchAttributes(batch, 0, BATCH_ATTRIBUTE.logAppendTime)
    expect(check(batch)).toBe('returned')
    expect(readBatchHeader(batch, 0)).toMatchObject({
      producerId: 1_000,
      producerEpoch: 2,
      baseSequence: 3,
      isLogAppendTime: true,
      maxTimestamp: 1_800_000_000_000,
    })
    expect(recordsOf(batch).map((record) => record.timestamp)).toEqual(Array(3).fill(1_800_000_000_000))
  })

  test('a batch in the middle of a buffer is patched without touching its neighbours', () => {
    const one = sample()
    const three = Buffer.concat([one, one, one])
    patchProducer(three, one.length, { producerId: -1, producerEpoch: -1, baseSequence: -1 })
    expect(three.subarray(0, one.length)).toEqual(one)
    expect(three.subarray(2 * one.length)).toEqual(one)
    expect(codeOf(() => checkBatch(three, one.length, 2 * one.length))).toBe('returned')
  })
})

describe('checkBatch', () => {
  test('a whole batch passes, wherever it lies', () => {
    const batch = sample()
    const padded = Buffer.concat([Buffer.alloc(5), batch, Buffer.alloc(5)])
    expect(codeOf(() => checkBatch(padded, 5, 5 + batch.length))).toBe('returned')
  })

  test('one bit wrong anywhere under the CRC is GS_BATCH_CORRUPT', () => {
    const batch = sample()
    for (let bit = 17 * 8; bit < batch.length * 8; bit += 1) {
      batch[bit >> 3] ^= 1 << (bit & 7)
      expect(check(batch)).toBe('GS_BATCH_CORRUPT')
      batch[bit >> 3] ^= 1 << (bit & 7)
    }
    expect(check(batch)).toBe('returned')
  })

  test('another magic is GS_BATCH_INVALID', () => {
    for (const magic of [0, 1, 3, 255]) {
      const batch = sample()
      batch[16] = magic
      expect(check(batch)).toBe('GS_BATCH_INVALID')
    }
  })

  test('a length field that differs from the bytes present is GS_BATCH_INVALID', () => {
    for (const stated of [-1, 0, 48, sample().length - 13, sample().length - 11, 0x7fffffff, -0x80000000]) {
      const batch = sample()
      batch.writeInt32BE(stated, 8)
      expect(check(batch)).toBe('GS_BATCH_INVALID')
    }
    const one = sample()
    expect(check(Buffer.concat([one, one]))).toBe('GS_BATCH_INVALID')
    for (let bytes = 0; bytes < 61; bytes += 1) expect(check(one.subarray(0, bytes))).toBe('GS_BATCH_INVALID')
  })

  test('a record count that is not one more than the last offset delta, or below 1, is GS_BATCH_INVALID', () => {
    for (const [count, delta] of [
      [0, -1],
      [0, 0],
      [-1, -2],
      [3, 3],
      [2, 2],
      [0x7fffffff, 2],
    ]) {
      const batch = resealed(sample(), (bytes) => {
        bytes.writeInt32BE(count, 57)
        bytes.writeInt32BE(delta, 23)
      })
      expect(check(batch)).toBe('GS_BATCH_INVALID')
    }
  })

  test('a codec from 5 to 7 is GS_BATCH_UNSUPPORTED_COMPRESSION', () => {
    for (const codec of [5, 6, 7]) {
      const batch = sample()
      patchAttributes(batch, 0, codec)
      expect(check(batch)).toBe('GS_BATCH_UNSUPPORTED_COMPRESSION')
    }
  })

  test('a failure is not retriable and carries its facts', () => {
    const batch = sample()
    batch[70] ^= 1
    try {
      checkBatch(batch, 0, batch.length)
      expect.unreachable()
    } catch (error) {
      expect(isFailure(error, 'GS_BATCH_CORRUPT') && error.retriable).toBe(false)
      expect(isFailure(error) && error.facts).toMatchObject({ crcStated: batch.readUInt32BE(17) })
    }
  })
})

describe('checkClientBatch', () => {
  test('a producer’s batch passes, plain, idempotent or transactional', () => {
    expect(checkClient(batchOf(plainRecords(1)))).toBe('returned')
    expect(checkClient(sample())).toBe('returned')
    expect(
      checkClient(
        batchOf(plainRecords(1), { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }),
      ),
    ).toBe('returned')
  })

  test('an offset of its own, a control bit, a producer without sequence or epoch, or a transaction without producer is refused', () => {
    const shifted = sample()
    patchBaseOffset(shifted, 0, 1)
    const control = sample()
    patchAttributes(control, 0, BATCH_ATTRIBUTE.control)
    const noSequence = batchOf(plainRecords(1), { producerId: 1, producerEpoch: 0 })
    const noEpoch = batchOf(plainRecords(1), { producerId: 1, baseSequence: 0 })
    const noProducer = batchOf(plainRecords(1), { isTransactional: true })
    for (const batch of [shifted, control, noSequence, noEpoch, noProducer]) {
      expect(check(batch)).toBe('returned')
      expect(checkClient(batch)).toBe('GS_BATCH_INVALID')
    }
  })
})

describe('isBatchIntact', () => {
  test('a whole batch is intact, also with more bytes behind it', () => {
    const batch = sample()
    expect(isBatchIntact(batch, 0, batch.length)).toBe(true)
    expect(isBatchIntact(Buffer.concat([batch, Buffer.alloc(9)]), 0, batch.length + 9)).toBe(true)
  })

  test('a batch that is cut anywhere is not intact', () => {
    const batch = sample()
    for (let end = 0; end < batch.length; end += 1) {
      expect(isBatchIntact(batch, 0, end)).toBe(false)
      expect(isBatchIntact(batch.subarray(0, end), 0, batch.length)).toBe(false)
    }
  })

  test('any bytes get an answer and no throw', () => {
    fuzz(
      2_000,
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: -5, max: 220 }), (bytes, at) => {
        expect(isBatchIntact(Buffer.from(bytes), at, bytes.length)).toBe(false)
      }),
    )
  })
})

test('the latest timestamp may be 2^63 - 1 and comes back as the same bytes', () => {
  const batch = sample()
  batch.writeBigInt64BE(2n ** 63n - 1n, 35)
  const timestamp = maxTimestampAt(batch, 0)
  patchMaxTimestamp(batch, 0, timestamp)
  expect(batch.readBigInt64BE(35)).toBe(2n ** 63n - 1n)
  expect(check(batch)).toBe('returned')
})
