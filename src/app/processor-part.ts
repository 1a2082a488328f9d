/**
 * The processor threads, from the configuration: one consumer group shared out among them, and more of them under pressure.
 * A thread keeps its name in the group over restarts; the highest names come and go.
 */

import { importModule } from '../core/import-module.ts'
import { systemDisk } from '../core/system-disk.ts'
import type { ThreadSupervisor } from '../core/thread-supervisor.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { ProcessorStatus } from '../processor/processor.ts'
import type { ProcessorThreadOptions } from '../processor/processor-thread.ts'
import type { TopologyDeclaration } from '../topology/declaration.ts'
import { prepareTopology } from '../topology/prepare-topology.ts'
import { DEFAULT_STREAM_TOPICS, streamOf } from '../vault/stream-topics.ts'
import type { AppContext } from './app-context.ts'
import { loadInstanceId } from './instance-id.ts'
import { retireMembers } from './retire-members.ts'
import type { ProcessorStatusDocument, StreamStatus } from './status-document.ts'
import { superviseThread } from './supervised-thread.ts'
import { loadTopology } from './topology-file.ts'
import type { PoolLimits } from './worker-pool-plan.ts'
import { poolLimits, WORKER_COUNT_MAX } from './worker-pool-plan.ts'

/** Part of the half minute that a stop may take. */
const STOP_MS_MAX = 6_000

export interface Worker {
  readonly name: string
  /** Null for a thread that is down or does not answer. */
  readonly status: ProcessorStatus | null
}

export interface ProcessorPartOptions {
  readonly cluster: KafkaCluster
  readonly bootstrapServers: readonly string[]
  /** The pressure, for every thread. */
  readonly ambient: SharedArrayBuffer
}

export class ProcessorPart {
  readonly #context: AppContext
  readonly #options: ProcessorPartOptions
  readonly #topology: TopologyDeclaration
  readonly #instanceId: string
  readonly #limits: PoolLimits
  readonly #supervisors: ThreadSupervisor[] = []
  /** What threads counted that are no more, so that no sum falls when the pool shrinks. */
  readonly #retired: object[][] = []
  /** Changes of the pool, one after the other. */
  #changing: Promise<void> = Promise.resolve()
  #isChanging = false
  #isStopped = false

  private constructor(
    context: AppContext,
    options: ProcessorPartOptions,
    { topology, instanceId }: { readonly topology: TopologyDeclaration; readonly instanceId: string },
  ) {
    this.#context = context
    this.#options = options
    this.#topology = topology
    this.#instanceId = instanceId
    this.#limits = poolLimits(context.config)
  }

  /** Starts the fewest threads, all at once; resolves when all run. When one cannot start, the others are stopped. */
  static async start(context: AppContext, options: ProcessorPartOptions): Promise<ProcessorPart> {
    const { config } = context
    const topology = await loadTopology(config.processor.topology)
    // Compiled here only to refuse a wrong one before any thread starts; each thread compiles its own.
    await prepareTopology(topology, importModule, { timeZone: config.processor.timeZone })
    const instanceId = await loadInstanceId(systemDisk, context.random, context.dataDir)
    const part = new ProcessorPart(context, options, { topology, instanceId })
    try {
      await part.#openFewest()
    } catch (error) {
      await part.stop().catch(() => {})
      throw error
    }
    return part
  }

  get supervisors(): readonly ThreadSupervisor[] {
    return this.#supervisors
  }

  get limits(): PoolLimits {
    return this.#limits
  }

  /** Counters of threads that are no more, as prom-client's JSON. */
  get retiredMetrics(): readonly object[][] {
    return this.#retired
  }

