/**
 * One partition of a topic: its segment log, what it remembers of idempotent producers and of transactions, and who waits
 * for its next records. Appends are assigned synchronously, so that their order is the order of the calls; an append is done when the
 * promise it gives has resolved.
 */

import { join } from 'node:path'
import type { ControlType } from '../../batch/control-batch.ts'
import { decodeControlRecord, encodeControlBatch } from '../../batch/control-batch.ts'
import type { BatchHeader } from '../../batch/record-batch.ts'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  baseOffsetAt,
  batchBytesAt,
  patchAttributes,
  patchMaxTimestamp,
  readBatchHeader,
} from '../../batch/record-batch.ts'
import { RecordCursor } from '../../batch/record-cursor.ts'
import { asOffset } from '../../core/brands.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import type { Disk } from '../../core/disk.ts'
import { isFailure } from '../../core/errors.ts'
import type { CleanReport, CleanRequest } from '../../storage/partition-log.ts'
import { PartitionLog } from '../../storage/partition-log.ts'
import { readSnapshot, writeSnapshot } from '../../storage/snapshot-file.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { AbortedTransaction, OpenTransaction } from './partition-transactions.ts'
import { PartitionTransactions } from './partition-transactions.ts'
import type { ProducerMemory } from './producer-snapshot.ts'
import {
  decodeProducerSnapshot,
  encodeProducerSnapshot,
  PRODUCER_SNAPSHOT_FILE,
} from './producer-snapshot.ts'
import type { ProducerEntry } from './producer-states.ts'
import { ProducerStates } from './producer-states.ts'
import type { EffectiveConfig } from './topic-config.ts'

export interface PartitionOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly directory: string
  readonly topicName: string
  readonly index: number
  readonly config: EffectiveConfig
  /** What the batches of its log carry on disk (`storage/log-tag.ts`). */
  readonly tag: number
  readonly producersMax: number
  readonly producerSnapshotBytes: number
  /** How long after a disk failure the log is opened again; the wait doubles up to ten times this. */
  readonly reopenMs: number
}

export type AppendOutcome =
  | {
      readonly kind: 'appended'
      readonly baseOffset: number
      /** The broker's time in the records, or -1 when they keep the producer's. */
      readonly logAppendTimeMs: number
      /** Resolves when the batch is durable; rejects when the disk refused, and then the outcome is unknown. */
      readonly durable: Promise<void>
    }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly message: string }

/** The end of a transaction, as the coordinator decided it. */
export interface TransactionMarker {
  readonly producerId: number
  /** The transaction's epoch, or a later one that fences the producer. */
  readonly producerEpoch: number
  readonly type: ControlType
}

/** There is one coordinator, for ever. */
const COORDINATOR_EPOCH = 0
/** Bytes read at a time while the producers are rebuilt at start. */
const REBUILD_READ_BYTES = 4 * 1024 * 1024
const RESOLVED = Promise.resolve()

export class Partition {
  readonly topicName: string
  readonly index: number
  readonly #options: PartitionOptions
  readonly #waiters = new Set<() => void>()
  #log: PartitionLog
  #memory: ProducerMemory
  #unsubscribe: () => void
  #config: EffectiveConfig
  /** Settles with the latest append. A duplicate of a batch that is still on its way waits for it. */
  #latestDurable: Promise<void> = RESOLVED
  #appendedBytes = 0
  #bytesAtSnapshot = 0
  #snapshotOffset: number
  #snapshotUnderway: Promise<void> = RESOLVED
  #isSnapshotting = false
  #reopenTimer: Timer | null = null
  #reopening: Promise<void> = RESOLVED
  #gone = false

  /** Opens the log, recovering it if need be, and rebuilds the producers. */
  static async open(options: PartitionOptions): Promise<Partition> {
    return new Partition(options, await openLog(options, options.config))
  }

  private constructor(options: PartitionOptions, { log, memory, covered }: OpenedLog) {
    this.topicName = options.topicName
    this.index = options.index
    this.#log = log
    this.#options = options
    this.#config = options.config
    this.#memory = memory
    this.#snapshotOffset = covered
    this.#unsubscribe = log.subscribe(() => this.#onLogChanged())
    if (log.failure !== null) this.#reopenAfter(options.reopenMs)
  }

