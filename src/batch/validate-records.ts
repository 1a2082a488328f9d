/**
 * The checks that need every record looked at, which the path that forwards batches verbatim leaves out: what Kafka's
 * `LogValidator` asks of a batch before it is appended.
 */

import { corruptBatch, invalidBatch } from './batch-error.ts'
import { isLz4ReadableByJava } from './compression/lz4-frame.ts'
import { batchBytesAt, COMPRESSION, compressionAt, RECORD_BATCH_HEADER_BYTES } from './record-batch.ts'
import type { CursorLimits } from './record-cursor.ts'
import { RecordCursor } from './record-cursor.ts'
import { walkHeaders } from './record-headers.ts'

export interface ValidationLimits extends CursorLimits {
  /** True for a compacted topic, where a record without a key could never be compacted. Default false. */
  readonly keyRequired?: boolean
}

/**
 * Walks every record of the batch at `at`, inflating if need be: offset deltas count up from 0, lengths nest, header keys
 * are not null, nothing is left over. `checkBatch` has been called before. Throws `GS_BATCH_INVALID` (Kafka 87),
 * `GS_BATCH_CORRUPT` (2) when it does not inflate, or inflates to something a Java consumer could not read,
 * `GS_BATCH_TOO_LARGE` (10) over a limit.
 */
export function validateRecords(bytes: Buffer, at: number, limits: ValidationLimits = {}): void {
  const cursor = new RecordCursor()
  cursor.open(bytes, at, limits)
  if (compressionAt(bytes, at) === COMPRESSION.lz4) {
    const records = bytes.subarray(at + RECORD_BATCH_HEADER_BYTES, at + batchBytesAt(bytes, at))
    if (!isLz4ReadableByJava(records)) {
      throw corruptBatch(
        'Java consumers read LZ4 in one frame of independent blocks, none of them empty; send it so.',
      )
    }
  }
  while (cursor.next()) {
    const recordIndex = cursor.recordIndex
    if (cursor.offsetDelta !== recordIndex) {
      throw invalidBatch(
        `Offset deltas must count up from 0: record ${recordIndex} was expected to say ${recordIndex}, it says ${cursor.offsetDelta}.`,
        { recordIndex, offsetDelta: cursor.offsetDelta },
      )
    }
    if (limits.keyRequired === true && cursor.keyStart === -1) {
      throw invalidBatch(
        `The topic is compacted, so each record needs a key; record ${recordIndex} has none.`,
        {
          recordIndex,
        },
      )
    }
    if (cursor.headerCount > 0) walkHeaders(cursor.bytes, cursor.headersStart, cursor.headersEnd, ignore)
  }
}

function ignore(): void {}
