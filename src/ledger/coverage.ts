/**
 * Whether ranges of several kinds cover a span of offsets exactly once: the check behind "every vault record is enriched, or
 * owed, or settled, or dead-lettered, and no record is two of these". It knows nothing of where the ranges came from, so an
 * audit feeds it what it read from the topics, never what somebody counted.
 */

import { strict as assert } from 'node:assert'
import { formatRange, isRange, type OffsetRange, rangeOf, spanOf } from './offset-range.ts'

/** A run of offsets and what is claimed of them (`enriched`, `open`, `settled`, `dead-lettered`). */
export interface ClaimedRange extends OffsetRange {
  readonly kind: string
}

/** Offsets that are claimed more than once, with every claim; the same kind twice is a claim too many as well. */
export interface Overlap extends OffsetRange {
  readonly kinds: readonly string[]
}

export interface CoverageReport {
  /** True when the span is covered exactly once and nothing lies outside it. */
  readonly isExact: boolean
  /** Offsets of the span that nobody claims, as maximal ranges in order. */
  readonly holes: readonly OffsetRange[]
  /** In order; cut where the set of claims changes. */
  readonly overlaps: readonly Overlap[]
  /** Claims outside the span, cut to what lies outside, in the order given. */
  readonly strays: readonly ClaimedRange[]
  /** Offsets of the span claimed by each kind; an offset claimed twice counts twice. */
  readonly offsetCounts: ReadonlyMap<string, number>
}

/** One end of a claim: at `offset` it begins (+1), or has just ended (-1). */
interface Edge {
  readonly offset: number
  readonly kind: string
  readonly step: 1 | -1
}

/**
 * Checks claims against the span from `first` up to, and not including, `end`. Claims may come in any order. Takes n log n
 * time in the number of claims, not of offsets.
 */
export function checkCoverage(
  { first, end }: { readonly first: number; readonly end: number },
  claims: Iterable<ClaimedRange>,
): CoverageReport {
  assert(end >= first && first >= 0, `expected a span, found ${first} to ${end}`)
  const edges: Edge[] = []
  const strays: ClaimedRange[] = []
  const offsetCounts = new Map<string, number>()
  for (const claim of claims) {
    assert(isRange(claim), `expected a range of offsets, found ${formatRange(claim)}`)
    const { kind } = claim
    if (claim.first < first) strays.push({ kind, ...rangeOf(claim.first, Math.min(claim.last, first - 1)) })
    if (claim.last >= end) strays.push({ kind, ...rangeOf(Math.max(claim.first, end), claim.last) })
    const from = Math.max(claim.first, first)
    const to = Math.min(claim.last + 1, end)
    if (from >= to) continue
    edges.push({ offset: from, kind, step: 1 }, { offset: to, kind, step: -1 })
    offsetCounts.set(kind, (offsetCounts.get(kind) ?? 0) + to - from)
  }
  const { holes, overlaps } = sweep(first, end, edges)
  const isExact = holes.length + overlaps.length + strays.length === 0
  return { isExact, holes, overlaps, strays, offsetCounts }
}

/** Walks the edges in offset order, keeping the multiset of kinds that hold between one edge and the next. */
function sweep(first: number, end: number, edges: Edge[]): { holes: OffsetRange[]; overlaps: Overlap[] } {
  const holes: OffsetRange[] = []
  const overlaps: Overlap[] = []
  const holding = new Map<string, number>()
  let claimCount = 0
  let at = first
  const closeStretch = (to: number) => {
    if (to === at) return
    const range = rangeOf(at, to - 1)
    if (claimCount === 0) holes.push(range)
    if (claimCount > 1) addOverlap(overlaps, { ...range, kinds: kindsOf(holding) })
    at = to
  }
  for (const { offset, kind, step } of edges.sort((a, b) => a.offset - b.offset)) {
    closeStretch(offset)
    claimCount += step
    holding.set(kind, (holding.get(kind) ?? 0) + step)
  }
  closeStretch(end)
  return { holes, overlaps }
}

/** Two claims of one kind that meet inside a third leave the same kinds on both sides: that is one overlap. */
function addOverlap(overlaps: Overlap[], overlap: Overlap): void {
  const previous = overlaps.at(-1)
  const isSame =
    previous !== undefined &&
    previous.last + 1 === overlap.first &&
    previous.kinds.join('\n') === overlap.kinds.join('\n')
  if (isSame) overlaps[overlaps.length - 1] = { ...previous, last: overlap.last }
  else overlaps.push(overlap)
}

function kindsOf(holding: ReadonlyMap<string, number>): string[] {
  return [...holding].flatMap(([kind, count]) => new Array<string>(count).fill(kind)).sort()
}

/** The findings as sentences, for people: `hole [10, 19], 10 offsets`. */
export function describeCoverage({ holes, overlaps, strays }: CoverageReport): string[] {
  const offsets = (range: OffsetRange) => `${spanOf(range)} ${spanOf(range) === 1 ? 'offset' : 'offsets'}`
  return [
    ...holes.map((hole) => `hole ${formatRange(hole)}, ${offsets(hole)}`),
    ...overlaps.map(
      (overlap) => `overlap ${formatRange(overlap)}, ${offsets(overlap)}: ${overlap.kinds.join(' and ')}`,
    ),
    ...strays.map((stray) => `outside ${formatRange(stray)}, ${offsets(stray)}: ${stray.kind}`),
  ]
}
