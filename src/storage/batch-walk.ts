/**
 * Walks over batches in a piece of a segment and picks those that answer a read. Pure: the reading is the caller's.
 * Nothing leaves that was not checked: length, sequence of offsets, CRC.
 */

import {
  baseOffsetAt,
  batchBytesAt,
  isBatchIntact,
  lastOffsetDeltaAt,
  partitionLeaderEpochAt,
  patchPartitionLeaderEpoch,
  RECORD_BATCH_HEADER_BYTES,
} from '../batch/record-batch.ts'
import { isGapBatchAt } from './gap-batch.ts'
import { STORED_BATCH_BYTES_MAX } from './segment-format.ts'

export interface WalkOptions {
  /** The base offset that the batch at the piece's first byte must have. */
  readonly expectedOffset: number
  /** The first batch picked is the one that contains this offset, or the next one when none does. */
  readonly fromOffset: number
  /** No batch with an offset at or above this is picked. */
  readonly endOffset: number
  /** Picked batches stay within this many bytes, save that the first may exceed it when `isFirstAlwaysPicked`. */
  readonly bytesMax: number
  readonly isFirstAlwaysPicked: boolean
  /** Bytes of the segment from the piece's first byte to where batches must have ended; may be beyond the piece. */
  readonly bytesToLimit: number
}

/**
 * `done`: nothing more can be picked here. `limit`: the walk came to the limit. `more`: read on from `at`, at least
 * `wantedBytes`. `damaged`: what is at `at` is not the batch that must be there.
 */
export type WalkStatus = 'done' | 'limit' | 'more' | 'damaged'

export interface Walk {
  status: WalkStatus
  /** The picked bytes are [start, end) of the piece; start is -1 while nothing is picked. */
  start: number
  end: number
  /** One past the last offset that was picked. */
  pickedEndOffset: number
  /** True when gaps, which no reader is handed, lie among the picked bytes. */
  hasGaps: boolean
  /** Where the walk stands, and the base offset that must be there. */
  at: number
  expectedOffset: number
  wantedBytes: number
}

/** Walks `piece` from its first byte. What it picks has leader epoch 0, the only one there is, instead of the log's tag. */
export function walkBatches(piece: Buffer, options: WalkOptions): Walk {
  const walk: Walk = {
    status: 'done',
    start: -1,
    end: -1,
    pickedEndOffset: -1,
    hasGaps: false,
    at: 0,
    expectedOffset: options.expectedOffset,
    wantedBytes: 0,
  }
  while (step(piece, options, walk)) {
    // Each step passes one batch; a batch has at least 61 bytes, so this ends.
  }
  return walk
}

/** Passes the batch at `walk.at`; false when the walk ends there, with the status set. */
function step(piece: Buffer, options: WalkOptions, walk: Walk): boolean {
  if (walk.expectedOffset >= options.endOffset) return stop(walk, 'done')
  if (walk.at >= options.bytesToLimit) return stop(walk, 'limit')
  if (piece.length - walk.at < RECORD_BATCH_HEADER_BYTES) {
    if (options.bytesToLimit - walk.at < RECORD_BATCH_HEADER_BYTES) return stop(walk, 'damaged')
    return needMore(walk, RECORD_BATCH_HEADER_BYTES)
  }
  const batchBytes = batchBytesAt(piece, walk.at)
  if (batchBytes < RECORD_BATCH_HEADER_BYTES || batchBytes > STORED_BATCH_BYTES_MAX)
    return stop(walk, 'damaged')
  if (batchBytes > options.bytesToLimit - walk.at) return stop(walk, 'damaged')
  const lastOffsetDelta = lastOffsetDeltaAt(piece, walk.at)
  if (baseOffsetAt(piece, walk.at) !== walk.expectedOffset || lastOffsetDelta < 0)
    return stop(walk, 'damaged')
  const lastOffset = walk.expectedOffset + lastOffsetDelta
  if (lastOffset >= options.fromOffset) {
    if (walk.start !== -1 && walk.at + batchBytes - walk.start > options.bytesMax) return stop(walk, 'done')
    if (piece.length - walk.at < batchBytes) return needMore(walk, batchBytes)
    // Checked before anything in the header is concluded from: a damaged length or delta must not end a read quietly.
    if (!isBatchIntact(piece, walk.at, walk.at + batchBytes)) return stop(walk, 'damaged')
    if (lastOffset >= options.endOffset) return stop(walk, 'done')
    if (isGapBatchAt(piece, walk.at)) {
      walk.hasGaps = true
      return pass(walk, batchBytes, lastOffset)
    }
    if (walk.start === -1 && batchBytes > options.bytesMax && !options.isFirstAlwaysPicked)
      return stop(walk, 'done')
    if (partitionLeaderEpochAt(piece, walk.at) !== 0) patchPartitionLeaderEpoch(piece, walk.at, 0)
    if (walk.start === -1) walk.start = walk.at
    walk.end = walk.at + batchBytes
    walk.pickedEndOffset = lastOffset + 1
  }
  return pass(walk, batchBytes, lastOffset)
}

function pass(walk: Walk, batchBytes: number, lastOffset: number): true {
  walk.at += batchBytes
  walk.expectedOffset = lastOffset + 1
  return true
}

function stop(walk: Walk, status: WalkStatus): false {
  walk.status = status
  return false
}

/** With something picked already there is no need to read on. */
function needMore(walk: Walk, wantedBytes: number): false {
  walk.wantedBytes = wantedBytes
  return stop(walk, walk.start === -1 ? 'more' : 'done')
}
