/** The yardstick is measured too: against every schedule there is, on traces small enough to try them all. */

import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findOptimum } from '../../src/simulator/optimum.ts'
import { step } from '../../src/simulator/trace.ts'
import { checkProperty } from '../support/seeded-property.ts'

/** In a step of 1 ms a worker does one record; each can be shed down to nothing. */
const OPTIONS = { fullUs: 1_000, passthroughUs: 0, workerCount: 1 }

/** The fewest whole records to shed so that every step is done in time, by trying all ways; null when there is none. */
function fewestByTrying(arrivals: readonly number[], objectiveMs: number): number | null {
  let fewest: number | null = null
  const shedFrom = (index: number, doneMs: number, shedCount: number) => {
    if (fewest !== null && shedCount >= fewest) return
    const count = arrivals[index]
    if (count === undefined) {
      fewest = shedCount
      return
    }
    for (let shed = 0; shed <= count; shed += 1) {
      const done = Math.max(index, doneMs) + count - shed
      if (done <= index + objectiveMs) shedFrom(index + 1, done, shedCount + shed)
    }
  }
  shedFrom(0, 0, 0)
  return fewest
}

describe('the optimum', () => {
  it('is what trying every schedule finds', () => {
    let shedCount = 0
    checkProperty(
      'test/sim/optimum.test.ts',
      400,
      fc.property(
        fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 6, size: 'max' }),
        fc.nat({ max: 5 }),
        (arrivals, objectiveMs) => {
          const found = findOptimum({ name: 'any', stepMs: 1, arrivals }, { ...OPTIONS, objectiveMs })
          const fewest = fewestByTrying(arrivals, objectiveMs)
          assert.ok(found.isFeasible)
          assert.ok(Math.abs(found.shedMs - (fewest ?? Number.NaN)) < 1e-9)
          if (found.shedMs > 0) shedCount += 1
        },
      ),
    )
    expect(shedCount).toBeGreaterThan(100)
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
