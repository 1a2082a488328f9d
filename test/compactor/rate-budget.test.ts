import { describe, expect, test } from 'vitest'
import { PayProgress, remainingMs } from '../../src/compactor/pay-progress.ts'
import { RateBudget } from '../../src/compactor/rate-budget.ts'
import { manualClock } from '../support/manual-clock.ts'

describe('RateBudget', () => {
  test('over a minute no more is paid than the rate allows, whatever the size of the batches', () => {
    const clock = manualClock()
    const budget = new RateBudget({ recordCount: 1_000, bytes: 0 }, clock)
    let paidCount = 0
    let size = 1
    while (clock.monotonicMs() < 60_000) {
      if (budget.waitMs() > 0) clock.advance(budget.waitMs())
      // Chunks of very different sizes, some far over what is available.
      size = (size * 7 + 3) % 2_900
      budget.spend({ recordCount: size, bytes: size * 100 })
      paidCount += size
    }

    const allowed = (clock.monotonicMs() / 1_000) * 1_000
    expect(paidCount).toBeLessThanOrEqual(allowed + 1_000 + 2_900)
    expect(paidCount).toBeGreaterThan(allowed * 0.95)
  })

  test('the tighter of records and bytes counts', () => {
    const clock = manualClock()
    const budget = new RateBudget({ recordCount: 1_000, bytes: 1_000 }, clock)

    budget.spend({ recordCount: 10, bytes: 3_000 })

    expect(budget.available()).toEqual({ recordCount: 990, bytes: 0 })
    expect(budget.waitMs()).toBe(2_100)
    clock.advance(2_100)
    expect(budget.waitMs()).toBe(0)
    expect(budget.available().bytes).toBe(100)
  })

  test('what is not used is not saved up beyond a second', () => {
    const clock = manualClock()
    const budget = new RateBudget({ recordCount: 10, bytes: 0 }, clock)

    clock.advance(3_600_000)

    expect(budget.available().recordCount).toBe(10)
  })

  test('0 sets no limit', () => {
    const budget = new RateBudget({ recordCount: 0, bytes: 0 }, manualClock())

    budget.spend({ recordCount: 1e9, bytes: 1e12 })

    expect(budget.waitMs()).toBe(0)
    expect(budget.available()).toEqual({ recordCount: Infinity, bytes: Infinity })
  })
})

describe('PayProgress', () => {
  test('the rate is that of the last half minute', () => {
    const progress = new PayProgress()
    for (let ms = 0; ms <= 60_000; ms += 100) progress.add(ms < 30_000 ? 1_000 : 50, ms)

    expect(progress.ratePerSecond(60_000)).toBeCloseTo(500, -2)
  })

  test('there is no rate in the first second, nor while nothing is paid', () => {
    const progress = new PayProgress()
    progress.begin(0)
    progress.add(5_000, 900)

    expect(progress.ratePerSecond(900)).toBeNull()
    expect(progress.ratePerSecond(2_000)).toBe(2_500)
    progress.end()
    expect(progress.ratePerSecond(2_000)).toBeNull()
  })

  test('a hold is no part of the rate', () => {
    const progress = new PayProgress()
    progress.add(1_000, 0)
    progress.end()
    progress.begin(100_000)
    progress.add(4_000, 101_000)

    expect(progress.ratePerSecond(102_000)).toBe(2_000)
  })

  test('the time left is what is left by the rate', () => {
    expect(remainingMs(1_000, 500)).toBe(2_000)
    expect(remainingMs(0, null)).toBe(0)
    expect(remainingMs(1, null)).toBeNull()
    expect(remainingMs(1, 0)).toBeNull()
  })
})
