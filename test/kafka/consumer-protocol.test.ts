import fc from 'fast-check'
import kafkajs from 'kafkajs'
import { expect, test } from 'vitest'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../src/kafka/consumer-protocol.ts'

const { AssignerProtocol } = kafkajs

/** Annotated by hand from ConsumerProtocolSubscription.json and ConsumerProtocolAssignment.json of Apache Kafka. */
const SUBSCRIPTION_V3 = Buffer.from(
  '0003' + // version 3
    '00000001' + // one topic
    '0001' +
    '61' + // "a"
    'ffffffff' + // no user data
    '00000001' + // owned partitions: one topic
    '0001' +
    '61' + // "a"
    '00000002' +
    '00000000' +
    '00000007' + // partitions 0 and 7
    '00000005' + // generation 5
    'ffff', // no rack
  'hex',
)
const ASSIGNMENT_V0 = Buffer.from(
  '0000' + // version 0
    '00000001' + // one topic
    '0001' +
    '61' + // "a"
    '00000001' +
    '00000003' + // partition 3
    'ffffffff', // no user data
  'hex',
)

const SUBSCRIPTION = {
  topics: ['a'],
  userData: null,
  ownedPartitions: [{ topic: 'a', partitions: [0, 7] }],
  generationId: 5,
  rackId: null,
}

test('a subscription has the bytes of Kafka, both ways', () => {
  expect(encodeSubscription(SUBSCRIPTION)).toEqual(SUBSCRIPTION_V3)
  expect(decodeSubscription(SUBSCRIPTION_V3)).toEqual(SUBSCRIPTION)
})

test('an assignment has the bytes of Kafka, both ways', () => {
  const value = { assignedPartitions: [{ topic: 'a', partitions: [3] }], userData: null }
  expect(encodeAssignment(value)).toEqual(ASSIGNMENT_V0)
  expect(decodeAssignment(ASSIGNMENT_V0)).toEqual(value)
})

test.each([0, 1, 2, 3])('version %i carries what it has, and the rest has its default', (version) => {
  expect(decodeSubscription(encodeSubscription(SUBSCRIPTION, version))).toEqual({
    ...SUBSCRIPTION,
    ownedPartitions: version >= 1 ? SUBSCRIPTION.ownedPartitions : [],
    generationId: version >= 2 ? 5 : -1,
  })
})

test('a version of the future is read as far as it is known', () => {
  const future = Buffer.concat([SUBSCRIPTION_V3, Buffer.from('something new')])
  future.writeInt16BE(9, 0)
  expect(decodeSubscription(future)).toEqual(SUBSCRIPTION)
})

test('no bytes at all mean that nothing is assigned', () => {
  expect(decodeAssignment(Buffer.alloc(0)).assignedPartitions).toEqual([])
})

test('kafkajs reads what we write, and we read what it writes', () => {
  expect(AssignerProtocol.MemberMetadata.decode(encodeSubscription(SUBSCRIPTION, 1))?.topics).toEqual(['a'])
  expect(AssignerProtocol.MemberAssignment.decode(ASSIGNMENT_V0)?.assignment).toEqual({ a: [3] })
  const theirs = AssignerProtocol.MemberMetadata.encode({
    version: 1,
    topics: ['x', 'y'],
    userData: Buffer.alloc(0),
  })
  expect(decodeSubscription(Buffer.concat([theirs, Buffer.alloc(4)])).topics).toEqual(['x', 'y'])
  const assigned = AssignerProtocol.MemberAssignment.encode({
    version: 1,
    assignment: { x: [1, 2] },
    userData: Buffer.alloc(0),
  })
  expect(decodeAssignment(assigned).assignedPartitions).toEqual([{ topic: 'x', partitions: [1, 2] }])
})

test('any bytes give a value or GS_WIRE_MALFORMED', () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(SUBSCRIPTION_V3, ASSIGNMENT_V0),
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      fc.nat(),
    )
    .map(([base, at, byte, cut]) => {
      const bytes = Buffer.from(base)
      bytes[at % bytes.length] = byte
      return bytes.subarray(0, cut % (bytes.length + 1))
    })
  const anything = fc.oneof(
    mutated,
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  )
  fc.assert(
    fc.property(anything, (bytes) => {
      for (const decode of [decodeSubscription, decodeAssignment]) {
        try {
          decode(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: 'GS_WIRE_MALFORMED' })
        }
      }
    }),
    { numRuns: 5_000 },
  )
})
