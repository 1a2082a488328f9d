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
 * The topic is bounded by writing everything anew: 1. note the log's end S. 2. Append the latest value of every key,
 * commits still on their way included, and behind them what is staged and not decided, all in one go, so that nothing
 * comes in between. 3. When that is durable, delete everything below S. Replay of what remains ends with the same values.
 */

import type { BatchStartOptions } from '../../batch/batch-encoder.ts'
import { BatchEncoder } from '../../batch/batch-encoder.ts'
import type { ControlType } from '../../batch/control-batch.ts'
import { decodeControlRecord } from '../../batch/control-batch.ts'
import type { BatchHeader } from '../../batch/record-batch.ts'
import { readBatchHeader } from '../../batch/record-batch.ts'
import { RecordCursor } from '../../batch/record-cursor.ts'
import { asOffset } from '../../core/brands.ts'
import type { Clock } from '../../core/clock.ts'
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
  /** Where in the log the durable value is. */
  recordOffset: number
  /** Null: none on its way. */
  pending: WrittenOffset | null
  /** By producer; null for none. */
  staged: Map<number, WrittenOffset> | null
}

/** A value and where in the log it is. A rewrite moves it. */
interface WrittenOffset {
  readonly value: CommittedOffset
  recordOffset: number
}

/** What one open transaction has staged. */
interface Staging {
  readonly producerEpoch: number
  readonly slots: Set<Slot>
  /** Set while its marker is on its way: then nothing may be staged behind that, and what it does is known. */
  ending: ControlType | null
}

type GroupOffsets = Map<string, Map<number, Slot>>

const READ_BYTES = 4 * 1024 * 1024
/** A batch is closed once it is this large. */
const BATCH_BYTES = 256 * 1024
/** A single group's state may be larger than that; beyond this it cannot be kept. */
const BATCH_BYTES_MAX = 16 * 1024 * 1024
const REWRITE_BYTES_MIN = 8 * 1024 * 1024

export class OffsetStore {
  readonly #options: OffsetStoreOptions
  readonly #partition: Partition
  readonly #offsets = new Map<string, GroupOffsets>()
  /** Latest state per group, as appended. */
  readonly #groups = new Map<string, PersistedGroup>()
  readonly #encoder = new BatchEncoder({ bytesInitial: 64 * 1024, bytesMax: BATCH_BYTES_MAX })
  /** Staged offsets by producer. */
  readonly #stagings = new Map<number, Staging>()
  #bytesAfterRewrite = 0
  #rewriting: Promise<void> | null = null

  private constructor(options: OffsetStoreOptions) {
    this.#options = options
    this.#partition = options.partition
  }

  /** Reads the whole topic. */
  static async open(options: OffsetStoreOptions): Promise<OffsetStore> {
    const store = new OffsetStore(options)
    await store.#load()
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
    const staging = this.#stagings.get(marker.producerId)
    const ended = this.#partition.appendMarker(marker)
    if (staging !== undefined) staging.ending = marker.type
    await ended
    this.#endStaging(marker.producerId, marker.type === 'commit')
  }

  /** Makes a group's members and generation durable. */
  async saveGroup(group: PersistedGroup): Promise<void> {
    const nowMs = this.#options.clock.wallMs()
    this.#encoder.start()
    this.#encoder.append(nowMs, encodeGroupKey(group.groupId), encodeGroupValue(group, nowMs))
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
    if (keys.length > 0) await this.#appendTombstones(keys)
  }

  /** Resolves when no rewrite is under way. */
  async idle(): Promise<void> {
    await this.#rewriting
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
    const { producerId, producerEpoch } = producer
    let staging = this.#stagings.get(producerId)
    if (staging === undefined) {
      staging = { producerEpoch, slots: new Set(), ending: null }
      this.#stagings.set(producerId, staging)
    }
    staging.slots.add(slot)
    slot.staged ??= new Map()
    slot.staged.set(producerId, staged)
  }

  #unstage(slot: Slot, producerId: number): void {
    slot.staged?.delete(producerId)
    if (slot.staged?.size === 0) slot.staged = null
    const staging = this.#stagings.get(producerId)
    staging?.slots.delete(slot)
    if (staging?.slots.size === 0) this.#stagings.delete(producerId)
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

