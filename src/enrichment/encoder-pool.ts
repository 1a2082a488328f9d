/**
 * Batch encoders to be reused. An encoder's finished batch is a view into its own memory, so it may be started again
 * only when the producer is done with that batch: `take` one, send what it finished, `give` it back when the send has settled.
 */

import { BatchEncoder } from '../batch/batch-encoder.ts'

export class EncoderPool {
  readonly #free: BatchEncoder[] = []
  readonly #bytesInitial: number
  readonly #bytesMax: number
  readonly #keptMax: number
  #takenCount = 0

  /** @param keptMax how many idle encoders keep their memory; more are left to the garbage collector. */
  constructor({
    bytesInitial,
    bytesMax,
    keptMax,
  }: { bytesInitial: number; bytesMax: number; keptMax: number }) {
    this.#bytesInitial = bytesInitial
    this.#bytesMax = bytesMax
    this.#keptMax = keptMax
  }

  /** Encoders out with callers. */
  get takenCount(): number {
    return this.#takenCount
  }

  take(): BatchEncoder {
    this.#takenCount++
    return (
      this.#free.pop() ?? new BatchEncoder({ bytesInitial: this.#bytesInitial, bytesMax: this.#bytesMax })
    )
  }

  /** Returns an encoder whose last finished batch nobody reads any more. */
  give(encoder: BatchEncoder): void {
    this.#takenCount--
    if (this.#free.length < this.#keptMax) this.#free.push(encoder)
  }
}
