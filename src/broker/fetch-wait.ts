/** Waiting of a fetch for more records: woken by appends, never polling, ended by time, by the client or by the stop. */

import type { Clock } from '../core/clock.ts'
import type { ListenerConnection } from '../listener/listener-types.ts'
import type { StopSignal } from './stop-signal.ts'
import type { Partition } from './topics/partition.ts'

export interface FetchWaitOptions {
  readonly clock: Clock
  readonly waitMs: number
  /** The reader sees nothing of transactions that have not ended. */
  readonly isCommittedOnly: boolean
  readonly connection: ListenerConnection
  readonly stopping: StopSignal
}

/** How far a partition was when it was looked at. */
export interface Growth {
  readonly bytes: number
  /** One past what the reader could see; -1 when it sees everything. */
  readonly stableOffset: number
  /** True when there was more that it could not see. */
  readonly hidesMore: boolean
}

export function growthOf(partition: Partition, isCommittedOnly: boolean): Growth {
  const bytes = partition.appendedBytes
  if (!isCommittedOnly) return { bytes, stableOffset: -1, hidesMore: false }
  const stableOffset = partition.lastStableOffset
  return { bytes, stableOffset, hidesMore: stableOffset < partition.highWatermark }
}

/**
 * Resolves once the partitions have grown by `bytes` since `grownFrom` was taken, one of them has gone, the time is up,
 * the client has left, or the broker stops. Growth is counted at append, so that a caller may be woken a little early;
 * it reads again and, if need be, waits again. For a reader of committed records, a partition has not grown while its last
 * stable offset stands; when that moves over what was hidden, the caller looks how much it is.
 */
export function waitForBytes(
  partitions: readonly Partition[],
  grownFrom: readonly Growth[],
  bytes: number,
  options: FetchWaitOptions,
): Promise<void> {
  return new Promise((resolve) => {
    const undo: (() => void)[] = []
    const finish = () => {
      for (const each of undo) each()
      undo.length = 0
      resolve()
    }
    const check = () => {
      let grown = 0
      for (let index = 0; index < partitions.length; index += 1) {
        const partition = partitions[index] as Partition
        const from = grownFrom[index] as Growth
        if (partition.isGone) return finish()
        if (options.isCommittedOnly) {
          if (partition.lastStableOffset === from.stableOffset) continue
          if (from.hidesMore) return finish()
        }
        grown += partition.appendedBytes - from.bytes
      }
      if (grown >= bytes) finish()
    }
    const timer = options.clock.after(options.waitMs, finish)
    undo.push(() => timer.cancel())
    for (const partition of partitions) undo.push(partition.subscribe(check))
    undo.push(options.connection.onClose(finish), options.stopping.onStop(finish))
  })
}
