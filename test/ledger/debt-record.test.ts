import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { isFailure } from '../../src/core/errors.ts'
import { LEDGER_RECORD_BYTES_MAX } from '../../src/core/limits.ts'
import {
  decodeDebtEntry,
  decodeDebtKey,
  encodeDebtKey,
  encodeDebtValue,
} from '../../src/ledger/debt-record.ts'
import { checkProperty } from '../support/seeded-property.ts'
import { debt } from './support.ts'

const KEY = '["density-tier","raw-vault.orders",3,1200,"owed"]'
const VALUE =
  '{"version":1,"last":1999,"state":"open","tier":"passthrough","recordCount":800,"bytes":181244,' +
  '"timestampMinMs":1767225600000,"timestampMaxMs":1767225603000,"zone":"red","driver":"lagSeconds",' +
  '"openedMs":1767225660000,"closedMs":null}'
const entry = debt(1_200, 1_999, {
  bytes: 181_244,
  timestampMinMs: 1_767_225_600_000,
  timestampMaxMs: 1_767_225_603_000,
  openedMs: 1_767_225_660_000,
})

describe('a debt record', () => {
  it('is written as it is drawn', () => {
    expect(encodeDebtKey({ ...entry, account: 'owed' }).toString()).toBe(KEY)
    expect(encodeDebtValue(entry).toString()).toBe(VALUE)
  })

  it('is read as it is drawn', () => {
    expect(decodeDebtEntry(Buffer.from(KEY), Buffer.from(VALUE))).toEqual(entry)
  })

  it('survives names with quotes, spaces and letters beyond ASCII', () => {
    const odd = debt(0, 9, {
      topology: 'a "b" \\ ü',
      topic: '日本\n',
      reason: { zone: 'green', driver: '…' },
    })

    expect(decodeDebtEntry(encodeDebtKey({ ...odd, account: 'owed' }), encodeDebtValue(odd))).toEqual(odd)
  })

  it('keeps the largest offsets exactly', () => {
    const far = debt(Number.MAX_SAFE_INTEGER - 5, Number.MAX_SAFE_INTEGER, {
      bytes: 1,
      timestampMinMs: 1,
      timestampMaxMs: 1,
    })

    expect(decodeDebtEntry(encodeDebtKey({ ...far, account: 'owed' }), encodeDebtValue(far))).toEqual(far)
  })

  it('fits its limit with the longest names', () => {
    const longest = '\u0001'.repeat(249)
    const big = debt(0, 9, { topology: longest, topic: longest, reason: { zone: 'red', driver: longest } })

    expect(decodeDebtEntry(encodeDebtKey({ ...big, account: 'owed' }), encodeDebtValue(big))).toEqual(big)
  })

  it('may carry fields that a later release adds', () => {
    const value = Buffer.from(VALUE.replace('{', '{"paidBy":"someone",'))

    expect(decodeDebtEntry(Buffer.from(KEY), value)).toEqual(entry)
  })

  it('of a later version is refused with the way out', () => {
    const value = Buffer.from(VALUE.replace('"version":1', '"version":2'))

    expect(() => decodeDebtEntry(Buffer.from(KEY), value)).toThrow(
      expect.objectContaining({
        code: 'GS_LEDGER_VERSION',
        message: expect.stringContaining('run the newer'),
      }),
    )
  })

  it.each([
    ['a key that is no JSON', 'nonsense', VALUE],
    ['a key that is no list', '{"topology":"a"}', VALUE],
    ['a key with a negative offset', '["a","b",0,-1]', VALUE],
    ['a key with a fraction', '["a","b",0.5,1]', VALUE],
    ['an empty value', KEY, ''],
    ['a value that is no object', KEY, '[1]'],
    ['a value without version', KEY, VALUE.replace('"version":1,', '')],
    ['a range that ends before it begins', KEY, VALUE.replace('1999', '1199')],
    ['an unknown state', KEY, VALUE.replace('"open"', '"paid"')],
    ['an unknown tier', KEY, VALUE.replace('"passthrough"', '"full"')],
    ['more records than offsets', KEY, VALUE.replace('800', '801')],
    ['a settlement without its time', KEY, VALUE.replace('"open"', '"settled"')],
    ['a missing zone', KEY, VALUE.replace('"zone":"red",', '')],
    ['a value over its limit', KEY, VALUE.padEnd(LEDGER_RECORD_BYTES_MAX + 1)],
  ])('is refused with %s', (_, key, value) => {
    expect(() => decodeDebtEntry(Buffer.from(key), Buffer.from(value))).toThrow(
      expect.objectContaining({ code: 'GS_LEDGER_CORRUPT' }),
    )
  })

  it('shows the beginning of what could not be read', () => {
    expect(() => decodeDebtKey(Buffer.from('nonsense'))).toThrow(
      'the key of a debt entry cannot be read: expected JSON, found "nonsense" (8 bytes).',
    )
  })

  it('gives an entry or a declared failure for any bytes', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .tuple(fc.nat({ max: VALUE.length - 1 }), fc.string({ maxLength: 4 }))
        .map(([at, text]) => Buffer.from(VALUE.slice(0, at) + text + VALUE.slice(at + text.length))),
    )
    checkProperty(
      'test/ledger/debt-record.test.ts',
      2_000,
      fc.property(anyBytes, anyBytes, (key, value) => {
        for (const [a, b] of [
          [key, value],
          [Buffer.from(KEY), value],
        ] as const) {
          try {
            const decoded = decodeDebtEntry(a, b)
            const again = decodeDebtEntry(
              encodeDebtKey({ ...decoded, account: 'owed' }),
              encodeDebtValue(decoded),
            )
            assert.deepEqual(again, decoded)
          } catch (error) {
            if (!isFailure(error, 'GS_LEDGER_CORRUPT') && !isFailure(error, 'GS_LEDGER_VERSION')) throw error
          }
        }
      }),
    )
  })

  it('has one key for one range, whatever happens to the range', () => {
    const settled = debt(1_200, 1_500, { state: 'settled', closedMs: 1 })

    expect(encodeDebtKey({ ...settled, account: 'owed' })).toEqual(
      encodeDebtKey({ ...entry, first: asOffset(1_200), account: 'owed' }),
    )
  })
})
