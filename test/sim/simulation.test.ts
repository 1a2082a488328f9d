/**
 * The real decisions, planner and ledger under arrivals of every shape, in virtual time, held against what anybody who
 * knew the whole trace beforehand could have done at best (`src/simulator/optimum.ts` says what that is).
 * `GOPHERSHIP_SIM_CHARTS=<folder>` draws every trace.
 */

import { strict as assert } from 'node:assert'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEFAULT_DECISION_OPTIONS } from '../../src/pressure/decision.ts'
import { drawRun } from '../../src/simulator/chart.ts'
import { namedTrace, TRACE_NAMES } from '../../src/simulator/named-traces.ts'
import { formatReport, reportOn, reversalsPerDwell } from '../../src/simulator/report.ts'
import type { SimulationOptions } from '../../src/simulator/simulation.ts'
import { DEFAULT_LOOK_MS, simulate } from '../../src/simulator/simulation.ts'
import { diurnal, parseTrace, STEP_MS, step, traceOf } from '../../src/simulator/trace.ts'
import { checkProperty } from '../support/seeded-property.ts'

const FILE = 'test/sim/simulation.test.ts'

/** One worker that does a thousand records a second at full density. */
const CAPACITY = 1_000
const OPTIONS: SimulationOptions = {
  decision: DEFAULT_DECISION_OPTIONS,
  costUs: { full: 1_000, partial: 300, passthrough: 30 },
  workerCount: 1,
  lookMs: DEFAULT_LOOK_MS,
}
const OBJECTIVE_SECONDS = OPTIONS.decision.lagObjectiveSeconds

/** Each of them brings far more than full density can do, for long enough that something has to be shed. */
const TRACES = TRACE_NAMES.map((name) => namedTrace(name, CAPACITY))

describe.each(TRACES)('under the $name trace', (trace) => {
  const run = simulate(trace, OPTIONS)
  const report = reportOn(trace, OPTIONS, run)
  const charts = process.env['GOPHERSHIP_SIM_CHARTS']
  if (charts !== undefined) {
    const chart = drawRun(run, { title: trace.name, objectiveSeconds: OBJECTIVE_SECONDS })
    writeFileSync(join(charts, `${trace.name}.svg`), chart)
    process.stdout.write(`${formatReport(report)}\n`)
  }

  it('something had to be shed, and something was', () => {
    expect(report.optimum.shedMs).toBeGreaterThan(10_000)
    expect(report.shedMs).toBeGreaterThan(10_000)
  })

  it('no record waits longer than the objective', () => {
    expect(report.isObjectivePossible).toBe(true)
    expect(report.waitSecondsMax).toBeLessThanOrEqual(OBJECTIVE_SECONDS)
  })

  it('the tier is reversed at most once per dwell', () => {
    expect(report.reversalsPerDwellMax).toBeLessThanOrEqual(1)
  })

  it('at most a tenth more is shed than at best', () => {
    expect(report.shedRatio).toBeLessThanOrEqual(1.1)
    expect(report.shedRatio, 'nobody can be better than the optimum').toBeGreaterThanOrEqual(1 - 1e-9)
  })

  it('every record is enriched or in the books, and none is both', () => {
    expect(report.isCovered).toBe(true)
    const { full, partial, passthrough } = report.tierRecordCounts
    expect(full + partial + passthrough).toBe(trace.arrivals.reduce((sum, count) => sum + count, 0))
  })

  it('the books have no more entries than there were changes of tier and payments under way', () => {
    expect(report.entryCountMax).toBeLessThanOrEqual(report.changeCount + 2)
  })
})

describe('the step to four times the capacity', () => {
  const trace = step(CAPACITY / 2, { factor: 8, seconds: 1_200 })
  const run = simulate(trace, OPTIONS)

  it('thins once, and comes back once', () => {
    expect(run.changes.map(({ from, to }) => `${from} to ${to}`)).toEqual([
      'full to partial',
      'partial to full',
    ])
  })

  it('leaves debt that the quiet afterwards pays off', () => {
    const peak = Math.max(...run.samples.map(({ debtRecordCount }) => debtRecordCount))

    expect(peak).toBeGreaterThan(50_000)
    expect(run.samples.at(-1)?.debtRecordCount).toBe(0)
    expect(run.books.map(({ state, tier }) => `${state} ${tier}`)).toEqual(['settled partial'])
  })

  it('pays nothing while anything waits', () => {
    const wrong = run.samples.filter(
      (sample, index) =>
        sample.backlogRecordCount > 0 &&
        sample.debtRecordCount < (run.samples[index - 1]?.debtRecordCount ?? 0),
    )

    expect(wrong).toEqual([])
  })
})

describe('below its capacity', () => {
  it('nothing is ever shed', () => {
    const run = simulate(
      traceOf('quiet', 300, () => CAPACITY * 0.9),
      OPTIONS,
    )

    expect(run.changes).toEqual([])
    expect(run.books).toEqual([])
  })

  it('a burst that the objective can absorb is not shed either', () => {
    const run = simulate(step(CAPACITY / 4, { factor: 8, forSeconds: 40 }), OPTIONS)

    expect(run.changes).toEqual([])
    expect(run.waitSecondsMax).toBeGreaterThan(30)
  })
})

describe('under observeOnly', () => {
  it('nothing is shed, whatever waits', () => {
    const options = { ...OPTIONS, decision: { ...OPTIONS.decision, observeOnly: true } }

    const run = simulate(step(CAPACITY, { factor: 4 }), options)

    expect(run.changes).toEqual([])
    expect(run.waitSecondsMax).toBeGreaterThan(OBJECTIVE_SECONDS)
  })
})

