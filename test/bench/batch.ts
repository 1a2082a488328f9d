/**
 * Record batches on one core: 200-byte values without key, 300 a batch (64 KiB, what a producer sends under load),
 * finished with header and CRC. Decoding touches the positions of every key and value. The raw copy of the same bytes
 * and the CRC alone are measured in the same run: machines differ, the ratio to these does not.
 */

import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { compress, inflate } from '../../src/batch/compression/codecs.ts'
import { crcOf, pureCrcOf } from '../../src/batch/crc32c.ts'
import { COMPRESSION, checkBatch, RECORD_BATCH_HEADER_BYTES } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import type { BenchResult } from './report.ts'
import { measure, perSecond } from './report.ts'

const RECORDS = 300
const VALUE_BYTES = 200
const FIRST_TIMESTAMP = 1_700_000_000_000

export async function benchBatch(): Promise<BenchResult[]> {
  const results: BenchResult[] = []
  const add = async (name: string, unit: string, work: () => number, target?: string) => {
    results.push(
      await measure(name, () => perSecond(work), { unit, ...(target === undefined ? {} : { target }) }),
    )
  }

  const value = Buffer.alloc(VALUE_BYTES, 'x')
  const encoder = new BatchEncoder({ bytesInitial: 128 * 1024 })
  const encode = () => {
    encoder.start()
    for (let index = 0; index < RECORDS; index += 1) encoder.append(FIRST_TIMESTAMP + index, null, value)
    encoder.finish()
    return RECORDS
  }
  await add('encode', 'records/s', encode, '8M')

  const batch = Buffer.from(encoder.finish())
  const cursor = new RecordCursor()
  let touched = 0
  await add(
    'decode',
    'records/s',
    () => {
      cursor.open(batch)
      while (cursor.next()) touched += cursor.valueEnd - cursor.valueStart + cursor.keyStart
      return RECORDS
    },
    '10M',
  )
  await add('check and decode', 'records/s', () => {
    checkBatch(batch, 0, batch.length)
    cursor.open(batch)
    while (cursor.next()) touched += cursor.valueEnd - cursor.valueStart + cursor.keyStart
    return RECORDS
  })

  await add('encode from positions', 'records/s', () => {
    encoder.start()
    cursor.open(batch)
    while (cursor.next()) {
      const { timestamp, bytes, keyStart, keyEnd, valueStart, valueEnd } = cursor
      encoder.appendRange(timestamp, bytes, keyStart, keyEnd, valueStart, valueEnd)
    }
    encoder.finish()
    return RECORDS
  })

  const text = JSON.stringify({ body: 'x'.repeat(VALUE_BYTES - 11) })
  await add('encode text in place', 'records/s', () => {
    encoder.start()
    for (let index = 0; index < RECORDS; index += 1)
      encoder.appendText(FIRST_TIMESTAMP + index, value, -1, -1, text)
    encoder.finish()
    return RECORDS
  })

  const target = Buffer.alloc(batch.length)
  await add('reference: copy of the values alone', 'records/s', () => {
    for (let index = 0; index < RECORDS; index += 1) target.set(value, index * VALUE_BYTES)
    return RECORDS
  })
  await add('CRC-32C, native', 'bytes/s', () => {
    touched += crcOf(batch, 0, batch.length)
    return batch.length
  })
  await add('CRC-32C, pure', 'bytes/s', () => {
    touched += pureCrcOf(batch, 0, batch.length)
    return batch.length
  })

  const lines = logLines()
  for (const [name, codec] of Object.entries(COMPRESSION)) {
    if (codec === COMPRESSION.none) continue
    const packed = compress(codec, lines)
    await add(
      `${name} compress (to ${Math.round((100 * packed.length) / lines.length)} %)`,
      'bytes/s',
      () => {
        touched += compress(codec, lines).length
        return lines.length
      },
    )
    await add(`${name} inflate`, 'bytes/s', () => {
      touched += inflate(codec, packed, lines.length).length
      return lines.length
    })
  }
  if (touched < 0 || batch.length < RECORD_BATCH_HEADER_BYTES) throw new Error('Nothing was measured.')
  return results
}

/** 256 KiB of access log lines that differ as real ones do. */
function logLines(): Buffer {
  const lines: string[] = []
  for (let index = 0, bytes = 0; bytes < 256 * 1024; index += 1) {
    const mixed = Math.imul(index, 2_654_435_761) >>> 0
    const line = `10.${mixed & 255}.${(mixed >>> 8) & 255}.7 - - [24/Jul/2026:10:${index % 60}:01 +0000] "GET /items/${mixed % 9_973}?page=${index % 17} HTTP/1.1" ${mixed % 7 === 0 ? 404 : 200} ${mixed % 50_000} "-" "Mozilla/5.0 (X11; Linux x86_64)"\n`
    lines.push(line)
    bytes += line.length
  }
  return Buffer.from(lines.join(''))
}
