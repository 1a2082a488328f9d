/** Any bytes give a value or one declared failure, in bounded memory; damage never passes for a good batch. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeControlRecord } from '../../src/batch/control-batch.ts'
import {
  attributesAt,
  COMPRESSION,
  checkClientBatch,
  isBatchIntact,
  patchAttributes,
  readBatchHeader,
} from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { validateRecords } from '../../src/batch/validate-records.ts'
import { anyRecord, bytesUpTo, fuzz } from './fuzzing.ts'
import { batchOf, codeOf } from './samples.ts'

const DECLARED = [
  'returned',
  'GS_BATCH_CORRUPT',
  'GS_BATCH_INVALID',
  'GS_BATCH_TOO_LARGE',
  'GS_BATCH_UNSUPPORTED_COMPRESSION',
]
const LIMITS = { inflatedBytesMax: 1 << 20, recordsMax: 10_000 }
const anyCodec = fc.constantFrom(...Object.values(COMPRESSION))
const anyBatch = fc
  .tuple(fc.array(anyRecord, { minLength: 1, maxLength: 6 }), anyCodec)
  .map(([records, compression]) => batchOf(records, { compression }))

/** Everything a reader may do with bytes it was given. */
function readEverything(batch: Buffer): void {
  const codes = [
    codeOf(() => checkClientBatch(batch, 0, batch.length)),
    codeOf(() => validateRecords(batch, 0, LIMITS)),
    codeOf(() => {
      const cursor = new RecordCursor()
      cursor.open(batch, 0, LIMITS)
      while (cursor.next()) {
        expect(cursor.bytes.length).toBeLessThanOrEqual(Math.max(LIMITS.inflatedBytesMax, batch.length))
        expect(typeof cursor.timestamp).toBe('number')
        expect(cursor.headersEnd).toBeLessThanOrEqual(cursor.bytes.length)
        cursor.findHeader('h')
        const key = cursor.keyBytes()
        expect(DECLARED).toContain(codeOf(() => decodeControlRecord(key, cursor.valueBytes())))
      }
    }),
  ]
  for (const code of codes) expect(DECLARED).toContain(code)
  isBatchIntact(batch, 0, batch.length)
}

test('any bytes are a batch or a declared failure', () => {
  fuzz(
    2_000,
    fc.property(bytesUpTo(300), (bytes) => readEverything(bytes)),
  )
})

test('a well-formed header before any bytes is a batch or a declared failure', () => {
  const header = batchOf([{ timestamp: 1, key: null, value: null, headers: [] }]).subarray(0, 61)
  fuzz(
    3_000,
    fc.property(bytesUpTo(200), anyCodec, fc.integer({ min: -1, max: 30 }), (records, codec, count) => {
      const batch = Buffer.concat([header, records])
      batch.writeInt32BE(batch.length - 12, 8)
      batch.writeInt32BE(count, 57)
      batch.writeInt32BE(count - 1, 23)
      patchAttributes(batch, 0, codec)
      readEverything(batch)
    }),
  )
})

test('a batch with some of its bytes changed and its CRC made right again is a batch or a declared failure', () => {
  fuzz(
    1_500,
    fc.property(
      anyBatch,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      (batch, changes) => {
        for (const [position, byte] of changes) batch[21 + (position % (batch.length - 21))] = byte
        patchAttributes(batch, 0, attributesAt(batch, 0))
        readEverything(batch)
      },
    ),
  )
})

test('every length, count and timestamp of the header may be extreme', () => {
  const extremes = [-1, 0, 1, 48, 49, 61, 0x7fffffff, -0x80000000]
  fuzz(
    1_500,
    fc.property(
      anyBatch,
      fc.constantFrom(0, 4, 8, 23, 27, 31, 35, 39, 43, 47, 53, 57),
      fc.constantFrom(...extremes),
      (batch, at, value) => {
        batch.writeInt32BE(value, at)
        readEverything(batch)
        expect(Object.values(readBatchHeader(batch, 0)).some(Number.isNaN)).toBe(false)
      },
    ),
  )
})

test('up to three flipped bits anywhere under the CRC, or in it, are always seen', () => {
  fuzz(
    1_500,
    fc.property(anyBatch, fc.uniqueArray(fc.nat(), { minLength: 1, maxLength: 3 }), (batch, flips) => {
      const bits = new Set(flips.map((flip) => 17 * 8 + (flip % ((batch.length - 17) * 8))))
      for (const bit of bits) batch[bit >> 3] ^= 1 << (bit & 7)
      expect(codeOf(() => checkClientBatch(batch, 0, batch.length))).toBe('GS_BATCH_CORRUPT')
      expect(isBatchIntact(batch, 0, batch.length)).toBe(false)
    }),
  )
})
