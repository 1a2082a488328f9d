/**
 * Idempotence for batches of our own: a producer id from the cluster, and per partition the sequence numbers by which a
 * broker tells a repeated batch from a new one (KIP-98).
 *
 * One id serves all partitions of a producer until a partition's chain of sequences breaks (a batch was given up, or the
 * broker forgot us); from then on that partition has an id of its own, and the others never notice.
 */

import { strict as assert } from 'node:assert'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  patchAttributes,
  patchProducer,
  recordCountAt,
} from '../batch/record-batch.ts'
import { initProducerIdApi } from '../wire/22-init-producer-id.ts'
import type { KafkaCluster } from './cluster.ts'
import { throwOnKafkaError } from './kafka-errors.ts'
import type { ProduceBatch } from './produce-batch.ts'

/** Batches of one partition that a broker can still recognise when they are repeated. */
export const IDEMPOTENT_IN_FLIGHT_MAX = 5

const SEQUENCE_COUNT = 2 ** 31

/** What the cluster gave; never given twice. */
export interface ProducerId {
  readonly producerId: number
  readonly producerEpoch: number
}

/** Asks for a new producer id. Retries what passes. Throws GS_KAFKA_RESPONSE or GS_KAFKA_UNSUPPORTED. */
export function initProducerId(
  cluster: KafkaCluster,
  { deadlineMs = cluster.options.requestMsMax }: { readonly deadlineMs?: number } = {},
): Promise<ProducerId> {
  return cluster.retrying(
    {},
    async () => {
      const answer = await cluster.request(
        initProducerIdApi,
        { transactionalId: null, transactionTimeoutMs: 0 },
        'any',
      )
      throwOnKafkaError('InitProducerId', answer.errorCode)
      return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
    },
    { deadlineMs },
  )
}

/** One partition's chain of sequence numbers under one producer id. */
export class SequenceChain {
  readonly #id: ProducerId
  readonly #isTransactional: boolean
  #nextSequence = 0

  constructor(id: ProducerId, { isTransactional }: { readonly isTransactional: boolean }) {
    this.#id = id
    this.#isTransactional = isTransactional
  }

  get id(): ProducerId {
    return this.#id
  }

  /** Writes id, epoch and the next sequence into a batch that no socket holds, and refreshes its CRC. */
  stamp(batch: ProduceBatch): void {
    assert(!batch.isOnSocket, 'a batch is stamped only while no socket holds it')
    const attributes = attributesAt(batch.bytes, 0)
    if (this.#isTransactional && (attributes & BATCH_ATTRIBUTE.transactional) === 0) {
      patchAttributes(batch.bytes, 0, attributes | BATCH_ATTRIBUTE.transactional)
    }
    patchProducer(batch.bytes, 0, { ...this.#id, baseSequence: this.#nextSequence })
    // After 2^31 - 1 comes 0, also in the middle of a batch.
    this.#nextSequence = (this.#nextSequence + recordCountAt(batch.bytes, 0)) % SEQUENCE_COUNT
    batch.isStamped = true
  }
}
