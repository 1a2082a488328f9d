/**
 * What the workers' statuses amount to: who did how much since the last look, how much has arrived, how much waits. The
 * counts that workers give grow for as long as their thread lives; differences are taken here, so that a look that was
 * missed is made up for by the next one, and a thread that began anew counts from nothing.
 */

import type { Clock } from '../core/clock.ts'
import type { WorkSample } from './cost-model.ts'
import { LagSensor } from './sources/lag-sensor.ts'
import { TIERS, type Tier } from './tiers.ts'

/** One partition that a worker processes. */
export interface PartitionPosition {
  readonly topic: string
  readonly partition: number
  /** The next offset to be processed. */
  readonly position: number
  /** One past the last record, as last heard; -1 when never. */
  readonly highWatermark: number
  /** Timestamp of the newest record processed; -1 before the first. */
  readonly reachedTimestampMs: number
}

/** A worker's answer. */
export interface WorkerLook {
  readonly name: string
  /** Since the thread started. */
  readonly work: Readonly<Record<Tier, { readonly recordCount: number; readonly busyMs: number }>>
  readonly partitions: readonly PartitionPosition[]
}

export interface WorkTaken {
  readonly work: WorkSample
  readonly backlogRecordCount: number
  /**
   * Workers that share what waits: as many as the backlog is times that of the worker with most of it. One of four workers
   * that has all of it works alone.
   */
  readonly workerCount: number
  /** Partitions in which records wait. */
  readonly waitingPartitionCount: number
  readonly lag: ReturnType<LagSensor['read']>
}

/** A partition that nobody reports is still behind: its worker is starting again, or it is changing hands. */
const UNREPORTED_MS_MAX = 5_000

export class WorkMeter {
  readonly #clock: Clock
  readonly #lag: LagSensor
  readonly #counts = new Map<string, WorkerLook['work']>()
  readonly #ends = new Map<string, { highWatermark: number; position: number; seenMs: number }>()
  #takenMs: number

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
    this.#lag = new LagSensor({ clock })
    this.#takenMs = clock.monotonicMs()
  }

  /** @param ends ends of partitions asked for just now, by `topic/partition`; they are believed over what was heard before. */
  take(workers: readonly WorkerLook[], ends: ReadonlyMap<string, number> = new Map()): WorkTaken {
    const nowMs = this.#clock.monotonicMs()
    const elapsedMs = nowMs - this.#takenMs
    this.#takenMs = nowMs
    const done = TIERS.map((tier) => ({ tier, ...this.#doneIn(tier, workers) }))
    for (const { name, work } of workers) this.#counts.set(name, work)

    let arrivedRecordCount = 0
    let longestBacklog = 0
    let waitingPartitionCount = 0
    for (const { partitions } of workers) {
      let backlog = 0
      for (const { topic, partition, position, highWatermark: heard, reachedTimestampMs } of partitions) {
        const key = partitionKeyOf(topic, partition)
        const known = this.#ends.get(key)
        const highWatermark = Math.max(heard, ends.get(key) ?? known?.highWatermark ?? -1)
        if (highWatermark < 0) continue
        arrivedRecordCount += known === undefined ? 0 : Math.max(0, highWatermark - known.highWatermark)
        backlog += Math.max(0, highWatermark - position)
        if (highWatermark > position) waitingPartitionCount += 1
        this.#ends.set(key, { highWatermark, position, seenMs: nowMs })
        this.#lag.observe(key, { position, highWatermark, timestampMs: reachedTimestampMs })
      }
      longestBacklog = Math.max(longestBacklog, backlog)
    }
    const backlogRecordCount = this.#forgetAndSum(nowMs)
    const sharing = longestBacklog === 0 ? 1 : backlogRecordCount / longestBacklog
    return {
      work: { elapsedMs, arrivedRecordCount, done },
      backlogRecordCount,
      workerCount: Math.max(1, Math.min(sharing, workers.length)),
      waitingPartitionCount,
      lag: this.#lag.read(),
    }
  }

  #doneIn(tier: Tier, workers: readonly WorkerLook[]): { recordCount: number; busyMs: number } {
    const sum = { recordCount: 0, busyMs: 0 }
    for (const { name, work } of workers) {
      const before = this.#counts.get(name)?.[tier]
      const now = work[tier]
      const isSameThread = before !== undefined && now.recordCount >= before.recordCount
      sum.recordCount += now.recordCount - (isSameThread ? before.recordCount : 0)
      sum.busyMs += Math.max(0, now.busyMs - (isSameThread ? before.busyMs : 0))
    }
    return sum
  }

  #forgetAndSum(nowMs: number): number {
    let backlog = 0
    for (const [key, { highWatermark, position, seenMs }] of this.#ends) {
      if (nowMs - seenMs > UNREPORTED_MS_MAX) {
        this.#ends.delete(key)
        this.#lag.forget(key)
      } else backlog += Math.max(0, highWatermark - position)
    }
    return backlog
  }
}

/** The name of a partition in maps here and in those handed in. */
export const partitionKeyOf = (topic: string, partition: number): string => `${topic}/${partition}`
