/** What a transaction adds to a producer's sending; `transactional-producer.ts` is the one who keeps it. */

import type { ProducerId } from './producer-identity.ts'

export interface ProducerTransaction {
  readonly transactionalId: string
  /** Newest Produce version for its batches: the one from which a broker adds partitions by itself is not for everybody. */
  readonly produceVersionMax: number
  /** Signs the batches. Another object, once sequences have to begin anew. */
  readonly producerId: ProducerId
  /** False when the transaction can only be aborted: what failed is not sent again. */
  readonly isAlive: boolean
  /**
   * Asked before a partition's batches go out, while none is in flight. Null: it is part of the transaction. Otherwise
   * resolves when it is, and also when it cannot be; then everything unsent was rejected.
   */
  admit(topic: string, partition: number): Promise<void> | null
  /** A batch will not be stored. `isStamped`: it has used up sequence numbers. Returns what its sender is told. */
  onRejected(error: unknown, isStamped: boolean): unknown
}
