/** When debt may be paid and how fast, from the configuration, the clock and the pressure. */

import { IdleWindows } from '../config/idle-windows.ts'
import type { Config } from '../config/schema.ts'
import type { Clock } from '../core/clock.ts'
import type { AmbientReader } from '../pressure/ambient-status.ts'
import type { QueuedDebt } from './debt-queue.ts'
import { type PayPermit, permitFor, SteadyGreen } from './pay-permit.ts'
import { RateBudget } from './rate-budget.ts'

export interface ScheduleFacts {
  readonly isPaused: boolean
  /** There is debt that was asked to be paid now. */
  readonly isOrdered: boolean
  /** There is debt that would outlive the vault's retention. */
  readonly isUrgent: boolean
}

export class PaySchedule {
  readonly #clock: Clock
  readonly #ambient: AmbientReader
  readonly #steadyMs: number
  readonly #windows: IdleWindows
  readonly #green = new SteadyGreen()
  readonly #budget: RateBudget
  readonly #urgentBudget: RateBudget

  constructor(config: Config['compactor'], { clock, ambient }: { clock: Clock; ambient: AmbientReader }) {
    this.#clock = clock
    this.#ambient = ambient
    this.#steadyMs = config.steadyMs
    this.#windows = new IdleWindows(config.idleWindows, config.timeZone)
    this.#budget = new RateBudget({ recordCount: config.rateRecords, bytes: config.rateBytes }, clock)
    this.#urgentBudget = new RateBudget({ recordCount: config.urgentRateRecords, bytes: 0 }, clock)
  }

  /** What may be paid at this moment; cheap enough to be asked for every batch. */
  permit(facts: ScheduleFacts): PayPermit {
    const { zone, driver } = this.#ambient.read()
    const nowMs = this.#clock.wallMs()
    const { isIdle, opensMs } = this.#windows.at(nowMs)
    return permitFor(
      {
        ...facts,
        isEmergency: this.#ambient.isEmergency,
        zone,
        driver,
        greenMs: this.#green.observe(zone, this.#clock.monotonicMs()),
        steadyMs: this.#steadyMs,
        isIdleHour: isIdle,
        idleFromMs: opensMs,
      },
      nowMs,
    )
  }

  /** Out of which rate an entry is paid: urgent debt that nothing else allows has one of its own. */
  budgetFor(permit: PayPermit, { isOrdered }: QueuedDebt): RateBudget {
    return permit.all || (permit.ordered && isOrdered) ? this.#budget : this.#urgentBudget
  }
}
