/**
 * Picks the densest tier that still drains what waits within the lag objective. The ceiling comes from the zone.
 *
 * For each tier it works out how long any record in the vault will have waited when it is done, should the tier be kept.
 * While that stays below the objective at full density nothing need be shed, even when more arrives than full can do; once
 * it does not, what is shed is shed in time. This is why the planner looks at waits and not at rates: shedding as soon as
 * arrivals exceed capacity would give up all that an idle minute afterwards could still have done.
 *
 * Thinner at once, denser slowly: a denser tier is taken up only after the minimum dwell, and only if it could be kept for
 * a good part of the objective at the present arrival rate. Under a constant load a tier is thus kept for a dwell at least, and
 * under an overload of some three times what the denser tier can do there is no step up before it ends. Less would come and go
 * with the backlog and shed hardly less: with 0.4 of the objective the built-in traces shed 1.07 of the optimum at most, as with a dwell.
 *
 * What it is not good at: where partial saves little (half the cost of full or more) or nearly everything (a fifth or less), an
 * overload that ends while a thin tier is kept for its dwell has shed 1.1 to 1.5 times what anybody had to. A dwell in
 * passthrough works off whatever waits, also what could have waited until the overload was over.
 */

import { type ArrivalHistory, projectWait } from './arrivals.ts'
import { type CostModel, type CostOptions, costUs } from './cost-model.ts'
import { isDenser, TIERS, type Tier, thinnerOf } from './tiers.ts'

export interface PlannerOptions extends CostOptions {
  /** No record should wait longer than this. */
  readonly lagObjectiveSeconds: number
  /** Share of the objective at which the planner acts; the rest is for what it could not foresee. */
  readonly objectiveShare: number
  /** Time between a decision and its effect, with the arrivals of which a step down reckons. */
  readonly reactionMs: number
  /** Shortest time in a tier before a denser one is taken up. */
  readonly dwellMs: number
}

export interface Plan {
  readonly tier: Tier
  /** When the tier was taken up, monotonic ms. */
  readonly sinceMs: number
  /** What keeps it from being denser: the wait in the next denser tier, or the ceiling; `none` in full. */
  readonly limit: 'none' | 'wait' | 'ceiling'
  /** True when a denser tier would do, and only the dwell is waited for. */
  readonly isHeld: boolean
  /** The longest that a record which is in the vault now will have waited, in each tier. */
  readonly waitSeconds: Readonly<Record<Tier, number>>
}

export interface PlanInput {
  readonly arrivals: ArrivalHistory
  readonly backlogRecordCount: number
  /** Workers that process at the same time; at least 1 is assumed. */
  readonly workerCount: number
  /** The densest tier that the zones allow. */
  readonly ceiling: Tier
  /** Monotonic. */
  readonly nowMs: number
}

/**
 * Of the wait at which a step down is due, what a step up may come to. Costs are averages of what varies, and without the room
 * between the two a step up is taken back at the next look.
 */
const UP_SHARE = 0.9

/** Share of the objective for which a denser tier must be sure to last at the present arrival rate. */
const STAY_SHARE = 0.4

/** Full density from now on. */
export const fullPlan = (nowMs: number): Plan => ({
  tier: 'full',
  sinceMs: nowMs,
  limit: 'none',
  isHeld: false,
  waitSeconds: { full: 0, partial: 0, passthrough: 0 },
})

/** The plan after one more look. */
export function planTier(plan: Plan, costs: CostModel, input: PlanInput, options: PlannerOptions): Plan {
  const { ceiling, nowMs } = input
  const actsAtSeconds = options.lagObjectiveSeconds * options.objectiveShare
  const secondsPerRecord = (tier: Tier) =>
    costUs(costs, tier, options) / (1e6 * Math.max(1, input.workerCount))
  const waitIn = (tier: Tier, arrivingRecordCount = 0) =>
    projectWait(input.arrivals, input, { secondsPerRecord: secondsPerRecord(tier), arrivingRecordCount })
  const waitSeconds = { full: waitIn('full'), partial: waitIn('partial'), passthrough: waitIn('passthrough') }

  /** Down: with what arrives before the decision takes effect. */
  const willDo = (tier: Tier) =>
    waitIn(tier, (costs.arrivalRate * options.reactionMs) / 1_000) <= actsAtSeconds
  const staySeconds = Math.max(options.dwellMs / 1_000, options.lagObjectiveSeconds * STAY_SHARE)
  /** Up: with all that arrives and cannot be done while the tier is to be kept, and some room for costs that turn out higher. */
  const couldStay = (tier: Tier) => {
    const gainRate = Math.max(0, costs.arrivalRate - 1 / secondsPerRecord(tier))
    return waitIn(tier, gainRate * staySeconds) <= actsAtSeconds * UP_SHARE
  }

  const highest = thinnerOf(plan.tier, ceiling)
  const down = TIERS.find((tier) => !isDenser(tier, highest) && willDo(tier)) ?? 'passthrough'
  if (down !== plan.tier) {
    const limit = down === ceiling && isDenser(plan.tier, ceiling) ? 'ceiling' : 'wait'
    return { tier: down, sinceMs: nowMs, limit, isHeld: false, waitSeconds }
  }

  const denser = TIERS.filter((tier) => isDenser(tier, plan.tier))
  const allowed = denser.filter((tier) => !isDenser(tier, ceiling))
  const up = allowed.find((tier) => willDo(tier) && couldStay(tier))
  if (up !== undefined && nowMs - plan.sinceMs >= options.dwellMs) {
    const limit = up === 'full' ? 'none' : up === ceiling ? 'ceiling' : 'wait'
    return { tier: up, sinceMs: nowMs, limit, isHeld: false, waitSeconds }
  }
  const isHeld = up !== undefined
  if (isHeld || denser.length === 0) return { ...plan, isHeld, waitSeconds }
  return { ...plan, limit: allowed.length === 0 ? 'ceiling' : 'wait', isHeld, waitSeconds }
}
