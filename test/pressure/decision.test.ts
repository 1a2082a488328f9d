import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Decision, DecisionInput, DecisionOptions, DecisionState } from '../../src/pressure/decision.ts'
import { DEFAULT_DECISION_OPTIONS, decide, startDecisions } from '../../src/pressure/decision.ts'
import type { Instant } from '../../src/pressure/orders.ts'
import { NO_ORDERS } from '../../src/pressure/orders.ts'
import { TIERS } from '../../src/pressure/tiers.ts'
import { checkProperty } from '../support/seeded-property.ts'

const WALL_START_MS = Date.UTC(2026, 0, 31, 12)
const at = (elapsedMs: number): Instant => ({
  monotonicMs: 7_000 + elapsedMs,
  wallMs: WALL_START_MS + elapsedMs,
})
const input = (changes: Partial<DecisionInput> = {}): DecisionInput => ({
  readings: { lagSeconds: 1 },
  work: {
    elapsedMs: 1_000,
    arrivedRecordCount: 0,
    done: [{ tier: 'full', recordCount: 1_000, busyMs: 1_000 }],
  },
  backlogRecordCount: 0,
  workerCount: 1,
  orders: NO_ORDERS,
  ...changes,
})

/** The last of a row of decisions, one for each input at its time. */
function decided(
  steps: readonly (readonly [elapsedMs: number, input: DecisionInput])[],
  changes: Partial<DecisionOptions> = {},
): Decision {
  let state: DecisionState = startDecisions(at(0))
  let decision: Decision | undefined
  for (const [elapsedMs, step] of steps) {
    const next = decide(state, step, at(elapsedMs), { ...DEFAULT_DECISION_OPTIONS, ...changes })
    state = next.state
    decision = next.decision
  }
  assert(decision !== undefined)
  return decision
}

describe('a decision', () => {
  it('is full density in green when nothing presses', () => {
    const decision = decided([[1_000, input()]])

    expect(decision).toMatchObject({ tier: 'full', cause: 'planner', zone: 'green', ceiling: 'full' })
    expect(decision.pressureText).toBe('green: highest is lagSeconds 1 < 15')
    expect(decision.tierText).toBe('full: records wait 0 s, objective 60 s')
  })

  it('says that it knows nothing when no sensor does', () => {
    const decision = decided([[1_000, input({ readings: {} })]])

    expect(decision).toMatchObject({ score: 0, worst: null, zone: 'green', tier: 'full' })
    expect(decision.pressureText).toBe('green: no sensor has a reading')
  })

  it('is passthrough in red, and says which sensor drove it against which limit since when', () => {
    const decision = decided([
      [1_000, input({ readings: { lagSeconds: 84 } })],
      [2_000, input({ readings: { lagSeconds: 84 } })],
    ])

    expect(decision).toMatchObject({
      tier: 'passthrough',
      cause: 'ceiling',
      driver: 'lagSeconds',
      zone: 'red',
    })
    expect(decision.pressureText).toBe('red: lagSeconds 84 ≥ 60, since 2026-01-31T12:00:01.000Z')
    expect(decision.tierText).toBe('passthrough: all that red allows, by lagSeconds 84')
  })

  it('leaves the tier to the planner in yellow lag, and caps it in yellow strain', () => {
    const lag = decided([[1_000, input({ readings: { lagSeconds: 20 } })]])
    const strain = decided([[1_000, input({ readings: { lagSeconds: 20, residentMemory: 0.85 } })]])

    expect(lag).toMatchObject({ zone: 'yellow', tier: 'full', driver: 'lagSeconds' })
    expect(strain).toMatchObject({
      zone: 'yellow',
      tier: 'partial',
      cause: 'ceiling',
      driver: 'residentMemory',
    })
  })

  it('names the wait when the planner sheds before any sensor is hard pressed', () => {
    const decision = decided([[1_000, input({ backlogRecordCount: 71_000 })]])

    expect(decision).toMatchObject({
      tier: 'partial',
      cause: 'planner',
      driver: 'waitSeconds',
      zone: 'green',
    })
    expect(decision.tierText).toMatch(
      /^partial: in full, records would wait (59|6\d|7\d)[.\d]* s, objective 60 s$/,
    )
  })

  it('tells how a zone is held and when it is left', () => {
    const decision = decided([
      [1_000, input({ readings: { lagSeconds: 84 } })],
      [3_000, input({ readings: { lagSeconds: 3 } })],
      [5_000, input({ readings: { lagSeconds: 2.5 } })],
    ])

    expect(decision.pressureText).toBe(
      'red: held since 2026-01-31T12:00:01.000Z, last for lagSeconds 84 ≥ 60; now lagSeconds 2.5, yellow in 3 s',
    )
  })

  it('tells that a tier is held for its dwell', () => {
    const decision = decided([
      [1_000, input({ backlogRecordCount: 71_000 })],
      [4_000, input({ backlogRecordCount: 10 })],
    ])

    expect(decision).toMatchObject({ tier: 'partial', driver: 'waitSeconds' })
    expect(decision.tierText).toBe('partial: held for another 2 s, then denser')
  })

  it('takes the score from the worst sensor of both families', () => {
    const decision = decided([[1_000, input({ readings: { lagSeconds: 7.5, spillFill: 0.675 } })]])

    expect(decision.score).toBeCloseTo(60, 9)
    expect(decision.worst?.name).toBe('spillFill')
  })

  it('comes back from red through yellow to full density, and how long green is held is known', () => {
    const calm = input({ readings: { residentMemory: 0.5 } })
    const steps: [number, DecisionInput][] = [[0, input({ readings: { residentMemory: 0.95 } })]]
    for (let second = 1; second <= 70; second += 1) steps.push([second * 1_000, calm])

    expect(decided(steps.slice(0, 6))).toMatchObject({ zone: 'red', tier: 'passthrough' })
    expect(decided(steps.slice(0, 7))).toMatchObject({ zone: 'yellow', tier: 'partial' })
    expect(decided(steps)).toMatchObject({ zone: 'green', tier: 'full', zoneHeldMs: 59_000 })
  })
})

