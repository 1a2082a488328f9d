/**
 * The decision: what the sensors say, what the workers did, which orders stand and what time it is go in; the tier to work
 * in and the reason for it come out. A pure function, so that a simulator can run it for a year in a second and a test can
 * replay what happened to somebody.
 *
 * Who has the last word, first to last: the emergency switch; an override that has not expired; `observeOnly`; the planner
 * under the ceiling of the zones. The first two are orders of a person and hold also where the automatic only observes. What
 * the planner would do is worked out in every case, so that the automatic goes on from the present when an order ends.
 */

import { type ArrivalHistory, noArrivals, recordArrivals } from './arrivals.ts'
import { type CostModel, DEFAULT_COST_OPTIONS, NO_COSTS, observeWork, type WorkSample } from './cost-model.ts'
import type { Driver } from './drivers.ts'
import { explainPressure, explainTier } from './explain.ts'
import type { DecisionCause, Instant, Orders } from './orders.ts'
import { fullPlan, type Plan, type PlannerOptions, planTier } from './planner.ts'
import {
  DEFAULT_THRESHOLDS,
  type Readings,
  type ScoredSensor,
  type SensorThresholds,
  worstOf,
} from './sensors.ts'
import { type Tier, thinnerOf, worseOf, type Zone } from './tiers.ts'
import { advanceZone, calmZone, type ZoneOptions, type ZoneState } from './zone.ts'

export interface DecisionOptions extends ZoneOptions, PlannerOptions {
  readonly thresholds: SensorThresholds
  /** Work out and publish everything, change nothing. */
  readonly observeOnly: boolean
}

export const DEFAULT_DECISION_OPTIONS: DecisionOptions = {
  ...DEFAULT_COST_OPTIONS,
  thresholds: DEFAULT_THRESHOLDS,
  exitScores: { yellow: 30, red: 60 },
  dwellMs: 5_000,
  lagObjectiveSeconds: 60,
  objectiveShare: 0.95,
  reactionMs: 1_000,
  observeOnly: false,
}

export interface DecisionInput {
  readonly readings: Readings
  readonly work: WorkSample
  readonly backlogRecordCount: number
  readonly workerCount: number
  readonly orders: Orders
}

export interface DecisionState {
  readonly lag: ZoneState
  readonly strain: ZoneState
  readonly plan: Plan
  readonly costs: CostModel
  readonly arrivals: ArrivalHistory
}

export interface Decision {
  /** The tier to work in from now on. */
  readonly tier: Tier
  readonly cause: DecisionCause
  /** What drove it, for the ledger's reason. */
  readonly driver: Driver
  /** What the planner would have done; differs from `tier` only under an order or `observeOnly`. */
  readonly plan: Plan
  readonly ceiling: Tier
  /** 0 to 100, and the sensor that has it; null when no sensor has a reading. */
  readonly score: number
  readonly worst: ScoredSensor | null
  readonly zone: Zone
  /** How long the zone has been held: "green and steady" is green for long enough. */
  readonly zoneHeldMs: number
  /** One line each, for people: `red: lagSeconds 84 ≥ 60, since …` and `partial: …`. */
  readonly pressureText: string
  readonly tierText: string
}

/** Green, full density, nothing measured. */
export function startDecisions(now: Instant): DecisionState {
  const calm = calmZone(now.monotonicMs)
  return {
    lag: calm,
    strain: calm,
    plan: fullPlan(now.monotonicMs),
    costs: NO_COSTS,
    arrivals: noArrivals(now.monotonicMs),
  }
}

/** The next decision, and the state from which to take the one after it. */
export function decide(
  state: DecisionState,
  input: DecisionInput,
  now: Instant,
  options: DecisionOptions,
): { readonly state: DecisionState; readonly decision: Decision } {
  const { readings, backlogRecordCount, workerCount } = input
  const nowMs = now.monotonicMs
  const worstLag = worstOf(readings, options.thresholds, 'lag')
  const worstStrain = worstOf(readings, options.thresholds, 'strain')
  const lag = advanceZone(state.lag, worstLag, nowMs, options)
  const strain = advanceZone(state.strain, worstStrain, nowMs, options)
  const ceiling = ceilingOf(lag.zone, strain.zone)
  const costs = observeWork(state.costs, input.work, options)
  const { arrivedRecordCount } = input.work
  const arrivals = recordArrivals(state.arrivals, { arrivedRecordCount, backlogRecordCount, nowMs })
  const planInput = { arrivals, backlogRecordCount, workerCount, ceiling, nowMs }
  const plan = planTier(state.plan, costs, planInput, options)

  const worst = (worstStrain?.score ?? -1) > (worstLag?.score ?? -1) ? worstStrain : worstLag
  const leading = leadingZone(lag, strain)
  const { tier, cause } = lastWord(input.orders, plan, now, options)
  const limiting = lag.zone === 'red' ? lag : strain
  const decision: Decision = {
    tier,
    cause,
    driver: driverOf(cause, plan, limiting, worst),
    plan,
    ceiling,
    score: worst?.score ?? 0,
    worst,
    zone: leading.zone,
    zoneHeldMs: nowMs - leading.sinceMs,
    pressureText: explainPressure({ zone: leading, worst, now, ...options }),
    tierText: explainTier({ tier, cause, plan, limiting, nowMs, ...input, ...options }),
  }
  return { state: { lag, strain, plan, costs, arrivals }, decision }
}

/** Red allows nothing but passthrough. Yellow strain allows partial; yellow lag leaves the tier to the planner. */
function ceilingOf(lag: Zone, strain: Zone): Tier {
  const byLag: Tier = lag === 'red' ? 'passthrough' : 'full'
  const byStrain: Tier = strain === 'red' ? 'passthrough' : strain === 'yellow' ? 'partial' : 'full'
  return thinnerOf(byLag, byStrain)
}

/** The family under more pressure; among equals the one that got there first, as its zone has been held longer. */
function leadingZone(lag: ZoneState, strain: ZoneState): ZoneState {
  if (lag.zone === strain.zone) {
    // In green both must be calm for it to be held: the later of the two counts.
    if (lag.zone === 'green') return lag.sinceMs >= strain.sinceMs ? lag : strain
    return lag.sinceMs <= strain.sinceMs ? lag : strain
  }
  return worseOf(lag.zone, strain.zone) === lag.zone ? lag : strain
}

function lastWord(
  { emergency, override }: Orders,
  plan: Plan,
  now: Instant,
  { observeOnly }: DecisionOptions,
): { tier: Tier; cause: DecisionCause } {
  if (emergency !== null) return { tier: 'passthrough', cause: 'emergency' }
  if (override !== null && now.wallMs < override.untilMs) return { tier: override.tier, cause: 'override' }
  if (observeOnly) return { tier: 'full', cause: 'observeOnly' }
  return { tier: plan.tier, cause: plan.limit === 'ceiling' ? 'ceiling' : 'planner' }
}

function driverOf(cause: DecisionCause, plan: Plan, limiting: ZoneState, worst: ScoredSensor | null): Driver {
  if (cause === 'emergency' || cause === 'override') return cause
  if (cause === 'ceiling') return limiting.cause?.name ?? 'none'
  if (cause === 'planner' && plan.tier !== 'full') return 'waitSeconds'
  return worst?.name ?? 'none'
}
