/**
 * How many workers there should be. More as soon as one more would help for long enough to be worth a rebalance; fewer only
 * after a long calm, because every change stops all partitions for a moment. Pure: the pool itself is the processor part.
 */

import { availableParallelism } from 'node:os'
import type { Config } from '../config/schema.ts'

export interface PoolLimits {
  readonly countMin: number
  readonly countMax: number
}

/** Workers that there may be at all, whatever is configured, or was before a restart. */
export const WORKER_COUNT_MAX = 64

/** How many workers the configuration allows, on this machine. */
export function poolLimits({ processor }: Config, coreCount = availableParallelism()): PoolLimits {
  const { workerCount, workerCountMin, workerCountMax } = processor
  if (workerCount > 0) return { countMin: workerCount, countMax: workerCount }
  const countMax = workerCountMax > 0 ? workerCountMax : Math.min(WORKER_COUNT_MAX, coreCount - 1)
  return { countMin: workerCountMin, countMax: Math.max(workerCountMin, countMax) }
}

/** One look, as the observer of the pressure has it. */
export interface PoolLook {
  /** Monotonic. */
  readonly nowMs: number
  readonly workerCount: number
  /** Partitions in which records wait: a worker more than these has nothing to do. */
  readonly waitingPartitionCount: number
  /** Longest wait of a record that waits now if all is enriched fully, as a share of the lag objective. */
  readonly waitShare: number
  /** True while the pressure, and not a person, keeps density below full. */
  readonly isShedding: boolean
  /** Worker time over elapsed time since the last look: 1 is one worker always busy. */
  readonly busyWorkerCount: number
  /** True while memory or the upstream is what is short: another worker would make it worse. */
  readonly isStrained: boolean
}

/** Records that wait this share of the objective are reason enough, even before anything is shed. */
const GROW_WAIT_SHARE = 0.1
/** Pressed for so long: a burst that is over by then was not worth a rebalance. */
const GROW_AFTER_MS = 3_000
/** From one change to the next worker more: its effect must have been seen. */
const GROW_AGAIN_MS = 20_000
/** Calm for so long, without interruption. */
const SHRINK_AFTER_MS = 300_000
/** The workers that stay must be this idle with what the others leave them. */
const SHRINK_BUSY_SHARE = 0.5

export class WorkerPoolPlan {
  readonly #limits: PoolLimits
  #pressedSinceMs: number | null = null
  #calmSinceMs: number | null = null
  #changedMs = Number.NEGATIVE_INFINITY

  constructor(limits: PoolLimits) {
    this.#limits = limits
  }

  /** How many there should be now: as many as there are, one more or one fewer. */
  next(look: PoolLook): number {
    const { nowMs, workerCount } = look
    const isPressed = (look.isShedding || look.waitShare >= GROW_WAIT_SHARE) && !look.isStrained
    this.#pressedSinceMs = isPressed ? (this.#pressedSinceMs ?? nowMs) : null
    const isCalm =
      !look.isShedding &&
      look.waitShare < GROW_WAIT_SHARE &&
      look.busyWorkerCount <= (workerCount - 1) * SHRINK_BUSY_SHARE
    this.#calmSinceMs = isCalm ? (this.#calmSinceMs ?? nowMs) : null

    if (this.#isGrowing(look)) return this.#changed(nowMs, workerCount + 1)
    if (this.#isShrinking(look)) return this.#changed(nowMs, workerCount - 1)
    return workerCount
  }

  #isGrowing({ nowMs, workerCount, waitingPartitionCount }: PoolLook): boolean {
    if (workerCount >= this.#limits.countMax || waitingPartitionCount <= workerCount) return false
    return heldFor(this.#pressedSinceMs, nowMs) >= GROW_AFTER_MS && nowMs - this.#changedMs >= GROW_AGAIN_MS
  }

  #isShrinking({ nowMs, workerCount }: PoolLook): boolean {
    if (workerCount <= this.#limits.countMin) return false
    return heldFor(this.#calmSinceMs, nowMs) >= SHRINK_AFTER_MS && nowMs - this.#changedMs >= SHRINK_AFTER_MS
  }

  #changed(nowMs: number, count: number): number {
    this.#changedMs = nowMs
    this.#pressedSinceMs = null
    this.#calmSinceMs = null
    return count
  }
}

const heldFor = (sinceMs: number | null, nowMs: number): number => (sinceMs === null ? -1 : nowMs - sinceMs)
