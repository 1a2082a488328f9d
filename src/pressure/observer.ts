/**
 * The observer: looks at the sensors, decides, and publishes the decision to every thread through the ambient status. The
 * one place where the pure decision meets time.
 *
 * Promises: an order of a person (emergency, tier) is published in the same turn of the event loop in which it is told; a
 * change of zone or tier is one diagnostic that says why; a look that fails leaves the last decision standing. Looks never
 * overlap, so a thread that does not answer makes them rarer and not more.
 */

import type { Clock, Timer } from '../core/clock.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { Registry } from '../telemetry/metrics.ts'
import type { AmbientWriter } from './ambient-status.ts'
import { costUs } from './cost-model.ts'
import {
  type Decision,
  type DecisionInput,
  type DecisionOptions,
  type DecisionState,
  decide,
  startDecisions,
} from './decision.ts'
import type { DecisionCause, Instant, Orders } from './orders.ts'
import { openPressureMetrics, type PressureMetrics } from './pressure-metrics.ts'
import type { PressureStatus } from './pressure-status.ts'
import { type Readings, SENSOR_NAMES, SENSORS, scoreOf } from './sensors.ts'
import { TIERS, type Tier, worseOf } from './tiers.ts'
import type { WorkTaken } from './work-meter.ts'

/** One look: what the workers did, and what all sensors but those of lag read. */
export interface PressureLook {
  readonly taken: WorkTaken
  readonly readings: Readings
}

/** An order, and how far it reaches. */
export type StandingOrders = Orders & {
  readonly emergency: (Orders['emergency'] & NonNullable<PressureStatus['emergency']>) | null
}

export interface ObserverOptions {
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly metrics: Registry
  readonly decision: DecisionOptions
  readonly ambient: AmbientWriter
  /** Time between two looks while there is work. */
  readonly lookIntervalMs: number
  readonly look: () => Promise<PressureLook>
  readonly orders: () => StandingOrders
  /** Told of every look and its decision, after it was published. */
  readonly onDecision?: (decision: Decision, taken: WorkTaken) => void
}

/** Time between two looks while nothing waits and nothing arrives, unless a tenth of the objective is less. */
const REST_INTERVAL_MS = 2_000

export class PressureObserver {
  readonly #options: ObserverOptions
  readonly #metrics: PressureMetrics
  #state: DecisionState
  #decision: Decision
  #input: DecisionInput
  #lookedMs: number
  #zoneChangeCount = 0
  #tierChangeCount = 0
  #timer: Timer | null = null
  #isStopped = false

  constructor(options: ObserverOptions) {
    this.#options = options
    const now = this.#now()
    this.#lookedMs = now.wallMs
    this.#input = {
      readings: {},
      work: { elapsedMs: 0, arrivedRecordCount: 0, done: [] },
      backlogRecordCount: 0,
      workerCount: 1,
      orders: options.orders(),
    }
    const first = decide(startDecisions(now), this.#input, now, options.decision)
    this.#state = first.state
    this.#decision = first.decision
    this.#metrics = openPressureMetrics(options.metrics, () => this.status())
    this.ordersChanged()
  }

