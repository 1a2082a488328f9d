import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readInt64, writeInt64 } from '../../src/batch/int64.ts'
import {
  rawVarintBytes,
  readVarint,
  readVarlong,
  varintEnd,
  varlongBytes,
  writeRawVarint,
  writeVarlong,
  zigzag,
} from '../../src/batch/varint.ts'
import { fuzz } from './fuzzing.ts'
import { codeOf } from './samples.ts'

const safeInteger = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -70, max: 70 }))

test('a varint is encoded as Protocol Buffers documents it', () => {
  // From "Signed Integers" in the Protocol Buffers encoding guide: 0, -1, 1, -2, 0x7fffffff, -0x80000000.
  const cases: [number, string][] = [
    [0, '00'],
    [-1, '01'],
    [1, '02'],
    [-2, '03'],
    [0x7fffffff, 'feffffff0f'],
    [-0x80000000, 'ffffffff0f'],
    [150, 'ac02'],
  ]
  for (const [value, hex] of cases) {
    const bytes = Buffer.alloc(5)
    const end = writeRawVarint(bytes, 0, zigzag(value))
    expect(bytes.toString('hex', 0, end)).toBe(hex)
    expect(rawVarintBytes(zigzag(value))).toBe(end)
    expect(readVarint(bytes, 0, end)).toBe(value)
    expect(varintEnd).toBe(end)
  }
})

test('a 64-bit varint of any safe integer comes back exactly, in as many bytes as foretold', () => {
  const bytes = Buffer.alloc(10)
  fuzz(
    3_000,
    fc.property(safeInteger, (value) => {
      const end = writeVarlong(bytes, 0, value)
      expect(varlongBytes(value)).toBe(end)
      expect(readVarlong(bytes, 0, end)).toBe(value)
      expect(varintEnd).toBe(end)
    }),
  )
})

test('a 64-bit varint is encoded as BigInt arithmetic says it must be', () => {
  const bytes = Buffer.alloc(10)
  fuzz(
    1_000,
    fc.property(safeInteger, (value) => {
      let raw = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
      const expected: number[] = []
      for (; raw >= 0x80n; raw >>= 7n) expected.push(Number(raw & 0x7fn) | 0x80)
      expected.push(Number(raw))
      expect([...bytes.subarray(0, writeVarlong(bytes, 0, value))]).toEqual(expected)
    }),
  )
})

test('the extremes of 64 bits are read as the nearest double and never throw', () => {
  expect(readVarlong(Buffer.from('feffffffffffffffff01', 'hex'), 0, 10)).toBe(2 ** 63)
  expect(readVarlong(Buffer.from('ffffffffffffffffff01', 'hex'), 0, 10)).toBe(-(2 ** 63))
  expect(readVarlong(Buffer.from('ffffffffffffffffff7f', 'hex'), 0, 10)).toBe(-(2 ** 63))
})

test('a varint that is cut short, or goes on past its width, is a malformed record', () => {
  expect(codeOf(() => readVarint(Buffer.from('ffff', 'hex'), 0, 2))).toBe('GS_BATCH_INVALID')
  expect(codeOf(() => readVarint(Buffer.from('ffffffffff01', 'hex'), 0, 6))).toBe('GS_BATCH_INVALID')
  expect(codeOf(() => readVarlong(Buffer.from('ffff', 'hex'), 0, 2))).toBe('GS_BATCH_INVALID')
  expect(codeOf(() => readVarlong(Buffer.alloc(11, 0xff), 0, 11))).toBe('GS_BATCH_INVALID')
})

test('a varint padded with empty bits is read, as Kafka reads it', () => {
  expect(readVarint(Buffer.from('82808000', 'hex'), 0, 4)).toBe(1)
})

test('a 64-bit integer of any safe size comes back exactly, as BigInt writes it', () => {
  const bytes = Buffer.alloc(8)
  const expected = Buffer.alloc(8)
  fuzz(
    1_000,
    fc.property(safeInteger, (value) => {
      writeInt64(bytes, 0, value)
      expected.writeBigInt64BE(BigInt(value))
      expect(bytes).toEqual(expected)
      expect(readInt64(bytes, 0)).toBe(value)
    }),
  )
})

test('any 64 bits are read without a throw, and the extremes survive being written again', () => {
  for (const hex of ['7fffffffffffffff', '8000000000000000', 'ffffffffffffffff']) {
    const bytes = Buffer.from(hex, 'hex')
    const value = readInt64(bytes, 0)
    writeInt64(bytes, 0, value)
    expect(bytes.toString('hex')).toBe(hex)
  }
})
