/** Which offsets of which partitions are replayed, fixed before the first is read; and what a replay is known by. */

import { createHash } from 'node:crypto'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { listOffsets, type OffsetQuery } from '../kafka/offsets.ts'
import { invalidReplay } from './replay-error.ts'
import type { ReplayPoint } from './replay-point.ts'

/** One partition's part of a replay: offsets from `from` up to, and not including, `end`. */
export interface ReplayRange {
  readonly partition: number
  readonly from: number
  readonly end: number
}

export interface ReplaySource {
  /** The vault topic. */
  readonly topic: string
  /** Null: all of them. */
  readonly partition: number | null
  /** Null: the first record there is. */
  readonly from: ReplayPoint | null
  /** Null: what is committed when the replay begins. */
  readonly to: ReplayPoint | null
}

/**
 * Looks up the ranges. A time stands for the first record at or after it, so what lies in the range is decided by offsets,
 * and a record whose producer's clock was wrong goes with its neighbours. Throws GS_REPLAY_INVALID.
 */
export async function planRanges(cluster: KafkaCluster, source: ReplaySource): Promise<ReplayRange[]> {
  const { topic, partition, from, to } = source
  const partitionCount = await cluster.partitionCount(topic)
  if (partitionCount === null) throw invalidReplay(`expected an existing vault topic, found no "${topic}"`)
  if (partition !== null && partition >= partitionCount) {
    throw invalidReplay(`expected --partition from 0 to ${partitionCount - 1}, found ${partition}`)
  }
  const isByOffset = from?.kind === 'offset' || to?.kind === 'offset'
  if (isByOffset && partition === null && partitionCount > 1) {
    throw invalidReplay(
      `offsets count within one partition, and ${topic} has ${partitionCount}: add --partition, or give times`,
    )
  }
  if (from !== null && to !== null && isReversed(from, to)) {
    throw invalidReplay(
      'expected --from to lie before --to, found it at or behind it: nothing can lie between them',
    )
  }
  const partitions =
    partition === null ? Array.from({ length: partitionCount }, (_, index) => index) : [partition]
  const ask = (at: OffsetQuery) =>
    listOffsets(
      cluster,
      partitions.map((one) => ({ topic, partition: one, at })),
      { isolation: 'read_committed' },
    )
  const [first, last] = [await ask('earliest'), await ask('latest')]
  const byTime = async (point: ReplayPoint | null) =>
    point?.kind === 'time' ? await ask({ timestampMs: point.timestampMs }) : null
  const [fromTime, toTime] = [await byTime(from), await byTime(to)]
  return partitions.map((one, index) => {
    const [start, stop] = [first[index]?.offset ?? 0, last[index]?.offset ?? 0]
    const resolve = (point: ReplayPoint | null, found: number | undefined, otherwise: number) =>
      point === null
        ? otherwise
        : point.kind === 'offset'
          ? point.offset
          : (found ?? -1) < 0
            ? stop
            : (found as number)
    const begin = Math.max(start, resolve(from, fromTime?.[index]?.offset, start))
    const end = Math.min(stop, resolve(to, toTime?.[index]?.offset, stop))
    return { partition: one, from: Math.min(begin, Math.max(begin, stop)), end: Math.max(begin, end) }
  })
}

function isReversed(from: ReplayPoint, to: ReplayPoint): boolean {
  if (from.kind === 'time' && to.kind === 'time') return from.timestampMs >= to.timestampMs
  return from.kind === 'offset' && to.kind === 'offset' && from.offset >= to.offset
}

/** The same for the same arguments, so that a replay that was cut off is found again. */
export function replayId(args: Readonly<Record<string, string | number | boolean | null>>): string {
  const canonical = JSON.stringify(Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1)))
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16)
}