  /** The segment log. After a disk failure another one takes its place, so it is asked for each time. */
  get log(): PartitionLog {
    return this.#log
  }

  /** One past the last record that readers may see. */
  get highWatermark(): number {
    return this.log.durableEndOffset
  }

  /** One past the last record that read_committed readers may see: below it every transaction has ended. */
  get lastStableOffset(): number {
    const { highWatermark } = this
    const stable = this.#memory.transactions.lastStableOffset(highWatermark)
    return stable === highWatermark ? stable : Math.max(stable, this.#log.logStartOffset)
  }

  /** Transactions that have data here and have not ended, by first offset. */
  get openTransactions(): Iterable<OpenTransaction> {
    return this.#memory.transactions.open
  }

  /** Aborted transactions with records in [from, to): read_committed readers leave those records out. */
  abortedTransactionsIn(from: number, to: number): AbortedTransaction[] {
    return this.#memory.transactions.abortedIn(from, to)
  }

  /** Idempotent producers that are remembered, least recently used first. */
  get producers(): Iterable<[number, ProducerEntry]> {
    return this.#memory.producers.entries()
  }

  /** Bytes appended since the partition was opened; its growth tells a waiting fetch how much there is to read. */
  get appendedBytes(): number {
    return this.#appendedBytes
  }

  /** True once the topic is deleted: whoever waited must look again. */
  get isGone(): boolean {
    return this.#gone
  }

  get config(): EffectiveConfig {
    return this.#config
  }

  setConfig(config: EffectiveConfig): void {
    this.#config = config
    this.log.setOptions(config.log)
  }

  /**
   * Appends one checked batch. `batch` belongs to the log from here on: its base offset, and with LogAppendTime its
   * timestamp, are written into it. Whether a transactional batch belongs to a transaction is the caller's to know. The
   * broker's own batches name no sequence and are taken as they come. Throws GS_STORAGE_FAILED when the log has failed.
   */
  append(batch: Buffer, header: BatchHeader): AppendOutcome {
    // The producers may remember a batch that the failed log never made durable, so they are not asked.
    if (this.#log.failure !== null) throw this.#log.failure
    const isIdempotent = header.producerId >= 0 && header.baseSequence >= 0
    if (isIdempotent) {
      const { producers, transactions } = this.#memory
      if (!header.isTransactional && transactions.openOf(header.producerId) !== undefined) return MIXED
      let check = producers.check(header)
      // Looked at only then, as it takes a walk over the segments.
      const mayBeMissing = check.kind === 'refused' && this.log.quarantined.length > 0
      if (mayBeMissing) check = producers.check(header, { isDamaged: true })
      if (check.kind === 'refused') return check
      if (check.kind === 'duplicate') {
        const { baseOffset, logAppendTimeMs } = check.batch
        const durable = baseOffset < this.log.durableEndOffset ? RESOLVED : this.#latestDurable
        return { kind: 'appended', baseOffset, logAppendTimeMs, durable }
      }
    }
    const nowMs = this.#options.clock.wallMs()
    let logAppendTimeMs = -1
    if (this.#config.isLogAppendTime) {
      logAppendTimeMs = nowMs
      patchAttributes(batch, 0, header.attributes | BATCH_ATTRIBUTE.logAppendTime)
      patchMaxTimestamp(batch, 0, nowMs)
    } else if (header.isLogAppendTime) {
      // Only a broker stamps; a client's claim to have done so is not believed.
      patchAttributes(batch, 0, header.attributes & ~BATCH_ATTRIBUTE.logAppendTime)
    }
    const { baseOffset, durable } = this.log.append(batch)
    this.#appendedBytes += batch.length
    this.#latestDurable = durable
    if (isIdempotent) this.#memory.producers.record(header, { baseOffset, logAppendTimeMs, nowMs })
    if (header.isTransactional)
      this.#memory.transactions.begin({ ...producerOf(header), firstOffset: baseOffset })
    if (this.#appendedBytes - this.#bytesAtSnapshot >= this.#options.producerSnapshotBytes)
      this.#snapshotSoon()
    return { kind: 'appended', baseOffset, logAppendTimeMs, durable }
  }

  /**
   * Ends a producer's transaction here; resolves when the marker is durable, at once when there is nothing to end, which
   * makes it safe to call again. Throws or rejects with GS_STORAGE_FAILED when the disk refuses: the outcome is unknown then,
   * and calling again once the partition has recovered settles it.
   */
  appendMarker(marker: TransactionMarker): Promise<void> {
    if (this.#log.failure !== null) throw this.#log.failure
    const { producers, transactions } = this.#memory
    const { producerId, producerEpoch, type } = marker
    // A marker that is on its way is what the caller waits for, too.
    if (transactions.openOf(producerId) === undefined) return this.#latestDurable
    const nowMs = this.#options.clock.wallMs()
    const coordinatorEpoch = COORDINATOR_EPOCH
    const batch = encodeControlBatch({
      type,
      producerId,
      producerEpoch,
      coordinatorEpoch,
      timestampMs: nowMs,
    })
    const { baseOffset, durable } = this.#log.append(batch)
    this.#appendedBytes += batch.length
    this.#latestDurable = durable
    transactions.end({ producerId, isCommit: type === 'commit', offset: baseOffset })
    producers.recordMarker({ producerId, producerEpoch, nowMs })
    return durable
  }

  /** Compacts the log; see `PartitionLog.clean`. What it needs to know of transactions and producers is added here. */
  async compact(
    request: Omit<CleanRequest, 'stableOffset' | 'lastOfProducer'> & { readonly offsetMax: number },
  ): Promise<CleanReport> {
    const { producers, transactions } = this.#memory
    const lastOf = new Map<number, { baseOffset: number; epoch: number }>()
    for (const [producerId, { epoch, batches }] of producers.entries()) {
      lastOf.set(producerId, { epoch, baseOffset: batches.at(-1)?.baseOffset ?? -1 })
    }
    const report = await this.#log.clean({
      ...request,
      stableOffset: Math.min(request.offsetMax, this.lastStableOffset),
      lastOfProducer: (producerId) => lastOf.get(producerId),
    })
    transactions.forgetAborted(new Set(report.emptyAborts))
    return report
  }

  /** Calls `waiter` whenever more records can be read, or the partition goes away, until unsubscribed. */
  subscribe(waiter: () => void): () => void {
    this.#waiters.add(waiter)
    return () => this.#waiters.delete(waiter)
  }

  /** Forgets producers that have been silent since `beforeMs`, and aborted transactions that are no longer in the log. */
  expireProducers(beforeMs: number): void {
    const { producers, transactions } = this.#memory
    producers.expire(beforeMs, (producerId) => transactions.openOf(producerId) !== undefined)
    transactions.forgetBelow(this.#log.logStartOffset)
  }

  /**
   * Closes the log cleanly, leaving a snapshot so that the next start reads nothing again. A disk that refuses is only
   * told of: what was acknowledged is durable already, and the next start recovers the rest.
   */
  async close(): Promise<void> {
    this.#leave()
    await this.#snapshotUnderway
    await this.#reopening
    try {
      if (this.log.failure === null) {
        await this.log.flush()
        if (this.#snapshotOffset !== this.log.logEndOffset) await this.#writeSnapshot()
      }
      await this.log.close()
    } catch (error) {
      this.#warn(error, 'a partition could not be closed cleanly; the next start recovers it')
      await this.log.close().catch(() => {})
    }
  }

  /** Closes the log and deletes its files: the topic is gone. */
  async destroy(): Promise<void> {
    this.#leave()
    await this.#snapshotUnderway
    await this.#reopening
    await this.log.destroy()
  }

  #leave(): void {
    this.#gone = true
    this.#reopenTimer?.cancel()
    this.#unsubscribe()
    this.#wake()
    this.#waiters.clear()
  }

  #onLogChanged(): void {
    if (this.#log.failure !== null && this.#reopenTimer === null) this.#reopenAfter(this.#options.reopenMs)
    this.#wake()
  }

  #reopenAfter(delayMs: number): void {
    this.#reopenTimer = this.#options.clock.after(delayMs, () => {
      this.#reopening = this.#reopen(delayMs)
    })
  }

