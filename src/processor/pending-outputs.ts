/** The outputs that are with the producer: how many bytes, whether one failed, and who waits for room. */

import type { OutputBatch } from '../enrichment/output-batch.ts'
import { DeliveryFailure, OUTPUT_BYTES_HELD_MAX, type OutputOrigin } from './delivery.ts'

export class PendingOutputs {
  #bytesHeld = 0
  #failure: DeliveryFailure | null = null
  #sends: Promise<void>[] = []
  #roomWaiters: (() => void)[] = []

  get bytesHeld(): number {
    return this.#bytesHeld
  }

  /** The first failure since `clear`. */
  get failure(): DeliveryFailure | null {
    return this.#failure
  }

  /** Counts an output from now until it is settled or dropped. */
  hold(output: OutputBatch): void {
    this.#bytesHeld += output.batch.length
  }

  /** Follows a send of an output that is held. */
  follow(output: OutputBatch, origin: OutputOrigin, send: Promise<unknown>): void {
    const settled = send.then(
      () => this.drop(output),
      (error: unknown) => {
        this.fail(new DeliveryFailure(error, { origin }))
        this.drop(output)
      },
    )
    this.#sends.push(settled)
  }

  /** Releases an output: it has settled, or will never be sent. */
  drop(output: OutputBatch): void {
    this.#bytesHeld -= output.batch.length
    output.release()
    if (this.#bytesHeld < OUTPUT_BYTES_HELD_MAX) this.#wake()
  }

  /** The sends followed since the last call, to be awaited; none of them rejects. */
  takeSends(): Promise<void>[] {
    return this.#sends.splice(0)
  }

  fail(failure: DeliveryFailure): void {
    this.#failure ??= failure
    this.#wake()
  }

  /** Forgets the failure: what it concerned was given up. */
  clear(): void {
    this.#failure = null
  }

  waitForRoom(): Promise<void> {
    if (this.#bytesHeld < OUTPUT_BYTES_HELD_MAX || this.#failure !== null) return Promise.resolve()
    return new Promise((resolve) => this.#roomWaiters.push(resolve))
  }

  #wake(): void {
    for (const wake of this.#roomWaiters.splice(0)) wake()
  }
}
