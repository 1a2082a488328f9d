/**
 * An append-only sequence of record batches in one folder: the segments of an embedded broker's partition, or of the
 * vault's spill. Owns offsets, group commit, retention, and the order in which all that changes files runs; the bytes are
 * `Segment`'s, the checkpoint `log-inventory.ts`'s, start-up `log-recovery.ts`'s, compaction `log-cleaner.ts`'s.
 *
 * Promises:
 * - Under `every-ack` a batch is acknowledged (its promise resolves, readers see it) only after an `fdatasync` that covers
 *   it, and after its segment's name was synced. Under `interval` and `never` once it is written: it then survives the
 *   process, not a power cut.
 * - After a failed write or sync the log is failed: nothing is acknowledged any more; opening it again recovers.
 * - An offset stands for one record for ever. Damage leaves a gap.
 * - What a reader gets was checked: CRC, length, sequence of offsets.
 *
 * One process, one `PartitionLog` per folder: the data directory's lock sees to it.
 */

import { strict as assert } from 'node:assert'
import { dirname, join } from 'node:path'
import {
  batchBytesAt,
  lastOffsetAt,
  lastOffsetDeltaAt,
  magicAt,
  patchBaseOffset,
  patchPartitionLeaderEpoch,
  RECORD_BATCH_HEADER_BYTES,
  RECORD_BATCH_MAGIC,
} from '../batch/record-batch.ts'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type { Disk } from '../core/disk.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { CleanBounds, Cleanliness } from './clean-plan.ts'
import { cleanlinessOf } from './clean-plan.ts'
import type { CommitGroup } from './group-commit.ts'
import { GroupCommit } from './group-commit.ts'
import { IndexBuilder } from './index-builder.ts'
import type { CleanableLog, CleanReport, CleanRequest } from './log-cleaner.ts'
import { cleanLog } from './log-cleaner.ts'
import { LogInventory } from './log-inventory.ts'
import type { ReadableLog } from './log-reader.ts'
import { LogReader } from './log-reader.ts'
import type { RecoveredLog } from './log-recovery.ts'
import { recoverLog } from './log-recovery.ts'
import { NO_TAG } from './log-tag.ts'
import type { PartitionLogOptions } from './partition-log-options.ts'
import { checkOptions } from './partition-log-options.ts'
import { Quarantine } from './quarantine.ts'
import { countExpired } from './retention.ts'
import type { SegmentContext } from './segment.ts'
import { Segment } from './segment.ts'
import {
  logFileName,
  RELATIVE_OFFSET_MAX,
  SEGMENT_BYTES_MAX,
  STORED_BATCH_BYTES_MAX,
} from './segment-format.ts'
import type { SegmentList } from './segment-list.ts'
import type { SwappableLog } from './segment-swap.ts'
import { swapSegments } from './segment-swap.ts'
import { StorageError, storageFailure } from './storage-error.ts'
import type { FoundTimestamp } from './timestamp-search.ts'

export type { Cleanliness } from './clean-plan.ts'
export type { CleanReport, CleanRequest } from './log-cleaner.ts'
export type { PartitionLogOptions, SyncPolicy } from './partition-log-options.ts'
export { PARTITION_LOG_DEFAULTS } from './partition-log-options.ts'

export interface PartitionLogStart {
  readonly disk: Disk
  readonly clock: Clock
  readonly directory: string
  readonly options: PartitionLogOptions
  readonly diagnostics: Diagnostics
  /** What the log's batches carry on disk, always the same for one log (`log-tag.ts`). Default: none. */
  readonly tag?: number
}

export interface Appended {
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  /** Resolves when the batch is acknowledged; rejects with `GS_STORAGE_FAILED`. Shared by the whole group. */
  readonly durable: Promise<void>
}

export interface ReadOptions {
  readonly bytesMax: number
  /** Only batches wholly below this offset; by default all that is visible. */
  readonly endOffset?: Offset
  /** Return the first batch even when it alone is over `bytesMax`. Default true. */
  readonly atLeastOneBatch?: boolean
}

