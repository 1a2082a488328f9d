/**
 * A producer for batches of our own: each is stored once, however often it had to be sent. `Producer` with `idempotent`
 * does the work; this gives it a name and leaves out the choices that idempotence does not have.
 */

import type { KafkaCluster } from './cluster.ts'
import type { Produced } from './produce-batch.ts'
import type { ProducerOptions, SendOptions } from './producer.ts'
import { Producer } from './producer.ts'

export class IdempotentProducer {
  readonly #producer: Producer

  constructor(cluster: KafkaCluster, options: Partial<Omit<ProducerOptions, 'acks' | 'idempotent'>> = {}) {
    this.#producer = new Producer(cluster, { ...options, idempotent: true })
  }

  get bytesHeld(): number {
    return this.#producer.bytesHeld
  }

  get batchCount(): number {
    return this.#producer.batchCount
  }

  get retryCount(): number {
    return this.#producer.retryCount
  }

  /** As `Producer.send`; the batch's producer fields and CRC are written in place when it first goes out. */
  send(
    topic: string,
    partition: number,
    batch: Buffer,
    options: Omit<SendOptions, 'acks'> = {},
  ): Promise<Produced> {
    return this.#producer.send(topic, partition, batch, options)
  }

  waitForRoom(bytes: number, signal?: AbortSignal): Promise<void> {
    return this.#producer.waitForRoom(bytes, signal)
  }

  stop(options: { readonly drainMs?: number } = {}): Promise<void> {
    return this.#producer.stop(options)
  }
}
