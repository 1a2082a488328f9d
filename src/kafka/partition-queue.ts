/**
 * The order of one partition's batches. A batch leaves from the front; one that must be sent again stops the partition
 * until everything in flight has been answered, and then all that came back goes out again first, in its old order.
 *
 * What stopping prevents: 1. A and B are in flight. 2. A is refused for the moment. 3. C goes out. 4. A goes out again,
 * behind C. What it cannot prevent is that B, already in flight, is accepted although A was not. Where that really
 * happens is a partition that is just coming up at its leader, so at first, and after every failure, one batch goes out
 * alone until one is stored. What remains is a broker that lacks replicas for A and has them again for B: for batches
 * with a producer id the broker itself refuses B then; for others only `inFlightPerPartitionMax: 1` rules it out.
 */

import { strict as assert } from 'node:assert'
import type { ProduceBatch } from './produce-batch.ts'
import type { SequenceChain } from './producer-identity.ts'

export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  /** In order; those before `#head` are gone, and settled ones (expired while waiting) are stepped over. */
  #waiting: ProduceBatch[] = []
  #head = 0
  #returned: ProduceBatch[] = []
  #inFlightCount = 0
  #isStopped = false
  /** A batch was stored since the last failure. */
  #isProven = false
  /** Node that has this partition's batches in flight; kept until they are answered, also if the leader moves. */
  nodeId = -1
  /** Node whose sender has the partition in its list; null when none has, so that it can be routed (again). */
  routedNodeId: number | null = null
  /** The producer id and sequences of an idempotent producer's batches; null until one is needed. */
  chain: SequenceChain | null = null
  /** A chain has broken before: the next one needs a producer id that was never used here. */
  needsOwnId = false
  /** Failures since the last batch that was stored. */
  failureCount = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  /** True when as many batches as allowed are in flight: one, until one was stored since the last failure. */
  isFull(inFlightMax: number): boolean {
    return this.#inFlightCount >= (this.#isProven ? inFlightMax : 1)
  }

  get inFlightCount(): number {
    return this.#inFlightCount
  }

  /** True between a failure that is worth repeating and `resume`. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  get isIdle(): boolean {
    return this.#inFlightCount === 0 && this.#returned.length === 0 && this.peek() === null
  }

  push(batch: ProduceBatch): void {
    this.#waiting.push(batch)
  }

  /** The batch that would go next, or null. */
  peek(): ProduceBatch | null {
    for (; this.#head < this.#waiting.length; this.#head++) {
      const batch = this.#waiting[this.#head]
      if (batch !== undefined && batch.state === 'queued') return batch
    }
    this.#waiting = []
    this.#head = 0
    return null
  }

  /** Takes what `peek` gives. */
  take(): ProduceBatch | null {
    const batch = this.peek()
    if (batch === null) return null
    this.#head++
    this.#inFlightCount++
    batch.state = 'in flight'
    if (this.#head > 1024) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
    return batch
  }

  /** A batch in flight is stored. */
  succeed(): void {
    this.#inFlightCount--
    this.#isProven = true
    this.failureCount = 0
  }

  /** A batch in flight failed for good. */
  fail(): void {
    this.#inFlightCount--
    this.#isProven = false
  }

  /** A batch in flight has to go again. */
  putBack(batch: ProduceBatch): void {
    this.#inFlightCount--
    this.stop()
    batch.state = 'queued'
    this.#returned.push(batch)
  }

  /** Stops the partition although nothing came back: the node could not even be reached. */
  stop(): void {
    this.#isStopped = true
    this.#isProven = false
    this.routedNodeId = null
  }

  /** Stops a partition that has nothing in flight and nothing wrong: it waits to become part of a transaction. */
  hold(): void {
    assert(this.#inFlightCount === 0, 'a partition with batches in flight is part of the transaction already')
    this.#isStopped = true
    this.routedNodeId = null
  }

  /**
   * The chain of sequences is broken: what certainly is not in the log goes out under a new one. The rest keeps its
   * stamp, by which the broker can still say whether it has it.
   */
  breakChain(): void {
    this.chain = null
    this.needsOwnId = true
    for (const batch of this.unsent()) if (!batch.possiblyPersisted) batch.isStamped = false
  }

  /** True when a batch sent before this one has come back and is not stored yet. */
  hasReturnedBefore(batch: ProduceBatch): boolean {
    return this.#returned.some((other) => other.serial < batch.serial)
  }

  /** Goes on after a stop, with what came back first. Nothing may be in flight. */
  resume(): void {
    const returned = this.#returned.sort((a, b) => a.serial - b.serial)
    this.#waiting = [...returned, ...this.#waiting.slice(this.#head)]
    this.#head = 0
    this.#returned = []
    this.#isStopped = false
  }

  /** Every batch that is not in flight, in order; used to give up. */
  unsent(): ProduceBatch[] {
    return [...this.#returned, ...this.#waiting.slice(this.#head)].filter(({ state }) => state === 'queued')
  }
}
