/**
 * The pressure in the running process: what is looked at, the observer that decides, and the orders of people. The ambient
 * buffer is what the threads get of it.
 */

import { hostname } from 'node:os'
import { systemDisk } from '../core/system-disk.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { AmbientWriter, createAmbientBuffer } from '../pressure/ambient-status.ts'
import type { ControlState } from '../pressure/control-record.ts'
import { ControlTopic } from '../pressure/control-topic.ts'
import type { Decision } from '../pressure/decision.ts'
import { PressureObserver } from '../pressure/observer.ts'
import { OrderBook } from '../pressure/order-book.ts'
import type { PressureStatus } from '../pressure/pressure-status.ts'
import { EventLoopSensor } from '../pressure/sources/event-loop-sensor.ts'
import { MemorySensor } from '../pressure/sources/memory-sensor.ts'
import { StallSensor } from '../pressure/sources/stall-sensor.ts'
import { StatusWriter } from '../pressure/status-topic.ts'
import { Counter } from '../telemetry/metrics.ts'
import type { AppContext } from './app-context.ts'
import type { IngressPart } from './ingress-part.ts'
import { loadInstanceId } from './instance-id.ts'
import { decisionOptions } from './pressure-options.ts'
import { PressureSources } from './pressure-sources.ts'
import type { ProcessorPart } from './processor-part.ts'
import { WorkerPool } from './worker-pool.ts'

/** What somebody orders of this process. */
export interface EmergencyRequest {
  readonly isOn: boolean
  readonly reason: string
  /** Who, for status and diagnostics. */
  readonly by: string
}

export class PressurePart {
  /** For every thread that has to know the pressure. */
  readonly ambient: SharedArrayBuffer
  readonly #context: AppContext
  readonly #orders: OrderBook
  readonly #observer: PressureObserver
  readonly #sources: PressureSources
  #pool: WorkerPool | null = null
  #statusWriter: StatusWriter | null = null
  /** Zone and tier that the status topic has. */
  #told = 'green full'
  #control: ControlTopic | null = null

