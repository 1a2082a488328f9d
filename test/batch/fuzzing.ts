/** Repeatable fuzzing: generators of this area, and properties that run from a printed seed. */

import fc from 'fast-check'
import type { SampleRecord } from './samples.ts'

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
