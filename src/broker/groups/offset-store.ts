/**
 * Committed offsets and group state, kept in memory and in `__consumer_offsets`.
 *
 * Promises: a commit is answered only once durable, and only then visible to OffsetFetch, so that a committed offset
 * never goes back over a crash; a restart finds what was answered.
 *
 * The topic is bounded by writing everything anew: 1. note the log's end S. 2. Append the latest value of every key,
 * commits still on their way included. 3. When that is durable, delete everything below S. Commits that come meanwhile
 * land above S, and a key rewritten after such a commit carries that commit's value, so replay always ends with the
 * latest. (Log compaction, when it comes, replaces this.)
 */

import { BatchEncoder } from '../../batch/batch-encoder.ts'
import { readBatchHeader } from '../../batch/record-batch.ts'
import { RecordCursor } from '../../batch/record-cursor.ts'
import { asOffset } from '../../core/brands.ts'
import type { Clock } from '../../core/clock.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import type { Partition } from '../topics/partition.ts'
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

/** One key's value: what is durable, and the newest commit that is on its way. */
interface Slot {
  durable: CommittedOffset | null
  /** Undefined: none on its way. Null: a deletion is. */
  pending: CommittedOffset | null | undefined
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

  /** When the group last committed, on the wall clock, what is on its way included; 0 when it has no offsets. */
  lastCommitMs(groupId: string): number {
    let latestMs = 0
    for (const slots of this.#offsets.get(groupId)?.values() ?? []) {
      for (const { durable, pending } of slots.values()) {
        latestMs = Math.max(latestMs, durable?.commitTimestampMs ?? 0, pending?.commitTimestampMs ?? 0)
      }
    }
    return latestMs
  }

  /** Appends the offsets; resolves once they are durable, and from then on they are fetched. */
  async commit(groupId: string, offsets: readonly OffsetToCommit[]): Promise<void> {
    if (offsets.length === 0) return
    const nowMs = this.#options.clock.wallMs()
    let durable: Promise<void> = Promise.resolve()
    this.#encoder.start()
    const slots = offsets.map((entry, index) => {
      const key = encodeOffsetKey(groupId, entry.topic, entry.partition)
      this.#encoder.append(nowMs, key, encodeOffsetValue(entry))
      if (this.#encoder.bytes >= BATCH_BYTES || index === offsets.length - 1) {
        durable = this.#append()
        this.#encoder.start()
      }
      const slot = this.#slot(groupId, entry.topic, entry.partition)
      slot.pending = entry
      return slot
    })
    try {
      await durable
    } catch (error) {
      slots.forEach((slot, index) => {
        if (slot.pending === offsets[index]) slot.pending = undefined
      })
      throw error
    }
    slots.forEach((slot, index) => {
      const committed = offsets[index] as OffsetToCommit
      slot.durable = committed
      if (slot.pending === committed) slot.pending = undefined
    })
    this.#rewriteWhenLarge()
  }

  /** Makes a group's members and generation durable. */
  async saveGroup(group: PersistedGroup): Promise<void> {
    const nowMs = this.#options.clock.wallMs()
    this.#encoder.start()
    this.#encoder.append(nowMs, encodeGroupKey(group.groupId), encodeGroupValue(group, nowMs))
    const durable = this.#append()
    this.#groups.set(group.groupId, group)
    await durable
    this.#rewriteWhenLarge()
  }

  /** Forgets a group with all its offsets; resolves once that is durable. */
  async deleteGroup(groupId: string): Promise<void> {
    const topics = this.#offsets.get(groupId)
    const keys = [encodeGroupKey(groupId)]
    for (const [topic, slots] of topics ?? []) {
      for (const partition of slots.keys()) keys.push(encodeOffsetKey(groupId, topic, partition))
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
      for (const partition of topics.get(topic)?.keys() ?? [])
        keys.push(encodeOffsetKey(groupId, topic, partition))
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
      slot = { durable: null, pending: undefined }
      slots.set(partition, slot)
    }
    return slot
  }

  async #appendTombstones(keys: readonly Buffer[]): Promise<void> {
    const nowMs = this.#options.clock.wallMs()
    let durable: Promise<void> = Promise.resolve()
    for (let at = 0; at < keys.length; at += 1000) {
      this.#encoder.start()
      for (const key of keys.slice(at, at + 1000)) this.#encoder.append(nowMs, key, null)
      durable = this.#append()
    }
    await durable
  }

  /** Appends what the encoder holds; the encoder's buffer is used again, so the log gets a copy. */
  #append(): Promise<void> {
    const batch = Buffer.from(this.#encoder.finish())
    const outcome = this.#partition.append(batch, readBatchHeader(batch, 0))
    // The broker's own batches carry no producer id, so they are never refused.
    return outcome.kind === 'appended' ? outcome.durable : Promise.reject(new Error(outcome.message))
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
    this.#encoder.start()
    // A value may not change between its encoding and its append, so nothing is awaited between the two.
    for (const group of this.#groups.values()) {
      this.#encoder.append(nowMs, encodeGroupKey(group.groupId), encodeGroupValue(group, nowMs))
      if (this.#encoder.bytes >= BATCH_BYTES) await this.#appendAndRestart()
    }
    for (const [groupId, topics] of this.#offsets) {
      for (const [topic, slots] of topics) {
        for (const [partition, slot] of slots) {
          const value = slot.pending === undefined ? slot.durable : slot.pending
          if (value === null) continue
          this.#encoder.append(nowMs, encodeOffsetKey(groupId, topic, partition), encodeOffsetValue(value))
          if (this.#encoder.bytes >= BATCH_BYTES) await this.#appendAndRestart()
        }
      }
    }
    if (this.#encoder.recordCount > 0) await this.#append()
    this.#bytesAfterRewrite = this.#partition.appendedBytes - bytesBefore
    await log.deleteRecordsBefore(from)
  }

  /** Others use the encoder while this batch is written, so it is started again afterwards. */
  async #appendAndRestart(): Promise<void> {
    await this.#append()
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
        while (cursor.next()) this.#loadRecord(cursor.keyBytes(), cursor.valueBytes())
        at += header.batchBytes
        offset = header.baseOffset + header.lastOffsetDelta + 1
      }
    }
    for (const [groupId, topics] of this.#offsets) {
      for (const [topic, slots] of topics) if (slots.size === 0) topics.delete(topic)
      if (topics.size === 0) this.#offsets.delete(groupId)
    }
  }

  #loadRecord(keyBytes: Buffer | null, valueBytes: Buffer | null): void {
    const key = keyBytes === null ? null : decodeOffsetsKey(keyBytes)
    if (key === null) return
    if (key.kind === 'group') {
      const group = valueBytes === null ? null : decodeGroupValue(key.groupId, valueBytes)
      if (group === null) this.#groups.delete(key.groupId)
      else this.#groups.set(key.groupId, group)
      return
    }
    const value = valueBytes === null ? null : decodeOffsetValue(valueBytes)
    if (value === null) this.#offsets.get(key.groupId)?.get(key.topic)?.delete(key.partition)
    else this.#slot(key.groupId, key.topic, key.partition).durable = value
  }
}
