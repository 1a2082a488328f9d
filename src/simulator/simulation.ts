/**
 * A run of the real decision function, planner and ledger under a trace of arrivals, in virtual time: workers, vault and
 * clock are made up, nothing else is. A day takes a second.
 *
 * In each step, in this order: records arrive; the workers use their time on the oldest records, in the tier that was last
 * published; what is not enriched fully is booked as debt; when a look is due the sensors are read and a decision is
 * published, which holds from the next step on. Time that is left over pays debt while pressure is green and has been
 * for the dwell, the debt nearest to its deadline first.
 */

import { asOffset, asPartitionId } from '../core/brands.ts'
import type { Clock } from '../core/clock.ts'
import { type ClaimedRange, type CoverageReport, checkCoverage } from '../ledger/coverage.ts'
import type { DebtEntry, DebtPartition } from '../ledger/debt-entry.ts'
import { orderByDeadline } from '../ledger/debt-order.ts'
import { addDebt, type DebtBooks, NO_DEBT, settleDebt } from '../ledger/debt-ranges.ts'
import { rangeOf } from '../ledger/offset-range.ts'
import { type Decision, type DecisionOptions, decide, startDecisions } from '../pressure/decision.ts'
import type { Driver } from '../pressure/drivers.ts'
import { NO_ORDERS } from '../pressure/orders.ts'
import { LagSensor } from '../pressure/sources/lag-sensor.ts'
import type { Tier, Zone } from '../pressure/tiers.ts'
import type { Trace } from './trace.ts'

export interface SimulationOptions {
  readonly decision: DecisionOptions
  /** What a record really costs in each tier, worker microseconds; the planner has to find out. */
  readonly costUs: Readonly<Record<Tier, number>>
  readonly workerCount: number
  /** Time between two looks at the sensors. */
  readonly lookMs: number
}

/** As the running process looks while there is work. */
export const DEFAULT_LOOK_MS = 250

/** What a step was like, at its end. */
export interface SimulationSample {
  readonly atMs: number
  readonly arrivedRecordCount: number
  /** The tier that the workers had in this step. */
  readonly tier: Tier
  readonly zone: Zone
  readonly backlogRecordCount: number
  /** How long the last record that was done in this step had waited, or the oldest that waits still. */
  readonly waitSeconds: number
  readonly debtRecordCount: number
}

export interface SimulationRun {
  readonly samples: readonly SimulationSample[]
  readonly changes: readonly { readonly atMs: number; readonly from: Tier; readonly to: Tier }[]
  /** Longest wait of any record from arrival to the end of its processing. */
  readonly waitSecondsMax: number
  /** Worker time that was not spent because records were not enriched fully, ms. */
  readonly shedMs: number
  /** The books at the end, and the most entries they ever had. */
  readonly books: DebtBooks
  readonly entryCountMax: number
  /** Whether every processed record is enriched, or in the books, and never both. */
  readonly coverage: CoverageReport
}

const PARTITION: DebtPartition = {
  topology: 'density-tier',
  topic: 'raw-vault',
  partition: asPartitionId(0),
}
/** Bytes of a made-up record. */
const RECORD_BYTES = 200

/** Records that arrived in the same step. */
interface Cohort {
  readonly arrivedMs: number
  left: number
}

/** Runs a trace to its end, and on until nothing waits any more. */
export function simulate(trace: Trace, options: SimulationOptions): SimulationRun {
  return new Simulation(trace, options).run()
}

class Simulation {
  readonly #trace: Trace
  readonly #options: SimulationOptions
  readonly #clock: Clock & { nowMs: number }
  readonly #lag: LagSensor
  readonly #cohorts: Cohort[] = []
  #nextCohort = 0
  #position = 0
  #highWatermark = 0
  #tier: Tier = 'full'
  #books: DebtBooks = NO_DEBT
  #debtRecordCount = 0
  #shedMs = 0
  #waitMsMax = 0
  #entryCountMax = 0
  readonly #enriched: ClaimedRange[] = []
  readonly #samples: SimulationSample[] = []
  readonly #changes: { atMs: number; from: Tier; to: Tier }[] = []
  #done = { recordCount: 0, busyMs: 0, arrivedRecordCount: 0, sinceMs: 0 }

