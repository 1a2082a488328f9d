import { expect, test } from 'vitest'
import { decodeControlRecord, encodeControlBatch } from '../../src/batch/control-batch.ts'
import { checkBatch, patchPartitionLeaderEpoch, readBatchHeader } from '../../src/batch/record-batch.ts'
import golden from './golden/golden.json' with { type: 'json' }
import { codeOf, recordsOf } from './samples.ts'

const marker = { producerId: 4242, producerEpoch: 7, coordinatorEpoch: 3, timestampMs: 1_700_000_000_000 }

test('a marker is byte for byte what Kafka writes', () => {
  for (const type of ['commit', 'abort'] as const) {
    const batch = encodeControlBatch({ type, ...marker })
    patchPartitionLeaderEpoch(batch, 0, -1)
    expect(batch.toString('hex')).toBe(golden.batches.find(({ name }) => name === `java-${type}`)?.hex)
  }
})

test('a marker reads back as what it ends', () => {
  for (const type of ['commit', 'abort'] as const) {
    const batch = encodeControlBatch({ type, ...marker })
    checkBatch(batch, 0, batch.length)
    expect(readBatchHeader(batch, 0)).toMatchObject({
      isControl: true,
      isTransactional: true,
      producerId: 4242,
      producerEpoch: 7,
      baseSequence: -1,
      recordCount: 1,
    })
    const [{ key, value }] = recordsOf(batch)
    expect(decodeControlRecord(key, value)).toEqual({ type, coordinatorEpoch: 3 })
  }
})

test('a type from a newer Kafka is unknown, not an error', () => {
  expect(decodeControlRecord(Buffer.from('00000005', 'hex'), null)).toEqual({
    type: 'unknown',
    coordinatorEpoch: -1,
  })
  expect(decodeControlRecord(Buffer.from('0001000100', 'hex'), null).type).toBe('commit')
})

test('a control record too short for its fields is GS_BATCH_INVALID', () => {
  for (const [key, value] of [
    [null, null],
    ['', null],
    ['000000', null],
    ['ffff0001', null],
    ['00000001', '0000000000'],
  ]) {
    const decode = () =>
      decodeControlRecord(
        key === null ? null : Buffer.from(key, 'hex'),
        value === null ? null : Buffer.from(value, 'hex'),
      )
    expect(codeOf(decode)).toBe('GS_BATCH_INVALID')
  }
})
