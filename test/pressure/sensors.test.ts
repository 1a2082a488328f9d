import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  DEFAULT_THRESHOLDS,
  RED_SCORE,
  SENSOR_NAMES,
  scoreOf,
  worstOf,
  YELLOW_SCORE,
} from '../../src/pressure/sensors.ts'
import { checkProperty } from '../support/seeded-property.ts'

describe('a sensor’s score', () => {
  it.each(SENSOR_NAMES)('of %s is 40 at its soft threshold and 80 at its hard one', (name) => {
    const thresholds = DEFAULT_THRESHOLDS[name]

    expect(scoreOf(thresholds.soft, thresholds)).toBe(YELLOW_SCORE)
    expect(scoreOf(thresholds.hard, thresholds)).toBeCloseTo(RED_SCORE, 9)
    expect(scoreOf(0, thresholds)).toBe(0)
    expect(scoreOf(Number.POSITIVE_INFINITY, thresholds)).toBe(100)
  })

  it('never falls while the reading rises, and stays between 0 and 100', () => {
    const anyThresholds = fc
      .tuple(
        fc.double({ min: 0.001, max: 1e6, noNaN: true }),
        fc.double({ min: 0.001, max: 1e6, noNaN: true }),
      )
      .map(([soft, span]) => ({ soft, hard: soft + span }))
    const anyValue = fc.double({ min: -1e6, max: 1e7, noNaN: true })
    checkProperty(
      'test/pressure/sensors.test.ts',
      500,
      fc.property(anyThresholds, anyValue, anyValue, (thresholds, a, b) => {
        const [low, high] = [scoreOf(Math.min(a, b), thresholds), scoreOf(Math.max(a, b), thresholds)]
        return low >= 0 && low <= high && high <= 100
      }),
    )
  })

  it('shows no pressure for memory in everyday use', () => {
    expect(scoreOf(0.6, DEFAULT_THRESHOLDS.residentMemory)).toBe(0)
  })

  it('cannot be worked out from thresholds in the wrong order', () => {
    expect(() => scoreOf(1, { soft: 5, hard: 5 })).toThrow(
      /expected 0 < soft < hard, found soft 5 and hard 5/,
    )
  })
})

describe('worstOf', () => {
  it('names the sensor of the family that is worst', () => {
    const readings = { lagSeconds: 84, lagRecords: 100, eventLoopDelayMs: 150, residentMemory: 0.9 }

    expect(worstOf(readings, DEFAULT_THRESHOLDS, 'lag')).toMatchObject({ name: 'lagSeconds', value: 84 })
    expect(worstOf(readings, DEFAULT_THRESHOLDS, 'strain')).toMatchObject({ name: 'residentMemory' })
  })

  it('passes over what is not known', () => {
    const readings = { lagSeconds: null, lagRecords: Number.NaN }

    expect(worstOf(readings, DEFAULT_THRESHOLDS, 'lag')).toBeNull()
  })
})
