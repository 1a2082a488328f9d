/** What an audit finds, in a form that names the offsets. */

import { formatRange, type OffsetRange } from '../ledger/offset-range.ts'
import type { OffsetSet } from './offset-set.ts'

/** Every kind of finding, with what it means to the person who reads it. */
export const FINDING_KINDS = {
  hole: 'Processed, and neither enriched, nor owed, nor dead-lettered.',
  overlap: 'Two outcomes for one record.',
  duplicate: 'The same output more than once.',
  'gone-unread': 'Deleted from the vault before anybody had processed it.',
  'owed-but-gone': 'Owed, and deleted from the vault.',
  'lost-but-there': 'Written off because the bytes were gone, and the vault has them.',
  'repaid-without-debt': 'Settled or written off in the ledger, though never owed.',
  'foreign-output': 'A record in an output topic that GopherShip did not write.',
  'id-mismatch': 'An event whose id and vault coordinates differ.',
  'settled-without-output': 'Settled in the ledger, with neither an event of full density nor a dead letter.',
  'partial-without-debt': 'An event of partial density, and no debt of that tier.',
  'output-without-record': 'An output of an offset at which the vault holds no record.',
  'passthrough-missing': 'Booked as passed through, and not in the passthrough topic.',
  'passthrough-without-debt': 'Passed through, and not booked.',
  lost: 'Owed once, and written off because the bytes were gone.',
  expired: 'Outputs that retention may have deleted: nothing can be said.',
} as const satisfies Record<string, string>

export type FindingKind = keyof typeof FINDING_KINDS

export interface Finding {
  readonly kind: FindingKind
  /** False for what is told and is no fault of this guarantee, or of anybody. */
  readonly isViolation: boolean
  /** More than the kind says: which outcomes overlap, which output is there twice. Empty for none. */
  readonly detail: string
  /** The topic and partition that the offsets are of: the vault's, or an output's. */
  readonly topic: string
  readonly partition: number
  readonly offsetCount: number
  /** The first `RANGES_NAMED_MAX` of them, in order. */
  readonly ranges: readonly OffsetRange[]
  readonly rangeCount: number
}

/** Ranges that one finding names; the rest are counted. */
export const RANGES_NAMED_MAX = 100

/** A finding about a set of offsets; null when the set is empty. */
export function findingOf(
  about: Omit<Finding, 'offsetCount' | 'ranges' | 'rangeCount'>,
  offsets: OffsetSet,
): Finding | null {
  if (offsets.size === 0) return null
  const ranges: OffsetRange[] = []
  let rangeCount = 0
  for (const range of offsets.ranges()) {
    if (rangeCount < RANGES_NAMED_MAX) ranges.push(range)
    rangeCount += 1
  }
  return { ...about, offsetCount: offsets.size, ranges, rangeCount }
}

/** Ranges that a line for people names. */
const RANGES_SHOWN_MAX = 8

/** One line for people: `overlap in raw-vault.web-3, 10 offsets: [10, 19] (enriched and open)`. */
export function describeFinding(finding: Finding): string {
  const { kind, detail, topic, partition, offsetCount, ranges, rangeCount } = finding
  const shown = ranges.slice(0, RANGES_SHOWN_MAX).map(formatRange).join(', ')
  const more = rangeCount > RANGES_SHOWN_MAX ? ` and ${rangeCount - RANGES_SHOWN_MAX} more` : ''
  const offsets = offsetCount === 1 ? '1 offset' : `${offsetCount} offsets`
  return `${kind} in ${topic}-${partition}, ${offsets}: ${shown}${more}${detail === '' ? '' : ` (${detail})`}`
}
