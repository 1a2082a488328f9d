/**
 * Picks the densest tier that still drains the backlog within the lag objective. The ceiling comes from the zone.
 *
 * In the first-in-first-out vault, a record that arrives now waits as long as the backlog before it takes: backlog × cost /
 * workers. While that time at full density is below the objective nothing need be shed, even when more arrives than full can
 * do; once it is not, what is shed is shed in time. This is why the planner looks at drain time and not at the rates: shedding
 * as soon as arrivals exceed capacity would give up all that an idle minute afterwards could still have done.
 *
 * Thinner at once, denser slowly: a denser tier is taken up only after the minimum dwell, and only if it could be kept for
 * another dwell at the present arrival rate. Under a constant load there is thus at most one step up in each dwell, and
 * with an overload large enough to fill the objective within a dwell there is none before it ends.
 */

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
  /** What keeps it from being denser: the drain time of the next denser tier, or the ceiling; `none` in full. */
  readonly limit: 'none' | 'drain' | 'ceiling'
  /** True when a denser tier would do, and only the dwell is waited for. */
  readonly isHeld: boolean
  /** Seconds to drain the present backlog in each tier. */
  readonly drainSeconds: Readonly<Record<Tier, number>>
}

export interface PlanInput {
  readonly backlogRecordCount: number
  /** Workers that process at the same time; at least 1 is assumed. */
  readonly workerCount: number
  /** The densest tier that the zones allow. */
  readonly ceiling: Tier
  /** Monotonic. */
  readonly nowMs: number
}

/** Full density from now on. */
export const fullPlan = (nowMs: number): Plan => ({
  tier: 'full',
  sinceMs: nowMs,
  limit: 'none',
  isHeld: false,
  drainSeconds: { full: 0, partial: 0, passthrough: 0 },
})

/** The plan after one more look. */
export function planTier(plan: Plan, costs: CostModel, input: PlanInput, options: PlannerOptions): Plan {
  const { backlogRecordCount, ceiling, nowMs } = input
  const actsAtSeconds = options.lagObjectiveSeconds * options.objectiveShare
  const secondsFor = (tier: Tier, recordCount: number) =>
    (recordCount * costUs(costs, tier, options)) / (1e6 * Math.max(1, input.workerCount))
  const drainSeconds = {
    full: secondsFor('full', backlogRecordCount),
    partial: secondsFor('partial', backlogRecordCount),
    passthrough: secondsFor('passthrough', backlogRecordCount),
  }

  /** Down: with what arrives before the decision takes effect. */
  const drains = (tier: Tier) => {
    const arriving = (costs.arrivalRate * options.reactionMs) / 1_000
    return secondsFor(tier, backlogRecordCount + arriving) <= actsAtSeconds
  }
  /** Up: with all that arrives and cannot be done while the tier is to be kept. */
  const keepsUp = (tier: Tier) => {
    const rate = Math.max(costs.arrivalRate, costs.arrivalRateSlow)
    const done = 1 / secondsFor(tier, 1)
    const gained = (Math.max(0, rate - done) * options.dwellMs) / 1_000
    return secondsFor(tier, backlogRecordCount + gained) <= actsAtSeconds
  }

  const highest = thinnerOf(plan.tier, ceiling)
  const down = TIERS.find((tier) => !isDenser(tier, highest) && drains(tier)) ?? 'passthrough'
  if (down !== plan.tier) {
    const limit = down === ceiling && isDenser(plan.tier, ceiling) ? 'ceiling' : 'drain'
    return { tier: down, sinceMs: nowMs, limit, isHeld: false, drainSeconds }
  }

  const denser = TIERS.filter((tier) => isDenser(tier, plan.tier))
  const allowed = denser.filter((tier) => !isDenser(tier, ceiling))
  const up = allowed.find((tier) => drains(tier) && keepsUp(tier))
  if (up !== undefined && nowMs - plan.sinceMs >= options.dwellMs) {
    const limit = up === 'full' ? 'none' : up === ceiling ? 'ceiling' : 'drain'
    return { tier: up, sinceMs: nowMs, limit, isHeld: false, drainSeconds }
  }
  const isHeld = up !== undefined
  if (isHeld || denser.length === 0) return { ...plan, isHeld, drainSeconds }
  return { ...plan, limit: allowed.length === 0 ? 'ceiling' : 'drain', isHeld, drainSeconds }
}