  /** Begins to look; the first look is at once. */
  start(): void {
    void this.#lookAndGoOn()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  /** To be called whenever `orders` would answer differently: publishes what follows before it returns. */
  ordersChanged(): void {
    this.#options.ambient.setEmergency(this.#options.orders().emergency !== null)
    // What was counted in the last look must not be counted again.
    const work = { ...this.#input.work, elapsedMs: 0, arrivedRecordCount: 0, done: [] }
    this.#decide({ ...this.#input, work })
  }

  get decision(): Decision {
    return this.#decision
  }

  status(): PressureStatus {
    const { decision, orders, clock } = this.#options
    const { emergency, override } = orders()
    const { thresholds } = decision
    const { readings, backlogRecordCount } = this.#input
    const { zone, zoneHeldMs, score, tier, cause, driver, plan, pressureText, tierText } = this.#decision
    const rateOf = (of: Tier) => 1e6 / costUs(this.#state.costs, of, decision)
    return {
      zone,
      zoneHeldSeconds: Math.round(zoneHeldMs / 1_000),
      score: Math.round(score * 10) / 10,
      tier,
      cause,
      driver,
      isObserveOnly: decision.observeOnly,
      pressureText,
      tierText,
      emergency: emergency && {
        reason: emergency.reason,
        sinceMs: emergency.sinceMs,
        by: emergency.by,
        scope: emergency.scope,
      },
      override: override !== null && override.untilMs > clock.wallMs() ? override : null,
      sensors: SENSOR_NAMES.flatMap((name) => {
        const value = readings[name]
        if (value === undefined || value === null || Number.isNaN(value)) return []
        const { unit } = SENSORS[name]
        return [{ name, value, score: scoreOf(value, thresholds[name]), ...thresholds[name], unit }]
      }).sort((a, b) => b.score - a.score),
      lagObjectiveSeconds: decision.lagObjectiveSeconds,
      backlogRecordCount,
      arrivalRate: this.#state.costs.arrivalRate,
      tierRates: Object.fromEntries(TIERS.map((of) => [of, rateOf(of)])) as Record<Tier, number>,
      waitSeconds: plan.waitSeconds,
      zoneChangeCount: this.#zoneChangeCount,
      tierChangeCount: this.#tierChangeCount,
      lookedMs: this.#lookedMs,
    }
  }

  async #lookAndGoOn(): Promise<void> {
    try {
      const { taken, readings } = await this.#options.look()
      if (this.#isStopped) return
      this.#lookedMs = this.#options.clock.wallMs()
      const { work, backlogRecordCount, workerCount, lag } = taken
      const orders = this.#options.orders()
      this.#decide({ readings: { ...readings, ...lag }, work, backlogRecordCount, workerCount, orders })
      this.#options.onDecision?.(this.#decision, taken)
    } catch (error) {
      this.#metrics.looksMissed.inc()
      this.#options.diagnostics.debug({ error }, 'the sensors could not be looked at this time')
    }
    if (this.#isStopped) return
    const { work, backlogRecordCount } = this.#input
    const { zone, tier } = this.#decision
    const isAtRest =
      work.arrivedRecordCount === 0 && backlogRecordCount === 0 && zone === 'green' && tier === 'full'
    const { clock, lookIntervalMs, decision } = this.#options
    const restMs = Math.min(REST_INTERVAL_MS, decision.lagObjectiveSeconds * 100)
    const delayMs = isAtRest ? Math.max(restMs, lookIntervalMs) : lookIntervalMs
    this.#timer = clock.after(delayMs, () => void this.#lookAndGoOn())
  }

  #decide(input: DecisionInput): void {
    const { decision: options, ambient, diagnostics } = this.#options
    const orders = this.#options.orders()
    const before = this.#decision
    const { state, decision } = decide(this.#state, { ...input, orders }, this.#now(), options)
    this.#state = state
    this.#decision = decision
    this.#input = { ...input, orders }
    const { tier, zone, score, cause, driver } = decision
    ambient.publish({ tier, zone, score, cause, driver })
    if (zone !== before.zone) {
      this.#zoneChangeCount += 1
      this.#metrics.zoneChanges.inc({ to: zone })
      const facts = { zone, from: before.zone, score: Math.round(score), because: decision.pressureText }
      if (worseOf(zone, before.zone) === zone) diagnostics.warn(facts, 'the pressure has risen')
      else diagnostics.info(facts, 'the pressure has fallen')
    }
    if (tier !== before.tier) {
      this.#tierChangeCount += 1
      this.#metrics.tierChanges.inc({ from: before.tier, to: tier })
    }
    const isOrdered = isOrder(cause) || isOrder(before.cause)
    if (tier !== before.tier || (isOrdered && cause !== before.cause)) {
      const facts = { tier, from: before.tier, cause, driver, because: decision.tierText }
      diagnostics.info(facts, 'the tier has changed')
    }
  }

  #now(): Instant {
    const { clock } = this.#options
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
  }
}

const isOrder = (cause: DecisionCause): boolean => cause === 'emergency' || cause === 'override'
