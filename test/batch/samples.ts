/** What the tests of this area share: the codes that failures carry, and sample records in and out of batches. */

import type { BatchStartOptions } from '../../src/batch/batch-encoder.ts'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { BatchError } from '../../src/batch/batch-error.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { encodeHeaders } from '../../src/batch/record-headers.ts'

export interface SampleRecord {
  timestamp: number
  key: Buffer | null
  value: Buffer | null
  headers: { key: string; value: Buffer | null }[]
}

/** The code of the failure that `run` throws, or what it threw instead, or 'returned'. */
export function codeOf(run: () => unknown): string {
  try {
    run()
    return 'returned'
  } catch (error) {
    return error instanceof BatchError ? error.code : String(error)
  }
}

/** A batch of its own memory with these records. */
export function batchOf(records: readonly SampleRecord[], options: BatchStartOptions = {}): Buffer {
  const encoder = new BatchEncoder({ bytesMax: 64 * 1024 * 1024 })
  encoder.start(options)
  for (const { timestamp, key, value, headers } of records) {
    encoder.append(timestamp, key, value, headers.length === 0 ? undefined : encodeHeaders(headers))
  }
  return Buffer.from(encoder.finish())
}

/** `count` plain records, `value 0`, `value 1` and so on, a millisecond apart. */
export function plainRecords(count: number): SampleRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    timestamp: 1_700_000_000_000 + index,
    key: null,
    value: Buffer.from(`value ${index}`),
    headers: [],
  }))
}

/** Every record of the batch at `at`, copied out. */
export function recordsOf(bytes: Buffer, at = 0): SampleRecord[] {
  const cursor = new RecordCursor()
  cursor.open(bytes, at)
  const records: SampleRecord[] = []
  while (cursor.next()) {
    records.push({
      timestamp: cursor.timestamp,
      key: cursor.keyBytes(),
      value: cursor.valueBytes(),
      headers: cursor.headers(),
    })
  }
  return records
}

/** The records as lines of text, which are quick to compare where buffers are large. */
export function linesOf(records: readonly SampleRecord[]): string[] {
  const text = (bytes: Buffer | null) => (bytes === null ? 'null' : `"${bytes.toString('latin1')}"`)
  return records.map(({ timestamp, key, value, headers }) => {
    const headerText = headers.map((header) => `${header.key}=${text(header.value)}`).join()
    return `${timestamp} ${text(key)} ${text(value)} ${headerText}`
  })
}
