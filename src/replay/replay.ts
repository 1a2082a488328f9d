/**
 * Takes records out of the vault again, in order and verbatim, and gives them to a target: a topic, a topology, a file, a URL.
 *
 * Promises:
 * - What is replayed is fixed before it begins: ranges of offsets, one for each partition, of committed records.
 * - A batch that is taken whole is handed on as it lies in the vault, compressed as it is.
 * - One partition after the other, each in order; what is written in one step depends on the vault alone, never on how the
 *   network cut the answers, so that the same replay gives the same bytes.
 * - A unit and the place behind it are remembered in one step, as far as the target can: see its own header. The same
 *   arguments go on where they were cut off.
 * - At the end the records read and the records written are counted apart; the caller compares them.
 */

import { batchBytesAt, lastOffsetAt } from '../batch/record-batch.ts'
import type { Clock } from '../core/clock.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { FetcherOptions } from '../kafka/fetcher.ts'
import { batchesOf, scanPartitions } from '../kafka/partition-scan.ts'
import { BatchCutter, type CutBatch } from './cut-batch.ts'
import type { RecordFilter } from './record-filter.ts'
import type { ReplayRange } from './replay-plan.ts'
import type { ReplayProgress, ReplayTarget } from './replay-target.ts'

export interface ReplayOptions {
  readonly cluster: KafkaCluster
  readonly clock: Clock
  /** The vault topic. */
  readonly topic: string
  readonly ranges: readonly ReplayRange[]
  readonly filter: RecordFilter | null
  /** Null: read and count only. */
  readonly target: ReplayTarget | null
  /** Records a second; null for as fast as it goes. */
  readonly ratePerSecond: number | null
  /** Of the fetcher underneath: how much is asked for at once. */
  readonly fetch?: Partial<Pick<FetcherOptions, 'bytesMax' | 'partitionBytesMax'>>
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { readonly doneOffsets: number; readonly totalOffsets: number }) => void
}

export interface ReplayReport {
  /** Read and taken, over all runs of this replay. */
  readonly takenCount: number
  /** Written, as the target counted; equal to `takenCount` when all is well. 0 without a target. */
  readonly writtenCount: number
  /** The target's own count of what it holds at the end; null when it has none. */
  readonly countedRecords: number | null
  /** Of this run: bytes of the batches taken, and how many of them had records left out. */
  readonly bytes: number
  readonly batchCount: number
  readonly cutBatchCount: number
  /** An earlier run of the same replay was gone on with. */
  readonly isResumed: boolean
  /** An earlier run had done everything, so that nothing was written. */
  readonly wasDone: boolean
  readonly partitions: readonly ReplayProgress[]
}

/** A unit is written when it has this many bytes of the vault. */
const UNIT_BYTES = 1024 * 1024
const UNIT_RECORDS_MAX = 50_000
/** With a rate, a unit holds what may go in this time. */
const PACE_SECONDS = 0.2

/** Runs to the end, or throws: the target remembers how far it came. */
export async function replay(options: ReplayOptions): Promise<ReplayReport> {
  const { cluster, topic, ranges, target, signal, onProgress } = options
  const earlier = (await target?.open(ranges)) ?? null
  const states = (earlier ?? ranges.map(fresh)).map((progress) => ({ ...progress }))
  const isDone = states.every(({ position, end }) => position >= end)
  const wasDone = earlier !== null && isDone && states.some(({ from, end }) => from < end)
  const run = new ReplayRun(options)
  const totalOffsets = states.reduce((sum, { from, end }) => sum + end - from, 0)
  const report = () =>
    onProgress?.({
      doneOffsets: states.reduce((sum, { from, position }) => sum + position - from, 0),
      totalOffsets,
    })
  for (const state of states) {
    const range = { topic, partition: state.partition, from: state.position, end: state.end }
    await scanPartitions(cluster, [range], {
      ...(signal && { signal }),
      // A range that retention overtakes must not be shortened silently.
      fetch: { ...options.fetch, onOffsetOutOfRange: 'error' },
      onBatches: async (fetched) => {
        for (const at of batchesOf(fetched, range)) {
          await run.take(state, fetched.records, at)
          signal?.throwIfAborted()
        }
        report()
      },
    })
    await run.flush(state, state.end)
    report()
  }
  const counted = target === null ? null : (await target.finish()).countedRecords
  const sum = (of: (progress: ReplayProgress) => number) => states.reduce((total, one) => total + of(one), 0)
  return {
    takenCount: sum(({ takenCount }) => takenCount),
    writtenCount: sum(({ writtenCount }) => writtenCount),
    countedRecords: counted,
    bytes: run.bytes,
    batchCount: run.batchCount,
    cutBatchCount: run.cutBatchCount,
    isResumed: earlier !== null,
    wasDone,
    partitions: states,
  }
}

/** The unit that is being put together, and the pace. */
class ReplayRun {
  bytes = 0
  batchCount = 0
  cutBatchCount = 0
  readonly #options: ReplayOptions
  readonly #cutter: BatchCutter
  readonly #unitRecordsMax: number
  readonly #startedMs: number
  #batches: CutBatch[] = []
  #unitBytes = 0
  #unitRecords = 0
  #pacedRecords = 0

  constructor(options: ReplayOptions) {
    const { ratePerSecond, clock, filter } = options
    this.#options = options
    this.#cutter = new BatchCutter(filter)
    this.#unitRecordsMax =
      ratePerSecond === null
        ? UNIT_RECORDS_MAX
        : Math.min(UNIT_RECORDS_MAX, Math.max(1, Math.ceil(ratePerSecond * PACE_SECONDS)))
    this.#startedMs = clock.monotonicMs()
  }

  async take(state: Mutable<ReplayProgress>, records: Buffer, at: number): Promise<void> {
    const end = Math.min(lastOffsetAt(records, at) + 1, state.end)
    const batch = this.#cutter.cut(records, at, { from: state.position, end: state.end })
    if (batch !== null) {
      this.#batches.push(batch)
      this.#unitRecords += batch.recordCount
      this.batchCount += 1
      this.bytes += batch.bytes.length
      if (!batch.isVerbatim) this.cutBatchCount += 1
    }
    // Counted by what was read, not by what was taken, so that a filter that takes little still leaves its place behind.
    this.#unitBytes += batchBytesAt(records, at)
    const isFull = this.#unitBytes >= UNIT_BYTES || this.#unitRecords >= this.#unitRecordsMax
    if (isFull) await this.flush(state, end)
  }

  /** Writes what was put together; the partition then stands at `position`. */
  async flush(state: Mutable<ReplayProgress>, position: number): Promise<void> {
    const { target, clock, ratePerSecond, signal } = this.#options
    if (state.position >= position && this.#batches.length === 0) return
    const batches = this.#batches
    const takenCount = state.takenCount + this.#unitRecords
    this.#pacedRecords += this.#unitRecords
    this.#batches = []
    this.#unitBytes = 0
    this.#unitRecords = 0
    const { partition, from, end } = state
    const progress = { partition, from, end, position, takenCount }
    state.writtenCount += (await target?.write({ batches, progress })) ?? 0
    state.position = position
    state.takenCount = takenCount
    if (ratePerSecond === null) return
    const dueMs = this.#startedMs + (this.#pacedRecords / ratePerSecond) * 1_000
    const aheadMs = dueMs - clock.monotonicMs()
    if (aheadMs > 0) await clock.sleep(aheadMs, signal)
  }
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] }

const fresh = ({ partition, from, end }: ReplayRange): ReplayProgress => ({
  partition,
  from,
  end,
  position: from,
  takenCount: 0,
  writtenCount: 0,
})
