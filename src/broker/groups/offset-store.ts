/**
 * Committed offsets and group state, kept in memory and in `__consumer_offsets`.
 *
 * Promises: a commit is answered only once durable, and only then visible to OffsetFetch, so that a committed offset
 * never goes back over a crash; a restart finds what was answered.
 *
 * Offsets of a transaction are staged: appended at once, in batches with the producer's id, and in force when the commit
 * marker is durable. Of two commits the later record wins, wherever the marker lies, as in Kafka: a transaction that ends
 * late does not undo what was committed after it had staged.
 *
 * The topic is bounded by writing everything anew: 1. note the log's end S. 2. Append the latest value of every key, commits
 * still on their way included, all in one go, so that nothing comes in between. A key in which a transaction has staged
 * something waits until that has ended: a copy of its value would be the later record, and so undo what is staged. 3. When the
 * last copy is durable, delete everything below S. Until then all of it is there, so replay of whatever a crash leaves of
 * this ends with the same values.
 */

import type { BatchStartOptions } from '../../batch/batch-encoder.ts'
import { BatchEncoder } from '../../batch/batch-encoder.ts'
import { decodeControlRecord } from '../../batch/control-batch.ts'
import type { BatchHeader } from '../../batch/record-batch.ts'
import { readBatchHeader } from '../../batch/record-batch.ts'
import { RecordCursor } from '../../batch/record-cursor.ts'
import type { Offset } from '../../core/brands.ts'
import { asOffset } from '../../core/brands.ts'
import type { Clock } from '../../core/clock.ts'
import type { PartitionLog } from '../../storage/partition-log.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import type { Partition, TransactionMarker } from '../topics/partition.ts'
import type { CommittedOffset } from './offset-records.ts'
import {
  decodeGroupValue,
  decodeOffsetsKey,
  decodeOffsetValue,
  encodeGroupKey,
  encodeGroupValue,
  encodeOffsetKey,
  encodeOffsetValue,
} from './offset-records.ts'
import type { PersistedGroup } from './persisted-group.ts'

export interface OffsetToCommit extends CommittedOffset {
  readonly topic: string
  readonly partition: number
}

export interface OffsetStoreOptions {
  readonly partition: Partition
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  /** The log is written anew when it is larger than this and four times its size after the last time. */
  readonly rewriteBytesMin?: number
}

/** Whose transaction offsets are staged in. */
export interface StagingProducer {
  readonly producerId: number
  readonly producerEpoch: number
}

/** One key's value: what is durable, the newest commit that is on its way, and what transactions have staged. */
interface Slot {
  readonly groupId: string
  readonly topic: string
  readonly partition: number
  durable: CommittedOffset | null
  /** Where in the log the durable value was written first. */
  recordOffset: number
  /** Null: none on its way. */
  pending: WrittenOffset | null
  /** By producer; null for none. */
  staged: Map<number, WrittenOffset> | null
}

/** A value and where in the log it was written first: copies keep the order, so they need not be known. */
interface WrittenOffset {
  readonly value: CommittedOffset
  recordOffset: number
}

/** A rewrite of the topic that is under way. */
interface Rewrite {
  /** The log that it is of. After a disk failure another one takes its place, and the rewrite is given up. */
  readonly log: PartitionLog
  /** What is below goes once everything has a copy. */
  readonly from: Offset
  /** Slots that have no copy yet, because something is staged in them. */
  readonly uncopied: Set<Slot>
  /** Those of them that may have nothing staged any more. */
  unstaged: Slot[]
  /** Bytes of the copies. */
  bytes: number
  /** Settles with the latest copy, and so with all of them. */
  durable: Promise<void>
}

type GroupOffsets = Map<string, Map<number, Slot>>

const READ_BYTES = 4 * 1024 * 1024
/** A batch is closed once it is this large. */
const BATCH_BYTES = 256 * 1024
/** A single group's state may be larger than that; beyond this it cannot be kept. */
const BATCH_BYTES_MAX = 16 * 1024 * 1024
const REWRITE_BYTES_MIN = 8 * 1024 * 1024
const RESOLVED = Promise.resolve()

export class OffsetStore {
  readonly #options: OffsetStoreOptions
  readonly #partition: Partition
  readonly #offsets = new Map<string, GroupOffsets>()
  /** Latest state per group, as appended. */
  readonly #groups = new Map<string, PersistedGroup>()
  readonly #encoder = new BatchEncoder({ bytesInitial: 64 * 1024, bytesMax: BATCH_BYTES_MAX })
  /** Staged offsets by producer. */
  readonly #stagings = new Map<number, Set<Slot>>()
  #bytesAfterRewrite = 0
  #rewrite: Rewrite | null = null
  /** Settles when the end of a rewrite, once everything has a copy, is over. */
  #finishing: Promise<void> = RESOLVED

