/**
 * Any bytes give a value or a `WireError`; a value encodes, and what was encoded decodes to the same value. Bytes come from
 * nowhere, and from golden messages that are bent a little. `GOPHERSHIP_TEST_LONG=1` runs twenty times as many.
 */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AnyApi } from '../../src/wire/api.ts'
import { findApi } from '../../src/wire/apis.ts'
import { decodeRequestHeader } from '../../src/wire/frame.ts'
import { WireError } from '../../src/wire/wire-error.ts'
import { WireWriter } from '../../src/wire/wire-writer.ts'
import type { Golden } from './goldens.ts'
import { decodeAs, goldens } from './goldens.ts'

const RUN_COUNT = process.env['GOPHERSHIP_TEST_LONG'] === '1' ? 200_000 : 10_000

/** Generous, because the long run shares its machine. */
const TEST_MS_MAX = 240_000

const anyGolden = fc.constantFrom(...goldens)

/** A change to a message: overwrite, insert, remove, repeat or cut. */
const anyChange = fc.record({
  kind: fc.constantFrom('overwrite', 'insert', 'remove', 'repeat', 'cut'),
  at: fc.nat({ max: 0xffff }),
  count: fc.integer({ min: 1, max: 8 }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
})

type Change = typeof anyChange extends fc.Arbitrary<infer Value> ? Value : never

function bent(body: Buffer, { kind, at, count, bytes }: Change): Buffer {
  const from = body.length === 0 ? 0 : at % body.length
  const before = body.subarray(0, from)
  switch (kind) {
    case 'overwrite':
      return Buffer.concat([before, bytes, body.subarray(from + bytes.length)])
    case 'insert':
      return Buffer.concat([before, bytes, body.subarray(from)])
    case 'remove':
      return Buffer.concat([before, body.subarray(from + count)])
    case 'repeat':
      return Buffer.concat([before, body.subarray(from, from + count * 8), body.subarray(from)])
    default:
      return before
  }
}

function encodeAs({ api: key, version, direction }: Golden, value: unknown): Buffer {
  const api = findApi(key) as AnyApi // the golden test says that every golden message has a table
  const writer = new WireWriter()
  if (direction === 'request') api.encodeRequest(version, value as never, writer)
  else api.encodeResponse(version, value as never, writer)
  return Buffer.concat(writer.finish())
}

/** Decodes, and if there is a value, sends it there and back. */
function check(golden: Golden, body: Buffer): 'value' | 'refused' {
  let value: unknown
  try {
    value = decodeAs(golden, body)
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    expect(error.code).toBe('GS_WIRE_MALFORMED')
    return 'refused'
  }
  expect(decodeAs(golden, encodeAs(golden, value))).toEqual(value)
  return 'value'
}

describe('decoding', () => {
  it(
    'gives a value or a WireError for any bytes',
    () => {
      fc.assert(
        fc.property(anyGolden, fc.uint8Array({ maxLength: 120 }), (golden, bytes) => {
          check(golden, Buffer.from(bytes))
        }),
        { seed: 20_003, numRuns: RUN_COUNT },
      )
    },
    TEST_MS_MAX,
  )

  it(
    'gives a value or a WireError for a golden message that was bent',
    () => {
      const outcomes = { value: 0, refused: 0 }
      fc.assert(
        fc.property(anyGolden, fc.array(anyChange, { minLength: 1, maxLength: 3 }), (golden, changes) => {
          outcomes[check(golden, changes.reduce(bent, Buffer.from(golden.body, 'hex')))]++
        }),
        { seed: 20_004, numRuns: RUN_COUNT },
      )
      // Both ends must be met often, or the fuzz tests nothing.
      expect(outcomes.value).toBeGreaterThan(RUN_COUNT / 50)
      expect(outcomes.refused).toBeGreaterThan(RUN_COUNT / 50)
    },
    TEST_MS_MAX,
  )

  it(
    'gives a header or a WireError for any bytes',
    () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 61 }), (bytes, key) => {
          const frame = Buffer.from([0, key, ...bytes])
          try {
            expect(decodeRequestHeader(frame).bodyStart).toBeLessThanOrEqual(frame.length)
          } catch (error) {
            expect(error).toBeInstanceOf(WireError)
          }
        }),
        { seed: 20_005, numRuns: RUN_COUNT },
      )
    },
    TEST_MS_MAX,
  )
})
