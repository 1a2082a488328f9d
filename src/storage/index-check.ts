/**
 * Whether the indexes that were read from a segment's files reach its end. The files are never synced, so a power cut may
 * leave any part of them, and the entries of a part are as good as those of the whole: but a read of what the rest would
 * find goes through the segment from the last entry on, each time.
 */

import { batchBytesAt, RECORD_BATCH_HEADER_BYTES, RECORD_BATCH_PREFIX_BYTES } from '../batch/record-batch.ts'
import type { DiskFile } from '../core/disk.ts'
import type { SegmentIndexes } from './index-builder.ts'
import type { OffsetIndex } from './offset-index.ts'
import type { TimeIndex } from './time-index.ts'

/** What is known of the segment; it has no holes. */
export interface IndexedSegment {
  readonly bytes: number
  readonly maxTimestamp: number
  readonly maxTimestampOffset: number
  readonly indexIntervalBytes: number
}

/** True when no entry is missing at the end of either index. */
export async function reachEnd(
  { offsetIndex, timeIndex }: SegmentIndexes,
  segment: IndexedSegment,
  file: DiskFile,
): Promise<boolean> {
  return hasClosingEntry(timeIndex, segment) && (await reachesLastBatches(offsetIndex, segment, file))
}

/** A time index is only written with the latest timestamp at its end. */
function hasClosingEntry(index: TimeIndex, segment: IndexedSegment): boolean {
  if (segment.maxTimestampOffset === -1) return true
  const last = index.count - 1
  return (
    last !== -1 &&
    index.timestampOf(last) === segment.maxTimestamp &&
    index.offsetOf(last) === segment.maxTimestampOffset
  )
}

/** Another entry would be there, had a batch begun more than the interval behind the last one. */
async function reachesLastBatches(
  index: OffsetIndex,
  segment: IndexedSegment,
  file: DiskFile,
): Promise<boolean> {
  const { bytes, indexIntervalBytes } = segment
  const start = index.count === 0 ? 0 : index.positionOf(index.count - 1)
  if (bytes - start <= indexIntervalBytes) return true
  const prefix = Buffer.allocUnsafe(RECORD_BATCH_PREFIX_BYTES)
  for (let position = start; position - start <= indexIntervalBytes; ) {
    const isThere = (await file.read(prefix, position)) === prefix.length
    const batchBytes = isThere ? batchBytesAt(prefix, 0) : 0
    // Damage is the next read's to find, and no index can help it.
    if (batchBytes < RECORD_BATCH_HEADER_BYTES || position + batchBytes >= bytes) return true
    position += batchBytes
  }
  return false
}