  private constructor(options: OffsetStoreOptions) {
    this.#options = options
    this.#partition = options.partition
  }

  /** Reads the whole topic. */
  static async open(options: OffsetStoreOptions): Promise<OffsetStore> {
    const store = new OffsetStore(options)
    await store.#load()
    await store.#dropEndless()
    return store
  }

  /** Group states as of start, for the coordinator to take up. */
  get savedGroups(): Iterable<PersistedGroup> {
    return this.#groups.values()
  }

  /** Groups that have at least one offset. */
  get groupIds(): Iterable<string> {
    return this.#offsets.keys()
  }

  hasOffsets(groupId: string): boolean {
    return this.#offsets.has(groupId)
  }

  /** The durable offset of one partition, or undefined when none was committed. */
  fetch(groupId: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#offsets.get(groupId)?.get(topic)?.get(partition)?.durable ?? undefined
  }

  /** True while a transaction that has not ended will move this offset, should it commit. */
  isStaged(groupId: string, topic: string, partition: number): boolean {
    return (this.#offsets.get(groupId)?.get(topic)?.get(partition)?.staged ?? null) !== null
  }

  /** Every durable offset of a group, by topic. */
  fetchAll(
    groupId: string,
  ): { topic: string; partitions: { partition: number; committed: CommittedOffset }[] }[] {
    const topics = []
    for (const [topic, slots] of this.#offsets.get(groupId) ?? []) {
      const partitions = []
      for (const [partition, slot] of slots) {
        if (slot.durable !== null) partitions.push({ partition, committed: slot.durable })
      }
      if (partitions.length > 0) topics.push({ topic, partitions })
    }
    return topics
  }

  /** When the group last committed or staged, on the wall clock, what is on its way included; 0 when it has no offsets. */
  lastCommitMs(groupId: string): number {
    let latestMs = 0
    for (const slots of this.#offsets.get(groupId)?.values() ?? []) {
      for (const { durable, pending, staged } of slots.values()) {
        latestMs = Math.max(latestMs, durable?.commitTimestampMs ?? 0, pending?.value.commitTimestampMs ?? 0)
        for (const { value } of staged?.values() ?? []) latestMs = Math.max(latestMs, value.commitTimestampMs)
      }
    }
    return latestMs
  }

  /** Appends the offsets; resolves once they are durable, and from then on they are fetched. */
  async commit(groupId: string, offsets: readonly OffsetToCommit[]): Promise<void> {
    if (offsets.length === 0) return
    const written = this.#appendOffsets(groupId, offsets, {})
    for (const { slot, offset } of written.slots) slot.pending = offset
    try {
      await written.durable
    } finally {
      for (const { slot, offset } of written.slots) if (slot.pending === offset) slot.pending = null
    }
    for (const { slot, offset } of written.slots) this.#put(slot, offset)
    this.#copyUnstaged()
    this.#rewriteWhenLarge()
  }

  /** Appends offsets that count once the producer's transaction commits; resolves when they are durable. */
  async stage(producer: StagingProducer, groupId: string, offsets: readonly OffsetToCommit[]): Promise<void> {
    if (offsets.length === 0) return
    const written = this.#appendOffsets(groupId, offsets, { ...producer, isTransactional: true })
    for (const { slot, offset } of written.slots) this.#stageIn(slot, producer, offset)
    try {
      await written.durable
    } catch (error) {
      for (const { slot, offset } of written.slots) {
        if (slot.staged?.get(producer.producerId) === offset) this.#unstage(slot, producer.producerId)
      }
      throw error
    }
    this.#rewriteWhenLarge()
  }

  /**
   * Ends the producer's transaction here: what it staged is in force, or forgotten, once the marker is durable. May be called
   * again after a failure.
   */
  async endTransaction(marker: TransactionMarker): Promise<void> {
    await this.#partition.appendMarker(marker)
    this.#endStaging(marker.producerId, marker.type === 'commit')
    this.#copyUnstaged()
  }

  /** Makes a group's members and generation durable. */
  async saveGroup(group: PersistedGroup): Promise<void> {
    const nowMs = this.#options.clock.wallMs()
    this.#encoder.start()
    this.#encoder.append(nowMs, encodeGroupKey(group.groupId), encodeGroupValue(group))
    const { durable } = this.#append()
    this.#groups.set(group.groupId, group)
    await durable
    this.#rewriteWhenLarge()
  }

  /** Forgets a group with all its offsets; resolves once that is durable. */
  async deleteGroup(groupId: string): Promise<void> {
    const topics = this.#offsets.get(groupId)
    const keys = [encodeGroupKey(groupId)]
    for (const [topic, slots] of topics ?? []) {
      for (const [partition, slot] of slots) {
        keys.push(encodeOffsetKey(groupId, topic, partition))
        this.#unstageAll(slot)
      }
    }
    const durable = this.#appendTombstones(keys)
    this.#offsets.delete(groupId)
    this.#groups.delete(groupId)
    this.#copyUnstaged()
    await durable
  }

  /** Forgets the offsets that any group has in a topic, which was deleted. */
  async deleteTopic(topic: string): Promise<void> {
    const keys: Buffer[] = []
    for (const [groupId, topics] of this.#offsets) {
      for (const [partition, slot] of topics.get(topic) ?? []) {
        keys.push(encodeOffsetKey(groupId, topic, partition))
        this.#unstageAll(slot)
      }
      topics.delete(topic)
      if (topics.size === 0) this.#offsets.delete(groupId)
    }
    const durable = this.#appendTombstones(keys)
    this.#copyUnstaged()
    await durable
  }

  /** Resolves when no rewrite is under way, but for one that waits for transactions to end. */
  async idle(): Promise<void> {
    await this.#finishing
  }

  #slot(groupId: string, topic: string, partition: number): Slot {
    let topics = this.#offsets.get(groupId)
    if (topics === undefined) {
      topics = new Map()
      this.#offsets.set(groupId, topics)
    }
    let slots = topics.get(topic)
    if (slots === undefined) {
      slots = new Map()
      topics.set(topic, slots)
    }
    let slot = slots.get(partition)
    if (slot === undefined) {
      slot = { groupId, topic, partition, durable: null, recordOffset: -1, pending: null, staged: null }
      slots.set(partition, slot)
    }
    return slot
  }