/** Damage that was found: a range of offsets, where its bytes are, and why. `toOffset` is exclusive. */
export interface Quarantined {
  readonly fromOffset: Offset
  readonly toOffset: Offset
  readonly path: string | null
  readonly bytes: number
  readonly reason: string
}

/** What a start found and did. */
export interface RecoverySummary {
  readonly durationMs: number
  readonly scannedBytes: number
  readonly tornBytes: number
}

export class PartitionLog {
  readonly directory: string
  /** What opening found and did. */
  readonly recovery: RecoverySummary
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #diagnostics: Diagnostics
  readonly #context: SegmentContext
  readonly #commit: GroupCommit
  readonly #listeners = new Set<() => void>()
  #options: PartitionLogOptions
  readonly #inventory: LogInventory
  readonly #segments: SegmentList
  readonly #reader: LogReader
  #nextOffset: Offset
  #visibleEndOffset: Offset
  /** Which bytes of the last segment are acknowledged; everything in the others is. */
  #acknowledged: Acknowledged = { segment: null, bytes: 0, maxTimestamp: -1 }
  /** Monotonic time at which the last segment's age was zero. */
  #activeSinceMs = 0
  /** Resolves when the compaction under way has ended; null while there is none. */
  #cleaning: Promise<void> | null = null
  #heldBytes = 0
  #failure: StorageError | null = null
  #isClosed = false
  #syncTimer: Timer | null = null
  /** The end of a chain: what changes segments or the checkpoint runs one at a time. */
  #exclusive: Promise<unknown> = Promise.resolve()

