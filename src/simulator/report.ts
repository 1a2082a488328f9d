/** What a simulated run is judged by, in numbers and in a few lines for people. */

import type { DebtState } from '../ledger/debt-entry.ts'
import { isDenser, TIERS, type Tier } from '../pressure/tiers.ts'
import { findOptimum, type Optimum } from './optimum.ts'
import type { SimulationOptions, SimulationRun } from './simulation.ts'
import type { Trace } from './trace.ts'

export interface SimulationReport {
  readonly name: string
  /** The most changes in any stretch of a dwell that undid the change before them within a dwell. */
  readonly reversalsPerDwellMax: number
  readonly changeCount: number
  readonly waitSecondsMax: number
  readonly objectiveSeconds: number
  /** False where even shedding everything from the start would have missed the objective. */
  readonly isObjectivePossible: boolean
  /** Worker time not spent on enrichment, ms, and the least that could have been. */
  readonly shedMs: number
  readonly optimum: Optimum
  /** The first over the second; 1 when nothing was shed and nothing had to be. */
  readonly shedRatio: number
  /** Records processed in each tier. */
  readonly tierRecordCounts: Readonly<Record<Tier, number>>
  readonly debtRecordCounts: Readonly<Record<DebtState, number>>
  readonly entryCountMax: number
  readonly isCovered: boolean
}

export function reportOn(trace: Trace, options: SimulationOptions, run: SimulationRun): SimulationReport {
  const { lagObjectiveSeconds, dwellMs } = options.decision
  const optimum = findOptimum(trace, {
    fullUs: options.costUs.full,
    passthroughUs: options.costUs.passthrough,
    workerCount: options.workerCount,
    objectiveMs: lagObjectiveSeconds * 1_000,
  })
  const debtRecordCounts = { open: 0, settled: 0, lost: 0 }
  const tierRecordCounts = {
    full: run.coverage.offsetCounts.get('enriched') ?? 0,
    partial: 0,
    passthrough: 0,
  }
  for (const { state, tier, recordCount } of run.books) {
    debtRecordCounts[state] += recordCount
    tierRecordCounts[tier === 'partial' ? 'partial' : 'passthrough'] += recordCount
  }
  return {
    name: trace.name,
    reversalsPerDwellMax: reversalsPerDwell(run.changes, dwellMs),
    changeCount: run.changes.length,
    waitSecondsMax: run.waitSecondsMax,
    objectiveSeconds: lagObjectiveSeconds,
    isObjectivePossible: optimum.isFeasible,
    shedMs: run.shedMs,
    optimum,
    shedRatio: run.shedMs === optimum.shedMs ? 1 : run.shedMs / optimum.shedMs,
    tierRecordCounts,
    debtRecordCounts,
    entryCountMax: run.entryCountMax,
    isCovered: run.coverage.isExact,
  }
}

/**
 * The most reversals in any stretch of time that is shorter than the dwell. A reversal is a change that goes the other way
 * than the one before it, and comes before the dwell is over.
 */
export function reversalsPerDwell(changes: SimulationRun['changes'], dwellMs: number): number {
  const reversedMs: number[] = []
  changes.forEach(({ atMs, from, to }, index) => {
    const previous = changes[index - 1]
    if (previous === undefined || atMs - previous.atMs >= dwellMs) return
    if (isDenser(to, from) !== isDenser(previous.to, previous.from)) reversedMs.push(atMs)
  })
  return Math.max(
    0,
    ...reversedMs.map((end) => reversedMs.filter((at) => at > end - dwellMs && at <= end).length),
  )
}

/** The report as lines of text. */
export function formatReport(report: SimulationReport): string {
  const { optimum, debtRecordCounts, tierRecordCounts } = report
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`
  const possible = report.isObjectivePossible ? '' : ' (no tier could have held it)'
  return [
    `${report.name}`,
    `  longest wait   ${report.waitSecondsMax.toFixed(1)} s, objective ${report.objectiveSeconds} s${possible}`,
    `  tiers          ${TIERS.map((tier) => `${tier} ${tierRecordCounts[tier]}`).join(', ')} records; ${report.changeCount} changes, at most ${report.reversalsPerDwellMax} reversals per dwell`,
    `  shed           ${seconds(report.shedMs)} of worker time, ${seconds(optimum.shedMs)} at best: ${report.shedRatio.toFixed(3)}`,
    `  debt           ${debtRecordCounts.open} records owed, ${debtRecordCounts.settled} settled, at most ${report.entryCountMax} entries`,
    `  ledger         ${report.isCovered ? 'every record is enriched or booked, none twice' : 'DOES NOT ADD UP'}`,
  ].join('\n')
}
