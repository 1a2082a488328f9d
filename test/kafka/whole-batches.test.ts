import { expect, test } from 'vitest'
import { findWholeBatches } from '../../src/kafka/whole-batches.ts'
import { batchOf } from './support.ts'

function at(baseOffset: number, batch: Buffer): Buffer {
  batch.writeBigInt64BE(BigInt(baseOffset), 0)
  return batch
}

const OPTIONS = { fetchOffset: 5, checkCrcs: true }

test('whole batches are counted to their last offset', () => {
  const bytes = Buffer.concat([at(5, batchOf('a', 'b')), at(7, batchOf('c'))])
  expect(findWholeBatches(bytes, OPTIONS)).toEqual({ end: bytes.length, nextOffset: 8, cutBatchBytes: 0 })
})

test('a batch cut anywhere is left out, and its size is told when its bytes say it', () => {
  const whole = at(5, batchOf('a', 'b'))
  const last = at(7, batchOf('c'))
  for (let cut = 1; cut < last.length; cut++) {
    const found = findWholeBatches(Buffer.concat([whole, last.subarray(0, cut)]), OPTIONS)
    expect(found).toEqual({ end: whole.length, nextOffset: 7, cutBatchBytes: cut < 12 ? cut : last.length })
  }
})

test('a batch from before the fetch offset never moves the position back', () => {
  expect(findWholeBatches(at(0, batchOf('a')), OPTIONS).nextOffset).toBe(5)
})

test('a damaged batch is named with its offset, unless CRCs are not wanted', () => {
  const bytes = at(5, batchOf('a', 'b'))
  bytes[bytes.length - 2] = 0xff
  expect(() => findWholeBatches(bytes, OPTIONS)).toThrow(
    expect.objectContaining({ code: 'GS_BATCH_CORRUPT', facts: expect.objectContaining({ baseOffset: 5 }) }),
  )
  expect(findWholeBatches(bytes, { ...OPTIONS, checkCrcs: false }).nextOffset).toBe(7)
})

test('bytes that are not record batches of format 2 are refused', () => {
  const old = at(5, batchOf('a'))
  old[16] = 1
  expect(() => findWholeBatches(old, OPTIONS)).toThrow(expect.objectContaining({ code: 'GS_BATCH_INVALID' }))
  const short = at(5, batchOf('a'))
  short.writeInt32BE(-40, 8)
  expect(() => findWholeBatches(short, OPTIONS)).toThrow(
    expect.objectContaining({ code: 'GS_BATCH_INVALID' }),
  )
})
