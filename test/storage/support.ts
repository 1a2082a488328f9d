/** What the storage tests share: a clock that only moves when told, batches that tell which they are, and short cuts. */

import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import {
  baseOffsetAt,
  batchBytesAt,
  lastOffsetAt,
  patchPartitionLeaderEpoch,
} from '../../src/batch/record-batch.ts'
import type { Offset } from '../../src/core/brands.ts'
import { asOffset } from '../../src/core/brands.ts'
import type { Clock, Timer } from '../../src/core/clock.ts'
import type { Disk } from '../../src/core/disk.ts'
import { isFailure } from '../../src/core/errors.ts'
import { logTagOf } from '../../src/storage/log-tag.ts'
import type { PartitionLogOptions } from '../../src/storage/partition-log.ts'
import { PARTITION_LOG_DEFAULTS, PartitionLog } from '../../src/storage/partition-log.ts'
import type { Diagnostics } from '../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { simPath } from '../support/sim-disk.ts'

export const LOG_DIRECTORY = simPath('topic-0')
/** What the batches of the tests' logs carry on disk. */
export const LOG_TAG = logTagOf(Buffer.alloc(16, 'secret'), 0)

/** Wall and monotonic time under the test's hand; `sleep` is not offered. */
export class ManualClock implements Clock {
  wall = 1_700_000_000_000
  monotonic = 0
  #timers: { at: number; run: () => void }[] = []

  wallMs(): number {
    return this.wall
  }

  monotonicMs(): number {
    return this.monotonic
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = { at: this.monotonic + delayMs, run }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  sleep(): Promise<void> {
    throw new Error('no test here sleeps')
  }

  get timerCount(): number {
    return this.#timers.length
  }

  /** Moves both clocks and runs what came due. */
  advance(ms: number): void {
    this.wall += ms
    this.monotonic += ms
    const due = this.#timers.filter((timer) => timer.at <= this.monotonic)
    this.#timers = this.#timers.filter((timer) => timer.at > this.monotonic)
    for (const timer of due) timer.run()
  }
}

export interface OpenOptions extends Partial<PartitionLogOptions> {
  readonly clock?: Clock
  readonly directory?: string
  readonly diagnostics?: Diagnostics
}

export function openLog(disk: Disk, options: OpenOptions = {}): Promise<PartitionLog> {
  const { clock, directory, diagnostics, ...rest } = options
  return PartitionLog.open({
    disk,
    clock: clock ?? new ManualClock(),
    directory: directory ?? LOG_DIRECTORY,
    diagnostics: diagnostics ?? silentDiagnostics,
    options: { ...PARTITION_LOG_DEFAULTS, ...rest },
    tag: LOG_TAG,
  })
}

export interface BatchShape {
  readonly recordCount?: number
  /** Bytes of each value. */
  readonly valueBytes?: number
  readonly timestamp?: number
  /** The first value's bytes, instead of generated ones. */
  readonly value?: Buffer
}

/** A batch that no other call gives: its values begin with `id`. */
export function batchOf(id: string, shape: BatchShape = {}): Buffer {
  const { recordCount = 1, valueBytes = 20, timestamp = 1_000 } = shape
  const encoder = new BatchEncoder({ bytesMax: 16 * 1024 * 1024 })
  encoder.start()
  for (let index = 0; index < recordCount; index += 1) {
    const value = shape.value ?? Buffer.alloc(valueBytes, `${id}/${index} `)
    encoder.append(timestamp + index, null, value)
  }
  return Buffer.from(encoder.finish())
}

/** A copy of batches as readers get them: without the tag that they carry on disk. */
export function asRead(batches: Buffer): Buffer {
  const copy = Buffer.from(batches)
  for (const batch of splitBatches(copy)) patchPartitionLeaderEpoch(batch, 0, 0)
  return copy
}

/** The batches in a buffer, one by one. */
export function splitBatches(bytes: Buffer): Buffer[] {
  const batches: Buffer[] = []
  for (let at = 0; at < bytes.length; at += batchBytesAt(bytes, at)) {
    batches.push(bytes.subarray(at, at + batchBytesAt(bytes, at)))
  }
  return batches
}

/** Everything that can be read, batch by batch, from the log's start. */
export async function readAll(log: PartitionLog, bytesMax = 4096): Promise<Buffer[]> {
  const batches: Buffer[] = []
  let offset: Offset = log.logStartOffset
  for (;;) {
    const read = splitBatches(await log.read(offset, { bytesMax }))
    const last = read.at(-1)
    if (last === undefined) return batches
    batches.push(...read)
    offset = asOffset(lastOffsetAt(last, 0) + 1)
  }
}

/** The base offsets of batches. */
export const basesOf = (batches: readonly Buffer[]): number[] =>
  batches.map((batch) => baseOffsetAt(batch, 0))

/** The code of the failure that `run` rejects with, or what it did instead. */
export async function codeOf(run: () => Promise<unknown> | unknown): Promise<string> {
  try {
    await run()
    return 'resolved'
  } catch (error) {
    return isFailure(error) ? error.code : String(error)
  }
}

/** Lets everything that can run without time passing run. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
