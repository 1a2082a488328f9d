import { describe, expect, test } from 'vitest'
import { COMPRESSION, patchBaseOffset } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { batchOf, codeOf, plainRecords, recordsOf } from './samples.ts'

/** A batch whose records region is exactly these bytes. */
function batchWithRecords(count: number, hex: string): Buffer {
  const header = Buffer.from(batchOf(plainRecords(1)).subarray(0, 61))
  const batch = Buffer.concat([header, Buffer.from(hex, 'hex')])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(count, 57)
  return batch
}

function walk(batch: Buffer): string {
  return codeOf(() => {
    const cursor = new RecordCursor()
    cursor.open(batch)
    while (cursor.next()) cursor.headers()
  })
}

test('positions point at the key and value, and a null part starts at -1', () => {
  const batch = batchOf([
    { timestamp: 5, key: Buffer.from('k'), value: Buffer.from('vv'), headers: [] },
    { timestamp: 6, key: null, value: null, headers: [] },
    { timestamp: 7, key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [] },
  ])
  const cursor = new RecordCursor()
  cursor.open(batch)
  expect(cursor.next()).toBe(true)
  expect(cursor.bytes.toString('utf8', cursor.keyStart, cursor.keyEnd)).toBe('k')
  expect(cursor.bytes.toString('utf8', cursor.valueStart, cursor.valueEnd)).toBe('vv')
  expect(cursor.next()).toBe(true)
  expect([cursor.keyStart, cursor.keyEnd, cursor.valueStart, cursor.valueEnd]).toEqual([-1, -1, -1, -1])
  expect([cursor.keyBytes(), cursor.valueBytes()]).toEqual([null, null])
  expect(cursor.next()).toBe(true)
  expect([cursor.keyBytes(), cursor.valueBytes()]).toEqual([Buffer.alloc(0), Buffer.alloc(0)])
  expect(cursor.next()).toBe(false)
  expect(cursor.next()).toBe(false)
})

test('offsets count from the base offset', () => {
  const batch = batchOf(plainRecords(3))
  patchBaseOffset(batch, 0, 4_000_000_000)
  const cursor = new RecordCursor()
  cursor.open(batch)
  const seen: [number, number][] = []
  while (cursor.next()) seen.push([cursor.recordIndex, cursor.offset])
  expect(seen).toEqual([
    [0, 4_000_000_000],
    [1, 4_000_000_001],
    [2, 4_000_000_002],
  ])
})

test('a view of an uncompressed value shares the batch’s memory', () => {
  const batch = batchOf(plainRecords(1))
  const cursor = new RecordCursor()
  cursor.open(batch)
  cursor.next()
  expect(cursor.valueBytes()?.buffer).toBe(batch.buffer)
})

test('views of a compressed batch outlive the cursor’s next batch', () => {
  for (const compression of Object.values(COMPRESSION)) {
    const cursor = new RecordCursor()
    cursor.open(batchOf(plainRecords(50), { compression }))
    cursor.next()
    const held = cursor.valueBytes()
    cursor.open(
      batchOf([{ timestamp: 1, key: null, value: Buffer.alloc(5_000, 'z'), headers: [] }], { compression }),
    )
    cursor.next()
    expect(held?.toString()).toBe('value 0')
  }
})

test('batches lying one behind the other are walked with one cursor', () => {
  const bytes = Buffer.concat([
    batchOf(plainRecords(2)),
    batchOf(plainRecords(3), { compression: COMPRESSION.lz4 }),
  ])
  const cursor = new RecordCursor()
  const counts: number[] = []
  for (let at = 0; at < bytes.length; ) {
    at += cursor.open(bytes, at).batchBytes
    let count = 0
    while (cursor.next()) count += 1
    counts.push(count)
  }
  expect(counts).toEqual([2, 3])
})

test('headers are found by name, the last one wins, and null is told from missing', () => {
  const headers = [
    { key: 'a', value: Buffer.from('1') },
    { key: 'ü', value: null },
    { key: 'a', value: Buffer.from('2') },
    { key: '', value: Buffer.alloc(0) },
  ]
  const cursor = new RecordCursor()
  cursor.open(batchOf([{ timestamp: 1, key: null, value: null, headers }]))
  cursor.next()
  expect(cursor.headers()).toEqual(headers)
  expect(cursor.findHeader('a')?.toString()).toBe('2')
  expect(cursor.findHeader('ü')).toBe(null)
  expect(cursor.findHeader('')).toEqual(Buffer.alloc(0))
  expect(cursor.findHeader('missing')).toBe(undefined)
})

test('the region of encoded headers can be appended to another record as it is', () => {
  const headers = [{ key: 'content-type', value: Buffer.from('text/plain') }]
  const cursor = new RecordCursor()
  cursor.open(batchOf([{ timestamp: 1, key: null, value: Buffer.from('v'), headers }]))
  cursor.next()
  expect(cursor.headersBytes()).toEqual(cursor.bytes.subarray(cursor.headersStart, cursor.headersEnd))
})

