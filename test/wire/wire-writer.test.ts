import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WireError } from '../../src/wire/wire-error.ts'
import { WireReader } from '../../src/wire/wire-reader.ts'
import { SPLICE_BYTES_MIN, WireWriter } from '../../src/wire/wire-writer.ts'

function written(write: (writer: WireWriter) => void, bytesInitial?: number): string {
  const writer = new WireWriter(bytesInitial)
  write(writer)
  const { byteLength } = writer
  const bytes = Buffer.concat(writer.finish())
  expect(bytes.length).toBe(byteLength)
  return bytes.toString('hex')
}

describe('WireWriter', () => {
  it('writes numbers of every width with the most significant byte first', () => {
    expect(written((w) => w.int8(-2))).toBe('fe')
    expect(written((w) => w.int16(-2))).toBe('fffe')
    expect(written((w) => w.int32(0x01020304))).toBe('01020304')
    expect(written((w) => w.int64(-2))).toBe('fffffffffffffffe')
    expect(written((w) => w.int64(Number.MAX_SAFE_INTEGER))).toBe('001fffffffffffff')
    expect(written((w) => w.int64(Number.MIN_SAFE_INTEGER))).toBe('ffe0000000000001')
  })

  it('writes what rounding pushed to 2^63 as the largest 64-bit number', () => {
    expect(written((w) => w.int64(2 ** 63))).toBe('7fffffffffffffff')
    expect(written((w) => w.int64(-(2 ** 63)))).toBe('8000000000000000')
  })

  it('refuses numbers that do not fit, fractions and NaN', () => {
    const attempts: ((writer: WireWriter) => void)[] = [
      (w) => w.int8(128),
      (w) => w.int16(-32_769),
      (w) => w.int16(0.5),
      (w) => w.int32(2_147_483_648),
      (w) => w.int32(Number.NaN),
      (w) => w.int64(0.5),
      (w) => w.int64(2 ** 64),
      (w) => w.int64(Number.POSITIVE_INFINITY),
    ]
    for (const attempt of attempts) expect(() => written(attempt), String(attempt)).toThrow(WireError)
  })

  it('refuses a string that is longer than its length field can say', () => {
    expect(() => written((w) => w.string('é'.repeat(16_384), false))).toThrow(WireError)
    expect(written((w) => w.string('é'.repeat(16_383), false))).toHaveLength(2 * (2 + 32_766))
  })

  it('splices long byte fields without copying and copies short ones', () => {
    const long = Buffer.alloc(SPLICE_BYTES_MIN, 1)
    const short = Buffer.alloc(SPLICE_BYTES_MIN - 1, 2)
    const writer = new WireWriter()
    writer.bytes([long, short, long], false)
    const parts = writer.finish()
    expect(parts.map((part) => part.length)).toEqual([4, long.length, short.length, long.length])
    expect(parts[1]).toBe(long)
    expect(parts[3]).toBe(long)
    expect(parts[2]?.buffer).not.toBe(short.buffer)
  })

  it('gives the same bytes whatever the size of its first buffer', () => {
    const write = (writer: WireWriter) => {
      for (let turn = 0; turn < 40; turn++) {
        writer.string('some text'.repeat(turn), turn % 2 === 0)
        writer.bytes(Buffer.alloc(turn * 60, turn), true)
        writer.tagged(turn, (inner, value: string) => inner.string(value, true), 'x'.repeat(turn * 9))
      }
    }
    const expected = written(write, 1 << 20)
    for (const bytesInitial of [1, 2, 7, 64, 1000]) expect(written(write, bytesInitial)).toBe(expected)
  })

  it.each([0, 1, 126, 127, 128, 16_383, 16_384])(
    'writes the true size of a tagged field of %i bytes',
    (bytes) => {
      const hex = written((writer) => {
        writer.uvarint(1)
        const put = (inner: WireWriter, count: number) => {
          for (let left = count; left > 0; left--) inner.int8(7)
        }
        writer.tagged(3, put, bytes)
      }, 1)
      const reader = new WireReader(Buffer.from(hex, 'hex'), 0, 'test message')
      expect([reader.tagCount(), reader.uvarint(), reader.uvarint()]).toEqual([1, 3, bytes])
      reader.skip(bytes)
      reader.finish()
    },
  )

  it('writes numbers, varints and texts that the reader gives back', () => {
    fc.assert(
      fc.property(
        fc.maxSafeInteger(),
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.string({ unit: 'binary', maxLength: 50 }),
        (number, varint, text) => {
          const writer = new WireWriter(1)
          writer.int64(number)
          writer.uvarint(varint)
          writer.string(text, true)
          const reader = new WireReader(Buffer.concat(writer.finish()), 0, 'test message')
          expect(reader.int64()).toBe(number)
          expect(reader.uvarint()).toBe(varint)
          expect(reader.string(reader.lengthCompact())).toBe(Buffer.from(text).toString())
          reader.finish()
        },
      ),
      { seed: 20_002, numRuns: 500 },
    )
  })
})
