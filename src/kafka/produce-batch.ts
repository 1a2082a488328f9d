/** One batch on its way: what was asked, what has happened to it so far, and the promise that waits for it. */

import type { Offset } from '../core/brands.ts'
import type { Timer } from '../core/clock.ts'
import { KafkaResponseError, KafkaTimeoutError } from './kafka-errors.ts'

/** -1: all in-sync replicas; 1: the leader; 0: nobody answers. */
export type Acks = -1 | 0 | 1

/** Where a batch landed. With acks=0 nobody says, and every number is -1. */
export interface Produced {
  readonly baseOffset: Offset
  /** The broker's time stamped on the records when the topic uses LogAppendTime; else -1. */
  readonly logAppendTimeMs: number
  readonly logStartOffset: Offset
}

export interface ProduceBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
  readonly acks: Acks
  /** Position in the order of sending, over all partitions of the producer. */
  readonly serial: number
  /** On the monotonic clock: when the promise settles at the latest. */
  readonly deadlineAtMs: number
  /** On the monotonic clock: from then on a failure is final. */
  readonly retryUntilMs: number
  readonly resolve: (produced: Produced) => void
  readonly reject: (error: unknown) => void
  timer: Timer | null
  /** It carries a producer id and sequence of ours, and is repeated with exactly these bytes. */
  isStamped: boolean
  state: 'queued' | 'in flight' | 'settled'
  /** True while a socket may still read the bytes. */
  isOnSocket: boolean
  /** The deadline passed while a socket still held the bytes; the promise settles when it lets go. */
  isExpired: boolean
  /** True once an attempt ended without a clear "not written". */
  possiblyPersisted: boolean
  lastError: Error | null
}

/** Why a batch that ran out of time failed: the deadline, and what stood in the way. */
export function expiryOf(batch: ProduceBatch): KafkaTimeoutError {
  const { topic, partition, lastError } = batch
  // An answer that is still out may yet be "stored".
  const possiblyPersisted = batch.possiblyPersisted || batch.state === 'in flight'
  const known = possiblyPersisted ? 'it may or may not have been stored' : 'it was not stored'
  const reason = lastError === null ? 'no answer came' : lastError.message
  return new KafkaTimeoutError(
    `a batch for ${topic}-${partition} was not acknowledged before its deadline (${reason}); ${known}`,
    {
      topic,
      partition,
      possiblyPersisted,
      lastKafkaErrorName: lastError instanceof KafkaResponseError ? lastError.kafkaErrorName : null,
    },
    lastError ?? undefined,
  )
}
