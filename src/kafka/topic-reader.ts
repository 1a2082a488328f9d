/**
 * Reads a topic's records in order, partition by partition, and hands each to a function: for state topics, which are folded
 * into memory and then followed, and for whoever has to look at every record once.
 *
 *     const reader = new TopicReader(cluster, { topic, from: 'earliest', onRecord: (record) => fold(record) })
 *     await reader.catchUp()                     // everything that was there is in the fold
 *     reader.follow({ onError })                 // and what comes is, as it comes
 *
 * Promises:
 * - When `catchUp` resolves, every committed record below the high watermark of the call was handed over. Where a transaction
 *   is open below it, that waits for the transaction to end.
 * - A partition's records come once each, in the order of their offsets; after a failure reading goes on where it stopped.
 * - Nothing is copied and no object is made per record: the view is valid only within the call of `onRecord`.
 * - Passing failures are waited out; what will not pass, and what `onRecord` throws, rejects `catchUp` and goes to `onError`.
 */

import { batchBytesAt } from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import type { RecordHeader } from '../batch/record-headers.ts'
import type { Offset } from '../core/brands.ts'
import { GopherShipError } from '../core/errors.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { KafkaCluster } from './cluster.ts'
import type { FetchedPartition } from './fetch-partition.ts'
import type { FetcherOptions } from './fetcher.ts'
import { Fetcher } from './fetcher.ts'
import { KafkaResponseError, KafkaTimeoutError } from './kafka-errors.ts'
import type { Isolation } from './offsets.ts'
import { listOffsets } from './offsets.ts'

export interface TopicReaderOptions {
  readonly topic: string
  /** Default: all that the topic has when `catchUp` or `follow` is called. */
  readonly partitions?: readonly number[]
  /** Default `read_committed`. */
  readonly isolation?: Isolation
  /** Where reading begins; a partition that the offsets do not name begins at the earliest. Default `earliest`. */
  readonly from?: 'earliest' | ReadonlyMap<number, number>
  /** Called for every record, never twice at once. What it throws stops the reading in front of this record. */
  readonly onRecord: (record: RecordView) => void
  /** Of the fetcher underneath, for readers of large topics. */
  readonly fetch?: Partial<Omit<FetcherOptions, 'isolation'>>
}

/** The record that `onRecord` is called for. One object serves all records: keep what its fields give, never itself. */
export interface RecordView {
  readonly partition: number
  readonly offset: Offset
  readonly timestampMs: number
  /** A view, made when asked for. Its bytes may change after the call: copy what is kept. */
  readonly key: Buffer | null
  /** As `key`; null is a tombstone. */
  readonly value: Buffer | null
  /** Decoded when asked for. */
  readonly headers: readonly RecordHeader[]
  /** Where the parts lie, for readers that make no view per record. */
  readonly cursor: RecordCursor
}

export interface CatchUpOptions {
  /** When aborted, `catchUp` rejects with its reason. */
  readonly signal?: AbortSignal
  /** Then it rejects with GS_KAFKA_TIMEOUT. Default 60,000: longer than a transaction is usually left open. */
  readonly timeoutMs?: number
}

export interface FollowOptions {
  /** Told once, when following has ended because of it; `follow` may be called again. */
  readonly onError: (error: Error) => void
}

const CATCH_UP_MS_MAX = 60_000
/** A fetch without news ends by then; new records end it at once. A reader that has caught up costs next to nothing. */
const FETCH_WAIT_MS = 5_000
/** The same for the wait of the reading loop, which looks whether it is still wanted. */
const POLL_MS = 5_000

