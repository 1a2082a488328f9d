/**
 * One entry of the ledger: a range of one vault partition that a topology did not enrich fully, what was done instead, why,
 * and what has become of it. Entries are values; nothing here changes one.
 *
 * A range covers every offset of its span, also those that hold no record (transaction markers of a foreign cluster), so
 * that ranges touch and can be joined. Its record and byte counts are exact as long as the range was booked and settled
 * with counts; where a range had to be cut without them they are shares in proportion to the offsets. Sums are always kept.
 */

import { strict as assert } from 'node:assert'
import type { Offset, PartitionId } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { TOPIC_NAME_CHARS_MAX } from '../core/limits.ts'
import { formatRange, isRange, type OffsetRange, spanOf } from './offset-range.ts'

/** What was done instead of full enrichment. `deferred` made no output at all. */
export const DEBT_TIERS = ['partial', 'passthrough', 'deferred'] as const
export type DebtTier = (typeof DEBT_TIERS)[number]

/** `open` is owed, `settled` was enriched fully since, `lost` can no longer be: its bytes are gone. */
export const DEBT_STATES = ['open', 'settled', 'lost'] as const
export type DebtState = (typeof DEBT_STATES)[number]

export const DEBT_ZONES = ['green', 'yellow', 'red'] as const

/** Whose books: one topology over one partition of a vault topic. */
export interface DebtPartition {
  readonly topology: string
  readonly topic: string
  readonly partition: PartitionId
}

export interface DebtReason {
  /** The zone of pressure when the debt was opened. */
  readonly zone: (typeof DEBT_ZONES)[number]
  /** The sensor, or the order, that drove it: `lagSeconds`, `waitSeconds`, `emergency`. */
  readonly driver: string
}

export interface DebtEntry extends DebtPartition, OffsetRange {
  readonly tier: DebtTier
  readonly recordCount: number
  /** Bytes of those records in the vault, as stored. */
  readonly bytes: number
  /** The records' time span, ms since the Unix epoch; both -1 when their timestamps are not known. */
  readonly timestampMinMs: number
  readonly timestampMaxMs: number
  /** Why its first records were not enriched. */
  readonly reason: DebtReason
  /** Wall-clock ms when it was booked. */
  readonly openedMs: number
  readonly state: DebtState
  /** Wall-clock ms when it was settled, or found lost; null while it is open. */
  readonly closedMs: number | null
}

/** Longest name of a topology, and of what drove a decision. */
const NAME_CHARS_MAX = TOPIC_NAME_CHARS_MAX

/** What is wrong with an entry, in words; null when it is well-formed. */
export function faultOf(entry: DebtEntry): string | null {
  for (const name of ['topology', 'topic'] as const) {
    if (!isName(entry[name])) return `${name} must be 1 to ${NAME_CHARS_MAX} characters`
  }
  if (!Number.isInteger(entry.partition) || entry.partition < 0) return 'partition must be an integer from 0'
  if (!isRange(entry)) return `first and last must be offsets in order, found ${formatRange(entry)}`
  if (!DEBT_TIERS.includes(entry.tier)) return `tier must be one of ${DEBT_TIERS.join(', ')}`
  if (!DEBT_STATES.includes(entry.state)) return `state must be one of ${DEBT_STATES.join(', ')}`
  if (!isCount(entry.recordCount, spanOf(entry))) return 'recordCount must be at most the offsets it spans'
  if (!isCount(entry.bytes)) return 'bytes must be an integer from 0'
  if (!isTime(entry.timestampMinMs) || !isTime(entry.timestampMaxMs)) return 'timestamps must be integers'
  if (entry.timestampMinMs > entry.timestampMaxMs) return 'timestampMinMs must not be after timestampMaxMs'
  if (!DEBT_ZONES.includes(entry.reason.zone)) return `zone must be one of ${DEBT_ZONES.join(', ')}`
  if (!isName(entry.reason.driver)) return `driver must be 1 to ${NAME_CHARS_MAX} characters`
  if (!isTime(entry.openedMs)) return 'openedMs must be a time'
  const isOpen = entry.state === 'open'
  if (isOpen !== (entry.closedMs === null)) return 'closedMs must be set when, and only when, it is not open'
  if (entry.closedMs !== null && !isTime(entry.closedMs)) return 'closedMs must be a time'
  return null
}