  #stageIn(slot: Slot, producer: StagingProducer, staged: WrittenOffset): void {
    const { producerId } = producer
    const slots = this.#stagings.get(producerId) ?? new Set()
    this.#stagings.set(producerId, slots.add(slot))
    slot.staged ??= new Map()
    slot.staged.set(producerId, staged)
  }

  #unstage(slot: Slot, producerId: number): void {
    slot.staged?.delete(producerId)
    if (slot.staged?.size === 0) slot.staged = null
    const slots = this.#stagings.get(producerId)
    slots?.delete(slot)
    if (slots?.size === 0) this.#stagings.delete(producerId)
    if (slot.staged === null && this.#rewrite?.uncopied.has(slot)) this.#rewrite.unstaged.push(slot)
    this.#forgetWhenEmpty(slot)
  }

  /** The value of the later record stands; what was staged before it can never be in force any more. */
  #put(slot: Slot, { value, recordOffset }: WrittenOffset): void {
    if (recordOffset < slot.recordOffset) return
    slot.durable = value
    slot.recordOffset = recordOffset
    if (slot.staged === null) return
    for (const [producerId, staged] of [...slot.staged]) {
      if (staged.recordOffset < recordOffset) this.#unstage(slot, producerId)
    }
  }

  #unstageAll(slot: Slot): void {
    for (const producerId of [...(slot.staged?.keys() ?? [])]) this.#unstage(slot, producerId)
  }

  #endStaging(producerId: number, isCommit: boolean): void {
    for (const slot of [...(this.#stagings.get(producerId) ?? [])]) {
      const staged = slot.staged?.get(producerId)
      if (isCommit && staged !== undefined) this.#put(slot, staged)
      this.#unstage(slot, producerId)
    }
  }

  /** An aborted transaction leaves no trace of offsets that were never committed. */
  #forgetWhenEmpty(slot: Slot): void {
    if (slot.durable !== null || slot.pending !== null || slot.staged !== null) return
    const { groupId, topic, partition } = slot
    if (!this.#isKept(slot)) return
    const topics = this.#offsets.get(groupId)
    const slots = topics?.get(topic)
    slots?.delete(partition)
    if (slots?.size === 0) topics?.delete(topic)
    if (topics?.size === 0) this.#offsets.delete(groupId)
  }

  /** False once its group or its topic was deleted. */
  #isKept(slot: Slot): boolean {
    return this.#offsets.get(slot.groupId)?.get(slot.topic)?.get(slot.partition) === slot
  }

  /** Appends the offsets in as many batches as they need; gives where each record is, and when the last is durable. */
  #appendOffsets(groupId: string, offsets: readonly OffsetToCommit[], start: BatchStartOptions) {
    const nowMs = this.#options.clock.wallMs()
    let durable: Promise<void> = Promise.resolve()
    const slots: { slot: Slot; offset: WrittenOffset }[] = []
    this.#encoder.start(start)
    for (const [index, value] of offsets.entries()) {
      this.#encoder.append(
        nowMs,
        encodeOffsetKey(groupId, value.topic, value.partition),
        encodeOffsetValue(value),
      )
      slots.push({
        slot: this.#slot(groupId, value.topic, value.partition),
        offset: { value, recordOffset: -1 },
      })
      if (this.#encoder.bytes < BATCH_BYTES && index < offsets.length - 1) continue
      const first = slots.length - this.#encoder.recordCount
      const appended = this.#append()
      durable = appended.durable
      for (let at = first; at < slots.length; at += 1) {
        const written = slots[at] as (typeof slots)[number]
        written.offset.recordOffset = appended.baseOffset + at - first
      }
      this.#encoder.start(start)
    }
    return { slots, durable }
  }

  async #appendTombstones(keys: readonly Buffer[]): Promise<void> {
    const nowMs = this.#options.clock.wallMs()
    let durable: Promise<void> = Promise.resolve()
    for (let at = 0; at < keys.length; at += 1000) {
      this.#encoder.start()
      for (const key of keys.slice(at, at + 1000)) this.#encoder.append(nowMs, key, null)
      durable = this.#append().durable
    }
    await durable
  }

  /** Appends what the encoder holds; the encoder's buffer is used again, so the log gets a copy. */
  #append(): { baseOffset: number; durable: Promise<void> } {
    const batch = Buffer.from(this.#encoder.finish())
    const outcome = this.#partition.append(batch, readBatchHeader(batch, 0))
    // The broker's own batches carry no sequence, so they are never refused.
    if (outcome.kind === 'refused') throw new TypeError(outcome.message)
    return outcome
  }

  #rewriteWhenLarge(): void {
    const { log } = this.#partition
    const { sizeBytes } = log
    const bytesMin = this.#options.rewriteBytesMin ?? REWRITE_BYTES_MIN
    if (this.#rewrite !== null || sizeBytes < bytesMin || sizeBytes < this.#bytesAfterRewrite * 4) return
    const uncopied = new Set<Slot>()
    this.#rewrite = { log, from: log.logEndOffset, uncopied, unstaged: [], bytes: 0, durable: RESOLVED }
    this.#goOnWith(this.#rewrite, (rewrite) => this.#copyAll(rewrite))
  }

  /** Copies what a rewrite had to leave out and nothing is staged in any more. */
  #copyUnstaged(): void {
    if (this.#rewrite === null || this.#rewrite.unstaged.length === 0) return
    this.#goOnWith(this.#rewrite, (rewrite) => {
      const unstaged = new Set(rewrite.unstaged)
      rewrite.unstaged = []
      // A producer may have staged something again.
      const copied = [...unstaged].filter(({ staged }) => staged === null)
      for (const slot of copied) rewrite.uncopied.delete(slot)
      this.#copySlots(
        rewrite,
        copied.filter((slot) => this.#isKept(slot)),
      )
    })
  }

  /** Appends copies, and ends the rewrite when they were the last. A disk that refuses ends it too, and nothing is deleted. */
  #goOnWith(rewrite: Rewrite, copy: (rewrite: Rewrite) => void): void {
    try {
      if (rewrite.log !== this.#partition.log) throw new TypeError('the log was opened again meanwhile')
      copy(rewrite)
    } catch (error) {
      this.#giveUp(error)
      return
    }
    if (rewrite.uncopied.size > 0) return
    this.#finishing = this.#finish(rewrite).catch((error: unknown) => this.#giveUp(error))
  }

  async #finish(rewrite: Rewrite): Promise<void> {
    await rewrite.durable
    this.#bytesAfterRewrite = rewrite.bytes
    await rewrite.log.deleteRecordsBefore(rewrite.from)
    this.#rewrite = null
  }

  #giveUp(error: unknown): void {
    this.#rewrite = null
    this.#options.diagnostics.warn({ err: error }, 'the topic of committed offsets could not be rewritten')
  }

  /** Nothing may be awaited in here: see the head of this file. */
  #copyAll(rewrite: Rewrite): void {
    const nowMs = this.#options.clock.wallMs()
    this.#encoder.start()
    for (const group of this.#groups.values()) {
      this.#encoder.append(nowMs, encodeGroupKey(group.groupId), encodeGroupValue(group))
      this.#appendCopies(rewrite, { bytesMin: BATCH_BYTES })
    }
    this.#appendCopies(rewrite, { bytesMin: 0 })
    const copied: Slot[] = []
    for (const topics of this.#offsets.values()) {
      for (const slots of topics.values()) {
        for (const slot of slots.values()) {
          if (slot.staged === null) copied.push(slot)
          else rewrite.uncopied.add(slot)
        }
      }
    }
    this.#copySlots(rewrite, copied)
  }

  #copySlots(rewrite: Rewrite, slots: readonly Slot[]): void {
    const nowMs = this.#options.clock.wallMs()
    this.#encoder.start()
    for (const slot of slots) {
      const { groupId, topic, partition, pending, durable } = slot
      const value = pending?.value ?? durable
      if (value === null) continue
      this.#encoder.append(nowMs, encodeOffsetKey(groupId, topic, partition), encodeOffsetValue(value))
      this.#appendCopies(rewrite, { bytesMin: BATCH_BYTES })
    }
    this.#appendCopies(rewrite, { bytesMin: 0 })
  }

  /** Appends what the encoder holds, once that is as much as asked for. */
  #appendCopies(rewrite: Rewrite, { bytesMin }: { readonly bytesMin: number }): void {
    if (this.#encoder.recordCount === 0 || this.#encoder.bytes < bytesMin) return
    rewrite.bytes += this.#encoder.bytes
    rewrite.durable = this.#append().durable
    rewrite.durable.catch(() => {})
    this.#encoder.start()
  }

  async #load(): Promise<void> {
    const { log } = this.#partition
    const cursor = new RecordCursor()
    let offset: number = log.logStartOffset
    while (offset < log.logEndOffset) {
      const bytes = await log.read(asOffset(offset), { bytesMax: READ_BYTES })
      if (bytes.length === 0) break
      for (let at = 0; at < bytes.length; ) {
        const header = cursor.open(bytes, at)
        while (cursor.next()) {
          const key = cursor.keyBytes()
          const value = cursor.valueBytes()
          if (!header.isControl) this.#loadRecord(key, value, header, cursor.offset)
          else this.#endStaging(header.producerId, decodeControlRecord(key, value).type === 'commit')
        }
        at += header.batchBytes
        offset = header.baseOffset + header.lastOffsetDelta + 1
      }
    }
  }

  /**
   * What is staged in a transaction that the partition knows to be over: its marker was damaged on disk. Whether it was
   * committed cannot be known, and readers would wait for its end for ever; so the offsets before it stand, as work that is
   * done again is not lost. They are written once more, lest the marker of the producer's next transaction decides.
   */
  async #dropEndless(): Promise<void> {
    const open = new Set(Array.from(this.#partition.openTransactions, ({ producerId }) => producerId))
    const endless = [...this.#stagings].filter(([producerId]) => !open.has(producerId))
    if (endless.length === 0) return
    const { clock, diagnostics } = this.#options
    const nowMs = clock.wallMs()
    for (const [producerId, slots] of endless) {
      const dropped = [...slots]
      this.#endStaging(producerId, false)
      this.#encoder.start()
      for (const { groupId, topic, partition, durable, staged } of dropped) {
        diagnostics.warn(
          { groupId, topic, partition, producerId },
          'a committed offset may be too old: the end of the transaction that moves it is damaged on disk',
        )
        if (staged !== null) continue
        const value = durable === null ? null : encodeOffsetValue(durable)
        this.#encoder.append(nowMs, encodeOffsetKey(groupId, topic, partition), value)
      }
      if (this.#encoder.recordCount === 0) continue
      try {
        await this.#append().durable
      } catch (error) {
        diagnostics.warn({ err: error }, 'offsets could not be written once more; the next start tries again')
      }
    }
  }

  #loadRecord(
    keyBytes: Buffer | null,
    valueBytes: Buffer | null,
    header: BatchHeader,
    recordOffset: number,
  ): void {
    const key = keyBytes === null ? null : decodeOffsetsKey(keyBytes)
    if (key === null) return
    if (key.kind === 'group') {
      const group = valueBytes === null ? null : decodeGroupValue(key.groupId, valueBytes)
      if (group === null) this.#groups.delete(key.groupId)
      else this.#groups.set(key.groupId, group)
      return
    }
    const value = valueBytes === null ? null : decodeOffsetValue(valueBytes)
    const slot = this.#slot(key.groupId, key.topic, key.partition)
    if (value === null) {
      slot.durable = null
      this.#unstageAll(slot)
      this.#forgetWhenEmpty(slot)
    } else if (header.isTransactional) {
      this.#stageIn(slot, header, { value, recordOffset })
    } else {
      this.#put(slot, { value, recordOffset })
    }
  }
}
