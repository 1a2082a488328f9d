/**
 * Reads ranges of partitions once, from their first to their last offset, as raw batches: for whoever looks at a whole topic
 * and then is done (an audit, a replay). `TopicReader` is for records, and for following.
 *
 * Promises: a partition's batches come in order and whole; the next ones are not handed over before the promise that
 * `onBatches` returned is fulfilled; `scanPartitions` resolves when every range was read to its end, and rejects with
 * GS_KAFKA_TIMEOUT when nothing has come for `stallMsMax`. With `read_committed` the end may lie behind a transaction that is
 * open: it is waited for.
 */

import { baseOffsetAt, batchBytesAt, lastOffsetAt } from '../batch/record-batch.ts'
import type { KafkaCluster } from './cluster.ts'
import type { FetchedPartition } from './fetch-partition.ts'
import { Fetcher, type FetcherOptions } from './fetcher.ts'
import { KafkaTimeoutError } from './kafka-errors.ts'

/** Offsets of one partition: `from` up to, and not including, `end`. */
export interface ScanRange {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly end: number
}

export interface ScanOptions {
  /** Called with what came, one call at a time. Use `batchesOf` to go through it. */
  readonly onBatches: (fetched: FetchedPartition, range: ScanRange) => void | Promise<void>
  readonly signal?: AbortSignal
  /** Longest time without anything. Default 60,000: longer than a transaction is usually left open. */
  readonly stallMsMax?: number
  /** Default: read_committed. */
  readonly fetch?: Partial<FetcherOptions>
}

const STALL_MS_MAX = 60_000
const POLL_MS_MAX = 1_000

/** Reads the ranges, several partitions at a time. Each partition may be named once. Throws the signal's reason when aborted. */
export async function scanPartitions(
  cluster: KafkaCluster,
  ranges: readonly ScanRange[],
  { onBatches, signal, stallMsMax = STALL_MS_MAX, fetch = {} }: ScanOptions,
): Promise<void> {
  const keyOf = (topic: string, partition: number) => `${topic}/${partition}`
  const left = new Map(
    ranges.filter(({ from, end }) => from < end).map((range) => [keyOf(range.topic, range.partition), range]),
  )
  if (left.size === 0) return
  const fetcher = new Fetcher(cluster, { isolation: 'read_committed', ...fetch })
  try {
    fetcher.assign(
      [...left.values()].map(({ topic, partition, from }) => ({ topic, partition, offset: from })),
    )
    let heardAtMs = cluster.clock.monotonicMs()
    while (left.size > 0) {
      signal?.throwIfAborted()
      const chunks = await fetcher.poll({ timeoutMs: POLL_MS_MAX, ...(signal && { signal }) })
      for (const chunk of chunks) {
        const range = left.get(keyOf(chunk.topic, chunk.partition))
        if (range === undefined) continue
        if (chunk.fetchOffset < range.end) await onBatches(chunk, range)
        heardAtMs = cluster.clock.monotonicMs()
      }
      for (const [key, { topic, partition, end }] of left) {
        // Also where nothing was handed over: deleted meanwhile, so that reading goes on behind the range.
        if ((fetcher.position(topic, partition) ?? 0) < end) continue
        fetcher.unassign([{ topic, partition }])
        left.delete(key)
      }
      if (left.size > 0 && cluster.clock.monotonicMs() - heardAtMs > stallMsMax)
        throw stalled(left, fetcher, stallMsMax)
    }
  } finally {
    await fetcher.stop()
  }
}

/** Where the batches of a chunk lie that hold offsets of the range: index into `records`, in order. */
export function* batchesOf(
  { records }: Pick<FetchedPartition, 'records'>,
  { from, end }: Pick<ScanRange, 'from' | 'end'>,
): Generator<number> {
  for (let at = 0; at < records.length; at += batchBytesAt(records, at)) {
    if (baseOffsetAt(records, at) >= end) return
    if (lastOffsetAt(records, at) >= from) yield at
  }
}

function stalled(
  left: ReadonlyMap<string, ScanRange>,
  fetcher: Fetcher,
  stallMsMax: number,
): KafkaTimeoutError {
  const [{ topic, partition, end }] = [...left.values()] as [ScanRange]
  const position = fetcher.position(topic, partition) ?? -1
  const message =
    `nothing came of ${topic}-${partition} from offset ${position} for ${stallMsMax} ms, though it is to be read up to ${end}; ` +
    'a transaction that is left open there holds it back until it times out'
  return new KafkaTimeoutError(message, { topic, partition, position, end })
}
