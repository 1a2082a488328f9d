/** The processor part grown and shrunk by what the observer of the pressure sees. */

import type { Clock } from '../core/clock.ts'
import type { Decision } from '../pressure/decision.ts'
import { SENSORS } from '../pressure/sensors.ts'
import type { WorkTaken } from '../pressure/work-meter.ts'
import type { ProcessorPart } from './processor-part.ts'
import { WorkerPoolPlan } from './worker-pool-plan.ts'

export interface WorkerPoolOptions {
  readonly processor: Pick<ProcessorPart, 'limits' | 'supervisors' | 'resize'>
  readonly clock: Clock
  readonly lagObjectiveSeconds: number
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #plan: WorkerPoolPlan

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#plan = new WorkerPoolPlan(options.processor.limits)
  }

  /** Takes one look; what follows is done in the background. */
  resize({ plan, worst, ceiling }: Decision, { work, waitingPartitionCount }: WorkTaken): void {
    const { processor, clock, lagObjectiveSeconds } = this.#options
    const busyMs = work.done.reduce((sum, done) => sum + done.busyMs, 0)
    const isStrain = worst !== null && SENSORS[worst.name].family === 'strain'
    const count = this.#plan.next({
      nowMs: clock.monotonicMs(),
      workerCount: processor.supervisors.length,
      waitingPartitionCount,
      waitShare: plan.waitSeconds.full / lagObjectiveSeconds,
      isShedding: plan.tier !== 'full',
      busyWorkerCount: work.elapsedMs > 0 ? busyMs / work.elapsedMs : 0,
      isStrained: isStrain && ceiling !== 'full',
    })
    if (count !== processor.supervisors.length) processor.resize(count)
  }
}