interface Waiter {
  /** Offset by partition that the position has to reach; null until the cluster has told them. */
  targets: ReadonlyMap<number, number> | null
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class TopicReader {
  readonly #cluster: KafkaCluster
  readonly #options: TopicReaderOptions
  readonly #fetcher: Fetcher
  readonly #view = new CursorView()
  readonly #waiters = new Set<Waiter>()
  readonly #stopping = new AbortController()
  /** By partition: the next record to hand over. */
  readonly #positions = new Map<number, number>()
  #followOptions: FollowOptions | null = null
  #running: Promise<void> | null = null
  #assigning: Promise<void> = Promise.resolve()
  #recordCount = 0

  constructor(cluster: KafkaCluster, options: TopicReaderOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#fetcher = new Fetcher(cluster, {
      waitMsMax: FETCH_WAIT_MS,
      ...options.fetch,
      isolation: this.#isolation,
    })
  }

  /** Records handed over since the start. */
  get recordCount(): number {
    return this.#recordCount
  }

  /** The next offset of a partition; null before reading has begun there. */
  position(partition: number): Offset | null {
    return (this.#positions.get(partition) ?? null) as Offset | null
  }

  /** Resolves when everything that the topic holds at this moment was handed over. */
  async catchUp({ signal, timeoutMs = CATCH_UP_MS_MAX }: CatchUpOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    this.#throwIfStopped()
    await new Promise<void>((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#waiters.delete(waiter)
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        act()
      }
      const waiter: Waiter = {
        targets: null,
        resolve: () => settle(resolve),
        reject: (error) => settle(() => reject(error)),
      }
      const timer = this.#cluster.clock.after(timeoutMs, () =>
        waiter.reject(this.#lateness(waiter, timeoutMs)),
      )
      const onAbort = () => waiter.reject(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
      this.#readUpToNow(waiter, timeoutMs).catch(waiter.reject)
    })
  }

  /** Goes on handing over what is appended, as it comes, until `stop` or a failure. */
  follow(options: FollowOptions): void {
    this.#throwIfStopped()
    this.#followOptions = options
    this.#run()
  }

  /** Ends reading and closes the connections; a waiting `catchUp` rejects with GS_STOPPED. */
  async stop(): Promise<void> {
    this.#followOptions = null
    this.#stopping.abort()
    for (const waiter of [...this.#waiters]) waiter.reject(this.#stopped())
    await this.#fetcher.stop()
  }

  get #isolation(): Isolation {
    return this.#options.isolation ?? 'read_committed'
  }

  get #isWanted(): boolean {
    return !this.#stopping.signal.aborted && (this.#followOptions !== null || this.#waiters.size > 0)
  }

  /** Learns where the topic ends now, and reads until the waiter has all of it. */
  async #readUpToNow(waiter: Waiter, deadlineMs: number): Promise<void> {
    await this.#assign()
    waiter.targets = await this.#ends(deadlineMs)
    if (this.#hasReached(waiter)) waiter.resolve()
    else if (this.#waiters.has(waiter)) this.#run()
  }

  #run(): void {
    this.#running ??= this.#pump().finally(() => {
      this.#running = null
      // Wanted again in the moment in which it ended.
      if (this.#isWanted) this.#run()
    })
  }

  /** Reads as long as anybody wants it. Never rejects. */
  async #pump(): Promise<void> {
    const { signal } = this.#stopping
    try {
      await this.#assign()
      // Clears a failure that ended an earlier run; free for a partition that is where it should be.
      for (const [partition, offset] of this.#positions) {
        this.#fetcher.seek(this.#options.topic, partition, offset)
      }
      while (this.#isWanted) {
        for (const fetched of await this.#fetcher.poll({ timeoutMs: POLL_MS, signal }))
          this.#handOver(fetched)
        for (const waiter of [...this.#waiters]) if (this.#hasReached(waiter)) waiter.resolve()
      }
    } catch (error) {
      for (const waiter of [...this.#waiters]) waiter.reject(error)
      const following = this.#followOptions
      this.#followOptions = null
      following?.onError(error as Error)
    }
  }

  #handOver({ partition, fetchOffset, nextOffset, records }: FetchedPartition): void {
    const view = this.#view
    const { cursor } = view
    view.partition = partition
    let position: number = this.#positions.get(partition) ?? fetchOffset
    try {
      for (let at = 0; at < records.length; at += batchBytesAt(records, at)) {
        if (cursor.open(records, at).isControl) continue
        while (cursor.next()) {
          if (cursor.offset < position) continue
          this.#options.onRecord(view)
          position = cursor.offset + 1
          this.#recordCount++
        }
      }
      position = nextOffset
    } finally {
      this.#positions.set(partition, position)
    }
  }

  /** Gives every partition its first position, once. */
  #assign(): Promise<void> {
    // One after the other: the second of two at once would set the first one's partitions back.
    this.#assigning = this.#assigning.catch(() => {}).then(() => this.#assignNew())
    return this.#assigning
  }

  async #assignNew(): Promise<void> {
    const { topic, from = 'earliest' } = this.#options
    const added = (await this.#partitions()).filter((partition) => !this.#positions.has(partition))
    if (added.length === 0) return
    const named = from === 'earliest' ? new Map<number, number>() : from
    const unnamed = added.filter((partition) => !named.has(partition))
    const at = 'earliest' as const
    const queries = unnamed.map((partition) => ({ topic, partition, at }))
    const found = new Map<number, number>(named)
    for (const { partition, offset } of await listOffsets(this.#cluster, queries))
      found.set(partition, offset)
    const positions = added.map((partition) => ({ topic, partition, offset: found.get(partition) ?? 0 }))
    for (const { partition, offset } of positions) this.#positions.set(partition, offset)
    this.#fetcher.assign(positions)
  }

  async #partitions(): Promise<readonly number[]> {
    const { topic, partitions } = this.#options
    if (partitions !== undefined) return partitions
    const count = await this.#cluster.retrying({ topics: [topic] }, async () => {
      const known = await this.#cluster.partitionCount(topic)
      if (known !== null) return known
      throw new KafkaResponseError('Metadata', KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION, { topic })
    })
    return Array.from({ length: count }, (_, partition) => partition)
  }

  /** The high watermarks right now: what a reader without isolation could see. */
  async #ends(deadlineMs: number): Promise<ReadonlyMap<number, number>> {
    const { topic } = this.#options
    const at = 'latest' as const
    const queries = [...this.#positions.keys()].map((partition) => ({ topic, partition, at }))
    const isolation = 'read_uncommitted' as const
    const ends = await listOffsets(this.#cluster, queries, { isolation, deadlineMs })
    return new Map(ends.map(({ partition, offset }) => [partition, offset]))
  }

  #hasReached({ targets }: Waiter): boolean {
    return targets !== null && this.#firstUnreached(targets) === undefined
  }

  #firstUnreached(targets: ReadonlyMap<number, number>): [number, number] | undefined {
    return [...targets].find(([partition, target]) => (this.#positions.get(partition) ?? 0) < target)
  }

  #lateness({ targets }: Waiter, timeoutMs: number): KafkaTimeoutError {
    const { topic } = this.#options
    const late = targets === null ? undefined : this.#firstUnreached(targets)
    if (late === undefined) {
      return new KafkaTimeoutError(`the ends of ${topic} could not be learned within ${timeoutMs} ms`, {
        topic,
      })
    }
    const [partition, target] = late
    const position = this.#positions.get(partition) ?? -1
    const lastStableOffset = this.#fetcher.ends(topic, partition)?.lastStableOffset ?? -1
    const reason =
      lastStableOffset >= 0 && lastStableOffset < target ? ', held back by an open transaction' : ''
    return new KafkaTimeoutError(
      `expected ${topic}-${partition} to be read up to offset ${target} within ${timeoutMs} ms, it is at ${position}${reason}`,
      { topic, partition, target, position, lastStableOffset },
    )
  }

  #throwIfStopped(): void {
    if (this.#stopping.signal.aborted) throw this.#stopped()
  }

  #stopped(): GopherShipError {
    const { topic } = this.#options
    return new GopherShipError('GS_STOPPED', `the reader of ${topic} is stopped`, { facts: { topic } })
  }
}

/** The cursor, seen as a record. */
class CursorView implements RecordView {
  readonly cursor = new RecordCursor()
  partition = -1

  get offset(): Offset {
    return this.cursor.offset
  }

  get timestampMs(): number {
    return this.cursor.timestamp
  }

  get key(): Buffer | null {
    return this.cursor.keyBytes()
  }

  get value(): Buffer | null {
    return this.cursor.valueBytes()
  }

  get headers(): readonly RecordHeader[] {
    return this.cursor.headers()
  }
}
