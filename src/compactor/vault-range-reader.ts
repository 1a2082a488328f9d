/**
 * Reads ranges of vault partitions, a batch at a time, one partition after the other. Reading the range that follows on from
 * the last one costs nothing: what was fetched ahead is kept.
 */

import { baseOffsetAt, batchBytesAt, lastOffsetAt } from '../batch/record-batch.ts'
import { asOffset, type Offset } from '../core/brands.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { FetchedPartition, PartitionEnds } from '../kafka/fetch-partition.ts'
import { Fetcher } from '../kafka/fetcher.ts'
import { KafkaTimeoutError } from '../kafka/kafka-errors.ts'

/** A batch that has records of the range; where the range begins or ends within it, it has others too. */
export interface RangeBatch {
  readonly bytes: Buffer
  readonly at: number
  /** The range begins here, or went on from here. */
  readonly first: Offset
  /** The offset behind what this batch covers of the range, gaps in front of it included. */
  readonly nextOffset: Offset
}

export interface NextOptions {
  /** The last offset wanted. */
  readonly last: Offset
  readonly signal: AbortSignal
  /** Longest wait for a batch; then GS_KAFKA_TIMEOUT. */
  readonly waitMsMax: number
}

/** Small, because what is fetched behind the range is thrown away. */
const FETCH_AHEAD_BYTES_MAX = 4 * 1024 * 1024
/** A fetch at the end of the log must not hold up the next partition's. */
const FETCH_WAIT_MS_MAX = 100

export class VaultRangeReader {
  readonly #cluster: KafkaCluster
  readonly #fetcher: Fetcher
  #topic = ''
  #partition = -1
  #position = asOffset(-1)
  #chunk: FetchedPartition | null = null
  /** Where in the chunk the next batch begins. */
  #at = 0

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster
    this.#fetcher = new Fetcher(cluster, {
      isolation: 'read_committed',
      onOffsetOutOfRange: 'error',
      prefetchBytesMax: FETCH_AHEAD_BYTES_MAX,
      waitMsMax: FETCH_WAIT_MS_MAX,
    })
  }

  /** Goes to an offset of a partition; free when it is there. */
  open(topic: string, partition: number, first: Offset): void {
    if (topic === this.#topic && partition === this.#partition && first === this.#position) return
    this.close()
    this.#topic = topic
    this.#partition = partition
    this.#position = first
    this.#fetcher.assign([{ topic, partition, offset: first }])
  }

  /** Forgets where it is. Due after a failure, and when what was handed out was not settled. */
  close(): void {
    this.#fetcher.unassign()
    this.#topic = ''
    this.#partition = -1
    this.#chunk = null
    this.#at = 0
  }

  /**
   * The next batch that has records of the range, or null when the range is at its end. Throws what the fetcher throws
   * (OFFSET_OUT_OF_RANGE when the bytes are gone), and GS_KAFKA_TIMEOUT when nothing comes.
   */
  async next({ last, signal, waitMsMax }: NextOptions): Promise<RangeBatch | null> {
    const { clock } = this.#cluster
    const deadlineMs = clock.monotonicMs() + waitMsMax
    for (;;) {
      if (this.#position > last) return null
      const batch = this.#nextInChunk(last)
      if (batch !== null) return batch
      if (this.#position > last) return null
      signal.throwIfAborted()
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0) throw this.#lateness(last, waitMsMax)
      const [chunk] = await this.#fetcher.poll({ timeoutMs: leftMs, signal })
      if (chunk === undefined) continue
      this.#chunk = chunk
      this.#at = 0
    }
  }

  /** The partition's ends as the last answer told them; null before the first. */
  ends(): PartitionEnds | null {
    return this.#fetcher.ends(this.#topic, this.#partition)
  }

  async stop(): Promise<void> {
    await this.#fetcher.stop()
  }

  #nextInChunk(last: Offset): RangeBatch | null {
    const chunk = this.#chunk
    if (chunk === null) return null
    const { records } = chunk
    while (this.#at < records.length) {
      const at = this.#at
      // What lies between is no record: the range is at its end, and the batch is kept for the next one.
      if (baseOffsetAt(records, at) > last) return this.#endAt(last)
      const batchLast = lastOffsetAt(records, at)
      if (batchLast <= last) this.#at += batchBytesAt(records, at)
      const first = this.#position
      if (batchLast < first) continue
      this.#position = asOffset(Math.min(batchLast, last) + 1)
      return { bytes: records, at, first, nextOffset: this.#position }
    }
    if (chunk.nextOffset > last) return this.#endAt(last)
    this.#position = chunk.nextOffset
    this.#chunk = null
    return null
  }

  #endAt(last: Offset): null {
    this.#position = asOffset(Math.max(this.#position, last + 1))
    return null
  }

  #lateness(last: Offset, waitMsMax: number): KafkaTimeoutError {
    const [topic, partition, position] = [this.#topic, this.#partition, this.#position]
    const end = this.ends()?.highWatermark ?? -1
    return new KafkaTimeoutError(
      `expected ${topic}-${partition} to be readable from offset ${position} to ${last}, nothing came within ${waitMsMax} ms` +
        (end >= 0 && end <= last ? `; the partition ends at ${end}, as if it had been cut or made anew` : ''),
      { topic, partition, position, last, end },
    )
  }
}
