/**
 * Compacts the partitions of compacted topics in the background, one at a time, the dirtiest first, as Kafka's
 * `LogCleanerManager` picks them. It sleeps between its rounds and works in short slices with rests between, so that the
 * thread's other work never waits long; with nothing to do it wakes once per round and reads nothing.
 *
 * A partition is compacted when the share of its bytes that is new is above `min.cleanable.dirty.ratio`, or some of them have
 * been there for `max.compaction.lag.ms`; never at or above the last stable offset, nor what is held (`retention-hold.ts`).
 */

import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'
import type { Clock, Timer } from '../../core/clock.ts'
import { GopherShipError, isFailure } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { KeyHash } from '../../storage/key-offsets.ts'
import type { Pace } from '../../storage/pace.ts'
import type { CleanReport, PartitionLog } from '../../storage/partition-log.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import type { Partition } from './partition.ts'

export interface TopicCleanerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  readonly metrics: Registry
  /** How often it looks for something to do. */
  readonly checkMs: number
  /** Memory for the map of keys; more keys take more passes. */
  readonly keyBytesMax: number
  partitions(): Iterable<Partition>
  /** Nothing at or above this offset may go; infinite where nothing is held. */
  heldOffsetOf(partition: Partition): number
}

/** Work between two rests, and a rest: half of the thread's time at most, in pieces that nobody notices. */
const SLICE_MS = 5
const REST_MS = 5
/** Rounds that a partition is left alone for after a failure. */
const FAILURE_ROUNDS = 20

/** What was found when a log was last compacted: while nothing is new there is nothing to do. */
interface LastRun {
  readonly endOffset: number
  readonly notBeforeMs: number
}

interface Candidate {
  readonly partition: Partition
  readonly log: PartitionLog
  readonly ratio: number
  readonly endOffset: number
}

export class TopicCleaner {
  readonly #options: TopicCleanerOptions
  readonly #keyHash: KeyHash
  readonly #metrics: CleanerMetrics
  readonly #lastRuns = new WeakMap<PartitionLog, LastRun>()
  readonly #stopping = new AbortController()
  #timer: Timer | null = null
  #round: Promise<number> | null = null

  constructor(options: TopicCleanerOptions) {
    this.#options = options
    this.#keyHash = new KeyHash(options.random)
    this.#metrics = new CleanerMetrics(options.metrics)
  }

