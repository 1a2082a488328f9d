/** What the observer looks at, gathered from the parts of this process: the workers, the doors, the machine. */

import type { KafkaCluster } from '../kafka/cluster.ts'
import { listOffsets } from '../kafka/offsets.ts'
import type { PressureLook } from '../pressure/observer.ts'
import type { Readings } from '../pressure/sensors.ts'
import type { EventLoopSensor } from '../pressure/sources/event-loop-sensor.ts'
import type { MemorySensor } from '../pressure/sources/memory-sensor.ts'
import type { StallSensor } from '../pressure/sources/stall-sensor.ts'
import { partitionKeyOf, type WorkerLook, WorkMeter } from '../pressure/work-meter.ts'
import type { AppContext } from './app-context.ts'
import type { IngressPart } from './ingress-part.ts'
import type { ProcessorPart, Worker } from './processor-part.ts'

export interface PressureSourcesOptions {
  readonly context: AppContext
  readonly cluster: KafkaCluster
  readonly memory: MemorySensor
  readonly stall: StallSensor
  readonly eventLoop: EventLoopSensor
}

/** A worker that does not answer within this is left out of the look; what it did is counted in the next. */
const ANSWER_MS_MAX = 400
/** The kernel's averages move slowly, and reading them costs. */
const KERNEL_MS_BETWEEN = 5_000
/** How often the ends of partitions with a backlog are asked for: a worker with enough to do does not fetch, and so hears no end. */
const ENDS_MS_BETWEEN = 500
const ENDS_MS_MAX = 1_000

/** Readings that serve more than one look. */
interface Kept {
  readonly readMs: number
  readonly readings: Readings
}

export class PressureSources {
  ingress: IngressPart | null = null
  processor: ProcessorPart | null = null
  readonly #options: PressureSourcesOptions
  readonly #meter: WorkMeter
  #kernel: Kept | null = null
  #eventLoop: Kept | null = null
  #backlogRecordCount = 0
  #endsAskedMs = Number.NEGATIVE_INFINITY

  constructor(options: PressureSourcesOptions) {
    this.#options = options
    this.#meter = new WorkMeter(options.context)
  }

  stop(): void {
    this.#options.eventLoop.stop()
  }

  async look(): Promise<PressureLook> {
    const workers = await this.#askWorkers()
    const [ends, kernel] = await Promise.all([this.#askEnds(workers), this.#readKernel()])
    const looks = workers.flatMap(({ name, status }): WorkerLook[] =>
      status === null ? [] : [{ name, work: status.work, partitions: status.partitions }],
    )
    const taken = this.#meter.take(looks, ends)
    this.#backlogRecordCount = taken.backlogRecordCount
    this.#options.eventLoop.isAtRest = taken.backlogRecordCount === 0 && taken.work.arrivedRecordCount === 0
    const acks = [
      ...workers.map(({ status }) => status?.upstreamAckMs),
      this.ingress?.upstreamAckMs(),
    ].filter((tookMs) => typeof tookMs === 'number')
    return {
      taken,
      readings: {
        ...kernel,
        // Of the main thread alone. A worker's loop is busy whenever there is work, and late by as much as a batch takes: that
        // is no strain, and what it costs is in the planner's costs. A machine that starves its threads starves this one too.
        ...this.#readEventLoop(),
        upstreamAckMs: acks.length === 0 ? null : Math.max(...acks),
        bytesInFlight: this.ingress?.admissionBytesHeld() ?? null,
      },
    }
  }

  async #askWorkers(): Promise<Worker[]> {
    const { processor } = this
    if (processor === null) return []
    return await processor.workers({ answerMsMax: ANSWER_MS_MAX })
  }

  /** The ends of the partitions as the cluster has them, while there is a backlog; nothing when they cannot be had in time. */
  async #askEnds(workers: readonly Worker[]): Promise<ReadonlyMap<string, number>> {
    const { cluster, context } = this.#options
    const nowMs = context.clock.monotonicMs()
    if (this.#backlogRecordCount === 0 || nowMs - this.#endsAskedMs < ENDS_MS_BETWEEN) return new Map()
    this.#endsAskedMs = nowMs
    const queries = workers.flatMap(
      ({ status }) =>
        status?.partitions.map(({ topic, partition }) => ({ topic, partition, at: 'latest' as const })) ?? [],
    )
    try {
      const isolation = 'read_uncommitted'
      const ends = await listOffsets(cluster, queries, { isolation, deadlineMs: ENDS_MS_MAX })
      return new Map(ends.map(({ topic, partition, offset }) => [partitionKeyOf(topic, partition), offset]))
    } catch {
      return new Map()
    }
  }

  #readEventLoop(): Readings {
    const { context, eventLoop } = this.#options
    const nowMs = context.clock.monotonicMs()
    if (this.#eventLoop === null || nowMs - this.#eventLoop.readMs >= eventLoop.readingMs) {
      this.#eventLoop = { readMs: nowMs, readings: eventLoop.read() }
    }
    return this.#eventLoop.readings
  }

  async #readKernel(): Promise<Readings> {
    const { context, memory, stall } = this.#options
    const nowMs = context.clock.monotonicMs()
    if (this.#kernel !== null && nowMs - this.#kernel.readMs < KERNEL_MS_BETWEEN) return this.#kernel.readings
    const [residentMemory, stalls] = await Promise.all([memory.read(), stall.read()])
    this.#kernel = { readMs: nowMs, readings: { residentMemory, ...stalls } }
    return this.#kernel.readings
  }
}
