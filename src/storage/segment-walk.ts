/** Goes through the whole batches of one sealed segment, checking each, in bounded memory: for compaction. */

import {
  baseOffsetAt,
  batchBytesAt,
  isBatchIntact,
  lastOffsetAt,
  RECORD_BATCH_HEADER_BYTES,
  RECORD_BATCH_PREFIX_BYTES,
} from '../batch/record-batch.ts'
import type { DiskFile } from '../core/disk.ts'
import type { Hole } from './checkpoint.ts'
import { FileWindow } from './file-window.ts'
import { isGapBatchAt } from './gap-batch.ts'
import type { Pace } from './pace.ts'
import { STORED_BATCH_BYTES_MAX } from './segment-format.ts'

export interface WalkedSegment {
  readonly baseOffset: number
  readonly endOffset: number
  readonly bytes: number
  readonly holes: readonly Hole[]
}

/**
 * Calls `visit` with each batch, gaps left out; the bytes are valid until it resolves. `skipHole` is called where known
 * damage lies. Resolves with false when a batch that must be there is not whole: the caller then has the segment looked
 * into. A false from `visit` ends the walk early.
 */
export async function walkSegment(
  file: DiskFile,
  segment: WalkedSegment,
  walk: {
    readonly pace: Pace
    visit(bytes: Buffer, at: number): Promise<boolean> | boolean
    skipHole(hole: Hole): void
  },
): Promise<boolean> {
  const window = new FileWindow(file, segment.bytes)
  const holes = [...segment.holes]
  let position = 0
  let expected = segment.baseOffset
  while (position < segment.bytes || holes.length > 0) {
    const hole = holes[0]
    if (hole !== undefined && hole.position <= position) {
      walk.skipHole(hole)
      holes.shift()
      position = hole.position + hole.bytes
      expected = hole.toOffset
      continue
    }
    const limit = (hole?.position ?? segment.bytes) - position
    if ((await window.load(position, RECORD_BATCH_PREFIX_BYTES)) < RECORD_BATCH_PREFIX_BYTES) return false
    const batchBytes = batchBytesAt(window.bytes, position - window.start)
    if (batchBytes < RECORD_BATCH_HEADER_BYTES || batchBytes > Math.min(limit, STORED_BATCH_BYTES_MAX))
      return false
    if ((await window.load(position, batchBytes)) < batchBytes) return false
    const at = position - window.start
    if (!isBatchIntact(window.bytes, at, at + batchBytes)) return false
    if (baseOffsetAt(window.bytes, at) !== expected) return false
    expected = lastOffsetAt(window.bytes, at) + 1
    position += batchBytes
    if (!isGapBatchAt(window.bytes, at) && !(await walk.visit(window.bytes, at))) return true
    if (walk.pace.isDue()) await walk.pace.pause()
  }
  return expected === segment.endOffset
}