/** True when the second entry may be joined to the first: it follows at once and is owed, or settled, in the same way. */
export function canJoin(before: DebtEntry, after: DebtEntry): boolean {
  return before.last + 1 === after.first && before.tier === after.tier && before.state === after.state
}

/**
 * One entry for two that touch. Why the debt began is told by the earlier range: a burst whose driving sensor changes with
 * every look stays one entry.
 */
export function joinEntries(before: DebtEntry, after: DebtEntry): DebtEntry {
  assert(canJoin(before, after), `cannot join ${formatRange(before)} and ${formatRange(after)}`)
  return {
    ...before,
    last: after.last,
    recordCount: before.recordCount + after.recordCount,
    bytes: before.bytes + after.bytes,
    timestampMinMs: known(Math.min, before.timestampMinMs, after.timestampMinMs),
    timestampMaxMs: known(Math.max, before.timestampMaxMs, after.timestampMaxMs),
    openedMs: Math.min(before.openedMs, after.openedMs),
    closedMs: before.closedMs === null ? null : Math.max(before.closedMs, after.closedMs ?? 0),
  }
}

/** What is known of the records of a part of an entry, for whoever has just read them. */
export interface PartCounts {
  readonly recordCount: number
  readonly bytes: number
}

/**
 * Cuts an entry into what lies before `offset` and the rest. Both keep the whole time span: the oldest record may be in
 * either, and to believe debt older than it is only has it paid sooner.
 *
 * @param offset above the entry's first and not above its last.
 * @param headCounts what the first part holds, when the caller knows; else its share of the offsets.
 */
export function splitEntry(
  entry: DebtEntry,
  offset: Offset,
  headCounts?: PartCounts,
): [head: DebtEntry, rest: DebtEntry] {
  assert(offset > entry.first && offset <= entry.last, `cannot cut ${formatRange(entry)} at ${offset}`)
  const headSpan = offset - entry.first
  const restSpan = entry.last - offset + 1
  const share = (count: number) => Math.floor((count * headSpan) / (headSpan + restSpan))
  const asked = headCounts ?? { recordCount: share(entry.recordCount), bytes: share(entry.bytes) }
  const recordCountMin = Math.max(0, entry.recordCount - restSpan)
  const recordCountMax = Math.min(headSpan, entry.recordCount)
  const recordCount = clamp(asked.recordCount, recordCountMin, recordCountMax)
  const bytes = clamp(asked.bytes, 0, entry.bytes)
  return [
    { ...entry, last: asOffset(offset - 1), recordCount, bytes },
    {
      ...entry,
      first: offset,
      recordCount: entry.recordCount - recordCount,
      bytes: entry.bytes - bytes,
    },
  ]
}

/** Text for messages: `open passthrough [3, 7]`. */
export const formatEntry = (entry: DebtEntry): string => `${entry.state} ${entry.tier} ${formatRange(entry)}`

/** One text for each set of books, fit for a map's key. */
export const partitionKey = ({ topology, topic, partition }: DebtPartition): string =>
  JSON.stringify([topology, topic, partition])

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))

const isName = (value: unknown): boolean =>
  typeof value === 'string' && value.length > 0 && value.length <= NAME_CHARS_MAX

const isCount = (value: unknown, max = Number.MAX_SAFE_INTEGER): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max

const isTime = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= -1

/** Combines two timestamps of which either may be -1, "not known". */
function known(combine: (a: number, b: number) => number, a: number, b: number): number {
  if (a < 0) return b
  return b < 0 ? a : combine(a, b)
}
