/**
 * What is done with one vault batch at each tier. The tier is chosen per batch, so a switch happens at a batch boundary: every
 * offset belongs to one tier, and what is less than full is booked as owed to the offset.
 */

import {
  attributesAt,
  BATCH_ATTRIBUTE,
  baseOffsetAt,
  baseTimestampAt,
  batchBytesAt,
  isBatchIntact,
  lastOffsetAt,
  maxTimestampAt,
  patchAttributes,
  patchBaseOffset,
  recordCountAt,
} from '../batch/record-batch.ts'
import { asOffset, type Offset } from '../core/brands.ts'
import type { OutputBatch } from '../enrichment/output-batch.ts'
import type { DebtReason, DebtTier } from '../ledger/debt-entry.ts'
import type { Tier } from '../pressure/tiers.ts'
import type { AssignedPartition } from './assigned-partition.ts'

/** What passthrough does with a batch: hand it on untouched, or only book it. */
export const PASSTHROUGH_MODES = ['forward', 'defer'] as const
export type PassthroughMode = (typeof PASSTHROUGH_MODES)[number]

export interface BatchWork {
  /** The tier in which it was done: not always the one asked for. */
  readonly tier: Tier
  readonly recordCount: number
  readonly eventCount: number
  readonly deadLetterCount: number
  readonly debtRecordCount: number
}

export interface BatchWorkOptions {
  readonly tier: Tier
  readonly passthrough: PassthroughMode
  /** Asked only when there is something to book. */
  readonly reason: () => DebtReason
  readonly wallMs: () => number
  readonly passthroughTopic: string
  readonly emit: (output: OutputBatch) => void
}

/** Does the batch at `at`, from the partition's position on, and moves the position behind it. */
export function workOnBatch(
  assigned: AssignedPartition,
  records: Buffer,
  at: number,
  options: BatchWorkOptions,
): BatchWork {
  const tier = feasibleTier(assigned.position, records, at, options.tier)
  const work =
    tier === 'passthrough' ? forward(assigned, records, at, options) : enrich(assigned, records, at, tier)
  if (tier !== 'full') {
    const debtTier: DebtTier =
      tier === 'partial' ? 'partial' : options.passthrough === 'forward' ? 'passthrough' : 'deferred'
    assigned.debt.book({
      first: assigned.position,
      last: work.nextOffset - 1,
      tier: debtTier,
      reason: options.reason(),
      recordCount: work.recordCount,
      bytes: batchBytesAt(records, at),
      ...timeSpan(records, at),
      bookedMs: options.wallMs(),
    })
  }
  assigned.position = work.nextOffset
  const debtRecordCount = tier === 'full' ? 0 : work.recordCount
  const { recordCount, eventCount, deadLetterCount } = work
  const done = { recordCount, eventCount, deadLetterCount, debtRecordCount }
  assigned.count(done, maxTimestampAt(records, at))
  return { tier, ...done }
}

interface Made {
  readonly nextOffset: Offset
  readonly recordCount: number
  readonly eventCount: number
  readonly deadLetterCount: number
}

/**
 * Forwarding takes whole batches whose bytes check out. One that begins before the position, because somebody set the group's
 * offsets by hand, is enriched in part; a damaged one becomes a dead letter, which is made at full density only.
 */
function feasibleTier(position: Offset, records: Buffer, at: number, tier: Tier): Tier {
  if (tier !== 'passthrough') return tier
  if (!isBatchIntact(records, at, records.length)) return 'full'
  return baseOffsetAt(records, at) < position ? 'partial' : 'passthrough'
}

function enrich(assigned: AssignedPartition, records: Buffer, at: number, density: 'full' | 'partial'): Made {
  const { nextOffset, eventCount, deadLetterCount } = assigned.enricher.enrich(
    records,
    at,
    assigned.position,
    { density },
  )
  const skippedCount = Math.max(0, assigned.position - baseOffsetAt(records, at))
  const recordCount = Math.max(0, recordCountAt(records, at) - skippedCount)
  return { nextOffset, recordCount, eventCount, deadLetterCount }
}

/** The bits that belong to the log the batch was in and not to the one it goes to. */
const ATTRIBUTES_OF_THE_LOG = BATCH_ATTRIBUTE.transactional | BATCH_ATTRIBUTE.logAppendTime

function forward(
  assigned: AssignedPartition,
  records: Buffer,
  at: number,
  { passthrough, passthroughTopic, emit }: BatchWorkOptions,
): Made {
  const nextOffset = asOffset(lastOffsetAt(records, at) + 1)
  const recordCount = recordCountAt(records, at)
  if (passthrough === 'forward') {
    // The offset is the log's to give, and producers send 0; the bytes that its CRC covers stay as they are.
    patchBaseOffset(records, at, 0)
    const attributes = attributesAt(records, at)
    if ((attributes & ATTRIBUTES_OF_THE_LOG) !== 0) {
      patchAttributes(records, at, attributes & ~ATTRIBUTES_OF_THE_LOG)
    }
    emit({
      topic: passthroughTopic,
      partition: assigned.partition,
      batch: records.subarray(at, at + batchBytesAt(records, at)),
      recordCount,
      release() {},
    })
  }
  return { nextOffset, recordCount, eventCount: 0, deadLetterCount: 0 }
}

function timeSpan(records: Buffer, at: number): { timestampMinMs: number; timestampMaxMs: number } {
  const [base, max] = [baseTimestampAt(records, at), maxTimestampAt(records, at)]
  // The producer wrote them, so they may be anything; a batch's base is that of its first record, and no least one.
  return base >= 0 && max >= base && Number.isSafeInteger(max)
    ? { timestampMinMs: base, timestampMaxMs: max }
    : { timestampMinMs: -1, timestampMaxMs: -1 }
}
