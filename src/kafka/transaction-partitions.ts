/**
 * The partitions of one transaction in the classic protocol: each has to be announced before anything is sent to it. One
 * request is under way at a time; what is wanted meanwhile goes into the next one, so many partitions cost few requests.
 */

import type { TransactionPartition } from './transaction-coordinator.ts'

export interface TransactionPartitionsOptions {
  /** One announcement. */
  readonly announce: (partitions: readonly TransactionPartition[]) => Promise<void>
  /** An announcement failed for good. Everything that waits for it is let go afterwards. */
  readonly onFailed: (error: unknown) => void
}

export class TransactionPartitions {
  readonly #options: TransactionPartitionsOptions
  /** By topic and partition: true once announced. */
  readonly #announced = new Map<string, boolean[]>()
  #wanted: TransactionPartition[] = []
  /** Settles with the announcement that will hold what is wanted now. */
  #next = Promise.withResolvers<void>()
  #running: Promise<void> | null = null

  constructor(options: TransactionPartitionsOptions) {
    this.#options = options
  }

  has(topic: string, partition: number): boolean {
    return this.#announced.get(topic)?.[partition] === true
  }

  /** Resolves when the partition is announced, or when that has failed and was told. Asked once per partition at a time. */
  add(topic: string, partition: number): Promise<void> {
    this.#wanted.push({ topic, partition })
    this.#running ??= this.#run()
    return this.#next.promise
  }

  /** Resolves when no announcement is under way. Never rejects. */
  async whenQuiet(): Promise<void> {
    await this.#running
  }

  /** A new transaction: nothing is announced. */
  clear(): void {
    this.#announced.clear()
  }

  async #run(): Promise<void> {
    // What else this turn brings shares the first request.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#wanted.length > 0) {
      const partitions = this.#wanted
      const { resolve } = this.#next
      this.#wanted = []
      this.#next = Promise.withResolvers<void>()
      try {
        await this.#options.announce(partitions)
        for (const { topic, partition } of partitions) this.#remember(topic, partition)
      } catch (error) {
        this.#options.onFailed(error)
      }
      resolve()
    }
    this.#running = null
  }

  #remember(topic: string, partition: number): void {
    const known = this.#announced.get(topic) ?? []
    known[partition] = true
    this.#announced.set(topic, known)
  }
}
