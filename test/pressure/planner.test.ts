import { describe, expect, it } from 'vitest'
import { noArrivals, projectWait, recordArrivals } from '../../src/pressure/arrivals.ts'
import type { CostModel } from '../../src/pressure/cost-model.ts'
import { costUs, DEFAULT_COST_OPTIONS, NO_COSTS, observeWork } from '../../src/pressure/cost-model.ts'
import type { PlanInput, PlannerOptions } from '../../src/pressure/planner.ts'
import { fullPlan, planTier } from '../../src/pressure/planner.ts'

const OPTIONS: PlannerOptions = {
  ...DEFAULT_COST_OPTIONS,
  lagObjectiveSeconds: 60,
  objectiveShare: 0.9,
  reactionMs: 1_000,
  dwellMs: 20_000,
}

/** One worker does 1000 records a second in full, 4000 in partial, 100000 in passthrough. */
const COSTS: CostModel = {
  done: {
    full: { recordCount: 3_000, busyMs: 3_000 },
    partial: { recordCount: 12_000, busyMs: 3_000 },
    passthrough: { recordCount: 300_000, busyMs: 3_000 },
  },
  arrivalRate: 500,
}
const input = (changes: Partial<PlanInput> = {}): PlanInput => ({
  arrivals: noArrivals(0),
  backlogRecordCount: 0,
  workerCount: 1,
  ceiling: 'full',
  nowMs: 0,
  ...changes,
})

describe('the cost model', () => {
  it('finds what a record costs from worker time, and what arrives from elapsed time', () => {
    let costs = NO_COSTS
    for (let second = 0; second < 60; second += 1) {
      const done = [{ tier: 'full' as const, recordCount: 2_000, busyMs: 1_000 }]
      costs = observeWork(costs, { elapsedMs: 1_000, arrivedRecordCount: 3_000, done }, DEFAULT_COST_OPTIONS)
    }

    expect(costUs(costs, 'full', DEFAULT_COST_OPTIONS)).toBeCloseTo(500, 6)
    expect(costs.arrivalRate).toBeCloseTo(3_000, 3)
  })

  it('assumes for a tier that never ran its share of one that did', () => {
    const fullUs = costUs(COSTS, 'full', DEFAULT_COST_OPTIONS)
    const costs = { ...COSTS, done: { ...COSTS.done, partial: null, passthrough: null } }

    expect(costUs(costs, 'partial', DEFAULT_COST_OPTIONS)).toBeCloseTo(fullUs * 0.3, 6)
    expect(costUs(costs, 'passthrough', DEFAULT_COST_OPTIONS)).toBeCloseTo(fullUs * 0.03, 6)
    expect(costUs(NO_COSTS, 'full', DEFAULT_COST_OPTIONS)).toBe(DEFAULT_COST_OPTIONS.assumedUs.full)
  })

  it('is not led astray by a first batch that compiled more than it enriched', () => {
    const report = (recordCount: number, busyMs: number) => ({
      elapsedMs: 250,
      arrivedRecordCount: recordCount,
      done: [{ tier: 'full' as const, recordCount, busyMs }],
    })
    const cold = observeWork(NO_COSTS, report(1, 8), DEFAULT_COST_OPTIONS)
    const warm = observeWork(cold, report(20_000, 200), DEFAULT_COST_OPTIONS)

    expect(costUs(cold, 'full', DEFAULT_COST_OPTIONS)).toBeLessThan(60)
    expect(costUs(warm, 'full', DEFAULT_COST_OPTIONS)).toBeCloseTo(10, 0)
  })

  it('finds what records really cost within a second of work, also where they are dear', () => {
    let costs = NO_COSTS
    for (let look = 0; look < 4; look += 1) {
      const done = [{ tier: 'full' as const, recordCount: 250, busyMs: 250 }]
      costs = observeWork(costs, { elapsedMs: 250, arrivedRecordCount: 0, done }, DEFAULT_COST_OPTIONS)
    }

    expect(costUs(costs, 'full', DEFAULT_COST_OPTIONS)).toBeGreaterThan(800)
  })

  it('goes by records, so that batches of one say little beside a batch of many', () => {
    const done = [
      { tier: 'full' as const, recordCount: 10, busyMs: 10 },
      { tier: 'full' as const, recordCount: 100_000, busyMs: 1_000 },
    ]
    const costs = done.reduce(
      (model, one) =>
        observeWork(model, { elapsedMs: 0, arrivedRecordCount: 0, done: [one] }, DEFAULT_COST_OPTIONS),
      NO_COSTS,
    )

    expect(costUs(costs, 'full', DEFAULT_COST_OPTIONS)).toBeLessThan(11)
  })

  it('is not moved by reports with impossible numbers', () => {
    const done = [
      { tier: 'full' as const, recordCount: 0, busyMs: 100 },
      { tier: 'full' as const, recordCount: 10, busyMs: Number.NaN },
      { tier: 'full' as const, recordCount: 10, busyMs: Number.POSITIVE_INFINITY },
    ]

    expect(observeWork(COSTS, { elapsedMs: 0, arrivedRecordCount: 5, done }, DEFAULT_COST_OPTIONS)).toEqual(
      COSTS,
    )
    expect(observeWork(COSTS, { elapsedMs: 10, arrivedRecordCount: -5, done }, DEFAULT_COST_OPTIONS)).toEqual(
      COSTS,
    )
  })
})

