/** Finds a record by time in batches that were read and checked: exact, by decoding the one batch that has it. */

import {
  attributesAt,
  BATCH_ATTRIBUTE,
  baseOffsetAt,
  batchBytesAt,
  lastOffsetAt,
  maxTimestampAt,
} from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { isFailure } from '../core/errors.ts'

/** A record's place and time. */
export interface FoundTimestamp {
  readonly offset: Offset
  readonly timestamp: number
}

/** The first record at or after `fromOffset` whose timestamp is at least `timestampMs`, or where to search on. */
export function findTimestampInBatches(
  batches: Buffer,
  wanted: { timestampMs: number; fromOffset: number },
): { found: FoundTimestamp | null; nextOffset: Offset } {
  let nextOffset = asOffset(wanted.fromOffset)
  for (let at = 0; at < batches.length; at += batchBytesAt(batches, at)) {
    nextOffset = asOffset(lastOffsetAt(batches, at) + 1)
    if (maxTimestampAt(batches, at) < wanted.timestampMs) continue
    const found = findInBatch(batches, at, wanted)
    if (found !== null) return { found, nextOffset }
  }
  return { found: null, nextOffset }
}

/** The latest timestamp of the records at or after `fromOffset`, when it is later than `latestMs`, and where to search on. */
export function latestInBatches(
  batches: Buffer,
  wanted: { latestMs: number; fromOffset: number },
): { latestMs: number; nextOffset: Offset } {
  let { latestMs } = wanted
  let nextOffset = asOffset(wanted.fromOffset)
  for (let at = 0; at < batches.length; at += batchBytesAt(batches, at)) {
    nextOffset = asOffset(lastOffsetAt(batches, at) + 1)
    if (maxTimestampAt(batches, at) <= latestMs) continue
    latestMs = Math.max(latestMs, latestInBatch(batches, at, wanted.fromOffset))
  }
  return { latestMs, nextOffset }
}

function latestInBatch(batches: Buffer, at: number, fromOffset: number): number {
  let latestMs = -1
  const cursor = new RecordCursor()
  try {
    cursor.open(batches, at)
    while (cursor.next()) {
      if (cursor.offset >= fromOffset) latestMs = Math.max(latestMs, cursor.timestamp)
    }
    return latestMs
  } catch (error) {
    if (!isFailure(error)) throw error
    return maxTimestampAt(batches, at)
  }
}

function findInBatch(
  batches: Buffer,
  at: number,
  wanted: { timestampMs: number; fromOffset: number },
): FoundTimestamp | null {
  if ((attributesAt(batches, at) & BATCH_ATTRIBUTE.logAppendTime) !== 0) {
    const offset = Math.max(baseOffsetAt(batches, at), wanted.fromOffset)
    return { offset: asOffset(offset), timestamp: maxTimestampAt(batches, at) }
  }
  const cursor = new RecordCursor()
  try {
    cursor.open(batches, at)
    while (cursor.next()) {
      if (cursor.timestamp < wanted.timestampMs || cursor.offset < wanted.fromOffset) continue
      return { offset: asOffset(cursor.offset), timestamp: cursor.timestamp }
    }
    return null
  } catch (error) {
    if (!isFailure(error)) throw error
    // Stored as it came, and its records cannot be decoded: the batch's own fields are the best answer there is.
    const offset = Math.max(baseOffsetAt(batches, at), wanted.fromOffset)
    return { offset: asOffset(offset), timestamp: maxTimestampAt(batches, at) }
  }
}
