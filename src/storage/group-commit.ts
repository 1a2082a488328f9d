/**
 * Group commit: while one group of batches is being written and synced, everything that is appended gathers in the
 * next one. One promise per group, nothing per record. At most one group is under way and one pending; how much may
 * pend is the caller's to bound, by `pendingBytes`.
 */

import { strict as assert } from 'node:assert'

/** Batches that share one write, one sync and one promise. */
export interface CommitGroup {
  readonly batches: Buffer[]
  bytes: number
}

interface OpenGroup extends CommitGroup {
  readonly durable: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class GroupCommit {
  readonly #commit: (group: CommitGroup) => Promise<void>
  readonly #onFailed: (error: unknown) => Promise<unknown>
  #pending: OpenGroup | null = null
  #underWay: OpenGroup | null = null
  #running: Promise<void> | null = null

  /**
   * `commit` writes a group and resolves when it may be acknowledged. When it rejects, `onFailed` is told, and what it
   * resolves with is the reason that the group and the pending one are rejected with; nothing is committed any more.
   */
  constructor(commit: (group: CommitGroup) => Promise<void>, onFailed: (error: unknown) => Promise<unknown>) {
    this.#commit = commit
    this.#onFailed = onFailed
  }

  /** Bytes appended and not settled yet. */
  get pendingBytes(): number {
    return (this.#pending?.bytes ?? 0) + (this.#underWay?.bytes ?? 0)
  }

  /** Adds a batch to the pending group; resolves with the group. The batch must not change until then. */
  add(batch: Buffer): Promise<void> {
    this.#pending ??= openGroup()
    this.#pending.batches.push(batch)
    this.#pending.bytes += batch.length
    // Started in a microtask, so that what is appended in the same turn shares the group.
    this.#running ??= Promise.resolve().then(() => this.#run())
    return this.#pending.durable
  }

  /** Resolves when nothing is pending, whether it was committed or rejected. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  async #run(): Promise<void> {
    while (this.#pending !== null) {
      const group = this.#pending
      this.#pending = null
      this.#underWay = group
      try {
        await this.#commit(group)
      } catch (error) {
        await this.#fail(group, error)
        return
      }
      this.#underWay = null
      group.resolve()
    }
    this.#running = null
  }

  async #fail(group: OpenGroup, error: unknown): Promise<void> {
    const reason = await this.#onFailed(error)
    this.#underWay = null
    this.#running = null
    group.reject(reason)
    // The pending group carries offsets that follow the failed one's, so it cannot be written either.
    const pending = this.#pending
    this.#pending = null
    pending?.reject(reason)
    assert(this.pendingBytes === 0, 'a failed log has nothing pending')
  }
}

function openGroup(): OpenGroup {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  // Callers that do not wait (acks=0) must not bring the process down; those that do wait see the rejection.
  promise.catch(() => {})
  return { batches: [], bytes: 0, durable: promise, resolve, reject }
}
