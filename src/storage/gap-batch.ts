/**
 * A gap written down: where compaction has removed whole batches, a batch without records stands for their offsets. So the
 * base offset of every batch in a segment is still the one that must come next, and damage to that field, which no CRC
 * covers, is found as before. Readers are never handed a gap: they see what Kafka would show, the next batch.
 *
 * It is a legal batch of Kafka's: no records, no producer, 61 bytes. Nobody else can write one: producers' batches hold at
 * least one record, and an empty batch that compaction keeps for a producer carries the producer's id.
 */

import { strict as assert } from 'node:assert'
import {
  attributesAt,
  batchBytesAt,
  patchBaseOffset,
  patchCompacted,
  patchPartitionLeaderEpoch,
  producerIdAt,
  RECORD_BATCH_HEADER_BYTES,
  recordCountAt,
  writeBatchHeader,
} from '../batch/record-batch.ts'
import type { Offset } from '../core/brands.ts'
import { RELATIVE_OFFSET_MAX } from './segment-format.ts'

/** Encodes the batch that stands for the offsets from `fromOffset` up to and without `toOffset`. */
export function encodeGapBatch(fromOffset: Offset, toOffset: Offset): Buffer {
  const offsetCount = toOffset - fromOffset
  assert(offsetCount > 0 && offsetCount <= RELATIVE_OFFSET_MAX, 'a gap lies within one segment')
  const batch = Buffer.alloc(RECORD_BATCH_HEADER_BYTES)
  writeBatchHeader(batch, 0, {
    batchBytes: batch.length,
    attributes: 0,
    baseTimestamp: -1,
    maxTimestamp: -1,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    // The last offset delta follows from it; the count itself is set to 0 next.
    recordCount: offsetCount,
  })
  patchCompacted(batch, 0, {
    batchBytes: batch.length,
    attributes: 0,
    baseTimestamp: null,
    maxTimestamp: null,
    recordCount: 0,
  })
  patchBaseOffset(batch, 0, fromOffset)
  patchPartitionLeaderEpoch(batch, 0, 0)
  return batch
}

/** True for a batch that stands for removed ones. The header must be there, and have passed its CRC to be believed. */
export function isGapBatchAt(bytes: Buffer, at: number): boolean {
  return recordCountAt(bytes, at) === 0 && producerIdAt(bytes, at) === -1 && attributesAt(bytes, at) === 0
}

/** Takes the gaps out of whole batches, in place; returns what is left, a view of the same bytes. */
export function withoutGaps(batches: Buffer): Buffer {
  let end = 0
  for (let at = 0; at < batches.length; ) {
    const batchBytes = batchBytesAt(batches, at)
    if (!isGapBatchAt(batches, at)) {
      if (end !== at) batches.copyWithin(end, at, at + batchBytes)
      end += batchBytes
    }
    at += batchBytes
  }
  return batches.subarray(0, end)
}
