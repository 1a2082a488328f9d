/**
 * Keys and values of `__transaction_state`, in Kafka's own format (`TransactionLogKey` and `TransactionLogValue`, version 0),
 * so that Kafka's tools can print the topic. Drawn in `schemas/formats/transaction-state.md`.
 */

import { Packer, Unpacker } from '../classic-types.ts'
import type { SavedTransaction, TransactionPartitions, TransactionStatus } from './transaction.ts'
import { TRANSACTION_STATUS } from './transaction.ts'

const KEY_VERSION = 0
const VALUE_VERSION = 0

const statusByNumber = new Map<number, TransactionStatus>(
  Object.entries(TRANSACTION_STATUS).map(([status, number]) => [number, status as TransactionStatus]),
)

export function encodeTransactionKey(transactionalId: string): Buffer {
  const out = new Packer()
  out.int16(KEY_VERSION)
  out.string(transactionalId)
  return out.finish()
}

export function encodeTransactionValue(transaction: SavedTransaction): Buffer {
  const out = new Packer()
  out.int16(VALUE_VERSION)
  out.int64(transaction.producerId)
  out.int16(transaction.producerEpoch)
  out.int32(transaction.timeoutMs)
  out.int8(TRANSACTION_STATUS[transaction.status])
  if (transaction.status === 'empty') {
    // Kafka writes null for "never had any" and reads either.
    out.int32(-1)
  } else {
    out.int32(transaction.partitions.size)
    for (const [topic, indexes] of transaction.partitions) {
      out.string(topic)
      out.int32(indexes.size)
      for (const index of indexes) out.int32(index)
    }
  }
  out.int64(transaction.updatedMs)
  out.int64(transaction.startedMs)
  return out.finish()
}

/** The transactional id of a key; null for a key of a kind that is not known here. */
export function decodeTransactionKey(bytes: Buffer): string | null {
  const from = new Unpacker(bytes)
  return from.int16() === KEY_VERSION ? from.string() : null
}

/** Decodes a value of version 0; null for a later one, and for a status that is not known here. */
export function decodeTransactionValue(transactionalId: string, bytes: Buffer): SavedTransaction | null {
  const from = new Unpacker(bytes)
  if (from.int16() !== VALUE_VERSION) return null
  const producerId = from.int64()
  const producerEpoch = from.int16()
  const timeoutMs = from.int32()
  const status = statusByNumber.get(from.int8())
  const partitions: TransactionPartitions = new Map()
  for (let left = from.int32(); left > 0; left -= 1) {
    const topic = from.string()
    const indexes = new Set<number>()
    for (let indexesLeft = from.int32(); indexesLeft > 0; indexesLeft -= 1) indexes.add(from.int32())
    partitions.set(topic, indexes)
  }
  if (status === undefined) return null
  const updatedMs = from.int64()
  return {
    transactionalId,
    producerId,
    producerEpoch,
    timeoutMs,
    status,
    partitions,
    updatedMs,
    startedMs: from.int64(),
  }
}