  /**
   * Recovers after a disk failure, without a restart: a full disk may have room again. The failed log takes nothing
   * any more and only serves reads until the new one has taken over; what was never acknowledged it has cut itself.
   */
  async #reopen(afterMs: number): Promise<void> {
    try {
      // A compaction that was under way gives up by itself; until it has, it may still touch the files.
      await this.#log.cleaningEnded()
      const opened = await openLog(this.#options, this.#config)
      if (opened.log.failure !== null || this.#gone) {
        await opened.log.close()
      } else {
        const failed = this.#log
        this.#unsubscribe()
        this.#log = opened.log
        this.#memory = opened.memory
        this.#snapshotOffset = opened.covered
        this.#latestDurable = RESOLVED
        this.#unsubscribe = opened.log.subscribe(() => this.#onLogChanged())
        this.#reopenTimer = null
        this.#options.diagnostics.info(
          { endOffset: opened.log.logEndOffset },
          'partition recovered after a disk failure',
        )
        this.#wake()
        await failed.close()
        return
      }
    } catch (error) {
      this.#warn(error, 'a partition could not be opened again yet')
    }
    if (!this.#gone) this.#reopenAfter(Math.min(afterMs * 2, this.#options.reopenMs * 10))
  }

  #wake(): void {
    if (this.#waiters.size === 0) return
    for (const waiter of [...this.#waiters]) waiter()
  }

  /** The state is taken now and written once what it covers is durable: a snapshot must never be ahead of its log. */
  #snapshotSoon(): void {
    if (this.#isSnapshotting) return
    this.#isSnapshotting = true
    this.#bytesAtSnapshot = this.#appendedBytes
    const offset = this.log.logEndOffset
    const bytes = encodeProducerSnapshot(offset, this.#memory)
    this.#snapshotUnderway = this.#latestDurable
      .then(() => writeSnapshot(this.#options.disk, this.#snapshotPath(), bytes))
      .then(
        () => {
          this.#snapshotOffset = offset
        },
        (error: unknown) => this.#warn(error, 'the producers of a partition could not be saved'),
      )
      .finally(() => {
        this.#isSnapshotting = false
      })
  }

  async #writeSnapshot(): Promise<void> {
    const offset = this.log.logEndOffset
    await writeSnapshot(
      this.#options.disk,
      this.#snapshotPath(),
      encodeProducerSnapshot(offset, this.#memory),
    )
    this.#snapshotOffset = offset
  }

  #snapshotPath(): string {
    return join(this.#options.directory, PRODUCER_SNAPSHOT_FILE)
  }

  #warn(error: unknown, message: string): void {
    this.#options.diagnostics.warn({ err: error, topic: this.topicName, partition: this.index }, message)
  }
}

const MIXED: AppendOutcome = {
  kind: 'refused',
  errorCode: KAFKA_ERROR.INVALID_TXN_STATE,
  message: 'the producer has an open transaction in this partition, and the batch is not part of one',
}

function producerOf({ producerId, producerEpoch }: BatchHeader) {
  return { producerId, producerEpoch }
}

interface OpenedLog {
  readonly log: PartitionLog
  readonly memory: ProducerMemory
  /** The offset that the snapshot on disk covers, -1 for none. */
  readonly covered: number
}

async function openLog(options: PartitionOptions, config: EffectiveConfig): Promise<OpenedLog> {
  const { disk, clock, diagnostics, directory, tag } = options
  const log = await PartitionLog.open({ disk, clock, directory, options: config.log, diagnostics, tag })
  const memory: ProducerMemory = {
    producers: new ProducerStates({ producersMax: options.producersMax }),
    transactions: new PartitionTransactions(),
  }
  try {
    return { log, memory, covered: await rebuildMemory(log, memory, options) }
  } catch (error) {
    await log.close().catch(() => {})
    throw error
  }
}

/**
 * Loads the snapshot and reads the batch headers behind it. A snapshot ahead of the log (the log lost its tail to a
 * power cut) describes batches that do not exist, so it is dropped and everything is read. Of one that ends before the log
 * starts no open transaction is believed: its marker may be gone with the records between, and it would hold up readers
 * for ever. One that is still open has records in the log, or none that a reader could see. Gives the offset that the
 * snapshot on disk covers, -1 for none.
 */
async function rebuildMemory(log: PartitionLog, memory: ProducerMemory, options: PartitionOptions) {
  const { producers, transactions } = memory
  const path = join(options.directory, PRODUCER_SNAPSHOT_FILE)
  let covered = -1
  try {
    const bytes = await readSnapshot(options.disk, path)
    if (bytes !== null) covered = decodeProducerSnapshot(bytes, memory)
  } catch (error) {
    if (isFailure(error, 'GS_STORAGE_VERSION')) throw error
    options.diagnostics.warn(
      { err: error, path },
      'a producer snapshot is unreadable; the log is read instead',
    )
  }
  if (covered > log.logEndOffset) {
    covered = -1
    producers.clear()
    transactions.clear()
    await options.disk.unlink(path)
    // Were it back after the next power cut, the log may have grown past it, and other batches be where it says these are.
    await options.disk.syncDirectory(options.directory)
  }
  if (covered < log.logStartOffset) transactions.forgetOpen()
  transactions.forgetAborted(await vanishedMarkers(log, transactions))
  let offset = Math.max(covered, log.logStartOffset)
  const nowMs = options.clock.wallMs()
  while (offset < log.logEndOffset) {
    const bytes = await log.read(asOffset(offset), { bytesMax: REBUILD_READ_BYTES })
    if (bytes.length === 0) break
    for (let at = 0; at < bytes.length; at += batchBytesAt(bytes, at)) {
      const header = readBatchHeader(bytes, at)
      offset = header.baseOffset + header.lastOffsetDelta + 1
      if (header.producerId < 0 || header.baseOffset < covered) continue
      if (header.isControl) {
        const isCommit = markerTypeAt(bytes, at)
        if (isCommit !== null) {
          transactions.end({ producerId: header.producerId, isCommit, offset: header.baseOffset })
          producers.recordMarker({ ...producerOf(header), nowMs })
        }
        continue
      }
      if (header.isTransactional) {
        transactions.begin({ ...producerOf(header), firstOffset: header.baseOffset })
      }
      if (header.baseSequence < 0) continue
      const logAppendTimeMs = header.isLogAppendTime ? header.maxTimestamp : -1
      // Compaction takes records out of a batch; the sequences it stood for are told by its offsets.
      const claim = { ...header, recordCount: header.lastOffsetDelta + 1 }
      producers.record(claim, { baseOffset: header.baseOffset, logAppendTimeMs, nowMs })
    }
  }
  return covered
}

/**
 * Markers of aborted transactions that a snapshot knows and that compaction has removed since. A reader that was told of
 * such a transaction would wait for its marker, and leave out what the producer wrote after it.
 */
async function vanishedMarkers(log: PartitionLog, transactions: PartitionTransactions): Promise<Set<number>> {
  const vanished = new Set<number>()
  for (const { lastOffset } of transactions.aborted) {
    if (lastOffset < log.logStartOffset || lastOffset >= log.cleanedOffset) continue
    const found = await log.read(asOffset(lastOffset), { bytesMax: 1 })
    const isThere =
      found.length > 0 &&
      baseOffsetAt(found, 0) === lastOffset &&
      (attributesAt(found, 0) & BATCH_ATTRIBUTE.control) !== 0
    if (!isThere) vanished.add(lastOffset)
  }
  return vanished
}

/** Whether the control batch at `at` commits; null when it is no marker. */
function markerTypeAt(bytes: Buffer, at: number): boolean | null {
  const cursor = new RecordCursor()
  cursor.open(bytes, at)
  if (!cursor.next()) return null
  const { type } = decodeControlRecord(cursor.keyBytes(), cursor.valueBytes())
  return type === 'unknown' ? null : type === 'commit'
}
