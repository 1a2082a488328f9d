import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { murmur2, partitionOfKey } from '../../src/vault/key-partitioner.ts'

// Kafka's own test vectors (UtilsTest.testMurmur2).
const KAFKA_VECTORS: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

// kafkajs has its own implementation, ported from Java independently of ours.
const kafkajsMurmur2 = createRequire(import.meta.url)(
  'kafkajs/src/producer/partitioners/default/murmur2.js',
) as (key: Buffer) => number

test.each(KAFKA_VECTORS)("hashes %j as Kafka's own test expects", (text, expected) => {
  expect(murmur2(Buffer.from(text))).toBe(expected)
})

test('agrees with an independent implementation on any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(murmur2(Buffer.from(bytes))).toBe(kafkajsMurmur2(Buffer.from(bytes)))
    }),
  )
})

test('always answers a partition that exists', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 10_000 }), (bytes, count) => {
      const partition = partitionOfKey(Buffer.from(bytes), count)
      expect(Number.isInteger(partition) && partition >= 0 && partition < count).toBe(true)
    }),
  )
})