  private constructor(
    start: PartitionLogStart,
    parts: { context: SegmentContext; quarantine: Quarantine; recovered: RecoveredLog; durationMs: number },
  ) {
    const { recovered } = parts
    this.directory = start.directory
    this.#disk = start.disk
    this.#clock = start.clock
    this.#diagnostics = start.diagnostics
    this.#options = start.options
    this.#context = parts.context
    this.#inventory = new LogInventory(parts.context, recovered, start.diagnostics)
    this.#segments = this.#inventory.segments
    this.#nextOffset = recovered.endOffset
    this.#visibleEndOffset = recovered.endOffset
    this.recovery = {
      durationMs: parts.durationMs,
      scannedBytes: recovered.scannedBytes,
      tornBytes: recovered.tornBytes,
    }
    const { directory, diagnostics } = start
    this.#reader = new LogReader(this.#asReadable(), this.#segments, {
      quarantine: parts.quarantine,
      diagnostics,
      directory,
    })
    this.#commit = new GroupCommit(
      (group) => this.#runExclusive(() => this.#commitGroup(group)),
      (error) => this.#fail(error),
    )
  }

  /**
   * Opens the log in `directory`, creating it when needed. Damage never stops it: see `quarantined` and `recovery`. When
   * the disk refuses writes, the log opens failed, and what is stored can still be read. Rejects with
   * `GS_STORAGE_VERSION` for a newer format and `GS_STORAGE_FAILED` when the folder cannot be read.
   */
  static async open(start: PartitionLogStart): Promise<PartitionLog> {
    const { disk, clock, directory, options, diagnostics, tag = NO_TAG } = start
    checkOptions(options)
    const startedMs = clock.monotonicMs()
    const quarantine = new Quarantine(disk, directory)
    const context = { disk, directory, indexIntervalBytes: options.indexIntervalBytes, tag }
    const recovered = await recoverLog({ ...context, quarantine, diagnostics, nowMs: clock.wallMs() })
    const durationMs = clock.monotonicMs() - startedMs
    const log = new PartitionLog(start, { context, quarantine, recovered, durationMs })
    try {
      if (recovered.refusal !== null) {
        await recovered.writable?.file.close()
        throw recovered.refusal
      }
      await log.#prepareForWriting(recovered)
    } catch (error) {
      await log.#fail(error)
    }
    return log
  }

  /** The first offset that may be read. */
  get logStartOffset(): Offset {
    return this.#inventory.logStartOffset
  }

  /** The offset that the next appended record gets. */
  get logEndOffset(): Offset {
    return this.#nextOffset
  }

  /** One past the last acknowledged record: readers see what is below it. */
  get durableEndOffset(): Offset {
    return this.#visibleEndOffset
  }

  /** Bytes in the segment files, damaged ones included. */
  get sizeBytes(): number {
    return this.#segments.bytes
  }

  get segmentCount(): number {
    return this.#segments.all.length
  }

  /** Below this offset compaction has kept only the latest record of each key. */
  get cleanedOffset(): Offset {
    return this.#inventory.cleanedOffset
  }

  /** Bytes that the last `applyRetention` would have deleted, had they not been held. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Bytes appended and not yet acknowledged. Whoever appends bounds it: the log takes what it is given. */
  get pendingBytes(): number {
    return this.#commit.pendingBytes
  }

  /** Why nothing can be appended any more, or null while all is well. */
  get failure(): StorageError | null {
    return this.#failure
  }

  /** Damage that was found and is still within the log: these offsets cannot be read. */
  get quarantined(): readonly Quarantined[] {
    return [...this.#segments.losses, ...this.#segments.all.flatMap((segment) => segment.holes)]
  }

  /** The latest acknowledged timestamp in the segments, -1 when there is none. */
  get maxTimestamp(): number {
    const { segment: active, maxTimestamp } = this.#acknowledged
    let latest = -1
    for (const segment of this.#segments.all)
      latest = Math.max(latest, segment === active ? maxTimestamp : segment.maxTimestamp)
    return latest
  }

  /** Takes new limits and a new policy; they hold from the next write on. */
  setOptions(options: PartitionLogOptions): void {
    checkOptions(options)
    this.#options = options
    this.#cancelSyncTimer()
    // What an interval still owed is synced now, so that the change never leaves something waiting.
    this.#scheduleSync(0)
  }

  /** Calls `listener` whenever `durableEndOffset` has moved, or the log failed. Returns how to stop that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Gives the batch its offsets, in place, and queues it. The buffer belongs to the log until `durable` settles: it is
   * written as it is then. The caller has checked the batch (`checkBatch`); only its frame is asserted here.
   * Throws `GS_STORAGE_FAILED` after a failure, `GS_STOPPED` after `close`, `GS_BATCH_TOO_LARGE` over 16 MiB.
   */
  append(batch: Buffer): Appended {
    this.#assertUsable()
    if (this.#failure !== null) throw this.#failure
    assert(batch.length >= RECORD_BATCH_HEADER_BYTES, 'a batch has a header')
    assert(magicAt(batch, 0) === RECORD_BATCH_MAGIC, 'only format 2 is stored')
    assert(batchBytesAt(batch, 0) === batch.length, 'the buffer is exactly one batch')
    if (batch.length > STORED_BATCH_BYTES_MAX) {
      throw new StorageError(
        'GS_BATCH_TOO_LARGE',
        `A stored batch has at most ${STORED_BATCH_BYTES_MAX} bytes, found ${batch.length}; send smaller batches.`,
        { facts: { batchBytes: batch.length, batchBytesMax: STORED_BATCH_BYTES_MAX } },
      )
    }
    const lastOffsetDelta = lastOffsetDeltaAt(batch, 0)
    assert(lastOffsetDelta >= 0, 'offsets rise within a batch')
    const baseOffset = this.#nextOffset
    const lastOffset = asOffset(baseOffset + lastOffsetDelta)
    assert(lastOffset < Number.MAX_SAFE_INTEGER, 'offsets are exact')
    patchBaseOffset(batch, 0, baseOffset)
    patchPartitionLeaderEpoch(batch, 0, this.#context.tag)
    this.#nextOffset = asOffset(lastOffset + 1)
    return { baseOffset, lastOffset, durable: this.#commit.add(batch) }
  }

  /**
   * Whole batches from the one that contains `fromOffset`, or the next one where damage left a gap. Every batch was
   * checked; the buffer is the caller's. Empty at the end of what is visible. One call reads from one segment.
   * Throws `GS_STORAGE_OFFSET_OUT_OF_RANGE`, and `GS_STORAGE_FAILED` when the disk refuses (retriable).
   */
  async read(fromOffset: Offset, options: ReadOptions): Promise<Buffer> {
    this.#assertUsable()
    this.#assertInRange(fromOffset)
    const endOffset = Math.min(options.endOffset ?? Number.POSITIVE_INFINITY, this.#visibleEndOffset)
    const bytesMax = Math.max(1, Math.min(options.bytesMax, SEGMENT_BYTES_MAX))
    const isFirstAlwaysPicked = options.atLeastOneBatch ?? true
    return this.#reader.read({ fromOffset, endOffset, bytesMax, isFirstAlwaysPicked })
  }

  /** The first visible record at or after `timestampMs`, or null when all are older. */
  async offsetForTimestamp(timestampMs: number): Promise<FoundTimestamp | null> {
    this.#assertUsable()
    return this.#reader.findTimestamp(timestampMs)
  }

  /** The first visible record that has the latest timestamp, or null when there is none. Kafka's ListOffsets with -3. */
  async offsetOfMaxTimestamp(): Promise<FoundTimestamp | null> {
    const latest = this.maxTimestamp
    if (latest < 0) return null
    // A record of that time may lie below the start of the log, or in damage.
    return (await this.offsetForTimestamp(latest)) ?? this.#reader.findLatest()
  }

  /**
   * Moves the start of the log up to `offset`, durably, and deletes segments wholly below it. Offsets below the present
   * start change nothing. Throws `GS_STORAGE_OFFSET_OUT_OF_RANGE` above `durableEndOffset`.
   */
  async deleteRecordsBefore(offset: Offset): Promise<void> {
    this.#assertUsable()
    if (offset > this.#visibleEndOffset) throw this.#outOfRange(offset)
    await this.#runExclusive(async () => {
      if (this.#failure !== null) throw this.#failure
      if (offset <= this.#inventory.logStartOffset) return
      const limits = { nowMs: 0, retentionMs: -1, retentionBytes: -1, logStartOffset: offset }
      const count = countExpired(this.#segments.all, { ...limits, durableEndOffset: this.#visibleEndOffset })
      await this.#inventory.removeLeading(count, offset)
    })
  }

  /**
   * Deletes what retention no longer keeps, by Kafka's rules; resolves with how many segments went. Nothing at or above
   * `heldOffset` goes, however old and however much it is: see `heldBytes`.
   */
  async applyRetention(
    nowMs: number,
    { heldOffset = Number.POSITIVE_INFINITY }: { readonly heldOffset?: number } = {},
  ): Promise<number> {
    this.#assertUsable()
    return this.#runExclusive(async () => {
      if (this.#failure !== null) throw this.#failure
      const { retentionMs, retentionBytes } = this.#options
      const limits = {
        nowMs,
        retentionMs,
        retentionBytes,
        logStartOffset: this.#inventory.logStartOffset,
        durableEndOffset: this.#visibleEndOffset,
      }
      const count = countExpired(this.#segments.all, { ...limits, heldOffset })
      const unheldCount = countExpired(this.#segments.all, limits)
      this.#heldBytes = this.#segments.all
        .slice(count, unheldCount)
        .reduce((bytes, segment) => bytes + segment.bytes, 0)
      if (count === 0) {
        await this.#inventory.removeFiles()
        return 0
      }
      const isLastExpired = count === this.#segments.all.length
      // The log always has a segment to write to, and it begins where the expired one ends.
      if (isLastExpired) await this.#guard(() => this.#roll(this.#inventory.active.endOffset))
      await this.#inventory.removeLeading(count, this.#inventory.logStartOffset)
      return count
    })
  }

  /** How much of the log an earlier compaction has covered, and how much could be compacted now. Reads nothing. */
  cleanliness(bounds: Omit<CleanBounds, 'cleanedOffset'>): Cleanliness {
    return cleanlinessOf(this.#segments.all, { ...bounds, cleanedOffset: this.#inventory.cleanedOffset })
  }

  /**
   * Compacts the log: of each key the latest record stays (`log-cleaner.ts`). Reads and appends go on meanwhile; one
   * compaction at a time. Rejects with `GS_STOPPED` when the log is closed under it, with the pace's reason when that
   * ends it, and with the disk's failures; the log is whole whatever happens, and what was compacted stays so.
   */
  async clean(request: CleanRequest): Promise<CleanReport> {
    this.#assertWritable()
    assert(this.#cleaning === null, 'one compaction at a time')
    const stableOffset = Math.min(request.stableOffset, this.#visibleEndOffset)
    const running = cleanLog(this.#asCleanable(), { ...request, stableOffset })
    const ended = running.then(ignore, ignore)
    this.#cleaning = ended
    try {
      return await running
    } finally {
      this.#cleaning = null
    }
  }

  /** Resolves when no compaction is under way; on a failed or closed log that is soon. */
  async cleaningEnded(): Promise<void> {
    await this.#cleaning
  }

  /** Makes all that was appended so far durable, whatever the policy. Rejects with `GS_STORAGE_FAILED`. */
  async flush(): Promise<void> {
    await this.#commit.idle()
    await this.#runExclusive(async () => {
      if (this.#failure !== null) throw this.#failure
      await this.#guard(() => this.#sync())
    })
  }

  /**
   * Ends cleanly: waits for what is pending, syncs, writes indexes and checkpoint, closes the files. After a failure it
   * only closes them. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelSyncTimer()
    await this.#cleaning
    await this.#commit.idle()
    await this.#runExclusive(async () => {
      try {
        if (this.#failure === null) {
          await this.#sync()
          await this.#inventory.active.saveIndexes()
          await this.#inventory.save()
        }
      } catch (error) {
        await this.#fail(error)
        throw this.#failure
      } finally {
        for (const segment of this.#segments.all) await segment.discard()
      }
    })
  }

  /** Closes the log and deletes its folder, quarantine included: for a topic that is deleted on purpose. */
  async destroy(): Promise<void> {
    this.#failure ??= new StorageError('GS_STORAGE_FAILED', `The log in ${this.directory} was deleted.`)
    await this.close()
    await this.#disk.removeDirectory(this.directory)
    await this.#disk.syncDirectory(dirname(this.directory))
  }

  // --- writing -------------------------------------------------------------------------------------------------------

  async #prepareForWriting(recovered: RecoveredLog): Promise<void> {
    if (recovered.writable === null) await this.#beginSegment(recovered.endOffset)
    else await this.#inventory.active.openForWriting(recovered.writable.file, recovered.writable.indexes)
    const active = this.#inventory.active
    this.#inventory.syncedRecord = active.toRecord()
    this.#acknowledged = acknowledgedOf(active)
    const ageMs = Math.max(0, this.#clock.wallMs() - active.createdMs)
    this.#activeSinceMs = this.#clock.monotonicMs() - ageMs
    if (recovered.needsCheckpoint) await this.#inventory.save()
  }

  /** Runs under `#exclusive`. Splits the group where a segment is full; the last part ends with the policy's sync. */
  async #commitGroup(group: CommitGroup): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    const { batches } = group
    let first = 0
    let bytes = 0
    for (let index = 0; index <= batches.length; index += 1) {
      const batch = batches[index]
      if (batch !== undefined && !this.#mustRollBefore(batch, bytes)) {
        bytes += batch.length
        continue
      }
      if (index > first) await this.#inventory.active.write(batches.slice(first, index), this.#clock.wallMs())
      if (batch === undefined) break
      await this.#roll(this.#inventory.active.endOffset)
      first = index
      bytes = batch.length
    }
    if (this.#options.sync.policy === 'every-ack') await this.#sync()
    else if (this.#options.sync.policy === 'interval') this.#scheduleSync(this.#options.sync.intervalMs)
    this.#advance(this.#inventory.active)
  }

  #mustRollBefore(batch: Buffer, bytesBefore: number): boolean {
    const active = this.#inventory.active
    const bytes = active.bytes + bytesBefore
    if (bytes === 0) return false
    if (bytes + batch.length > this.#options.segmentBytesMax) return true
    if (this.#clock.monotonicMs() - this.#activeSinceMs >= this.#options.segmentAgeMsMax) return true
    return lastOffsetAt(batch, 0) - active.baseOffset > RELATIVE_OFFSET_MAX
  }

  /**
   * Seals the last segment and begins the next one at `baseOffset`. In this order:
   * 1. The old segment is synced: what it holds may then be vouched for.
   * 2. The new file is created and its name synced: an acknowledged batch in a file whose name is lost is lost.
   * 3. The checkpoint names both. Only then is anything written to the new one, so a file that the checkpoint does not
   *    name holds nothing that was acknowledged.
   */
  async #roll(baseOffset: Offset): Promise<void> {
    const active = this.#inventory.active
    await this.#sync()
    await active.seal()
    await this.#beginSegment(baseOffset)
    await this.#inventory.save()
    await this.#segments.closeUnused(active)
  }

  async #beginSegment(baseOffset: Offset): Promise<void> {
    const nowMs = this.#clock.wallMs()
    const segment = new Segment(this.#context, {
      baseOffset,
      bytes: 0,
      endOffset: baseOffset,
      maxTimestamp: -1,
      maxTimestampOffset: -1,
      createdMs: nowMs,
      appendedMs: nowMs,
      holes: [],
    })
    const file = await this.#disk.open(join(this.directory, logFileName(baseOffset)), 'create')
    await segment.openForWriting(file, IndexBuilder.empty(baseOffset, this.#options.indexIntervalBytes))
    try {
      await this.#disk.syncDirectory(this.directory)
    } catch (error) {
      await segment.closeFile()
      throw error
    }
    this.#segments.push(segment)
    this.#inventory.syncedRecord = segment.toRecord()
    this.#acknowledged = acknowledgedOf(segment)
    this.#activeSinceMs = this.#clock.monotonicMs()
  }

  /** Makes the last segment durable, when anything was written since the last time. */
  async #sync(): Promise<void> {
    const active = this.#inventory.active
    const record = active.toRecord()
    if (this.#inventory.syncedRecord?.bytes === record.bytes) return
    await active.sync()
    this.#inventory.syncedRecord = record
  }

  #scheduleSync(delayMs: number): void {
    if (this.#syncTimer !== null || this.#isClosed) return
    this.#syncTimer = this.#clock.after(delayMs, () => {
      this.#syncTimer = null
      this.#runExclusive(async () => {
        if (this.#failure === null && !this.#isClosed) await this.#guard(() => this.#sync())
      }).catch(() => {
        // `#guard` has failed the log and said so.
      })
    })
  }

  #cancelSyncTimer(): void {
    this.#syncTimer?.cancel()
    this.#syncTimer = null
  }

  #advance(active: Segment): void {
    assert(active.endOffset >= this.#visibleEndOffset, 'what was visible stays visible')
    this.#visibleEndOffset = active.endOffset
    this.#acknowledged = acknowledgedOf(active)
    this.#notify()
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }

  /** Runs a change of the files; when it fails, the log is failed. */
  async #guard(run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      throw await this.#fail(error)
    }
  }

  /** The log takes nothing more. Resolves with the reason, after cutting what was never acknowledged. */
  async #fail(error: unknown): Promise<StorageError> {
    if (this.#failure !== null) return this.#failure
    const cause = storageFailure('Writing the log in', this.directory, error)
    const failure = new StorageError(
      'GS_STORAGE_FAILED',
      `The log in ${this.directory} failed and takes no more records until it is opened again: ${cause.message}`,
      { cause: error, facts: { path: this.directory, endOffset: this.#visibleEndOffset } },
    )
    this.#failure = failure
    this.#cancelSyncTimer()
    this.#diagnostics.error(
      { directory: this.directory, err: failure },
      'log failed, nothing more is acknowledged',
    )
    await this.#cutUnacknowledged()
    this.#notify()
    return failure
  }

  /**
   * After a failed sync, reads still show bytes that never reached the disk, and the system calls them clean: a later
   * recovery could take them for durable, and no sync would ever write them. What was never acknowledged is therefore cut
   * while it is known which bytes that is. What was acknowledged unsynced (`interval`, `never`) stays.
   */
  async #cutUnacknowledged(): Promise<void> {
    const active = this.#segments.last
    if (active === undefined || !active.isOpen || active !== this.#acknowledged.segment) return
    try {
      await active.cut({ bytes: this.#acknowledged.bytes, endOffset: this.#visibleEndOffset })
    } catch {
      // The disk refuses this as well; then nothing can be appended after a restart either until it recovers.
    }
  }

  // --- compaction ----------------------------------------------------------------------------------------------------

  #asCleanable(): CleanableLog {
    const log = this
    return {
      context: this.#context,
      get segments() {
        return log.#segments.all
      },
      get losses() {
        return log.#segments.losses
      },
      get cleanedOffset() {
        return log.#inventory.cleanedOffset
      },
      get segmentBytesMax() {
        return log.#options.segmentBytesMax
      },
      assertWritable: () => this.#assertWritable(),
      swap: (replaced, cleaned) =>
        this.#runExclusive(async () => {
          this.#assertWritable()
          await this.#inventory.forgetSwap()
          return swapSegments(this.#asSwappable(), replaced, cleaned)
        }),
      noteCleaned: (offset) =>
        this.#runExclusive(async () => {
          this.#assertWritable()
          await this.#inventory.noteCleaned(offset)
        }),
      rescan: (segment) => this.#reader.rescan(segment),
      closeUnused: () => this.#segments.closeUnused(),
    }
  }

  #asSwappable(): SwappableLog {
    return {
      context: this.#context,
      segments: this.#segments,
      commitSwap: (fresh, replaced) => this.#guard(() => this.#inventory.decideSwap({ fresh, replaced })),
      guard: (run) => this.#guard(run),
      removeFiles: () => this.#inventory.removeFiles(),
    }
  }

  #asReadable(): ReadableLog {
    const log = this
    return {
      get logStartOffset() {
        return log.#inventory.logStartOffset
      },
      get durableEndOffset() {
        return log.#visibleEndOffset
      },
      assertOpen: () => log.#assertUsable(),
      assertInRange: (offset) => log.#assertInRange(offset),
      noteDamage: () => log.#noteDamage(),
    }
  }

  /** Reading goes on when the damage cannot be written down. */
  async #noteDamage(): Promise<void> {
    await this.#runExclusive(async () => {
      if (this.#failure === null && !this.#isClosed) await this.#inventory.save()
    }).catch((error: unknown) => {
      this.#diagnostics.warn({ directory: this.directory, err: error }, 'damage could not be written down')
    })
  }

  #runExclusive<Value>(run: () => Promise<Value>): Promise<Value> {
    const result = this.#exclusive.then(run)
    this.#exclusive = result.catch(() => {})
    return result
  }

  #assertUsable(): void {
    if (this.#isClosed) throw new StorageError('GS_STOPPED', `The log in ${this.directory} is closed.`)
  }

  #assertWritable(): void {
    this.#assertUsable()
    if (this.#failure !== null) throw this.#failure
  }

  #assertInRange(offset: Offset): void {
    if (offset < this.#inventory.logStartOffset || offset > this.#nextOffset) throw this.#outOfRange(offset)
  }

  #outOfRange(offset: Offset): StorageError {
    return new StorageError(
      'GS_STORAGE_OFFSET_OUT_OF_RANGE',
      `Offset ${offset} is not in the log: it holds ${this.#inventory.logStartOffset} up to ${this.#visibleEndOffset} (exclusive).`,
      {
        facts: { offset, logStartOffset: this.#inventory.logStartOffset, endOffset: this.#visibleEndOffset },
      },
    )
  }
}

/** How much of the last segment is acknowledged. */
interface Acknowledged {
  readonly segment: Segment | null
  readonly bytes: number
  readonly maxTimestamp: number
}

const acknowledgedOf = (segment: Segment): Acknowledged => ({
  segment,
  bytes: segment.bytes,
  maxTimestamp: segment.maxTimestamp,
})

function ignore(): void {}
