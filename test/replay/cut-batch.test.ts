import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { BatchEncoder, encodeHeaders } from '../../src/batch/batch-encoder.ts'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  COMPRESSION,
  type Compression,
  checkBatch,
  isBatchIntact,
  lastOffsetAt,
  patchAttributes,
  patchBaseOffset,
  patchCompacted,
  RECORD_BATCH_HEADER_BYTES,
} from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { BatchCutter, LogBatchMaker } from '../../src/replay/cut-batch.ts'
import { recordFilter } from '../../src/replay/record-filter.ts'

const BASE_OFFSET = 1_000

/** Offsets 1000-1004 with keys, values, headers and times of their own. */
function vaultBatch(compression: Compression = COMPRESSION.none): Buffer {
  const encoder = new BatchEncoder()
  encoder.start({ compression })
  for (let index = 0; index < 5; index += 1) {
    const headers = encodeHeaders([{ key: 'h', value: Buffer.from([index]) }])
    encoder.append(
      5_000 - index,
      Buffer.from(index % 2 === 0 ? 'even' : 'odd'),
      Buffer.from(`value ${index}`),
      headers,
    )
  }
  const batch = Buffer.from(encoder.finish())
  patchBaseOffset(batch, 0, BASE_OFFSET)
  return batch
}

function recordsOf(batch: Buffer): string[] {
  const cursor = new RecordCursor()
  const records: string[] = []
  cursor.open(batch)
  while (cursor.next()) {
    const header = cursor.headers()[0]?.value?.toString('hex')
    records.push(`${cursor.offset} ${cursor.timestamp} ${cursor.keyBytes()} ${cursor.valueBytes()} ${header}`)
  }
  return records
}

const cut = (
  batch: Buffer,
  from: number,
  end: number,
  key: string | null = null,
  match: string | null = null,
) => new BatchCutter(recordFilter({ key, match })).cut(batch, 0, { from, end })

describe('a batch that is replayed', () => {
  it('is its very bytes when all of it is taken', () => {
    const batch = vaultBatch(COMPRESSION.lz4)

    const taken = cut(batch, 0, 5_000)

    expect(taken).toMatchObject({ recordCount: 5, isVerbatim: true })
    expect(taken?.bytes.equals(batch)).toBe(true)
    expect(cut(batch, 0, 5_000, null, 'value')?.bytes.equals(batch)).toBe(true)
  })

  it.each(Object.entries(COMPRESSION))(
    'keeps the records that are taken as they are, with their offsets: %s',
    (_, codec) => {
      const batch = vaultBatch(codec)
      const all = recordsOf(batch)

      const edge = cut(batch, 1_001, 1_003)
      const odd = cut(batch, 0, 5_000, 'odd')
      const matching = cut(batch, 0, 5_000, null, '/VALUE [04]/i')

      expect(recordsOf(edge?.bytes as Buffer)).toEqual([all[1], all[2]])
      expect(recordsOf(odd?.bytes as Buffer)).toEqual([all[1], all[3]])
      expect(recordsOf(matching?.bytes as Buffer)).toEqual([all[0], all[4]])
      expect([edge, odd, matching].map((one) => one?.recordCount)).toEqual([2, 2, 2])
      for (const one of [edge, odd, matching]) expect(isBatchIntact(one?.bytes as Buffer, 0, 1e9)).toBe(true)
    },
  )

  it('is nothing when nothing of it is taken', () => {
    expect(cut(vaultBatch(), 1_005, 2_000)).toBe(null)
    expect(cut(vaultBatch(), 0, 5_000, 'none')).toBe(null)
  })
})

describe('a batch for another log', () => {
  it('has the records region of the vault, byte for byte, and base offset 0', () => {
    // As another client would have packed them: our own encoder gives other bytes.
    const plain = vaultBatch()
    const packed = gzipSync(plain.subarray(RECORD_BATCH_HEADER_BYTES), { level: 0 })
    const batch = Buffer.concat([plain.subarray(0, RECORD_BATCH_HEADER_BYTES), packed])
    const kept = { baseTimestamp: null, maxTimestamp: null, recordCount: 5 }
    patchCompacted(batch, 0, { ...kept, batchBytes: batch.length, attributes: COMPRESSION.gzip })

    const made = new LogBatchMaker().make(Buffer.from(batch))

    expect(made.subarray(21).equals(batch.subarray(21))).toBe(true)
    expect(lastOffsetAt(made, 0)).toBe(4)
    expect(() => checkBatch(made, 0, made.length)).not.toThrow()
  })

  it('closes the gaps that a filter left, because a log gives offsets without', () => {
    const made = new LogBatchMaker().make(cut(vaultBatch(), 0, 5_000, 'odd')?.bytes as Buffer)

    expect(() => checkBatch(made, 0, made.length)).not.toThrow()
    expect(recordsOf(made)).toEqual(['0 4999 odd value 1 01', '1 4997 odd value 3 03'])
  })

  it('has the times that readers of the vault saw, where the vault stamped them', () => {
    const batch = vaultBatch()
    patchAttributes(batch, 0, attributesAt(batch, 0) | BATCH_ATTRIBUTE.logAppendTime)
    const seen = recordsOf(batch).map((record) => record.split(' ')[1])

    const made = new LogBatchMaker().make(batch)

    expect(recordsOf(made).map((record) => record.split(' ')[1])).toEqual(seen)
    expect(attributesAt(made, 0) & BATCH_ATTRIBUTE.logAppendTime).toBe(0)
  })
})
