/**
 * What work costs and how fast it arrives: running averages, updated by what the workers report. A tier's cost is the worker
 * time that one record takes in it, all of it included, so that a slow sink or a busy machine shows as a higher cost.
 *
 * A tier that has not run yet is assumed to cost its share of one that has, as the defaults relate them: the planner must
 * know what full would cost after a start under pressure. The assumption goes into the average as if it had been measured on
 * a few records, so that the first batch of a new process, which compiles more than it enriches, does not decide alone: full
 * density that looked a thousand times too dear would never be taken up again, and so never be measured again.
 */

import { TIERS, type Tier } from './tiers.ts'

/** What the workers did since the last report. */
export interface WorkSample {
  /** The time it covers. */
  readonly elapsedMs: number
  /** Records that came into the vault in that time. */
  readonly arrivedRecordCount: number
  readonly done: readonly {
    readonly tier: Tier
    readonly recordCount: number
    /** Worker time spent on them, over all workers: two busy workers spend two ms in one. */
    readonly busyMs: number
  }[]
}

export interface CostModel {
  /** What was done in each tier, what lies further back counting less and less; null until the tier has run. */
  readonly done: Readonly<Record<Tier, WorkDone | null>>
  /** Arrivals of late, records/s. */
  readonly arrivalRate: number
}

/** The cost is the one over the other: a batch with few records does not weigh as much as one with many. */
interface WorkDone {
  readonly recordCount: number
  readonly busyMs: number
}

export interface CostOptions {
  /** Assumed costs until the first measurement, microseconds; only their ratios count after it. */
  readonly assumedUs: Readonly<Record<Tier, number>>
  /** Worker time after which a measurement has mostly replaced the older ones. */
  readonly costTimeMs: number
  /** The same for arrivals, in elapsed time. */
  readonly arrivalTimeMs: number
}

export const DEFAULT_COST_OPTIONS: CostOptions = {
  assumedUs: { full: 10, partial: 3, passthrough: 0.3 },
  costTimeMs: 3_000,
  arrivalTimeMs: 1_000,
}

/** Before anything was measured. */
export const NO_COSTS: CostModel = {
  done: { full: null, partial: null, passthrough: null },
  arrivalRate: 0,
}

/** What an assumption counts for: so many records from the defaults alone, and so much work by what another tier costs. */
const ASSUMED_RECORD_COUNT = 200
const DERIVED_MS = 300

/** No record is free: keeps capacities finite. */
const COST_US_MIN = 0.001

/** The model after one more report. Reports of no time, or with impossible numbers, change nothing. */
export function observeWork(model: CostModel, sample: WorkSample, options: CostOptions): CostModel {
  const done = { ...model.done }
  for (const { tier, recordCount, busyMs } of sample.done) {
    if (!(recordCount > 0) || !(busyMs > 0) || !Number.isFinite(busyMs)) continue
    const before = model.done[tier] ?? assumedWork(model, tier, options)
    const kept = Math.exp(-busyMs / options.costTimeMs)
    done[tier] = {
      recordCount: before.recordCount * kept + recordCount,
      busyMs: before.busyMs * kept + busyMs,
    }
  }
  const { elapsedMs, arrivedRecordCount } = sample
  if (!(elapsedMs > 0) || !(arrivedRecordCount >= 0)) return { ...model, done }
  const rate = (arrivedRecordCount * 1_000) / elapsedMs
  return {
    done,
    arrivalRate: towards(model.arrivalRate, rate, elapsedMs, options.arrivalTimeMs),
  }
}

function assumedWork(model: CostModel, tier: Tier, options: CostOptions): WorkDone {
  const assumedUs = costUs(model, tier, options)
  const isDerived = TIERS.some((other) => model.done[other] !== null)
  const recordCount = isDerived ? (DERIVED_MS * 1_000) / assumedUs : ASSUMED_RECORD_COUNT
  return { recordCount, busyMs: (recordCount * assumedUs) / 1_000 }
}

/** Worker time for one record in a tier, microseconds: measured, or derived from the nearest tier that was. */
export function costUs({ done }: CostModel, tier: Tier, { assumedUs }: CostOptions): number {
  const at = TIERS.indexOf(tier)
  const byDistance = TIERS.toSorted(
    (a, b) => Math.abs(TIERS.indexOf(a) - at) - Math.abs(TIERS.indexOf(b) - at),
  )
  for (const known of byDistance) {
    const work = done[known]
    if (work === null) continue
    const measuredUs = (work.busyMs * 1_000) / work.recordCount
    return Math.max(COST_US_MIN, (assumedUs[tier] / assumedUs[known]) * measuredUs)
  }
  return Math.max(COST_US_MIN, assumedUs[tier])
}

/** Exponential average: after `timeMs` of observation, 63 % of the way. */
function towards(from: number, to: number, observedMs: number, timeMs: number): number {
  return from + (to - from) * (1 - Math.exp(-observedMs / timeMs))
}
