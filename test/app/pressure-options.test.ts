import { expect, test } from 'vitest'
import { decisionOptions } from '../../src/app/pressure-options.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { DEFAULT_DECISION_OPTIONS } from '../../src/pressure/decision.ts'
import { SENSOR_NAMES } from '../../src/pressure/sensors.ts'

const optionsOf = (flags: Record<string, string>) =>
  decisionOptions(loadConfig({ flags: new Map(Object.entries(flags)) }).config)

test('the defaults of the configuration are those of the decision', () => {
  const { thresholds, ...options } = optionsOf({})
  const { thresholds: expected, ...others } = DEFAULT_DECISION_OPTIONS

  expect(options).toEqual(others)
  for (const name of SENSOR_NAMES) {
    expect(thresholds[name], name).toEqual({ soft: expected[name].soft, hard: expected[name].hard })
  }
})

test('percents become shares, and lag follows its objective unless it is set', () => {
  const { thresholds, lagObjectiveSeconds } = optionsOf({
    'pressure.lagObjectiveMs': '20s',
    'pressure.soft.residentMemory': '70',
    'pressure.hard.bytesInFlight': '80',
    'ingress.admissionBytesMax': '100MiB',
  })

  expect(lagObjectiveSeconds).toBe(20)
  expect(thresholds.lagSeconds).toEqual({ soft: 5, hard: 20 })
  expect(thresholds.residentMemory).toEqual({ soft: 0.7, hard: 0.92 })
  expect(thresholds.bytesInFlight).toEqual({ soft: 60 * 1024 * 1024, hard: 80 * 1024 * 1024 })
  expect(optionsOf({ 'pressure.soft.lagSeconds': '7' }).thresholds.lagSeconds).toEqual({ soft: 7, hard: 60 })
})