describe('an order', () => {
  const pressed = { readings: { lagSeconds: 84 } }

  it('of emergency has the last word, and gives its reason', () => {
    const emergency = { reason: 'a stage loops' }
    const override = { tier: 'full', untilMs: WALL_START_MS + 99_000, reason: 'demo' } as const
    const decision = decided([[1_000, input({ orders: { emergency, override } })]])

    expect(decision).toMatchObject({ tier: 'passthrough', cause: 'emergency', driver: 'emergency' })
    expect(decision.tierText).toBe('passthrough: emergency, a stage loops')
  })

  it('of a tier holds against red until it expires', () => {
    const override = { tier: 'full', untilMs: WALL_START_MS + 5_000, reason: 'demo' } as const
    const orders = { emergency: null, override }
    const before = decided([[4_999, input({ ...pressed, orders })]])
    const after = decided([
      [4_999, input({ ...pressed, orders })],
      [5_000, input({ ...pressed, orders })],
    ])

    expect(before).toMatchObject({ tier: 'full', cause: 'override', driver: 'override', zone: 'red' })
    expect(before.tierText).toBe('full: ordered until 2026-01-31T12:00:05.000Z, demo')
    expect(after).toMatchObject({ tier: 'passthrough', cause: 'ceiling' })
  })

  it('holds also where the automatic only observes', () => {
    const orders = { emergency: { reason: 'now' }, override: null }

    expect(decided([[1_000, input({ orders })]], { observeOnly: true }).tier).toBe('passthrough')
  })
})

describe('observeOnly', () => {
  it('works everything out and changes nothing', () => {
    const decision = decided([[1_000, input({ readings: { lagSeconds: 84 } })]], { observeOnly: true })

    expect(decision).toMatchObject({ tier: 'full', cause: 'observeOnly', zone: 'red' })
    expect(decision.plan.tier).toBe('passthrough')
    expect(decision.tierText).toBe(
      'full: only observing; would be passthrough: all that red allows, by lagSeconds 84',
    )
  })
})

describe('any row of decisions', () => {
  it('keeps under its ceiling, steps up at most once per dwell, and depends on nothing but its arguments', () => {
    const anyLook = fc.record({
      elapsedMs: fc.integer({ min: 1, max: 5_000 }),
      lagSeconds: fc.option(fc.double({ min: 0, max: 120, noNaN: true })),
      residentMemory: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      backlogRecordCount: fc.nat({ max: 300_000 }),
      arrivedRecordCount: fc.nat({ max: 20_000 }),
    })
    checkProperty(
      'test/pressure/decision.test.ts',
      200,
      fc.property(fc.array(anyLook, { maxLength: 60, size: 'max' }), (looks) => {
        let state = startDecisions(at(0))
        let elapsedMs = 0
        let tier = 'full'
        let upMs = Number.NEGATIVE_INFINITY
        for (const look of looks) {
          elapsedMs += look.elapsedMs
          const { lagSeconds, residentMemory, backlogRecordCount, arrivedRecordCount } = look
          const step = input({
            readings: { lagSeconds, residentMemory },
            backlogRecordCount,
            work: { elapsedMs: look.elapsedMs, arrivedRecordCount, done: [] },
          })
          const next = decide(state, step, at(elapsedMs), DEFAULT_DECISION_OPTIONS)
          assert.deepEqual(decide(state, step, at(elapsedMs), DEFAULT_DECISION_OPTIONS), next)
          const { decision } = next
          assert.ok(TIERS.indexOf(decision.tier) >= TIERS.indexOf(decision.ceiling))
          if (TIERS.indexOf(decision.tier) < TIERS.indexOf(tier as never)) {
            assert.ok(elapsedMs - upMs >= DEFAULT_DECISION_OPTIONS.dwellMs)
            upMs = elapsedMs
          }
          tier = decision.tier
          state = next.state
        }
      }),
    )
  })
})
