/**
 * The newest metadata snapshot, and its refreshing: however many ask at once, at most one Metadata request is under way
 * and at most one more, with the topics of all who came since, waits behind it.
 */

import type { Clock } from '../core/clock.ts'
import type { metadataApi } from '../wire/03-metadata.ts'
import type { ResponseOf } from '../wire/api.ts'
import type { MetadataSnapshot } from './metadata-snapshot.ts'
import { EMPTY_METADATA, mergeMetadata, sameTopics } from './metadata-snapshot.ts'

export interface MetadataCacheOptions {
  readonly clock: Clock
  /** Asks a broker; null asks for all topics, an empty list for the brokers only. */
  readonly request: (topics: readonly string[] | null) => Promise<ResponseOf<typeof metadataApi>>
  /** Called after each new snapshot, before those who waited for it go on. Must not throw. */
  readonly onSnapshot: (snapshot: MetadataSnapshot) => void
}

/** A refresh that has not been sent yet: it still takes more topics. */
interface QueuedRefresh {
  isForAll: boolean
  readonly topics: Set<string>
  readonly done: Promise<MetadataSnapshot>
}

export class MetadataCache {
  readonly #options: MetadataCacheOptions
  readonly #changeListeners = new Set<(snapshot: MetadataSnapshot) => void>()
  /** When each topic was last answered for (known or not), on the monotonic clock. */
  readonly #answeredAtMs = new Map<string, number>()
  #snapshot: MetadataSnapshot = EMPTY_METADATA
  #allAnsweredAtMs = Number.NEGATIVE_INFINITY
  #running: Promise<unknown> = Promise.resolve()
  #queued: QueuedRefresh | null = null

  constructor(options: MetadataCacheOptions) {
    this.#options = options
  }

  get snapshot(): MetadataSnapshot {
    return this.#snapshot
  }

  /** True when every topic (null: the whole list) was answered for in the last `ageMsMax`. */
  isFresh(topics: readonly string[] | null, ageMsMax: number): boolean {
    const oldestMs = this.#options.clock.monotonicMs() - ageMsMax
    if (this.#allAnsweredAtMs >= oldestMs) return true
    if (topics === null) return false
    return topics.every((topic) => (this.#answeredAtMs.get(topic) ?? Number.NEGATIVE_INFINITY) >= oldestMs)
  }

  /** Asks for these topics (null: all); resolves with a snapshot that was requested after this call. */
  refresh(topics: readonly string[] | null): Promise<MetadataSnapshot> {
    const queued = this.#queued ?? this.#queue()
    if (topics === null) queued.isForAll = true
    else for (const topic of topics) queued.topics.add(topic)
    return queued.done
  }

  /** Calls `listener` whenever topics appear, vanish or change their partition count. Returns the way to stop. */
  onTopicsChanged(listener: (snapshot: MetadataSnapshot) => void): () => void {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  #queue(): QueuedRefresh {
    const queued: QueuedRefresh = {
      isForAll: false,
      topics: new Set(),
      // Behind the running request, and in any case after the callers of this very tick have added their topics.
      done: this.#running.then(() => {
        this.#queued = null
        return this.#refreshNow(queued.isForAll ? null : [...queued.topics])
      }),
    }
    this.#queued = queued
    this.#running = queued.done.catch(() => {})
    return queued
  }

  async #refreshNow(topics: readonly string[] | null): Promise<MetadataSnapshot> {
    const answer = await this.#options.request(topics)
    const previous = this.#snapshot
    const snapshot = mergeMetadata(previous, answer, topics)
    const nowMs = this.#options.clock.monotonicMs()
    if (topics === null) {
      this.#allAnsweredAtMs = nowMs
      this.#answeredAtMs.clear()
    }
    for (const topic of topics ?? []) this.#answeredAtMs.set(topic, nowMs)
    this.#snapshot = snapshot
    this.#options.onSnapshot(snapshot)
    if (!sameTopics(previous, snapshot)) for (const listener of this.#changeListeners) listener(snapshot)
    return snapshot
  }
}
