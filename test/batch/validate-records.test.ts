import { expect, test } from 'vitest'
import { COMPRESSION } from '../../src/batch/record-batch.ts'
import { validateRecords } from '../../src/batch/validate-records.ts'
import golden from './golden/golden.json' with { type: 'json' }
import { batchOf, codeOf, plainRecords } from './samples.ts'

const validate = (batch: Buffer, limits = {}) => codeOf(() => validateRecords(batch, 0, limits))

test('well-formed records pass in every codec', () => {
  for (const compression of Object.values(COMPRESSION)) {
    expect(validate(batchOf(plainRecords(100), { compression }))).toBe('returned')
  }
})

test('offset deltas that do not count up from 0 are GS_BATCH_INVALID', () => {
  const batch = batchOf(plainRecords(2))
  expect(batch[64]).toBe(0) // The first record's offset delta.
  batch[64] = 2
  expect(validate(batch)).toBe('GS_BATCH_INVALID')
})

test('a null header key is GS_BATCH_INVALID', () => {
  const headers = [{ key: '', value: null }]
  const batch = batchOf([{ timestamp: 1, key: null, value: null, headers }])
  expect(validate(batch)).toBe('returned')
  batch[batch.length - 2] = 1 // The key's length, 0, becomes -1.
  expect(validate(batch)).toBe('GS_BATCH_INVALID')
})

test('on a compacted topic each record needs a key', () => {
  expect(validate(batchOf(plainRecords(1)), { keyRequired: true })).toBe('GS_BATCH_INVALID')
  const keyed = { timestamp: 1, key: Buffer.alloc(0), value: null, headers: [] }
  expect(validate(batchOf([keyed]), { keyRequired: true })).toBe('returned')
})

test('limits and damaged streams keep their own codes', () => {
  const batch = batchOf(plainRecords(100), { compression: COMPRESSION.zstd })
  expect(validate(batch, { recordsMax: 99 })).toBe('GS_BATCH_TOO_LARGE')
  expect(validate(batch, { inflatedBytesMax: 99 })).toBe('GS_BATCH_TOO_LARGE')
  batch[61] ^= 1
  expect(validate(batch)).toBe('GS_BATCH_CORRUPT')
})

test('LZ4 with dependent blocks, which Java consumers cannot read, is GS_BATCH_CORRUPT', () => {
  const stream = golden.streams.find(({ name }) => name === 'lz4-dependent-blocks')
  const header = Buffer.from(batchOf(plainRecords(1)).subarray(0, 61))
  const batch = Buffer.concat([header, Buffer.from(stream?.hex ?? '', 'hex')])
  batch.writeInt32BE(batch.length - 12, 8)
  batch[22] = COMPRESSION.lz4
  expect(validate(batch)).toBe('GS_BATCH_CORRUPT')
})
