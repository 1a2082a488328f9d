/**
 * What a read_committed consumer makes of a partition: Kafka's own filter (`CompletedFetch.nextFetchedRecord`), written
 * anew and apart from the product's client, so that the two can be wrong only apart.
 */

import { decodeControlRecord } from '../../src/batch/control-batch.ts'
import { readBatchHeader } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'

export interface FetchedAnswer {
  readonly records: Buffer | null
  readonly abortedTransactions:
    | readonly { readonly producerId: number; readonly firstOffset: number }[]
    | null
}

export interface CommittedRecord {
  readonly offset: number
  readonly value: string
}

/** The records that count, at or above `fetchOffset`, and where the next fetch goes on. */
export function committedRecords(answer: FetchedAnswer, fetchOffset: number) {
  const waiting = [...(answer.abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset)
  const aborted = new Set<number>()
  const records: CommittedRecord[] = []
  const bytes = answer.records ?? Buffer.alloc(0)
  const cursor = new RecordCursor()
  let nextOffset = fetchOffset
  for (let at = 0; at < bytes.length; ) {
    const header = readBatchHeader(bytes, at)
    const lastOffset = header.baseOffset + header.lastOffsetDelta
    while (waiting[0] !== undefined && waiting[0].firstOffset <= lastOffset) {
      aborted.add((waiting.shift() as { producerId: number }).producerId)
    }
    cursor.open(bytes, at)
    if (header.isControl) {
      cursor.next()
      const { type } = decodeControlRecord(cursor.keyBytes(), cursor.valueBytes())
      if (type === 'abort') aborted.delete(header.producerId)
    } else if (!header.isTransactional || !aborted.has(header.producerId)) {
      while (cursor.next()) {
        if (cursor.offset < fetchOffset) continue
        records.push({ offset: cursor.offset, value: cursor.valueBytes()?.toString() ?? '' })
      }
    }
    nextOffset = lastOffset + 1
    at += header.batchBytes
  }
  return { records, nextOffset }
}
