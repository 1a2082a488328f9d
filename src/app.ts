/**
 * Composition: which parts run in this process, the order in which they start, and its reverse.
 *
 * Here the configuration ends. Parts below take their own options, and everything real (clock, randomness, disk,
 * threads) is handed to them from here.
 */

import { resolve } from 'node:path'
import type { Readiness } from './admin/admin-server.ts'
import { AdminServer } from './admin/admin-server.ts'
import type { AppContext } from './app/app-context.ts'
import type { BrokerPart } from './app/broker-part.ts'
import { startBrokerPart } from './app/broker-part.ts'
import { CompactorPart } from './app/compactor-part.ts'
import type { IngressPart } from './app/ingress-part.ts'
import { startIngressPart } from './app/ingress-part.ts'
import { explainListenFailure } from './app/listen-failure.ts'
import type { EmergencyRequest } from './app/pressure-part.ts'
import { PressurePart } from './app/pressure-part.ts'
import { ProcessorPart } from './app/processor-part.ts'
import { ReadinessProbe } from './app/readiness-probe.ts'
import { RetentionHolds } from './app/retention-holds.ts'
import type { ListeningAddress, StatusDocument } from './app/status-document.ts'
import { WarmThreads } from './app/warm-threads.ts'
import type { Config } from './config/schema.ts'
import { systemClock } from './core/clock.ts'
import { takeDirectoryLock } from './core/directory-lock.ts'
import { GopherShipError } from './core/errors.ts'
import { systemRandom } from './core/random.ts'
import type { ThreadSupervisor } from './core/thread-supervisor.ts'
import { KafkaCluster } from './kafka/cluster.ts'
import type { PressureStatus } from './pressure/pressure-status.ts'
import type { Diagnostics } from './telemetry/diagnostics.ts'
import type { LoggerOptions } from './telemetry/logger.ts'
import { openDiagnostics } from './telemetry/logger.ts'
import {
  addProcessMetrics,
  formatMetrics,
  openThreadRegistry,
  threadRestartCounter,
} from './telemetry/metrics.ts'

export interface AppOptions {
  readonly config: Config
  readonly version: string
  /** For this thread; worker threads get the same with their own name. */
  readonly logger: LoggerOptions
  /** Threads that load already; those that are not needed are ended. Default: none. */
  readonly warmThreads?: WarmThreads
  /** When aborted during the start, no further part is started; the app is stopped as any other. */
  readonly stopRequested?: AbortSignal
}

/** A part to be stopped, in its place in the order. */
interface Stoppable {
  readonly name: string
  stop(): Promise<void>
}

export class App {
  readonly #context: AppContext
  readonly #version: string
  readonly #startedMs: number
  /** What runs, in the order in which it was started; `stop` goes through it backwards. */
  readonly #started: Stoppable[] = []
  readonly #listening: ListeningAddress[] = []
  #broker: BrokerPart | null = null
  #cluster: KafkaCluster | null = null
  #ingress: IngressPart | null = null
  #processor: ProcessorPart | null = null
  #compactor: CompactorPart | null = null
  #pressure: PressurePart | null = null
  #readiness: ReadinessProbe
  #stopping: Promise<void> | null = null

