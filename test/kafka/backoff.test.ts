import { expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { GopherShipError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { backoffMs, withRetries } from '../../src/kafka/backoff.ts'

const OPTIONS = { initialMs: 100, maxMs: 1_000 }
const random = seededRandom(7)

test('waits double from the first to the longest, give or take a fifth, for ever', () => {
  for (const [failureCount, base] of [
    [1, 100],
    [2, 200],
    [4, 800],
    [5, 1_000],
    [1_000_000, 1_000],
  ] as const) {
    for (let round = 0; round < 100; round++) {
      const waitMs = backoffMs(OPTIONS, failureCount, random)
      expect(waitMs).toBeGreaterThanOrEqual(base * 0.8)
      expect(waitMs).toBeLessThanOrEqual(base * 1.2)
    }
  }
})

/** A clock whose waits take no time and are written down. */
function countingClock(): Clock & { readonly waitsMs: number[] } {
  let nowMs = 0
  const waitsMs: number[] = []
  return {
    waitsMs,
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: () => ({ cancel: () => {} }),
    async sleep(delayMs) {
      waitsMs.push(delayMs)
      nowMs += delayMs
    },
  }
}

const passing = new GopherShipError('GS_KAFKA_DISCONNECTED', 'gone', { retriable: true })

test('an attempt that fails in passing is repeated, and the last failure is thrown at the deadline', async () => {
  const clock = countingClock()
  let attempts = 0
  const failing = withRetries({ clock, random, backoff: OPTIONS, deadlineAtMs: 5_000 }, async () => {
    attempts++
    throw passing
  })
  await expect(failing).rejects.toBe(passing)
  expect(attempts).toBe(clock.waitsMs.length + 1)
  expect(clock.monotonicMs()).toBeLessThanOrEqual(5_000)
  expect(clock.monotonicMs()).toBeGreaterThan(3_000)
})

test('an attempt that fails for good is not repeated', async () => {
  const clock = countingClock()
  const failing = withRetries({ clock, random, backoff: OPTIONS, deadlineAtMs: 5_000 }, async () => {
    throw new GopherShipError('GS_KAFKA_RESPONSE', 'no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(clock.waitsMs).toEqual([])
})