  /** Asks every thread; one that does not answer within `answerMsMax` (default: some seconds) has no status. */
  workers(options?: { readonly answerMsMax?: number }): Promise<Worker[]> {
    return Promise.all(
      this.#supervisors.map(async ({ name, handle }): Promise<Worker> => {
        const status = await handle?.status(options).catch(() => null)
        return { name, status: (status as ProcessorStatus | null | undefined) ?? null }
      }),
    )
  }

  async status(): Promise<ProcessorStatusDocument> {
    const answers = await this.workers()
    return {
      topology: this.#topology.name,
      streams: sumStreams(answers, this.#context.config.streams.vaultTemplate),
      workers: answers,
    }
  }

  /** Grows or shrinks the pool by as many threads as it takes, in the background; while it does, further calls do nothing. */
  resize(count: number): void {
    const wanted = Math.min(this.#limits.countMax, Math.max(this.#limits.countMin, count))
    if (this.#isChanging || this.#isStopped || wanted === this.#supervisors.length) return
    this.#isChanging = true
    this.#changing = this.#changeTo(wanted).finally(() => {
      this.#isChanging = false
    })
  }

  /** Finishes what is in flight, commits, leaves the group. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#changing
    const stopping = this.#supervisors.map((supervisor) => supervisor.stop({ stopMsMax: STOP_MS_MAX }))
    await Promise.all(stopping)
  }

  async #openFewest(): Promise<void> {
    const count = this.#limits.countMin
    const added = Array.from({ length: count }, (_, workerIndex) => this.#supervise(workerIndex))
    this.#supervisors.push(...added)
    await Promise.all(added.map((supervisor) => supervisor.start()))
    // Workers that this installation had before, under pressure or another configuration, would keep their partitions.
    const former = Array.from({ length: WORKER_COUNT_MAX - count }, (_, index) =>
      this.#memberName(count + index),
    )
    this.#changing = this.#retire(former)
  }

  async #changeTo(count: number): Promise<void> {
    const { diagnostics } = this.#context
    while (this.#supervisors.length !== count && !this.#isStopped) {
      const from = this.#supervisors.length
      try {
        if (from < count) await this.#grow()
        else await this.#shrink()
        diagnostics.info(
          { from, to: this.#supervisors.length },
          'the number of processor threads has changed',
        )
      } catch (error) {
        diagnostics.warn({ error, from }, 'the number of processor threads could not be changed')
        return
      }
    }
  }

  async #grow(): Promise<void> {
    const supervisor = this.#supervise(this.#supervisors.length)
    await supervisor.start()
    this.#supervisors.push(supervisor)
  }

  async #shrink(): Promise<void> {
    const supervisor = this.#supervisors.at(-1)
    if (supervisor === undefined) return
    const counted = await supervisor.handle?.metricsJson().catch(() => null)
    this.#supervisors.pop()
    await supervisor.stop({ stopMsMax: STOP_MS_MAX })
    if (counted) this.#retired.push(counted.filter(isCounter))
    await this.#retire([this.#memberName(this.#supervisors.length)])
  }

  async #retire(members: readonly string[]): Promise<void> {
    const { config, diagnostics } = this.#context
    try {
      await retireMembers(this.#options.cluster, config.processor.groupId, members)
    } catch (error) {
      const message =
        'workers that are no more could not be taken out of the group; their sessions will run out'
      diagnostics.warn({ error }, message)
    }
  }

  #memberName(workerIndex: number): string {
    return `gophership-${this.#instanceId}-${workerIndex}`
  }

  #supervise(workerIndex: number): ThreadSupervisor {
    const { config, logger } = this.#context
    const name = `processor-${workerIndex}`
    return superviseThread({
      ...this.#context,
      name,
      kind: 'processor',
      optionsOf: (): ProcessorThreadOptions => ({
        bootstrapServers: this.#options.bootstrapServers,
        clientId: config.kafka.clientId,
        groupId: config.processor.groupId,
        groupInstanceId: this.#memberName(workerIndex),
        workerIndex,
        topology: this.#topology,
        timeZone: config.processor.timeZone,
        vaultTemplate: config.streams.vaultTemplate,
        commitIntervalMs: config.processor.commitIntervalMs,
        guarantee: config.processor.guarantee,
        transactionTimeoutMs: config.processor.transactionTimeoutMs,
        passthrough: config.processor.passthrough,
        ambient: this.#options.ambient,
        checkEveryRecords: config.pressure.checkRecordCount,
        logger: { ...logger, thread: name },
      }),
    })
  }
}

/** Gauges tell of what is; of a thread that is no more only its counts stay. */
const isCounter = (metric: object): boolean =>
  'type' in metric && (metric.type === 'counter' || metric.type === 'histogram')

/** The partitions of all threads, added up for each stream, the one furthest behind first. */
export function sumStreams(workers: readonly Worker[], vaultTemplate: string): StreamStatus[] {
  const templates = { ...DEFAULT_STREAM_TOPICS, vault: vaultTemplate }
  const streams = new Map<string, StreamStatus>()
  for (const partition of workers.flatMap(({ status }) => status?.partitions ?? [])) {
    const stream = streamOf(partition.topic, templates) ?? partition.topic
    const sum = streams.get(stream)
    const ages = [sum?.lagSeconds ?? null, partition.lagSeconds].filter((age) => age !== null)
    streams.set(stream, {
      stream,
      partitionCount: (sum?.partitionCount ?? 0) + 1,
      lagRecords: (sum?.lagRecords ?? 0) + partition.lagRecords,
      lagSeconds: ages.length === 0 ? null : Math.max(...ages),
      recordCount: (sum?.recordCount ?? 0) + partition.recordCount,
      eventCount: (sum?.eventCount ?? 0) + partition.eventCount,
      deadLetterCount: (sum?.deadLetterCount ?? 0) + partition.deadLetterCount,
    })
  }
  return [...streams.values()].sort((a, b) => b.lagRecords - a.lagRecords || (a.stream < b.stream ? -1 : 1))
}
