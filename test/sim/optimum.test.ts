/** The yardstick is measured too: against every schedule there is, on traces small enough to try them all. */

import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findOptimum } from '../../src/simulator/optimum.ts'
import { step } from '../../src/simulator/trace.ts'
import { checkProperty } from '../support/seeded-property.ts'

/** In a step of 1 ms a worker does one record; up to half of its work can be shed, so that one step often needs others. */
const OPTIONS = { fullUs: 1_000, passthroughUs: 500, workerCount: 1 }
const HALF_MS = 0.5

/** The least work to shed, ms, so that every step is done in time, by trying all ways; null when there is none. */
function leastByTrying(arrivals: readonly number[], objectiveMs: number): number | null {
  let least: number | null = null
  const shedFrom = (index: number, doneMs: number, shedMs: number) => {
    if (least !== null && shedMs >= least) return
    const count = arrivals[index]
    if (count === undefined) {
      least = shedMs
      return
    }
    for (let halves = 0; halves <= count; halves += 1) {
      const done = Math.max(index, doneMs) + count - halves * HALF_MS
      if (done <= index + objectiveMs) shedFrom(index + 1, done, shedMs + halves * HALF_MS)
    }
  }
  shedFrom(0, 0, 0)
  return least
}

describe('the optimum', () => {
  it('is what trying every schedule finds', () => {
    let shedCount = 0
    let impossibleCount = 0
    checkProperty(
      'test/sim/optimum.test.ts',
      600,
      fc.property(
        fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 6, size: 'max' }),
        fc.integer({ min: 1, max: 6 }),
        (arrivals, objectiveMs) => {
          const found = findOptimum({ name: 'any', stepMs: 1, arrivals }, { ...OPTIONS, objectiveMs })
          const least = leastByTrying(arrivals, objectiveMs)
          assert.equal(found.isFeasible, least !== null)
          if (least === null) impossibleCount += 1
          else assert.ok(Math.abs(found.shedMs - least) < 1e-9, `found ${found.shedMs}, but ${least} will do`)
          if (least !== null && least > 0) shedCount += 1
        },
      ),
    )
    expect(shedCount).toBeGreaterThan(100)
    expect(impossibleCount).toBeGreaterThan(20)
  })

  it('of a burst is its excess, less what the objective can hold', () => {
    const trace = step(1_000, { factor: 4, forSeconds: 60 })
    const options = { fullUs: 1_000, passthroughUs: 30, workerCount: 1, objectiveMs: 60_000 }

    // 60 s bring 180 s of work too much; 60 s of it may wait.
    expect(findOptimum(trace, options).shedMs / 1_000).toBeCloseTo(120, 0)
    expect(findOptimum(trace, { ...options, workerCount: 4 }).shedMs).toBe(0)
  })

  it('says when even shedding everything is too slow', () => {
    const trace = step(1_000, { factor: 50, forSeconds: 600 })
    const options = { fullUs: 1_000, passthroughUs: 30, workerCount: 1, objectiveMs: 60_000 }

    expect(findOptimum(trace, options).isFeasible).toBe(false)
  })

  it('sheds in earlier steps what a late one cannot give up alone', () => {
    // The second step can shed half of its 2 ms of work, but has 3 ms too much: two more come from the first.
    const trace = { name: 'two', stepMs: 1, arrivals: [8, 2] }
    const options = { fullUs: 1_000, passthroughUs: 500, workerCount: 1, objectiveMs: 6 }

    const { shedByStep, isFeasible } = findOptimum(trace, options)

    expect([...shedByStep]).toEqual([2, 1])
    expect(isFeasible).toBe(true)
  })
})
