/** Waiting of a fetch for more records: woken by appends, never polling, ended by time, by the client or by the stop. */

import type { Clock } from '../core/clock.ts'
import type { ListenerConnection } from '../listener/listener-types.ts'
import type { StopSignal } from './stop-signal.ts'
import type { Partition } from './topics/partition.ts'

export interface FetchWaitOptions {
  readonly clock: Clock
  readonly waitMs: number
  readonly connection: ListenerConnection
  readonly stopping: StopSignal
}

/**
 * Resolves once the partitions have grown by `bytes` since `grownFrom` was taken, one of them has gone, the time is up,
 * the client has left, or the broker stops. Growth is counted at append, so that a caller may be woken a little early;
 * it reads again and, if need be, waits again.
 */
export function waitForBytes(
  partitions: readonly Partition[],
  grownFrom: readonly number[],
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
        if (partition.isGone) return finish()
        grown += partition.appendedBytes - (grownFrom[index] as number)
      }
      if (grown >= bytes) finish()
    }
    const timer = options.clock.after(options.waitMs, finish)
    undo.push(() => timer.cancel())
    for (const partition of partitions) undo.push(partition.subscribe(check))
    undo.push(options.connection.onClose(finish), options.stopping.onStop(finish))
  })
}
