/** What a partition's log may be told: sizes, ages, retention, and when it syncs. */

import { strict as assert } from 'node:assert'
import { SEGMENT_BYTES_MAX } from './segment-format.ts'

/** When an appended batch is acknowledged. `interval` syncs at the latest `intervalMs` after a write. */
export type SyncPolicy =
  | { readonly policy: 'every-ack' }
  | { readonly policy: 'interval'; readonly intervalMs: number }
  | { readonly policy: 'never' }

export interface PartitionLogOptions {
  /** A segment is sealed before it would grow beyond this. At most 2^31 - 1. */
  readonly segmentBytesMax: number
  /** A segment that holds anything is sealed at this age. */
  readonly segmentAgeMsMax: number
  /** Bytes between two entries of the sparse indexes. */
  readonly indexIntervalBytes: number
  /** Segments whose latest record is older may go; -1 keeps for ever. */
  readonly retentionMs: number
  /** Segments may go while at least this much remains; -1 keeps any amount. */
  readonly retentionBytes: number
  readonly sync: SyncPolicy
}

/** Kafka's own defaults, save that every acknowledgement is synced. */
export const PARTITION_LOG_DEFAULTS: PartitionLogOptions = {
  segmentBytesMax: 1024 * 1024 * 1024,
  segmentAgeMsMax: 7 * 24 * 3_600_000,
  indexIntervalBytes: 4096,
  retentionMs: -1,
  retentionBytes: -1,
  sync: { policy: 'every-ack' },
}

/** Asserts the ranges; options from outside were checked against the configuration's schema before. */
export function checkOptions(options: PartitionLogOptions): void {
  const { segmentBytesMax, segmentAgeMsMax, indexIntervalBytes, sync } = options
  assert(segmentBytesMax > 0 && segmentBytesMax <= SEGMENT_BYTES_MAX, 'segmentBytesMax is 1 to 2^31 - 1')
  assert(segmentAgeMsMax > 0, 'segmentAgeMsMax is above 0')
  assert(indexIntervalBytes >= 0, 'indexIntervalBytes is at least 0')
  assert(sync.policy !== 'interval' || sync.intervalMs > 0, 'intervalMs is above 0')
}
