import { describe, expect, test } from 'vitest'
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

describe('LZ4 that we can read, and Java consumers read otherwise', () => {
  const plain = batchOf(plainRecords(2))
  const records = plain.subarray(61)
  const header = Buffer.from('04224d18604082', 'hex')
  const end = Buffer.alloc(4)
  const stored = (bytes: Buffer) => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE((bytes.length | 0x80000000) >>> 0)
    return Buffer.concat([size, bytes])
  }
  const packedAs = (...parts: Buffer[]) => {
    const batch = Buffer.concat([plain.subarray(0, 61), ...parts])
    batch.writeInt32BE(batch.length - 12, 8)
    batch[22] = COMPRESSION.lz4
    return batch
  }
  const [front, back] = [records.subarray(0, 9), records.subarray(9)]

  test('one frame of blocks with something in them passes, and what is skipped behind it', () => {
    expect(validate(packedAs(header, stored(front), stored(back), end))).toBe('returned')
    const skippable = Buffer.from('502a4d1802000000ffff', 'hex')
    expect(validate(packedAs(header, stored(records), end, skippable))).toBe('returned')
  })

  test('a second frame is GS_BATCH_CORRUPT: they stop behind the first', () => {
    const frames = [header, stored(front), end, header, stored(back), end]
    expect(validate(packedAs(...frames))).toBe('GS_BATCH_CORRUPT')
  })

  test('a block of nothing is GS_BATCH_CORRUPT: they take it for the end', () => {
    const nothing = { stored: stored(Buffer.alloc(0)), packed: Buffer.from('0100000000', 'hex') }
    for (const block of Object.values(nothing))
      expect(validate(packedAs(header, stored(front), block, stored(back), end))).toBe('GS_BATCH_CORRUPT')
  })
})
