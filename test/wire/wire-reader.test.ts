import { describe, expect, it } from 'vitest'
import { WireError } from '../../src/wire/wire-error.ts'
import { STRING_BYTES_MAX, WireReader } from '../../src/wire/wire-reader.ts'

function reader(...bytes: number[]): WireReader {
  return new WireReader(Buffer.from(bytes), 0, 'test message')
}

function hexReader(hex: string): WireReader {
  return new WireReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'), 0, 'test message')
}

describe('WireReader', () => {
  it('reads signed numbers of every width', () => {
    expect(reader(0x80).int8()).toBe(-128)
    expect(reader(0x7f).int8()).toBe(127)
    expect(reader(0x80, 0x00).int16()).toBe(-32_768)
    expect(reader(0x7f, 0xff).int16()).toBe(32_767)
    expect(reader(0x80, 0, 0, 0).int32()).toBe(-2_147_483_648)
    expect(reader(0x7f, 0xff, 0xff, 0xff).int32()).toBe(2_147_483_647)
    expect(hexReader('ffffffff ffffffff').int64()).toBe(-1)
    expect(hexReader('00000000 ffffffff').int64()).toBe(4_294_967_295)
    expect(hexReader('001fffff ffffffff').int64()).toBe(Number.MAX_SAFE_INTEGER)
    expect(hexReader('ffe00000 00000001').int64()).toBe(Number.MIN_SAFE_INTEGER)
  })

  it('rounds 64-bit numbers beyond 2^53 and never fails on them', () => {
    expect(hexReader('7fffffff ffffffff').int64()).toBe(2 ** 63)
    expect(hexReader('80000000 00000000').int64()).toBe(-(2 ** 63))
  })

  it('reads any byte but zero as true', () => {
    expect([reader(0).bool(), reader(1).bool(), reader(0xff).bool()]).toEqual([false, true, true])
  })

  it.each([
    ['00', 0],
    ['7f', 127],
    ['8001', 128],
    ['ffff7f', 2_097_151],
    ['ffffffff07', 2_147_483_647],
    ['ffffffff0f', 4_294_967_295],
    ['8080808000', 0],
  ])('reads the varint %s as %i', (hex, value) => {
    const input = hexReader(hex)
    expect(input.uvarint()).toBe(value)
    expect(input.remaining).toBe(0)
  })

  it.each(['808080808000', 'ffffffff10', 'ffffffffff01', '80', 'ffffffff'])(
    'refuses the varint %s: more than 32 bits, or cut short',
    (hex) => {
      expect(() => hexReader(hex).uvarint()).toThrow(WireError)
    },
  )

  it('reads -1 as null for every form of length, and nothing else below zero', () => {
    expect(hexReader('ffff').length16()).toBe(-1)
    expect(hexReader('ffffffff').length32()).toBe(-1)
    expect(hexReader('00').lengthCompact()).toBe(-1)
    expect(() => hexReader('fffe').length16()).toThrow(WireError)
    expect(() => hexReader('80000000').length32()).toThrow(WireError)
  })

  it('refuses a length of one byte more than remain', () => {
    expect(hexReader('0002 aabb').length16()).toBe(2)
    expect(() => hexReader('0003 aabb').length16()).toThrow('a length of 3, where 2 bytes remain')
    expect(() => hexReader('04 aabb').lengthCompact()).toThrow('a length of 3, where 2 bytes remain')
  })

  it('refuses an array whose elements could not fit into the bytes that remain', () => {
    expect(hexReader('00000002 0000 0000').count(false, 2)).toBe(2)
    expect(() => hexReader('00000003 0000 0000').count(false, 2)).toThrow(WireError)
    expect(() => hexReader('7fffffff').count(false, 1)).toThrow(WireError)
    expect(() => hexReader('ffffffff0f').count(true, 1)).toThrow(WireError)
    expect(() => hexReader('fffffffe').count(false, 1)).toThrow(WireError)
  })

  it('refuses more array elements in all than it was told to allow', () => {
    const input = new WireReader(Buffer.from([0, 0, 0, 2, 0, 0, 0, 2, 0, 0]), 0, 'test message', 3)
    expect(input.count(false, 1)).toBe(2)
    expect(() => input.count(false, 1)).toThrow('more array elements than the 3 a message may hold')
  })

  it('refuses a string longer than Kafka allows, even where its bytes are there', () => {
    const bytes = Buffer.alloc(STRING_BYTES_MAX + 1, 0x61)
    expect(new WireReader(bytes, 0, 'test message').string(STRING_BYTES_MAX)).toHaveLength(STRING_BYTES_MAX)
    expect(() => new WireReader(bytes, 0, 'test message').string(STRING_BYTES_MAX + 1)).toThrow(WireError)
  })

  it('turns what is not UTF-8 into the replacement character', () => {
    expect(reader(0x61, 0xff, 0x62).string(3)).toBe('a\ufffdb')
  })

  it('gives bytes as views, not copies', () => {
    const bytes = Buffer.from([1, 2, 3])
    const view = new WireReader(bytes, 1, 'test message').view(2)
    bytes[1] = 9
    expect(view).toEqual(Buffer.from([9, 3]))
  })

  it('refuses a section of tagged fields that says more than remains', () => {
    expect(() => hexReader('02 0000').skipTags()).toThrow('2 tagged fields, where 2 bytes remain')
    expect(() => hexReader('ffffffff0f 0000').skipTags()).toThrow(WireError)
    expect(() => hexReader('01 05 02 aa').skipTags()).toThrow(WireError)
  })

  it('says in a failure what was read, what was found, and where', () => {
    const input = reader(1, 2)
    input.uint8()
    const expected =
      'test message: found the end of the message, where 4 more bytes were expected, at byte 1 of 2'
    expect(() => input.int32()).toThrow(expected)
    expect(() => input.finish()).toThrow('1 bytes left over after the last field')
    try {
      input.int32()
    } catch (error) {
      expect((error as WireError).facts).toEqual({ subject: 'test message', position: 1, bytes: 2 })
      expect((error as WireError).retriable).toBe(false)
    }
  })

  it('refuses to begin behind the end', () => {
    expect(() => new WireReader(Buffer.alloc(2), 3, 'test message')).toThrow(WireError)
  })
})
