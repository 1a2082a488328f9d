import { expect, test } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { countExpired } from '../../src/storage/retention.ts'

const HOUR_MS = 3_600_000
const LIMITS = {
  nowMs: 100 * HOUR_MS,
  retentionMs: -1,
  retentionBytes: -1,
  logStartOffset: asOffset(0),
  durableEndOffset: asOffset(1_000),
}

/** Segments of 100 bytes and 10 offsets each, one per time. */
const segmentsAt = (...hours: number[]) =>
  hours.map((hour, index) => ({
    bytes: 100,
    endOffset: asOffset((index + 1) * 10),
    maxTimestamp: hour * HOUR_MS,
    appendedMs: hour * HOUR_MS,
  }))

test('without limits nothing goes', () => {
  expect(countExpired(segmentsAt(1, 2, 3), LIMITS)).toBe(0)
})

test('by time: a run from the front, up to the first that is young enough', () => {
  expect(countExpired(segmentsAt(1, 99, 2), { ...LIMITS, retentionMs: 10 * HOUR_MS })).toBe(1)
  expect(countExpired(segmentsAt(1, 2, 3), { ...LIMITS, retentionMs: 10 * HOUR_MS })).toBe(3)
})

test('by time: a timestamp from the future keeps a segment no longer than its last append', () => {
  const [first] = segmentsAt(1)
  const future = { ...first, bytes: 100, endOffset: asOffset(10), maxTimestamp: 2 ** 62, appendedMs: HOUR_MS }
  expect(countExpired([future], { ...LIMITS, retentionMs: HOUR_MS })).toBe(1)
})

test('by time: records without a timestamp age from the last append', () => {
  const untimed = { bytes: 100, endOffset: asOffset(10), maxTimestamp: -1, appendedMs: 99.5 * HOUR_MS }
  expect(countExpired([untimed], { ...LIMITS, retentionMs: HOUR_MS })).toBe(0)
  expect(countExpired([untimed], { ...LIMITS, retentionMs: HOUR_MS / 4 })).toBe(1)
})

test('by size: while what remains still holds the limit, and never the last', () => {
  expect(countExpired(segmentsAt(1, 2, 3, 4), { ...LIMITS, retentionBytes: 250 })).toBe(1)
  expect(countExpired(segmentsAt(1, 2, 3, 4), { ...LIMITS, retentionBytes: 200 })).toBe(2)
  expect(countExpired(segmentsAt(1, 2, 3, 4), { ...LIMITS, retentionBytes: 0 })).toBe(3)
})

test('below the start of the log: only what is wholly below, and never the last', () => {
  expect(countExpired(segmentsAt(1, 2, 3), { ...LIMITS, logStartOffset: asOffset(15) })).toBe(1)
  expect(countExpired(segmentsAt(1, 2, 3), { ...LIMITS, logStartOffset: asOffset(30) })).toBe(2)
})

test('what is not acknowledged never goes', () => {
  const limits = { ...LIMITS, retentionMs: HOUR_MS, durableEndOffset: asOffset(15) }
  expect(countExpired(segmentsAt(1, 2, 3), limits)).toBe(1)
})

test('an empty last segment stays', () => {
  const empty = { bytes: 0, endOffset: asOffset(10), maxTimestamp: -1, appendedMs: 0 }
  expect(countExpired([empty], { ...LIMITS, retentionMs: 1 })).toBe(0)
})
