/**
 * Turns a checked body into batches and appends them: encode one, hand it over, encode the next while it is under way,
 * with the bytes in flight bounded. Resolves once all of it is durable; there is no answer before.
 */

import type { EncodedHeaders } from '../../batch/batch-encoder.ts'
import { BatchEncoder } from '../../batch/batch-encoder.ts'
import { Admission } from '../../listener/admission.ts'
import type { Appended, Vault, VaultStream } from '../../vault/vault-writer.ts'
import type { BodyFraming } from './body-splitter.ts'
import { BodySplitter } from './body-splitter.ts'
import type { HttpLimits } from './http-limits.ts'

export interface StoreBodyOptions {
  readonly vault: Vault
  readonly stream: VaultStream
  readonly partition: number
  readonly body: Buffer
  readonly framing: BodyFraming
  readonly key: Buffer | null
  readonly headers: EncodedHeaders
  readonly timestampMs: number
  readonly limits: HttpLimits
}

/** What became of a body. Without `failures` everything is stored. */
export interface StoredBody {
  readonly recordCount: number
  /** In the order of the body; beside failures, what is known to be stored all the same. */
  readonly stored: readonly Appended[]
  readonly failures: readonly unknown[]
}

/** Encodes the batches of every request of one listener: it is only in use between two awaits. */
export class BodyStore {
  readonly #encoder: BatchEncoder
  readonly #budget: Admission

  constructor(limits: HttpLimits) {
    this.#encoder = new BatchEncoder({ bytesMax: limits.batchBytesMax })
    this.#budget = new Admission({ bytesMax: limits.encodedBytesMax })
  }

  /** Throws HttpRefusal `record_too_large` before anything is appended; every later failure is in the result. */
  async store(options: StoreBodyOptions): Promise<StoredBody> {
    const { body, framing, key, headers, timestampMs, limits } = options
    const splitter = new BodySplitter(body, {
      framing,
      key,
      headers,
      timestampMs,
      recordBytesMax: limits.recordBytesMax,
    })
    const stored: Appended[] = []
    const failures: unknown[] = []
    const underWay: Promise<void>[] = []
    let recordCount = 0
    let bytesInFlight = 0
    let oldest = 0
    while (!splitter.done && failures.length === 0) {
      // Many short lines grow many times over when each gets its headers, so what is made of them has a budget of its
      // own. Nobody holds some of it for longer than an append takes, so waiting for it always ends.
      const room = this.#budget.reserve(limits.batchBytesMax)
      if (room !== true) await room
      this.#encoder.start()
      recordCount += splitter.fill(this.#encoder)
      // The encoder's bytes are overwritten by the next request, and a batch lives until it is acknowledged.
      const batch = Buffer.from(this.#encoder.finish())
      const index = underWay.length
      bytesInFlight += batch.length
      this.#budget.release(limits.batchBytesMax - batch.length)
      const settled = options.vault
        .appendOwn(options.stream, options.partition, batch, { deadlineMs: limits.appendMsMax })
        .then(
          (appended) => {
            stored[index] = appended
          },
          (failure: unknown) => {
            failures.push(failure)
          },
        )
        .then(() => {
          bytesInFlight -= batch.length
          this.#budget.release(batch.length)
        })
      underWay.push(settled)
      for (; bytesInFlight >= limits.bytesInFlightPerRequestMax; oldest += 1) await underWay[oldest]
    }
    await Promise.all(underWay)
    // A slot stays empty where an append failed; `flat` drops those.
    return { recordCount, stored: stored.flat(), failures }
  }
}
