/**
 * The bytes of a partition's producer snapshot, `producers.snapshot` beside its segments. Drawn in
 * `schemas/formats/broker-directory.md`; all numbers big-endian. The file around them (checksum, atomic replacement)
 * is `storage/snapshot-file.ts`'s.
 */

import { GopherShipError } from '../../core/errors.ts'
import type { ProducerBatch, ProducerEntry, ProducerStates } from './producer-states.ts'

export const PRODUCER_SNAPSHOT_FILE = 'producers.snapshot'

const VERSION = 1
const HEAD_BYTES = 2 + 8 + 4
const ENTRY_HEAD_BYTES = 8 + 2 + 8 + 1
const BATCH_BYTES = 4 + 4 + 8 + 8

/** Encodes all producers as of `offset`: the state covers every batch below it, and none from it on. */
export function encodeProducerSnapshot(offset: number, states: ProducerStates): Buffer {
  let batchCount = 0
  for (const [, entry] of states.entries()) batchCount += entry.batches.length
  const bytes = Buffer.alloc(HEAD_BYTES + states.size * ENTRY_HEAD_BYTES + batchCount * BATCH_BYTES)
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
  return bytes
}

/**
 * Decodes a snapshot into `states` and gives the offset it was taken at. The bytes passed their checksum, so a length
 * that does not fit is a bug, not damage; a newer version is refused with GS_STORAGE_VERSION.
 */
export function decodeProducerSnapshot(bytes: Buffer, states: ProducerStates): number {
  const version = bytes.readInt16BE(0)
  if (version !== VERSION) {
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
  return offset
}

function writeInt64(bytes: Buffer, at: number, value: number): number {
  return bytes.writeBigInt64BE(BigInt(value), at)
}

function readInt64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigInt64BE(at))
}
