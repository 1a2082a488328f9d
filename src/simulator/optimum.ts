/**
 * The least enrichment that anybody could have shed on a trace, knowing all of it beforehand: the yardstick for the planner.
 *
 * The model. Records are worked off in the order in which they came, by all workers together, without pause while there are
 * any. A record costs its worker time at full density, less whatever of it is shed, but never less than passthrough costs.
 * Each record has to be done within the objective of its arrival. The optimum is the least sum of shed worker time for which
 * every record is; it may shed any fraction of a record, and change its mind for each one at no cost. Real tiers and dwells
 * can only do worse, so what it gives is a lower bound.
 *
 * Going through the steps in order and shedding only when one would miss its deadline, and then just enough, finds it: worker
 * time shed earlier than needed leaves workers idle in the end, and worker time shed by any record of one busy period brings
 * the deadline nearer by as much. What a step cannot give up itself is taken from the latest steps before it that can.
 */

import type { Trace } from './trace.ts'

export interface OptimumOptions {
  /** Worker time for one record at full density and in passthrough, microseconds. */
  readonly fullUs: number
  readonly passthroughUs: number
  readonly workerCount: number
  readonly objectiveMs: number
}

export interface Optimum {
  /** Worker time shed, ms. */
  readonly shedMs: number
  /** The same as records that were not enriched at all. */
  readonly shedRecordCount: number
  /** False when even shedding everything misses the objective for some record. */
  readonly isFeasible: boolean
  /** Worker time shed in each step, in ms of all workers together. */
  readonly shedByStep: Float64Array
}

export function findOptimum({ stepMs, arrivals }: Trace, options: OptimumOptions): Optimum {
  const { fullUs, passthroughUs, workerCount, objectiveMs } = options
  const perRecordMs = fullUs / 1_000 / workerCount
  const sheddableMs = (fullUs - passthroughUs) / 1_000 / workerCount
  const shed = new Float64Array(arrivals.length)
  /** When the records of each step are done. */
  const done = new Float64Array(arrivals.length)
  let isFeasible = true
  for (const [index, count] of arrivals.entries()) {
    const atMs = index * stepMs
    const begins = Math.max(atMs, done[index - 1] ?? 0)
    done[index] = begins + count * perRecordMs
    let lateMs = (done[index] ?? 0) - (atMs + objectiveMs)
    // How much sooner this step can be done by shedding further back: until workers would be idle in between.
    let reachMs = Number.POSITIVE_INFINITY
    for (let from = index; from >= 0 && lateMs > 0 && reachMs > 0; from -= 1) {
      const roomMs = (arrivals[from] ?? 0) * sheddableMs - (shed[from] ?? 0)
      const takenMs = Math.min(lateMs, roomMs, reachMs)
      if (takenMs > 0) {
        shed[from] = (shed[from] ?? 0) + takenMs
        for (let later = from; later <= index; later += 1) done[later] = (done[later] ?? 0) - takenMs
        lateMs -= takenMs
        reachMs -= takenMs
      }
      reachMs = Math.min(reachMs, (done[from - 1] ?? 0) - from * stepMs)
    }
    if (lateMs > LATE_MS_MIN) isFeasible = false
  }
  const shedMs = shed.reduce((sum, ms) => sum + ms, 0) * workerCount
  const shedRecordCount = (shedMs * 1_000) / (fullUs - passthroughUs)
  return { shedMs, shedRecordCount, isFeasible, shedByStep: shed }
}

/** What sums of floating-point numbers may be off by. */
const LATE_MS_MIN = 1e-6
