/**
 * What is measured, and how a measurement becomes a score. Every sensor has a soft and a hard threshold; its score is 0 at
 * rest, 40 at soft, 80 at hard, and at most 100. The pressure is the highest score of all sensors and carries the name of
 * the sensor that has it: a number that nobody can explain is not acted on.
 *
 * Sensors come in two families. The planner's cost model already answers lag: it knows which tier drains it in time, so lag
 * below its hard threshold caps nothing. Strain is what no tier choice by arithmetic would see (memory, event loop, a slow
 * upstream), so it caps density from its soft threshold on.
 */

import { strict as assert } from 'node:assert'
import { ADMISSION_BYTES_MAX } from '../core/limits.ts'

export type SensorFamily = 'lag' | 'strain'

export interface Thresholds {
  /** From here on the sensor asks for yellow. */
  readonly soft: number
  /** From here on the sensor asks for red; above `soft`. */
  readonly hard: number
}

interface SensorSpec extends Thresholds {
  readonly family: SensorFamily
  readonly unit: string
  readonly help: string
}

/** Every sensor with its default thresholds. The order is part of the ambient word: append, never reorder. */
export const SENSORS = {
  lagRecords: {
    family: 'lag',
    unit: 'records',
    soft: 5_000_000,
    hard: 50_000_000,
    help: 'Records in the vault that have not been processed.',
  },
  lagSeconds: {
    family: 'lag',
    unit: 's',
    soft: 15,
    hard: 60,
    help: 'How long the next record to be processed has been waiting.',
  },
  lagVelocity: {
    family: 'lag',
    unit: 's/s',
    soft: 0.25,
    hard: 4,
    help: 'Seconds of lag gained in each second; 1 when nothing is processed, negative while catching up.',
  },
  upstreamAckMs: {
    family: 'strain',
    unit: 'ms',
    soft: 1_500,
    hard: 5_000,
    help: 'How long the upstream takes to acknowledge a batch, 99th percentile.',
  },
  bytesInFlight: {
    family: 'strain',
    unit: 'bytes',
    soft: ADMISSION_BYTES_MAX * 0.6,
    hard: ADMISSION_BYTES_MAX * 0.9,
    help: 'Bytes of producers’ data held in memory between socket and vault.',
  },
  spillFill: {
    family: 'strain',
    unit: 'share',
    soft: 0.5,
    hard: 0.85,
    help: 'How full the local spill is.',
  },
  eventLoopDelayMs: {
    family: 'strain',
    unit: 'ms',
    soft: 200,
    hard: 1_000,
    help: 'How late the event loop runs what is due, on average between two looks.',
  },
  // A hard threshold out of reach: a busy loop that is not late is no reason for red.
  eventLoopUtilization: {
    family: 'strain',
    unit: 'share',
    soft: 0.98,
    hard: 1.02,
    help: 'Share of the time in which the event loop was busy.',
  },
  residentMemory: {
    family: 'strain',
    unit: 'share',
    soft: 0.8,
    hard: 0.92,
    help: 'Resident memory of the process against the memory limit it runs under.',
  },
  // Both out of reach: on a busy machine something waits for a processor all the time. That makes work slow, which the planner
  // sees in its costs; to shed for it alone would thin out records that are not even late.
  stallCpu: {
    family: 'strain',
    unit: '%',
    soft: 120,
    hard: 150,
    help: 'Share of the last 10 s in which something waited for a processor (PSI some avg10).',
  },
  stallMemory: {
    family: 'strain',
    unit: '%',
    soft: 10,
    hard: 40,
    help: 'Share of the last 10 s in which something waited for memory (PSI some avg10).',
  },
  stallIo: {
    family: 'strain',
    unit: '%',
    soft: 60,
    hard: 95,
    help: 'Share of the last 10 s in which something waited for a disk (PSI some avg10).',
  },
} as const satisfies Record<string, SensorSpec>

export type SensorName = keyof typeof SENSORS
export const SENSOR_NAMES = Object.keys(SENSORS) as SensorName[]

/** One look at the sensors. A sensor that is absent, null or not a number is not known, and asks for nothing. */
export type Readings = { readonly [Name in SensorName]?: number | null }
export type SensorThresholds = { readonly [Name in SensorName]: Thresholds }

export const DEFAULT_THRESHOLDS: SensorThresholds = SENSORS

/** The scores at which a zone is entered: the soft and the hard threshold of whichever sensor it is. */
export const YELLOW_SCORE = 40
export const RED_SCORE = 80
export const SCORE_MAX = 100

/** A sensor's reading with its score, 0 to 100. */
export interface ScoredSensor {
  readonly name: SensorName
  readonly value: number
  readonly score: number
}

/**
 * A reading's score. From rest to soft it rises to 40; rest is as far below soft as hard lies above it, but not below 0, so
 * that a sensor whose thresholds are far from 0 (memory) does not show pressure in everyday use.
 */
export function scoreOf(value: number, { soft, hard }: Thresholds): number {
  assert(hard > soft && soft > 0, `expected 0 < soft < hard, found soft ${soft} and hard ${hard}`)
  if (value < soft) {
    const rest = Math.max(0, 2 * soft - hard)
    return Math.max(0, (YELLOW_SCORE * (value - rest)) / (soft - rest))
  }
  const score = YELLOW_SCORE + ((RED_SCORE - YELLOW_SCORE) * (value - soft)) / (hard - soft)
  return Math.min(SCORE_MAX, score)
}

/** The known sensor of a family with the highest score, the first in the table among equals; null when none is known. */
export function worstOf(
  readings: Readings,
  thresholds: SensorThresholds,
  family: SensorFamily,
): ScoredSensor | null {
  let worst: ScoredSensor | null = null
  for (const name of SENSOR_NAMES) {
    const value = readings[name]
    if (SENSORS[name].family !== family || value === undefined || value === null || Number.isNaN(value)) {
      continue
    }
    const score = scoreOf(value, thresholds[name])
    if (worst === null || score > worst.score) worst = { name, value, score }
  }
  return worst
}
