/** What the tests of this area share: the codes that failures carry, samples of records, and repeatable fuzzing. */

import fc from 'fast-check'
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

/** Any record: null and empty parts, repeated header keys, timestamps far apart. */
export const anyRecord: fc.Arbitrary<SampleRecord> = fc.record({
  timestamp: fc.oneof(
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
    fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER - 1 }),
  ),
  key: fc.option(bytesUpTo(40), { freq: 2 }),
  value: fc.option(fc.oneof(bytesUpTo(300), repeatedBytes()), { freq: 8 }),
  headers: fc.array(fc.record({ key: fc.string({ maxLength: 12 }), value: fc.option(bytesUpTo(20)) }), {
    maxLength: 3,
  }),
})

export function bytesUpTo(maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes))
}

function repeatedBytes(): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.string({ minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 20_000 }))
    .map(([text, times]) => Buffer.from(text.repeat(times)))
}

/** Runs a property from a fixed seed; a failure says how to repeat it. `GOPHERSHIP_FUZZ_SEED` takes another seed. */
export function fuzz<Ts>(runs: number, property: fc.IProperty<Ts>): void {
  const seed = Number(process.env['GOPHERSHIP_FUZZ_SEED'] ?? 20_260_701)
  const numRuns = process.env['GOPHERSHIP_TEST_LONG'] === '1' ? runs * 20 : runs
  try {
    fc.assert(property, { seed, numRuns })
  } catch (error) {
    throw new Error(`Repeat with: GOPHERSHIP_FUZZ_SEED=${seed} npm run test:only -- test/batch`, {
      cause: error,
    })
  }
}