  private constructor(context: AppContext, sources: PressureSources) {
    const { config, clock, registry } = context
    this.#context = context
    this.#sources = sources
    this.ambient = createAmbientBuffer()
    this.#orders = new OrderBook({ onChange: () => this.#observer.ordersChanged() })
    this.#observer = new PressureObserver({
      clock,
      diagnostics: context.diagnostics.child({ part: 'pressure' }),
      metrics: registry,
      decision: decisionOptions(config),
      ambient: new AmbientWriter(this.ambient),
      lookIntervalMs: config.pressure.lookIntervalMs,
      look: () => sources.look(),
      orders: () => this.#orders.current(),
      onDecision: (decision, taken) => {
        this.#pool?.resize(decision, taken)
        this.#tellChange(decision)
      },
    })
  }

  /**
   * Learns the orders that stand, and begins to look. `mustFollow` says whether this process may run without knowing them:
   * who only takes records in may, who enriches may not.
   */
  static async start(
    context: AppContext,
    { cluster, mustFollow }: { readonly cluster: KafkaCluster; readonly mustFollow: boolean },
  ): Promise<PressurePart> {
    const [memory, stall] = await Promise.all([MemorySensor.start(systemDisk), StallSensor.start(systemDisk)])
    const eventLoop = EventLoopSensor.start(context)
    const part = new PressurePart(
      context,
      new PressureSources({ context, cluster, memory, stall, eventLoop }),
    )
    try {
      await part.#followOrders(cluster)
    } catch (error) {
      if (mustFollow) {
        await part.stop()
        throw error
      }
      context.diagnostics.warn(
        { error },
        'orders to all instances cannot be read; this one takes only its own',
      )
    }
    part.#observer.start()
    await part.#tellStatus(cluster)
    return part
  }

  watchIngress(ingress: IngressPart): void {
    this.#sources.ingress = ingress
  }

  watchProcessor(processor: ProcessorPart): void {
    this.#sources.processor = processor
    this.#pool = new WorkerPool({ processor, ...this.#context, ...decisionOptions(this.#context.config) })
  }

  status(): PressureStatus {
    return this.#observer.status()
  }

  /** What the control topic says. */
  get clusterOrders(): ControlState {
    return this.#orders.cluster
  }

  /** Sets or ends the emergency of this process; every thread sees it before this returns. */
  orderEmergency({ isOn, reason, by }: EmergencyRequest): PressureStatus {
    const { clock, diagnostics } = this.#context
    this.#orders.orderEmergency(isOn ? { reason, by, sinceMs: clock.wallMs() } : null)
    const stillOn = this.#orders.current().emergency
    if (isOn) diagnostics.warn({ reason, by }, 'the emergency switch is on: nothing is enriched')
    else
      diagnostics.warn({ by, isClusterWide: stillOn !== null }, 'the emergency switch of this process is off')
    return this.status()
  }

  /** Turns the emergency of this process to what it is not. */
  toggleEmergency(by: string): PressureStatus {
    return this.orderEmergency({ isOn: this.#orders.own === null, reason: `toggled by ${by}`, by })
  }

  async stop(): Promise<void> {
    this.#observer.stop()
    this.#sources.stop()
    await this.#statusWriter?.stop()
    await this.#control?.stop()
  }

  /** Begins to tell the other instances' people how this one is. */
  async #tellStatus(cluster: KafkaCluster): Promise<void> {
    const { config, clock, dataDir, diagnostics, random } = this.#context
    const instance = await loadInstanceId(systemDisk, random, dataDir)
    this.#statusWriter = StatusWriter.start({
      cluster,
      diagnostics: diagnostics.child({ part: 'status' }),
      status: () => {
        const { zone, tier, score, pressureText, tierText, backlogRecordCount, arrivalRate, emergency } =
          this.status()
        const pressure = {
          zone,
          tier,
          score,
          pressureText,
          tierText,
          backlogRecordCount,
          arrivalRate,
          emergency,
        }
        const { roles } = config
        return {
          instance,
          host: hostname(),
          processId: process.pid,
          roles,
          atMs: clock.wallMs(),
          ...pressure,
        }
      },
    })
  }

  #tellChange({ zone, tier }: Decision): void {
    const told = `${zone} ${tier}`
    if (told === this.#told) return
    this.#told = told
    this.#statusWriter?.writeNow()
  }

  async #followOrders(cluster: KafkaCluster): Promise<void> {
    const refused = new Counter({
      name: 'gophership_control_records_refused_total',
      help: 'Records of the control topic that are no orders and changed nothing.',
      registers: [this.#context.registry],
    })
    const control = await ControlTopic.open(cluster, {
      diagnostics: this.#context.diagnostics.child({ part: 'control' }),
      onRefused: () => refused.inc(),
    })
    this.#control = control
    control.onChange((state) => this.#onControl(state))
    this.#onControl(control.current())
  }

  #onControl(state: ControlState): void {
    const before = this.#orders.cluster
    const { diagnostics } = this.#context
    this.#orders.follow(state)
    const { emergency, override } = state
    if (emergency !== null && emergency.sinceMs !== before.emergency?.sinceMs) {
      const { reason, by } = emergency
      diagnostics.warn({ reason, by }, 'the emergency switch is on for all instances: nothing is enriched')
    }
    if (emergency === null && before.emergency !== null) {
      diagnostics.warn({}, 'the emergency switch for all instances is off')
    }
    if (override !== null && override.untilMs !== before.override?.untilMs) {
      const { tier, untilMs, reason, by } = override
      const until = new Date(untilMs).toISOString()
      diagnostics.warn({ tier, until, reason, by }, 'a tier is ordered for all instances')
    }
    if (override === null && before.override !== null) {
      diagnostics.warn({}, 'no tier is ordered any more')
    }
  }
}