  constructor(trace: Trace, options: SimulationOptions) {
    this.#trace = trace
    this.#options = options
    this.#clock = virtualClock()
    this.#lag = new LagSensor({ clock: this.#clock })
  }

  run(): SimulationRun {
    const { stepMs, arrivals } = this.#trace
    let state = startDecisions(this.#now())
    let lookDueMs = 0
    let zone: Zone = 'green'
    let driver: Driver = 'none'
    let canRepay = false
    this.#look()
    for (let step = 0; step < arrivals.length || this.#position < this.#highWatermark; step += 1) {
      const stepEndMs = (step + 1) * stepMs
      const arrivedRecordCount = arrivals[step] ?? 0
      this.#arrive(arrivedRecordCount)
      const { leftMs, waitMs } = this.#work(stepEndMs, zone, driver)
      if (canRepay && leftMs > 0) this.#repay(leftMs, stepEndMs)
      this.#clock.nowMs = stepEndMs
      this.#look()
      const tier = this.#tier
      if (stepEndMs >= lookDueMs) {
        lookDueMs = stepEndMs + this.#options.lookMs
        const next = decide(state, this.#input(), this.#now(), this.#options.decision)
        state = next.state
        zone = next.decision.zone
        driver = next.decision.driver
        canRepay = this.#isCalm(next.decision)
        this.#publish(next.decision.tier)
      }
      this.#samples.push({
        atMs: stepEndMs,
        arrivedRecordCount,
        tier,
        zone,
        backlogRecordCount: this.#highWatermark - this.#position,
        waitSeconds: waitMs / 1_000,
        debtRecordCount: this.#debtRecordCount,
      })
    }
    return {
      samples: this.#samples,
      changes: this.#changes,
      waitSecondsMax: this.#waitMsMax / 1_000,
      shedMs: this.#shedMs,
      books: this.#books,
      entryCountMax: this.#entryCountMax,
      coverage: checkCoverage({ first: 0, end: this.#position }, [
        ...this.#enriched,
        ...this.#books.map(({ first, last, state: kind }) => ({ kind, ...rangeOf(first, last) })),
      ]),
    }
  }