describe('the projected wait', () => {
  it('is that of the newest record while the backlog came just now', () => {
    const history = recordArrivals(noArrivals(0), {
      arrivedRecordCount: 100,
      backlogRecordCount: 100,
      nowMs: 10,
    })

    const wait = projectWait(history, { backlogRecordCount: 100, nowMs: 10 }, { secondsPerRecord: 0.1 })

    expect(wait).toBe(10)
  })

  it('counts what the end of a burst has waited already', () => {
    let history = recordArrivals(noArrivals(0), {
      arrivedRecordCount: 1_000,
      backlogRecordCount: 1_000,
      nowMs: 1_000,
    })
    history = recordArrivals(history, { arrivedRecordCount: 100, backlogRecordCount: 900, nowMs: 11_000 })

    // 800 of the burst are left and have waited 10 s; the 100 after them come last but waited nothing.
    const wait = projectWait(history, { backlogRecordCount: 900, nowMs: 11_000 }, { secondsPerRecord: 0.1 })

    expect(wait).toBe(90)
    const slow = projectWait(history, { backlogRecordCount: 900, nowMs: 11_000 }, { secondsPerRecord: 0.01 })
    expect(slow).toBe(18)
  })

  it('remembers only what still waits, and never more than its limit', () => {
    let history = noArrivals(0)
    for (let second = 1; second <= 5_000; second += 1) {
      const backlogRecordCount = second * 10
      history = recordArrivals(history, { arrivedRecordCount: 10, backlogRecordCount, nowMs: second * 1_000 })
    }
    const standing = history.length
    history = recordArrivals(history, { arrivedRecordCount: 0, backlogRecordCount: 0, nowMs: 5_001_000 })

    expect(standing).toBeLessThanOrEqual(256)
    expect(history.length).toBe(1)
  })
})

describe('the planner', () => {
  it('stays at full density while the backlog drains in time, however fast more arrives', () => {
    const flooded = { ...COSTS, arrivalRate: 4_000 }

    expect(planTier(fullPlan(0), flooded, input({ backlogRecordCount: 50_000 }), OPTIONS).tier).toBe('full')
  })

  it('steps down at once when full would miss the objective, to the densest tier that does not', () => {
    const partial = planTier(fullPlan(0), COSTS, input({ backlogRecordCount: 54_000 }), OPTIONS)
    const passthrough = planTier(fullPlan(0), COSTS, input({ backlogRecordCount: 216_000 }), OPTIONS)

    expect(partial).toMatchObject({ tier: 'partial', limit: 'wait', isHeld: false })
    expect(passthrough).toMatchObject({ tier: 'passthrough', limit: 'wait' })
    expect(passthrough.waitSeconds).toEqual({ full: 216, partial: 54, passthrough: 2.16 })
  })

  it('reckons with what arrives before it takes effect', () => {
    const backlog = input({ backlogRecordCount: 50_000 })

    expect(planTier(fullPlan(0), { ...COSTS, arrivalRate: 3_900 }, backlog, OPTIONS).tier).toBe('full')
    expect(planTier(fullPlan(0), { ...COSTS, arrivalRate: 4_100 }, backlog, OPTIONS).tier).toBe('partial')
  })

  it('drains with all its workers', () => {
    const backlog = { backlogRecordCount: 100_000 }

    expect(planTier(fullPlan(0), COSTS, input({ ...backlog, workerCount: 1 }), OPTIONS).tier).toBe('partial')
    expect(planTier(fullPlan(0), COSTS, input({ ...backlog, workerCount: 2 }), OPTIONS).tier).toBe('full')
  })

  it('takes the thinnest tier when none would do', () => {
    expect(planTier(fullPlan(0), COSTS, input({ backlogRecordCount: 1e9 }), OPTIONS).tier).toBe('passthrough')
  })

  it('never goes above the ceiling, and comes under it at once', () => {
    const plan = planTier(fullPlan(0), COSTS, input({ ceiling: 'partial' }), OPTIONS)

    expect(plan).toMatchObject({ tier: 'partial', limit: 'ceiling' })
    const later = planTier(plan, COSTS, input({ ceiling: 'partial', nowMs: 100_000 }), OPTIONS)
    expect(later).toMatchObject({ tier: 'partial', limit: 'ceiling', isHeld: false })
  })

  it('steps up after the dwell, over as many tiers as will do', () => {
    const down = planTier(fullPlan(0), COSTS, input({ backlogRecordCount: 1e9 }), OPTIONS)
    const held = planTier(down, COSTS, input({ nowMs: 19_999 }), OPTIONS)
    const up = planTier(held, COSTS, input({ nowMs: 20_000 }), OPTIONS)

    expect(held).toMatchObject({ tier: 'passthrough', isHeld: true, limit: 'wait' })
    expect(up).toMatchObject({ tier: 'full', limit: 'none', isHeld: false })
  })

  it('does not step up where it could not stay for four tenths of the objective', () => {
    const down = planTier(fullPlan(0), COSTS, input({ backlogRecordCount: 54_000 }), OPTIONS)
    const flooded = { ...COSTS, arrivalRate: 3_000 }
    const at = (backlogRecordCount: number, costs: CostModel) =>
      planTier(
        down,
        costs,
        input({ arrivals: noArrivals(60_000), backlogRecordCount, nowMs: 60_000 }),
        OPTIONS,
      ).tier

    // 24 s at 2000 records/s more than full can do make 48 s of work; of 54 s, nine tenths may be used: 0.6 s.
    expect(at(700, flooded)).toBe('partial')
    expect(at(500, flooded)).toBe('full')
  })
})