  private constructor({ config, version, logger, warmThreads = WarmThreads.none() }: AppOptions) {
    const registry = openThreadRegistry(logger.thread)
    addProcessMetrics(registry, version)
    this.#context = {
      config,
      dataDir: resolve(config.dataDir),
      clock: systemClock,
      random: systemRandom,
      diagnostics: openDiagnostics(logger),
      logger,
      registry,
      restartCounter: threadRestartCounter(registry),
      warmThreads,
    }
    this.#version = version
    this.#startedMs = systemClock.monotonicMs()
    this.#readiness = new ReadinessProbe({ clock: systemClock, instance: config.kafka.clientId })
  }

  /**
   * Starts every part that the configuration's roles ask for and resolves when all of them are ready. When one fails,
   * those before it are stopped and the failure is thrown; a port that is taken names the option to change. Asked to
   * stop meanwhile, it resolves with what had been started by then.
   */
  static async start(options: AppOptions): Promise<App> {
    const app = new App(options)
    try {
      await app.#start(options.stopRequested)
      await app.#context.warmThreads.discard()
      return app
    } catch (failure) {
      await app.#context.warmThreads.discard()
      await app.stop()
      throw explainListenFailure(failure, options.config)
    }
  }

  /**
   * The start order: what others stand on comes first, what is asked from outside last. Each part is put on
   * `#started` as soon as it runs, and `stop` takes them off from the end; that is the stop order:
   * admin, compactor, processors, doors (which drain), retention holds, the pressure, the cluster's connections, the broker,
   * the lock.
   */
  async #start(stopRequested?: AbortSignal): Promise<void> {
    const { config } = this.#context
    const has = (role: Config['roles'][number]) => config.roles.includes(role) && !stopRequested?.aborted
    const isEmbedded = has('broker') && config.kafka.bootstrapServers.length === 0

    const lock = await takeDirectoryLock(this.#context.dataDir)
    this.#started.push({ name: 'data directory lock', stop: () => lock.release() })

    if (isEmbedded) {
      const broker = await startBrokerPart(this.#context)
      this.#started.push({ name: 'broker', stop: () => broker.stop() })
      this.#listening.push({ name: 'broker', host: config.broker.host, port: broker.port })
      this.#broker = broker
    }
    const bootstrapServers = this.#broker?.bootstrapServers ?? config.kafka.bootstrapServers
    if (bootstrapServers.length > 0 && !stopRequested?.aborted) {
      const cluster = this.#openCluster(bootstrapServers)
      this.#started.push({ name: 'kafka connections', stop: () => cluster.close() })
      await cluster.connect()
      this.#cluster = cluster
      this.#readiness.watchCluster(cluster)
    }
    // Before the processors: who starts in an emergency must know of it before the first record.
    const enriches = has('processor') || has('compactor')
    if ((has('ingress') || enriches) && this.#cluster !== null) {
      const mustFollow = enriches
      const pressure = await PressurePart.start(this.#context, { cluster: this.#cluster, mustFollow })
      this.#started.push({ name: 'pressure', stop: () => pressure.stop() })
      this.#pressure = pressure
    }
    if (this.#broker !== null && this.#cluster !== null) this.#holdRetention(this.#broker, this.#cluster)
    if (has('ingress') && this.#cluster !== null) {
      const ingress = await startIngressPart(this.#context, this.#cluster)
      this.#started.push({ name: 'ingress', stop: () => ingress.stop() })
      this.#listening.push(...ingress.listening)
      this.#ingress = ingress
      this.#readiness.watchIngress(ingress)
      this.#pressure?.watchIngress(ingress)
    }
    if (has('processor') && this.#pressure !== null && this.#cluster !== null) {
      const { ambient } = this.#pressure
      const cluster = this.#cluster
      const processor = await ProcessorPart.start(this.#context, { cluster, bootstrapServers, ambient })
      this.#started.push({ name: 'processor', stop: () => processor.stop() })
      this.#processor = processor
      this.#readiness.watchProcessor(processor)
      this.#pressure.watchProcessor(processor)
    }
    if (has('compactor') && this.#pressure !== null && this.#cluster !== null) {
      const { ambient } = this.#pressure
      const cluster = this.#cluster
      const compactor = await CompactorPart.start(this.#context, { cluster, bootstrapServers, ambient })
      this.#started.push({ name: 'compactor', stop: () => compactor.stop() })
      this.#compactor = compactor
    }
    if (has('admin')) {
      const { clock, diagnostics } = this.#context
      const admin = await AdminServer.start({
        ...config.admin,
        clock,
        diagnostics: diagnostics.child({ role: 'admin' }),
        metrics: () => this.metrics(),
        readiness: () => this.readiness(),
        status: () => this.status(),
        emergency: (request) => this.orderEmergency({ ...request, by: 'admin' }),
      })
      this.#started.push({ name: 'admin', stop: () => admin.stop() })
      this.#listening.push({ name: 'admin', host: config.admin.host, port: admin.port })
    }
  }

  /** Stops every part in the reverse of the start order. A part that fails to stop does not keep the others. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopParts()
    return this.#stopping
  }

  async #stopParts(): Promise<void> {
    this.#readiness.stop()
    for (const part of this.#started.splice(0).reverse()) {
      try {
        await part.stop()
      } catch (error) {
        this.#context.diagnostics.warn({ part: part.name, error }, 'a part did not stop cleanly')
      }
    }
  }

  get listening(): readonly ListeningAddress[] {
    return this.#listening
  }

  get diagnostics(): Diagnostics {
    return this.#context.diagnostics
  }

  get dataDir(): string {
    return this.#context.dataDir
  }

  /** Whether the data path works, tried out. */
  readiness(): Promise<Readiness> {
    return this.#readiness.check()
  }

  /** All threads' metrics on one page. A thread that does not answer is left out; the page says so by its absence. */
  async metrics(): Promise<string> {
    const threads = this.threads.map(async (supervisor) => await supervisor.handle?.metricsJson())
    const answers = await Promise.all(threads.map((answer) => answer.catch(() => undefined)))
    const own = await this.#context.registry.getMetricsAsJSON()
    const retired = this.#processor?.retiredMetrics ?? []
    return formatMetrics([own, ...retired, ...answers.filter((answer) => answer !== undefined)])
  }

  async status(): Promise<StatusDocument> {
    const { config, clock, dataDir } = this.#context
    const [readiness, broker, processor, compactor] = await Promise.all([
      this.readiness(),
      this.#broker?.status() ?? null,
      this.#processor?.status() ?? null,
      this.#compactor?.status() ?? null,
    ])
    return {
      version: this.#version,
      processId: process.pid,
      uptimeSeconds: Math.round((clock.monotonicMs() - this.#startedMs) / 1_000),
      roles: config.roles,
      dataDir,
      readiness,
      listening: this.#listening,
      kafka: {
        bootstrapServers: this.#broker?.bootstrapServers ?? config.kafka.bootstrapServers,
        isEmbedded: this.#broker !== null,
      },
      threads: this.threads.map((supervisor) => supervisor.status()),
      broker,
      ingress: this.#ingress?.status() ?? null,
      processor,
      compactor,
      pressure: this.pressure,
    }
  }

  /** Sets or ends the emergency of this process. Throws GS_CONFIG_INVALID in one that processes nothing. */
  orderEmergency(request: EmergencyRequest): PressureStatus {
    return this.#expectPressure().orderEmergency(request)
  }

  /** The pressure right now; null in a process that neither processes nor takes anything in. */
  get pressure(): PressureStatus | null {
    return this.#pressure?.status() ?? null
  }

  /** Turns the emergency of this process to what it is not: for a signal. */
  toggleEmergency(by: string): PressureStatus {
    return this.#expectPressure().toggleEmergency(by)
  }

  /** The worker threads there are. */
  get threads(): readonly ThreadSupervisor[] {
    return [
      ...(this.#broker ? [this.#broker.supervisor] : []),
      ...(this.#processor?.supervisors ?? []),
      ...(this.#compactor ? [this.#compactor.supervisor] : []),
    ]
  }

  /** The embedded broker keeps what is not processed or not repaid, whoever processes it. */
  #holdRetention(broker: BrokerPart, cluster: KafkaCluster): void {
    const { config, diagnostics } = this.#context
    const holds = RetentionHolds.start({
      cluster,
      diagnostics: diagnostics.child({ part: 'retention' }),
      vaultTemplate: config.streams.vaultTemplate,
      groupId: config.processor.groupId,
      isProcessedHere: config.roles.includes('processor'),
      tell: (told) => broker.holdRetention(told),
    })
    this.#started.push({ name: 'retention holds', stop: () => holds.stop() })
  }

  #expectPressure(): PressurePart {
    if (this.#pressure !== null) return this.#pressure
    const message = `this process (${this.#context.config.roles.join(', ')}) enriches nothing that an emergency could stop; order it where the role processor runs, or for all instances with --cluster`
    throw new GopherShipError('GS_CONFIG_INVALID', message)
  }

  #openCluster(bootstrapServers: readonly string[]): KafkaCluster {
    const { config, clock, random, diagnostics } = this.#context
    return new KafkaCluster({
      bootstrapServers,
      clientId: config.kafka.clientId,
      clock,
      random,
      diagnostics: diagnostics.child({ part: 'kafka' }),
    })
  }
}
