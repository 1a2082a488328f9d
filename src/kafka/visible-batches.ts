/**
 * What a reader with `read_committed` may see of a fetch answer: the broker holds back what lies behind the last stable
 * offset and lists the aborted transactions of the range; leaving their batches out is the reader's part (KIP-98), and so is
 * leaving out the control batches, which hold markers and no data.
 *
 * The state is made anew from each answer's own list, so an answer that begins in the middle of an aborted transaction is
 * no special case: the broker lists every one that ends at or behind the fetch offset, wherever it began.
 */

import { decodeControlRecord } from '../batch/control-batch.ts'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  batchBytesAt,
  lastOffsetAt,
  producerIdAt,
} from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'

/** An aborted transaction as the broker lists it: by producer, from its first offset in the partition on. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

const NO_RECORDS = Buffer.alloc(0)
/** A batch with neither bit is data that nothing can take back. */
const TRANSACTIONAL_OR_CONTROL = BATCH_ATTRIBUTE.transactional | BATCH_ATTRIBUTE.control

/**
 * The batches of `bytes` (whole ones, as `findWholeBatches` leaves them) that hold committed data. Costs one look at the
 * attributes per batch and copies nothing as long as nothing is left out; otherwise what stays is moved together in place, so
 * the bytes must be the caller's own. Throws GS_BATCH_INVALID on a control batch that cannot be read.
 */
export function visibleBatches(bytes: Buffer, listed: readonly AbortedTransaction[]): Buffer {
  const queue = listed.length > 1 ? listed.toSorted((a, b) => a.firstOffset - b.firstOffset) : listed
  let queueIndex = 0
  /** Producers in the middle of a transaction that they aborted. */
  const aborted = new Set<number>()
  /** End of what stays, moved together. */
  let keptEnd = 0
  /** Start of the run of batches that stay and are not moved yet. */
  let runStart = 0
  let at = 0
  while (at < bytes.length) {
    const end = at + batchBytesAt(bytes, at)
    const attributes = attributesAt(bytes, at)
    if ((attributes & TRANSACTIONAL_OR_CONTROL) !== 0) {
      const lastOffset = lastOffsetAt(bytes, at)
      for (let next = queue[queueIndex]; next !== undefined; next = queue[++queueIndex]) {
        if (next.firstOffset > lastOffset) break
        aborted.add(next.producerId)
      }
      const isControl = (attributes & BATCH_ATTRIBUTE.control) !== 0
      if (isControl && aborted.size > 0 && isAbortMarker(bytes, at)) aborted.delete(producerIdAt(bytes, at))
      if (isControl || (aborted.size > 0 && aborted.has(producerIdAt(bytes, at)))) {
        keptEnd = moveRun(bytes, runStart, at, keptEnd)
        runStart = end
      }
    }
    at = end
  }
  keptEnd = moveRun(bytes, runStart, at, keptEnd)
  if (keptEnd === bytes.length) return bytes
  return keptEnd === 0 ? NO_RECORDS : bytes.subarray(0, keptEnd)
}

/** Moves [from, to) behind what was kept before; returns the new end. Free while nothing has been left out. */
function moveRun(bytes: Buffer, from: number, to: number, keptEnd: number): number {
  if (from !== keptEnd && from !== to) bytes.copyWithin(keptEnd, from, to)
  return keptEnd + (to - from)
}

/** Whether a control batch ends an aborted transaction. One that compaction has emptied marks nothing. */
function isAbortMarker(bytes: Buffer, at: number): boolean {
  const cursor = new RecordCursor()
  cursor.open(bytes, at)
  return cursor.next() && decodeControlRecord(cursor.keyBytes(), null).type === 'abort'
}