describe('under any arrivals and any costs', () => {
  const anyTrace = fc
    .array(
      fc.record({
        seconds: fc.integer({ min: 5, max: 120 }),
        tenths: fc.nat({ max: 120 }),
      }),
      { minLength: 1, maxLength: 8, size: 'max' },
    )
    .map((stretches) => {
      const rates = stretches.flatMap(({ seconds, tenths }) =>
        new Array<number>(seconds).fill((tenths / 10) * CAPACITY),
      )
      return traceOf('any', rates.length, (second) => rates[Math.floor(second)] ?? 0)
    })
  const anyCosts = fc.record({
    full: fc.constant(1_000),
    partial: fc.integer({ min: 80, max: 600 }),
    passthrough: fc.integer({ min: 5, max: 50 }),
  })

  it('the ledger adds up, the tier is not flapping, and the objective is held wherever passthrough could', () => {
    let shedCount = 0
    checkProperty(
      FILE,
      60,
      fc.property(anyTrace, anyCosts, (trace, costUs) => {
        const options = { ...OPTIONS, costUs }
        const report = reportOn(trace, options, simulate(trace, options))
        assert.ok(report.isCovered, 'the ledger does not add up')
        assert.ok(report.reversalsPerDwellMax <= 1, `${report.reversalsPerDwellMax} reversals in a dwell`)
        assert.ok(report.isObjectivePossible)
        assert.ok(report.waitSecondsMax <= OBJECTIVE_SECONDS, `waited ${report.waitSecondsMax} s`)
        assert.ok(report.shedMs >= report.optimum.shedMs - 1e-3, 'better than the optimum')
        // A dwell in a thin tier may drain all that could have waited: the objective's worth of work, for each step down.
        const slackMs = (report.changeCount + 1) * OBJECTIVE_SECONDS * 1_000
        assert.ok(report.shedMs <= 1.1 * report.optimum.shedMs + slackMs, 'far from the optimum')
        if (report.shedMs > 0) shedCount += 1
      }),
    )
    expect(shedCount).toBeGreaterThan(20)
  })
})

describe('reversalsPerDwell', () => {
  const change = (atMs: number, from: 'full' | 'partial', to: 'full' | 'partial') => ({ atMs, from, to })

  it('counts changes that were undone before the dwell was over', () => {
    const changes = [
      change(0, 'full', 'partial'),
      change(10_000, 'partial', 'full'),
      change(11_000, 'full', 'partial'),
      change(12_000, 'partial', 'full'),
    ]

    expect(reversalsPerDwell(changes, 5_000)).toBe(2)
    expect(reversalsPerDwell(changes.slice(0, 3), 5_000)).toBe(1)
    expect(reversalsPerDwell(changes.slice(0, 2), 5_000)).toBe(0)
  })
})

describe('the chart', () => {
  const trace = step(CAPACITY, { factor: 4 })
  const run = simulate(trace, OPTIONS)
  const svg = drawRun(run, { title: 'step <&>', objectiveSeconds: OBJECTIVE_SECONDS })

  it('draws arrivals, wait, backlog and debt as lines, and the tier as a ribbon', () => {
    expect(svg.match(/<polyline /g)?.length).toBe(4)
    expect(svg).toContain('objective 60 s')
    expect(svg).toContain('step &lt;&amp;&gt;')
    // The ribbon has a stretch for each change and one more; the legend has three squares, and there is the paper.
    expect(svg.match(/<rect /g)?.length).toBe(run.changes.length + 1 + 3 + 1)
  })

  it('has a finite number everywhere, and stays small for a long trace', () => {
    const long = drawRun(simulate(diurnal(CAPACITY * 0.2), OPTIONS), { title: 'long', objectiveSeconds: 60 })

    expect(svg + long).not.toMatch(/NaN|Infinity|undefined/)
    expect(long.length).toBeLessThan(60_000)
  })
})

describe('a trace', () => {
  it('carries fractions of a record over, so that none is lost', () => {
    const { arrivals } = traceOf('slow', 100, () => 0.7)

    expect(arrivals.length).toBe((100 * 1_000) / STEP_MS)
    expect(arrivals.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(69)
  })

  it('is parsed from rates over time, with comments and column names', () => {
    const trace = parseTrace('mine', '# from somewhere\nseconds,rate\n10,100\n12,0\n\n13,40\n14,0\n')

    expect(trace.arrivals).toEqual([
      ...new Array(8).fill(25),
      ...new Array(4).fill(0),
      ...new Array(4).fill(10),
    ])
  })

  it.each([
    ['nothing', '', 1],
    ['one line', '0,5', 1],
    ['a word for a rate', '0,5\n1,many', 2],
    ['time that stands still', '0,5\n0,6', 2],
    ['a negative rate', '0,5\n1,-6', 2],
    ['an infinite rate', '0,5\n1,Infinity', 2],
    ['a missing rate', '0,5\n1,', 2],
    ['a third column', '0,5\n1,6,7', 2],
    ['more than a week', '0,5\n700000,6', 2],
  ])('is refused with %s, naming the line', (_, text, line) => {
    expect(() => parseTrace('mine', text)).toThrow(
      expect.objectContaining({
        code: 'GS_TRACE_INVALID',
        message: expect.stringContaining(`mine, line ${line}: expected "seconds,recordsPerSecond"`),
      }),
    )
  })
})
