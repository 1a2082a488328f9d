/**
 * The bytes of a partition's producer snapshot, `producers.snapshot` beside its segments: its idempotent producers, and its
 * open and aborted transactions. Version 1 had no transactions and is still read. Drawn in
 * `schemas/formats/broker-directory.md`; all numbers big-endian. The file around them (checksum, atomic replacement)
 * is `storage/snapshot-file.ts`'s.
 */

import { GopherShipError } from '../../core/errors.ts'
import type { AbortedTransaction, OpenTransaction, PartitionTransactions } from './partition-transactions.ts'
import type { ProducerBatch, ProducerEntry, ProducerStates } from './producer-states.ts'

export const PRODUCER_SNAPSHOT_FILE = 'producers.snapshot'

const VERSION = 2
const VERSION_WITHOUT_TRANSACTIONS = 1
const HEAD_BYTES = 2 + 8 + 4
const ENTRY_HEAD_BYTES = 8 + 2 + 8 + 1
const BATCH_BYTES = 4 + 4 + 8 + 8
const OPEN_BYTES = 8 + 2 + 8
const ABORTED_BYTES = 8 + 8 + 8

/** What a partition remembers of who wrote to it. */
export interface ProducerMemory {
  readonly producers: ProducerStates
  readonly transactions: PartitionTransactions
}

/** Encodes all of it as of `offset`: the state covers every batch below it, and none from it on. */
export function encodeProducerSnapshot(offset: number, memory: ProducerMemory): Buffer {
  const { producers: states, transactions } = memory
  let batchCount = 0
  for (const [, entry] of states.entries()) batchCount += entry.batches.length
  const producerBytes = HEAD_BYTES + states.size * ENTRY_HEAD_BYTES + batchCount * BATCH_BYTES
  const transactionBytes =
    4 + transactions.openCount * OPEN_BYTES + 4 + transactions.aborted.length * ABORTED_BYTES
  const bytes = Buffer.alloc(producerBytes + transactionBytes)
  let at = bytes.writeInt16BE(VERSION, 0)
  at = writeInt64(bytes, at, offset)
  at = bytes.writeInt32BE(states.size, at)
  for (const [producerId, entry] of states.entries()) {
    at = writeInt64(bytes, at, producerId)
    at = bytes.writeInt16BE(entry.epoch, at)
    at = writeInt64(bytes, at, entry.lastSeenMs)
    at = bytes.writeInt8(entry.batches.length, at)
    for (const batch of entry.batches) {
      at = bytes.writeInt32BE(batch.firstSequence, at)
      at = bytes.writeInt32BE(batch.lastSequence, at)
      at = writeInt64(bytes, at, batch.baseOffset)
      at = writeInt64(bytes, at, batch.logAppendTimeMs)
    }
  }
  at = bytes.writeInt32BE(transactions.openCount, at)
  for (const open of transactions.open) {
    at = writeInt64(bytes, at, open.producerId)
    at = bytes.writeInt16BE(open.producerEpoch, at)
    at = writeInt64(bytes, at, open.firstOffset)
  }
  at = bytes.writeInt32BE(transactions.aborted.length, at)
  for (const aborted of transactions.aborted) {
    at = writeInt64(bytes, at, aborted.producerId)
    at = writeInt64(bytes, at, aborted.firstOffset)
    at = writeInt64(bytes, at, aborted.lastOffset)
  }
  return bytes
}

/**
 * Decodes a snapshot into `memory` and gives the offset it was taken at. The bytes passed their checksum, so a length
 * that does not fit is a bug, not damage; a newer version is refused with GS_STORAGE_VERSION.
 */
export function decodeProducerSnapshot(bytes: Buffer, memory: ProducerMemory): number {
  const { producers: states, transactions } = memory
  const version = bytes.readInt16BE(0)
  if (version !== VERSION && version !== VERSION_WITHOUT_TRANSACTIONS) {
    throw new GopherShipError(
      'GS_STORAGE_VERSION',
      `expected producer snapshot version ${VERSION}, found ${version}; start the newer release that wrote it`,
      { facts: { version } },
    )
  }
  const offset = readInt64(bytes, 2)
  const count = bytes.readInt32BE(10)
  let at = HEAD_BYTES
  for (let index = 0; index < count; index += 1) {
    const producerId = readInt64(bytes, at)
    const batchCount = bytes.readInt8(at + 18)
    const entry: ProducerEntry = {
      epoch: bytes.readInt16BE(at + 8),
      lastSeenMs: readInt64(bytes, at + 10),
      batches: [],
    }
    at += ENTRY_HEAD_BYTES
    for (let each = 0; each < batchCount; each += 1) {
      const batch: ProducerBatch = {
        firstSequence: bytes.readInt32BE(at),
        lastSequence: bytes.readInt32BE(at + 4),
        baseOffset: readInt64(bytes, at + 8),
        logAppendTimeMs: readInt64(bytes, at + 16),
      }
      entry.batches.push(batch)
      at += BATCH_BYTES
    }
    states.restore(producerId, entry)
  }
  if (version !== VERSION_WITHOUT_TRANSACTIONS) decodeTransactions(bytes, at, transactions)
  return offset
}

function decodeTransactions(bytes: Buffer, from: number, transactions: PartitionTransactions): void {
  let at = from + 4
  const open: OpenTransaction[] = []
  for (let left = bytes.readInt32BE(from); left > 0; left -= 1, at += OPEN_BYTES) {
    open.push({
      producerId: readInt64(bytes, at),
      producerEpoch: bytes.readInt16BE(at + 8),
      firstOffset: readInt64(bytes, at + 10),
    })
  }
  const aborted: AbortedTransaction[] = []
  let left = bytes.readInt32BE(at)
  for (at += 4; left > 0; left -= 1, at += ABORTED_BYTES) {
    aborted.push({
      producerId: readInt64(bytes, at),
      firstOffset: readInt64(bytes, at + 8),
      lastOffset: readInt64(bytes, at + 16),
    })
  }
  transactions.restore(open, aborted)
}

function writeInt64(bytes: Buffer, at: number, value: number): number {
  return bytes.writeBigInt64BE(BigInt(value), at)
}

function readInt64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigInt64BE(at))
}
