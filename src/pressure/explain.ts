/** Decisions in words: one line that says what drove them, against which limit, since when. For status, metrics, diagnostics. */

import type { DecisionCause, Instant, Orders } from './orders.ts'
import type { Plan } from './planner.ts'
import { RED_SCORE, type ScoredSensor, type SensorThresholds, YELLOW_SCORE } from './sensors.ts'
import { calmerThan, TIERS, type Tier } from './tiers.ts'
import { calmerInMs, type ZoneState } from './zone.ts'

export interface PressureFacts {
  /** The zone that leads, and the sensor with the highest score now. */
  readonly zone: ZoneState
  readonly worst: ScoredSensor | null
  readonly thresholds: SensorThresholds
  readonly dwellMs: number
  readonly now: Instant
}

/** `red: lagSeconds 84 ≥ 60, since 2026-01-31T12:00:00.000Z`, and how a zone is held and left. */
export function explainPressure({ zone: state, worst, thresholds, dwellMs, now }: PressureFacts): string {
  const { zone, cause } = state
  if (zone === 'green') {
    if (worst === null) return 'green: no sensor has a reading'
    return `green: highest is ${worst.name} ${formatReading(worst.value)} < ${thresholds[worst.name].soft}`
  }
  const sinceText = new Date(now.wallMs - (now.monotonicMs - state.sinceMs)).toISOString()
  const asksNow = (worst?.score ?? 0) >= (zone === 'red' ? RED_SCORE : YELLOW_SCORE)
  const causeText = cause === null ? 'no reading' : compare(cause, zone, thresholds)
  if (asksNow) return `${zone}: ${causeText}, since ${sinceText}`
  const present = worst === null ? 'no reading' : `${worst.name} ${formatReading(worst.value)}`
  const inMs = calmerInMs(state, now.monotonicMs, dwellMs)
  const next = inMs === null ? 'not calm yet' : `${calmerThan(zone)} in ${formatSeconds(inMs / 1_000)}`
  return `${zone}: held since ${sinceText}, last for ${causeText}; now ${present}, ${next}`
}

/** `lagSeconds 84 ≥ 60`. */
function compare(
  { name, value }: ScoredSensor,
  zone: 'yellow' | 'red',
  thresholds: SensorThresholds,
): string {
  const { soft, hard } = thresholds[name]
  return `${name} ${formatReading(value)} ≥ ${formatReading(zone === 'red' ? hard : soft)}`
}

export interface TierFacts {
  readonly tier: Tier
  readonly cause: DecisionCause
  readonly plan: Plan
  /** The zone that the ceiling comes from. */
  readonly limiting: ZoneState
  readonly orders: Orders
  readonly lagObjectiveSeconds: number
  readonly dwellMs: number
  readonly nowMs: number
}

/** `partial: in full, records would wait 71 s, objective 60 s`. */
export function explainTier(facts: TierFacts): string {
  const { tier, cause, orders } = facts
  if (cause === 'emergency') return `${tier}: emergency, ${orders.emergency?.reason}`
  if (cause === 'override' && orders.override !== null) {
    const { untilMs, reason } = orders.override
    return `${tier}: ordered until ${new Date(untilMs).toISOString()}, ${reason}`
  }
  const planned = explainPlan(facts)
  return cause === 'observeOnly' ? `${tier}: only observing; would be ${planned}` : planned
}

function explainPlan({ plan, limiting, ...facts }: TierFacts): string {
  const { tier, waitSeconds } = plan
  const objective = `objective ${formatSeconds(facts.lagObjectiveSeconds)}`
  if (plan.limit === 'none') return `${tier}: records wait ${formatSeconds(waitSeconds[tier])}, ${objective}`
  if (plan.isHeld) {
    const leftMs = facts.dwellMs - (facts.nowMs - plan.sinceMs)
    return `${tier}: held for another ${formatSeconds(leftMs / 1_000)}, then denser`
  }
  if (plan.limit === 'ceiling') {
    const { zone, cause } = limiting
    return `${tier}: all that ${zone} allows${cause === null ? '' : `, by ${cause.name} ${formatReading(cause.value)}`}`
  }
  const denser = TIERS[TIERS.indexOf(tier) - 1] ?? 'full'
  return `${tier}: in ${denser}, records would wait ${formatSeconds(waitSeconds[denser])}, ${objective}`
}

/** Three digits, or all of a whole number. */
function formatReading(value: number): string {
  return String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)))
}

const formatSeconds = (seconds: number): string => `${formatReading(Math.max(0, seconds))} s`
