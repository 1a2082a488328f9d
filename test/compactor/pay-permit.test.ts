import { describe, expect, test } from 'vitest'
import type { PayCircumstances } from '../../src/compactor/pay-permit.ts'
import { permitFor, SteadyGreen } from '../../src/compactor/pay-permit.ts'

const NOW_MS = 1_000_000
const IDEAL: PayCircumstances = {
  isEmergency: false,
  isPaused: false,
  zone: 'green',
  driver: 'none',
  greenMs: 10_000,
  steadyMs: 10_000,
  isIdleHour: true,
  idleFromMs: null,
  isOrdered: false,
  isUrgent: false,
}
const permit = (changes: Partial<PayCircumstances>) => permitFor({ ...IDEAL, ...changes }, NOW_MS)
const NOTHING = { all: false, ordered: false, urgent: false }

describe('permitFor', () => {
  test('in an idle hour, under pressure that is green and steady, all debt may be paid', () => {
    expect(permit({})).toMatchObject({ all: true, reason: 'none', explanation: '' })
  })

  test.each(['yellow', 'red'] as const)('nothing is paid in %s', (zone) => {
    expect(permit({ zone, greenMs: 0, driver: 'lagSeconds' })).toMatchObject({
      ...NOTHING,
      reason: 'pressure',
      explanation: `pressure is ${zone} (lagSeconds)`,
    })
  })

  test('green has to hold for a while, and it is said for how long', () => {
    expect(permit({ greenMs: 9_999 })).toMatchObject({
      ...NOTHING,
      reason: 'steadiness',
      endsMs: NOW_MS + 1,
    })
  })

  test('outside the idle hours nothing is paid, and it is said when the next one begins', () => {
    expect(permit({ isIdleHour: false, idleFromMs: NOW_MS + 5 })).toMatchObject({
      ...NOTHING,
      reason: 'window',
      endsMs: NOW_MS + 5,
    })
  })

  test('what was ordered is paid outside the hours and under any pressure, and nothing else is', () => {
    for (const changes of [{ isIdleHour: false }, { zone: 'red', greenMs: 0 }, { greenMs: 0 }] as const) {
      expect(permit({ ...changes, isOrdered: true })).toMatchObject({ all: false, ordered: true })
    }
  })

  test('what is urgent is paid outside the hours and in yellow, but not in red', () => {
    expect(permit({ isUrgent: true, isIdleHour: false })).toMatchObject({ all: false, urgent: true })
    expect(permit({ isUrgent: true, zone: 'yellow', greenMs: 0 })).toMatchObject({ all: false, urgent: true })
    expect(permit({ isUrgent: true, zone: 'red', greenMs: 0 })).toMatchObject(NOTHING)
  })

  test('the emergency switch stops even what was ordered and what is urgent', () => {
    expect(permit({ isEmergency: true, isOrdered: true, isUrgent: true })).toMatchObject({
      ...NOTHING,
      reason: 'emergency',
    })
  })

  test('so does a pause', () => {
    expect(permit({ isPaused: true, isOrdered: true, isUrgent: true })).toMatchObject({
      ...NOTHING,
      reason: 'paused',
    })
  })
})

test('green counts from its first look, and any other zone begins it anew', () => {
  const steady = new SteadyGreen()

  expect(steady.observe('green', 100)).toBe(0)
  expect(steady.observe('green', 700)).toBe(600)
  expect(steady.observe('yellow', 800)).toBe(0)
  expect(steady.observe('green', 900)).toBe(0)
  expect(steady.observe('green', 1_000)).toBe(100)
})