  /** Begins the rounds. */
  start(): void {
    if (this.#stopping.signal.aborted) return
    this.#timer = this.#options.clock.after(this.#options.checkMs, () => {
      this.cleanAll()
        .catch((error: unknown) =>
          this.#options.diagnostics.warn({ err: error }, 'a round of compaction failed'),
        )
        .finally(() => this.start())
    })
  }

  /** Ends what is under way, which leaves every log whole, and starts nothing more. */
  async stop(): Promise<void> {
    this.#timer?.cancel()
    this.#stopping.abort(new GopherShipError('GS_STOPPED', 'compaction stops with the broker'))
    await this.#round?.catch(ignore)
  }

  /**
   * One round: compacts whatever is dirty enough, until nothing is; resolves with how many partitions that was. A call that
   * comes while a round is under way shares it.
   */
  cleanAll(): Promise<number> {
    this.#round ??= this.#cleanAll().finally(() => {
      this.#round = null
    })
    return this.#round
  }

  async #cleanAll(): Promise<number> {
    let count = 0
    for (;;) {
      if (this.#stopping.signal.aborted) return count
      const candidate = this.#dirtiest()
      if (candidate === null) return count
      await this.#clean(candidate)
      count += 1
    }
  }

  #dirtiest(): Candidate | null {
    let dirtiest: Candidate | null = null
    for (const partition of this.#options.partitions()) {
      const candidate = this.#candidateOf(partition)
      if (candidate !== null && (dirtiest === null || candidate.ratio > dirtiest.ratio)) dirtiest = candidate
    }
    return dirtiest
  }

  /** The partition when it has something that is to be compacted now. */
  #candidateOf(partition: Partition): Candidate | null {
    const { config, log } = partition
    if (!config.isCompacted || partition.isGone || log.failure !== null) return null
    const nowMs = this.#options.clock.wallMs()
    const { cleanBytes, dirtyBytes, dirtySinceMs, endOffset } = log.cleanliness({
      nowMs,
      stableOffset: Math.min(partition.lastStableOffset, this.#options.heldOffsetOf(partition)),
      minLagMs: config.compaction.minLagMs,
    })
    if (dirtyBytes === 0 || dirtySinceMs === null) return null
    const last = this.#lastRuns.get(log)
    if (last !== undefined && (last.endOffset === endOffset || nowMs < last.notBeforeMs)) return null
    const isOverdue = nowMs - dirtySinceMs > config.compaction.maxLagMs
    const ratio = isOverdue ? Number.POSITIVE_INFINITY : dirtyBytes / (cleanBytes + dirtyBytes)
    return ratio > config.compaction.dirtyRatioMin ? { partition, log, ratio, endOffset } : null
  }

  async #clean({ partition, log, endOffset }: Candidate): Promise<void> {
    const { clock, diagnostics, checkMs, keyBytesMax } = this.#options
    const where = { topic: partition.topicName, partition: partition.index }
    const startedMs = clock.monotonicMs()
    try {
      const report = await partition.compact({
        nowMs: clock.wallMs(),
        minLagMs: partition.config.compaction.minLagMs,
        deleteRetentionMs: partition.config.compaction.deleteRetentionMs,
        offsetMax: this.#options.heldOffsetOf(partition),
        keyBytesMax,
        keyHash: this.#keyHash,
        pace: new RestingPace(clock, this.#stopping.signal),
      })
      this.#lastRuns.set(log, { endOffset, notBeforeMs: 0 })
      this.#metrics.add(report)
      const tookMs = Math.round(clock.monotonicMs() - startedMs)
      diagnostics.info({ ...where, ...told(report), tookMs }, 'partition compacted')
      if (report.keylessRecords > 0 || report.unreadableBatches > 0) {
        const { keylessRecords, unreadableBatches } = report
        diagnostics.warn(
          { ...where, keylessRecords, unreadableBatches },
          'a compacted topic held records without a key, which are gone, or batches that cannot be decoded, which stay',
        )
      }
    } catch (error) {
      if (isFailure(error, 'GS_STOPPED')) return
      this.#metrics.failures.inc()
      this.#lastRuns.set(log, { endOffset: -1, notBeforeMs: clock.wallMs() + FAILURE_ROUNDS * checkMs })
      if (!partition.isGone)
        diagnostics.warn({ ...where, err: error }, 'a partition could not be compacted, tried again later')
    }
  }
}

function ignore(): void {}

function told(report: CleanReport) {
  const { passCount, readBytes, replacedBytes, writtenBytes, removedRecords, cleanedOffset } = report
  return { passCount, readBytes, replacedBytes, writtenBytes, removedRecords, cleanedOffset }
}

/** Works for `SLICE_MS` and then rests for `REST_MS`, until the signal ends it. */
class RestingPace implements Pace {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  #sinceMs: number

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
    this.#sinceMs = clock.monotonicMs()
  }

  isDue(): boolean {
    return this.#signal.aborted || this.#clock.monotonicMs() - this.#sinceMs >= SLICE_MS
  }

  async pause(): Promise<void> {
    this.#signal.throwIfAborted()
    await this.#clock.sleep(REST_MS, this.#signal)
    this.#sinceMs = this.#clock.monotonicMs()
  }
}

class CleanerMetrics {
  readonly failures: Counter
  readonly #runs: Counter
  readonly #readBytes: Counter
  readonly #freedBytes: Counter
  readonly #removedRecords: Counter

  constructor(registry: Registry) {
    const counter = (name: string, help: string) =>
      new Counter({ name: `gophership_broker_compaction_${name}`, help, registers: [registry] })
    this.failures = counter(
      'failures_total',
      'Compactions of a partition that failed, and are tried again later.',
    )
    this.#runs = counter('runs_total', 'Compactions of a partition that were finished.')
    this.#readBytes = counter('read_bytes_total', 'Bytes of record batches read to compact partitions.')
    this.#freedBytes = counter('freed_bytes_total', 'Bytes of segment files that compaction gave back.')
    this.#removedRecords = counter('removed_records_total', 'Records that compaction removed.')
  }

  add(report: CleanReport): void {
    this.#runs.inc()
    this.#readBytes.inc(report.readBytes)
    this.#freedBytes.inc(Math.max(0, report.replacedBytes - report.writtenBytes))
    this.#removedRecords.inc(report.removedRecords)
  }
}