  #arrive(recordCount: number): void {
    if (recordCount === 0) return
    this.#cohorts.push({ arrivedMs: this.#clock.nowMs, left: recordCount })
    this.#highWatermark += recordCount
    this.#done.arrivedRecordCount += recordCount
    this.#look()
  }

  /** Uses the step's worker time on what waits; gives what is left of it, and the wait of the last record done. */
  #work(stepEndMs: number, zone: Zone, driver: Driver): { leftMs: number; waitMs: number } {
    const { costUs, workerCount } = this.#options
    const tier = this.#tier
    const first = this.#position
    const perRecordMs = costUs[tier] / 1_000
    const budgetMs = (stepEndMs - this.#clock.nowMs) * workerCount
    let leftMs = budgetMs
    let waitMs = 0
    for (;;) {
      const cohort = this.#cohorts[this.#nextCohort]
      if (cohort === undefined) break
      // A hair more than the budget, so that rounding does not leave a record behind in every step.
      const count = Math.min(cohort.left, Math.floor(leftMs / perRecordMs + 1e-9))
      leftMs -= count * perRecordMs
      cohort.left -= count
      this.#position += count
      const reachedMs = stepEndMs - Math.max(0, leftMs) / workerCount
      if (count > 0) waitMs = reachedMs - cohort.arrivedMs
      if (cohort.left > 0) {
        waitMs = Math.max(waitMs, stepEndMs - cohort.arrivedMs)
        break
      }
      this.#waitMsMax = Math.max(this.#waitMsMax, waitMs)
      this.#nextCohort += 1
    }
    const recordCount = this.#position - first
    if (recordCount > 0) this.#book(rangeOf(first, this.#position - 1), tier, { zone, driver }, stepEndMs)
    this.#done.recordCount += recordCount
    this.#done.busyMs += recordCount * perRecordMs
    return { leftMs: Math.max(0, leftMs), waitMs }
  }

  #book(
    range: ReturnType<typeof rangeOf>,
    tier: Tier,
    reason: { zone: Zone; driver: Driver },
    nowMs: number,
  ) {
    const recordCount = range.last - range.first + 1
    if (tier === 'full') {
      const previous = this.#enriched.at(-1)
      if (previous?.last === range.first - 1) {
        this.#enriched[this.#enriched.length - 1] = { ...previous, last: range.last }
      } else this.#enriched.push({ kind: 'enriched', ...range })
      return
    }
    const { costUs } = this.#options
    this.#shedMs += (recordCount * (costUs.full - costUs[tier])) / 1_000
    this.#debtRecordCount += recordCount
    const entry: DebtEntry = {
      ...PARTITION,
      ...range,
      tier,
      recordCount,
      bytes: recordCount * RECORD_BYTES,
      timestampMinMs: nowMs,
      timestampMaxMs: nowMs,
      reason,
      openedMs: nowMs,
      state: 'open',
      closedMs: null,
    }
    this.#books = addDebt(this.#books, entry)
    this.#entryCountMax = Math.max(this.#entryCountMax, this.#books.length)
  }

  /** Spends worker time on the debt that is due first. */
  #repay(leftMs: number, nowMs: number): void {
    let count = Math.floor((leftMs * 1_000) / this.#options.costUs.full)
    for (const { entry } of orderByDeadline(this.#books, (open) => open.openedMs)) {
      if (count === 0) return
      const paidCount = Math.min(count, entry.recordCount)
      const range = rangeOf(entry.first, asOffset(entry.first + paidCount - 1))
      this.#books = settleDebt(this.#books, range, { settledMs: nowMs })
      this.#debtRecordCount -= paidCount
      count -= paidCount
    }
  }

  #isCalm({ zone, zoneHeldMs, tier }: Decision): boolean {
    return zone === 'green' && zoneHeldMs >= this.#options.decision.dwellMs && tier === 'full'
  }

  #publish(tier: Tier): void {
    if (tier !== this.#tier) this.#changes.push({ atMs: this.#clock.nowMs, from: this.#tier, to: tier })
    this.#tier = tier
  }

  #input() {
    const { recordCount, busyMs, arrivedRecordCount, sinceMs } = this.#done
    const elapsedMs = this.#clock.nowMs - sinceMs
    this.#done = { recordCount: 0, busyMs: 0, arrivedRecordCount: 0, sinceMs: this.#clock.nowMs }
    return {
      readings: this.#lag.read(),
      work: { elapsedMs, arrivedRecordCount, done: [{ tier: this.#tier, recordCount, busyMs }] },
      backlogRecordCount: this.#highWatermark - this.#position,
      workerCount: this.#options.workerCount,
      orders: NO_ORDERS,
    }
  }

  #look(): void {
    this.#lag.observe('0', { position: this.#position, highWatermark: this.#highWatermark, timestampMs: -1 })
  }

  #now() {
    return { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() }
  }
}

/** A clock that the simulation moves. */
function virtualClock(): Clock & { nowMs: number } {
  const noTimers = () => {
    throw new Error('a simulation has no timers')
  }
  return {
    nowMs: 0,
    wallMs() {
      return this.nowMs
    },
    monotonicMs() {
      return this.nowMs
    },
    after: noTimers,
    sleep: noTimers,
  }
}
