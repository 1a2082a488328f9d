/** The options of the pressure, from the configuration: whole percents there are shares here. */

import { pressureThresholds } from '../config/pressure-rules.ts'
import type { Config } from '../config/schema.ts'
import { DEFAULT_DECISION_OPTIONS, type DecisionOptions } from '../pressure/decision.ts'
import { SENSOR_NAMES, type SensorName, type SensorThresholds } from '../pressure/sensors.ts'

/** Sensors that read a share where the option is written in percent. */
const SHARES: readonly SensorName[] = ['lagVelocity', 'spillFill', 'eventLoopUtilization', 'residentMemory']

export function decisionOptions(config: Config): DecisionOptions {
  const { pressure, ingress } = config
  const given = pressureThresholds(config)
  const readingOf = (name: SensorName, written: number) => {
    if (name === 'bytesInFlight') return (written * ingress.admissionBytesMax) / 100
    return SHARES.includes(name) ? written / 100 : written
  }
  const thresholds = Object.fromEntries(
    SENSOR_NAMES.map((name) => {
      const { soft, hard } = given[name]
      return [name, { soft: readingOf(name, soft), hard: readingOf(name, hard) }]
    }),
  ) as SensorThresholds
  return {
    ...DEFAULT_DECISION_OPTIONS,
    thresholds,
    exitScores: { yellow: pressure.yellowExitPercent, red: pressure.redExitPercent },
    dwellMs: pressure.dwellMs,
    lagObjectiveSeconds: pressure.lagObjectiveMs / 1_000,
    observeOnly: pressure.observeOnly,
  }
}
