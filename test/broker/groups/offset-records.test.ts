import { describe, expect, it } from 'vitest'
import {
  decodeGroupValue,
  decodeOffsetsKey,
  decodeOffsetValue,
  encodeGroupKey,
  encodeGroupValue,
  encodeOffsetKey,
  encodeOffsetValue,
} from '../../../src/broker/groups/offset-records.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s+/g, ''), 'hex')

// Laid out by hand after Kafka's OffsetCommitKey.json, OffsetCommitValue.json, GroupMetadataKey.json and
// GroupMetadataValue.json, which are not flexible in these versions.
const OFFSET_KEY = hex(`0001  0002 6731  0006 6f7264657273  00000003`)
const OFFSET_VALUE = hex(`0003  000000000000002a  ffffffff  0004 6d657461  0000018bcfe56800`)
const GROUP_KEY = hex(`0002  0002 6731`)
const GROUP_VALUE = hex(`
  0003  0008 636f6e73756d6572  00000007  0005 72616e6765  0002 6d31  0000018bcfe56800
  00000001  0002 6d31  ffff  0001 63  000a 2f3132372e302e302e31  0000ea60  00002710  00000002 0a0b  00000001 0c`)

const GROUP = {
  groupId: 'g1',
  protocolType: 'consumer',
  generationId: 7,
  protocolName: 'range',
  leaderId: 'm1',
  stateTimestampMs: 1_700_000_000_000,
  members: [
    {
      memberId: 'm1',
      groupInstanceId: null,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      rebalanceTimeoutMs: 60_000,
      sessionTimeoutMs: 10_000,
      subscription: hex('0a0b'),
      assignment: hex('0c'),
    },
  ],
}
const OFFSET = { offset: 42, leaderEpoch: -1, metadata: 'meta', commitTimestampMs: 1_700_000_000_000 }

describe('the records of __consumer_offsets', () => {
  it('are written in the bytes of Kafka', () => {
    expect(encodeOffsetKey('g1', 'orders', 3)).toEqual(OFFSET_KEY)
    expect(encodeOffsetValue(OFFSET)).toEqual(OFFSET_VALUE)
    expect(encodeGroupKey('g1')).toEqual(GROUP_KEY)
    expect(encodeGroupValue(GROUP)).toEqual(GROUP_VALUE)
  })

  it('are read from the bytes of Kafka', () => {
    expect(decodeOffsetsKey(OFFSET_KEY)).toEqual({
      kind: 'offset',
      groupId: 'g1',
      topic: 'orders',
      partition: 3,
    })
    expect(decodeOffsetsKey(GROUP_KEY)).toEqual({ kind: 'group', groupId: 'g1' })
    expect(decodeOffsetValue(OFFSET_VALUE)).toEqual(OFFSET)
    expect(decodeGroupValue('g1', GROUP_VALUE)).toEqual(GROUP)
  })

  it('of an older version are read too', () => {
    const withExpiry = hex(`0001  000000000000002a  0004 6d657461  0000018bcfe56800  0000018bcfe56801`)

    expect(decodeOffsetValue(withExpiry)).toEqual(OFFSET)
  })

  it('of a kind or version that is not known are passed over', () => {
    expect(decodeOffsetsKey(hex('0003 0002 6731'))).toBeNull()
    expect(decodeOffsetValue(hex('0004 00'))).toBeNull()
    expect(decodeGroupValue('g1', hex('0009 00'))).toBeNull()
  })

  it('keep text of any script', () => {
    const value = { ...OFFSET, metadata: 'Wörld 🌍' }

    expect(decodeOffsetValue(encodeOffsetValue(value))).toEqual(value)
  })
})
