import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crcImplementation, crcOf, pureCrcOf } from '../../src/batch/crc32c.ts'
import { bytesUpTo, fuzz } from './fuzzing.ts'

test('both implementations give the published check values of RFC 3720', () => {
  const ascending = Buffer.from(Array.from({ length: 32 }, (_, index) => index))
  const cases: [Buffer, number][] = [
    [Buffer.from('123456789'), 0xe3069283],
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [ascending, 0x46dd794e],
    [Buffer.from(ascending).reverse(), 0x113fdb5c],
  ]
  for (const [bytes, crc] of cases) {
    expect(crcOf(bytes, 0, bytes.length)).toBe(crc)
    expect(pureCrcOf(bytes, 0, bytes.length)).toBe(crc)
  }
})

test('the native implementation is the one in use where it was installed', () => {
  expect(crcImplementation).toBe('native')
})

test('the pure implementation equals the native one over any range of any bytes', () => {
  fuzz(
    500,
    fc.property(bytesUpTo(300), fc.nat(300), fc.nat(300), (bytes, one, other) => {
      const from = Math.min(one, other, bytes.length)
      const to = Math.min(Math.max(one, other), bytes.length)
      expect(pureCrcOf(bytes, from, to)).toBe(crcOf(bytes, from, to))
    }),
  )
})
