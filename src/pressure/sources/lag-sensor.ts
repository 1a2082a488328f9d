/**
 * `lagRecords`, `lagSeconds` and `lagVelocity`, from what fetch answers say anyway: positions, high watermarks, timestamps.
 *
 * Lag in seconds is how long the next record has been waiting in the vault. When the high watermark was seen to pass it, is
 * remembered, and that is what counts. Its own timestamp is believed only for records older than the memory: a producer that
 * loads last year's archive, or whose clock is wrong, must not look like a year of lag.
 */

import type { Clock } from '../../core/clock.ts'
import type { Readings } from '../sensors.ts'

export interface PartitionLook {
  /** The next offset to be processed. */
  readonly position: number
  /** One past the last record of the partition. */
  readonly highWatermark: number
  /** Timestamp of the record at the position, or of one just before it; -1 when not known. */
  readonly timestampMs: number
}

/** A high watermark, and when it was seen first and last. */
interface Sample {
  readonly highWatermark: number
  readonly firstSeenMs: number
  lastSeenMs: number
}

interface Partition {
  look: PartitionLook
  /** In order of time; the first may lie at or below the position, no other does. */
  samples: Sample[]
  /** The time between two samples, which grows with the time that they have to span. */
  gapMs: number
}

/** High watermarks remembered for each partition; past it every second one is dropped, and further ones come half as often. */
const SAMPLES_MAX = 128
/** Watermarks are never remembered more often than this. */
const SAMPLE_GAP_MS = 250
/** The time over which velocity is averaged. */
const VELOCITY_TIME_MS = 5_000

export class LagSensor {
  readonly #clock: Clock
  readonly #partitions = new Map<string, Partition>()
  #velocity = 0
  #last: { readonly atMs: number; readonly lagSeconds: number } | null = null

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  /** Takes a look at a partition, named as the caller likes. */
  observe(name: string, look: PartitionLook): void {
    const seenMs = this.#clock.monotonicMs()
    const partition = this.#partitions.get(name) ?? { look, samples: [], gapMs: SAMPLE_GAP_MS }
    this.#partitions.set(name, partition)
    partition.look = look
    const { samples } = partition
    const newest = samples.at(-1)
    if (newest?.highWatermark === look.highWatermark) newest.lastSeenMs = seenMs
    else if (newest === undefined || seenMs - newest.firstSeenMs >= partition.gapMs) {
      samples.push({ highWatermark: look.highWatermark, firstSeenMs: seenMs, lastSeenMs: seenMs })
    }
    // All but the last of those that the position has passed say nothing more.
    const waiting = samples.findIndex((sample) => sample.highWatermark > look.position)
    const passedCount = waiting < 0 ? samples.length : waiting
    if (passedCount > 1) samples.splice(0, passedCount - 1)
    if (samples.length === 1) partition.gapMs = SAMPLE_GAP_MS
    if (samples.length <= SAMPLES_MAX) return
    partition.samples = samples.filter((_, index) => index % 2 === 0)
    partition.gapMs *= 2
  }

  /** Forgets a partition that is processed elsewhere now. */
  forget(name: string): void {
    this.#partitions.delete(name)
  }

  /** Records over all partitions; seconds of the one that has waited longest; velocity of those seconds. */
  read(): Required<Pick<Readings, 'lagRecords' | 'lagSeconds' | 'lagVelocity'>> {
    const nowMs = this.#clock.monotonicMs()
    let lagRecords = 0
    let lagSeconds = 0
    for (const partition of this.#partitions.values()) {
      lagRecords += Math.max(0, partition.look.highWatermark - partition.look.position)
      lagSeconds = Math.max(lagSeconds, this.#waitedMs(partition, nowMs) / 1_000)
    }
    if (this.#last !== null && nowMs > this.#last.atMs) {
      const elapsedMs = nowMs - this.#last.atMs
      const velocity = ((lagSeconds - this.#last.lagSeconds) * 1_000) / elapsedMs
      this.#velocity += (velocity - this.#velocity) * (1 - Math.exp(-elapsedMs / VELOCITY_TIME_MS))
    }
    this.#last = { atMs: nowMs, lagSeconds }
    return { lagRecords, lagSeconds, lagVelocity: this.#velocity }
  }

  #waitedMs({ look, samples }: Partition, nowMs: number): number {
    if (look.highWatermark <= look.position) return 0
    const [first] = samples
    if (first === undefined) return 0
    // The record came after a watermark at or below it was seen for the last time.
    if (first.highWatermark <= look.position) return nowMs - first.lastSeenMs
    const seenForMs = nowMs - first.firstSeenMs
    if (look.timestampMs < 0) return seenForMs
    return Math.max(seenForMs, this.#clock.wallMs() - look.timestampMs)
  }
}
