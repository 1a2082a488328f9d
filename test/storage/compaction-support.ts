/** What the compaction tests share: keyed batches, transactions, a naive model of what may go, and a pace that never rests. */

import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import type { ControlType } from '../../src/batch/control-batch.ts'
import { encodeControlBatch } from '../../src/batch/control-batch.ts'
import type { Compression } from '../../src/batch/record-batch.ts'
import { baseOffsetAt, lastOffsetAt, readBatchHeader } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { encodeHeaders } from '../../src/batch/record-headers.ts'
import { seededRandom } from '../../src/core/random.ts'
import { KeyHash } from '../../src/storage/key-offsets.ts'
import type { Pace } from '../../src/storage/pace.ts'
import type { CleanReport, CleanRequest, PartitionLog } from '../../src/storage/partition-log.ts'
import { readAll } from './support.ts'

export const RESTLESS: Pace = { isDue: () => false, pause: () => Promise.resolve() }
export const KEY_HASH = new KeyHash(seededRandom(1))

export interface KeyedRecord {
  readonly key: string | null
  readonly value: string | null
  readonly timestamp?: number
}

export interface KeyedBatchOptions {
  readonly compression?: Compression
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly isTransactional?: boolean
}

export function keyedBatch(records: readonly KeyedRecord[], options: KeyedBatchOptions = {}): Buffer {
  const encoder = new BatchEncoder()
  encoder.start(options)
  for (const [index, { key, value, timestamp }] of records.entries()) {
    const headers = encodeHeaders([{ key: 'h', value: Buffer.from(`${key}/${index}`) }])
    encoder.append(
      timestamp ?? 1_000 + index,
      key === null ? null : Buffer.from(key),
      value === null ? null : Buffer.from(value),
      headers,
    )
  }
  return Buffer.from(encoder.finish())
}

export function marker(type: ControlType, producerId: number, timestampMs = 1_000): Buffer {
  return encodeControlBatch({ type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestampMs })
}

/** A record as it is read. Everything that must never change, as text. */
export interface ReadRecord {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  readonly headers: string
  readonly producerId: number
  readonly isTransactional: boolean
  readonly isControl: boolean
}

export function recordsOf(batches: readonly Buffer[]): ReadRecord[] {
  const records: ReadRecord[] = []
  const cursor = new RecordCursor()
  for (const batch of batches) {
    const { producerId, isTransactional, isControl } = cursor.open(batch)
    while (cursor.next()) {
      records.push({
        offset: cursor.offset,
        key: cursor.keyBytes()?.toString('latin1') ?? null,
        value: cursor.valueBytes()?.toString('latin1') ?? null,
        timestamp: cursor.timestamp,
        headers: cursor.headersBytes().toString('hex'),
        producerId,
        isTransactional,
        isControl,
      })
    }
  }
  return records
}

export async function readRecords(log: PartitionLog, bytesMax = 4096): Promise<ReadRecord[]> {
  return recordsOf(await readAll(log, bytesMax))
}

/** What a reader who starts now ends up with: the latest value of each key, without what a tombstone removed. */
export function foldOf(records: readonly ReadRecord[]): Map<string, string> {
  const fold = new Map<string, string>()
  for (const { key, value, isControl } of records) {
    if (isControl || key === null) continue
    if (value === null) fold.delete(key)
    else fold.set(key, value)
  }
  return fold
}

export function cleanOf(log: PartitionLog, request: Partial<CleanRequest> = {}): Promise<CleanReport> {
  return log.clean({
    nowMs: 1_700_000_000_000,
    stableOffset: log.durableEndOffset,
    minLagMs: 0,
    deleteRetentionMs: 1_000_000,
    keyBytesMax: 1024 * 1024,
    keyHash: KEY_HASH,
    lastOfProducer: () => undefined,
    pace: RESTLESS,
    ...request,
  })
}

/** Bytes on disk of a segment are batches back to back, gaps included, each with the offset that comes next. */
export function rawBatches(bytes: Buffer): { base: number; last: number; count: number }[] {
  const found: { base: number; last: number; count: number }[] = []
  for (let at = 0; at < bytes.length; ) {
    const { batchBytes, recordCount } = readBatchHeader(bytes, at)
    found.push({ base: baseOffsetAt(bytes, at), last: lastOffsetAt(bytes, at), count: recordCount })
    at += batchBytes
  }
  return found
}