  /** What is on its way and later than the durable value: a commit, or what a commit marker on its way puts in force. */
  #latestDecided(slot: Slot): WrittenOffset | null {
    let latest = slot.pending
    for (const [producerId, staged] of slot.staged ?? []) {
      if (this.#stagings.get(producerId)?.ending !== 'commit') continue
      if (staged.recordOffset > (latest?.recordOffset ?? slot.recordOffset)) latest = staged
    }
    return latest
  }

  #unstageAll(slot: Slot): void {
    for (const producerId of [...(slot.staged?.keys() ?? [])]) this.#unstage(slot, producerId)
  }

  #endStaging(producerId: number, isCommit: boolean): void {
    for (const slot of [...(this.#stagings.get(producerId)?.slots ?? [])]) {
      const staged = slot.staged?.get(producerId)
      if (isCommit && staged !== undefined) this.#put(slot, staged)
      this.#unstage(slot, producerId)
    }
  }

  /** An aborted transaction leaves no trace of offsets that were never committed. */
  #forgetWhenEmpty(slot: Slot): void {
    if (slot.durable !== null || slot.pending !== null || slot.staged !== null) return
    const { groupId, topic, partition } = slot
    const topics = this.#offsets.get(groupId)
    const slots = topics?.get(topic)
    if (slots?.get(partition) !== slot) return
    slots.delete(partition)
    if (slots.size === 0) topics?.delete(topic)
    if (topics?.size === 0) this.#offsets.delete(groupId)
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
    const { sizeBytes } = this.#partition.log
    const bytesMin = this.#options.rewriteBytesMin ?? REWRITE_BYTES_MIN
    if (this.#rewriting !== null || sizeBytes < bytesMin || sizeBytes < this.#bytesAfterRewrite * 4) return
    this.#rewriting = this.#rewrite()
      .catch((error: unknown) => {
        this.#options.diagnostics.warn(
          { err: error },
          'the topic of committed offsets could not be rewritten',
        )
      })
      .finally(() => {
        this.#rewriting = null
      })
  }

  async #rewrite(): Promise<void> {
    const { log } = this.#partition
    const from = log.logEndOffset
    const bytesBefore = this.#partition.appendedBytes
    const nowMs = this.#options.clock.wallMs()
    const placed: (() => void)[] = []
    const durables: Promise<void>[] = []
    // Nothing may be awaited from here to the last append: see the head of this file.
    const flush = (start: BatchStartOptions, isLast: boolean) => {
      if (this.#encoder.recordCount > 0 && (isLast || this.#encoder.bytes >= BATCH_BYTES)) {
        durables.push(this.#append().durable)
        this.#encoder.start(start)
      }
    }
    this.#encoder.start()
    for (const group of this.#groups.values()) {
      this.#encoder.append(nowMs, encodeGroupKey(group.groupId), encodeGroupValue(group, nowMs))
      flush({}, false)
    }
    const noteOffset = (owner: { recordOffset: number }) => {
      const recordOffset = log.logEndOffset + this.#encoder.recordCount - 1
      placed.push(() => {
        owner.recordOffset = Math.max(owner.recordOffset, recordOffset)
      })
    }
    for (const [groupId, topics] of this.#offsets) {
      for (const [topic, slots] of topics) {
        for (const [partition, slot] of slots) {
          const latest = this.#latestDecided(slot)
          const value = latest?.value ?? slot.durable
          if (value === null) continue
          this.#encoder.append(nowMs, encodeOffsetKey(groupId, topic, partition), encodeOffsetValue(value))
          noteOffset(latest ?? slot)
          flush({}, false)
        }
      }
    }
    flush({}, true)
    for (const [producerId, { producerEpoch, slots, ending }] of this.#stagings) {
      if (ending !== null) continue
      const start = { producerId, producerEpoch, isTransactional: true }
      this.#encoder.start(start)
      for (const slot of slots) {
        const staged = slot.staged?.get(producerId)
        if (staged === undefined) continue
        const { groupId, topic, partition } = slot
        this.#encoder.append(
          nowMs,
          encodeOffsetKey(groupId, topic, partition),
          encodeOffsetValue(staged.value),
        )
        noteOffset(staged)
        flush(start, false)
      }
      flush(start, true)
    }
    for (const place of placed) place()
    await Promise.all(durables)
    this.#bytesAfterRewrite = this.#partition.appendedBytes - bytesBefore
    await log.deleteRecordsBefore(from)
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