test('with the append-time bit set every record has the batch’s latest timestamp', () => {
  const batch = batchOf(plainRecords(3))
  batch[22] |= 0x08
  expect(recordsOf(batch).map(({ timestamp }) => timestamp)).toEqual(Array(3).fill(1_700_000_000_002))
})

test('a base timestamp of 2^63 - 1 and a delta of 10 bytes do not throw', () => {
  // length, attributes, delta 2^63 - 1, offset 0, null key, null value, no headers
  const batch = batchWithRecords(1, `1e00${'feffffffffffffffff01'}00010100`)
  batch.writeBigInt64BE(2n ** 63n - 1n, 27)
  const [record] = recordsOf(batch)
  expect(record.timestamp).toBe(2 ** 64)
})

describe('a malformed record is GS_BATCH_INVALID', () => {
  const cases: [string, number, string][] = [
    ['no bytes at all', 1, ''],
    ['a length of -1', 1, '0100000001010000'],
    ['a length below the smallest record', 1, '0a000000010100'],
    ['a length longer than the batch', 1, '0e000000010100'],
    ['a length of 2^31 - 1', 1, 'feffffff0f000000010100'],
    ['a key longer than the record', 1, '0c000000040100'],
    ['a key length of -2', 1, '0c000000030100'],
    ['a value longer than the record', 1, '0c000000010400'],
    ['a value length of -2', 1, '0c000000010300'],
    ['a key that swallows the rest', 1, '0c000000040000'],
    ['a negative header count', 1, '0c000000010101'],
    ['a header count over what is left', 1, '0c00000001010e'],
    ['bytes left over inside the record', 1, '0e00000001010000'],
    ['bytes left over behind the last record', 1, '0c000000010100ff'],
    ['fewer records than counted', 2, '0c0000000101000c0000000101'],
    ['a varint that never ends', 1, 'ffffffffffffff'],
    ['a null header key whose length, read twice, would come out even', 1, '1400000001010401024101'],
    ['a header with a null key', 1, '100000000101020100'],
    ['a header value longer than the record', 1, '10000000010102000e'],
    ['a header value length of -2', 1, '100000000101020003'],
  ]
  for (const [name, count, hex] of cases) {
    test(name, () => {
      expect(walk(batchWithRecords(count, hex))).toBe('GS_BATCH_INVALID')
    })
  }

  test('while the well-formed neighbour of these is read', () => {
    expect(walk(batchWithRecords(1, '0c000000010100'))).toBe('returned')
    expect(walk(batchWithRecords(1, '100000000101020001'))).toBe('returned')
  })
})

describe('limits', () => {
  const open = (batch: Buffer, limits: { inflatedBytesMax?: number; recordsMax?: number }) =>
    codeOf(() => new RecordCursor().open(batch, 0, limits))

  test('more records than allowed are GS_BATCH_TOO_LARGE, exactly as many pass', () => {
    const batch = batchOf(plainRecords(10))
    expect(open(batch, { recordsMax: 9 })).toBe('GS_BATCH_TOO_LARGE')
    expect(open(batch, { recordsMax: 10 })).toBe('returned')
  })

  test('more inflated bytes than allowed are GS_BATCH_TOO_LARGE in every codec, exactly as many pass', () => {
    const plainBytes = batchOf(plainRecords(1_000)).length - 61
    for (const compression of [1, 2, 3, 4] as const) {
      const batch = batchOf(plainRecords(1_000), { compression })
      expect(open(batch, { inflatedBytesMax: plainBytes - 1 })).toBe('GS_BATCH_TOO_LARGE')
      expect(open(batch, { inflatedBytesMax: plainBytes })).toBe('returned')
    }
  })

  test('a count that the bytes cannot hold is refused before any record is read', () => {
    const batch = batchOf(plainRecords(2))
    batch.writeInt32BE(400_000, 57)
    expect(open(batch, {})).toBe('GS_BATCH_INVALID')
    batch.writeInt32BE(-1, 57)
    expect(open(batch, {})).toBe('GS_BATCH_INVALID')
  })

  test('a batch cut short, of another magic or with a wild length field is GS_BATCH_INVALID', () => {
    const batch = batchOf(plainRecords(2))
    expect(open(batch.subarray(0, 60), {})).toBe('GS_BATCH_INVALID')
    expect(open(batch.subarray(0, batch.length - 1), {})).toBe('GS_BATCH_INVALID')
    batch.writeInt32BE(-12, 8)
    expect(open(batch, {})).toBe('GS_BATCH_INVALID')
    batch[16] = 1
    expect(open(batch, {})).toBe('GS_BATCH_INVALID')
  })

  test('after a failure the cursor holds no records of the batch before', () => {
    const cursor = new RecordCursor()
    cursor.open(batchOf(plainRecords(5)))
    cursor.next()
    expect(codeOf(() => cursor.open(Buffer.alloc(10)))).toBe('GS_BATCH_INVALID')
    expect(cursor.next()).toBe(false)
  })
})
