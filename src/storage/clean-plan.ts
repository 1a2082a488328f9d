/** What of a log may be compacted, and how much of it is new: Kafka's rules, as pure arithmetic. */

import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { RELATIVE_OFFSET_MAX } from './segment-format.ts'

export interface PlannedSegment {
  readonly baseOffset: Offset
  readonly endOffset: Offset
  readonly bytes: number
  readonly createdMs: number
  readonly appendedMs: number
  readonly maxTimestamp: number
  readonly holes: readonly unknown[]
}

export interface CleanBounds {
  readonly nowMs: number
  /** Nothing at or above this offset is touched: the last stable offset, and what is not durable yet. */
  readonly stableOffset: number
  /** Records stay as they are for this long (`min.compaction.lag.ms`). */
  readonly minLagMs: number
  /** Up to here an earlier pass has compacted. */
  readonly cleanedOffset: number
}

/** How clean a log is. Bytes are estimates where a bound lies within a segment. */
export interface Cleanliness {
  readonly firstDirtyOffset: Offset
  /** Compaction may reach up to here, exclusive. */
  readonly endOffset: Offset
  readonly cleanBytes: number
  readonly dirtyBytes: number
  /** When the oldest segment with dirty records was begun; null when none is dirty. */
  readonly dirtySinceMs: number | null
}

/**
 * How much of the log is clean, and how much could be cleaned now. The last segment that holds anything is never touched:
 * it is being written to, or it is the end that readers wait at.
 */
export function cleanlinessOf(segments: readonly PlannedSegment[], bounds: CleanBounds): Cleanliness {
  const endOffset = cleanableEnd(segments, bounds)
  const start = segments[0]?.baseOffset ?? asOffset(0)
  const firstDirtyOffset = asOffset(
    Math.min(Math.max(bounds.cleanedOffset, start), Math.max(endOffset, start)),
  )
  let cleanBytes = 0
  let dirtyBytes = 0
  let dirtySinceMs: number | null = null
  for (const segment of segments) {
    if (segment.baseOffset >= endOffset) break
    const offsetCount = Math.max(1, segment.endOffset - segment.baseOffset)
    const share = (from: number, to: number) => Math.max(0, Math.min(1, (to - from) / offsetCount))
    const clean = share(segment.baseOffset, Math.min(firstDirtyOffset, endOffset))
    const dirty = share(
      Math.max(firstDirtyOffset, segment.baseOffset),
      Math.min(endOffset, segment.endOffset),
    )
    cleanBytes += segment.bytes * clean
    dirtyBytes += segment.bytes * dirty
    if (dirty > 0) dirtySinceMs ??= segment.createdMs
  }
  return { firstDirtyOffset, endOffset, cleanBytes, dirtyBytes, dirtySinceMs }
}

function cleanableEnd(segments: readonly PlannedSegment[], bounds: CleanBounds): Offset {
  const last = segments.findLast((segment) => segment.bytes > 0)
  let end = Math.min(last?.baseOffset ?? 0, bounds.stableOffset)
  if (bounds.minLagMs > 0) {
    for (const segment of segments) {
      // As retention does: a timestamp from the future holds a segment back no longer than its last append would.
      const newestMs =
        segment.maxTimestamp < 0 ? segment.appendedMs : Math.min(segment.maxTimestamp, segment.appendedMs)
      if (segment.bytes > 0 && bounds.nowMs - newestMs < bounds.minLagMs) {
        end = Math.min(end, segment.baseOffset)
        break
      }
    }
  }
  return asOffset(Math.max(end, segments[0]?.baseOffset ?? 0))
}

/**
 * Neighbouring segments that become one, in order: together at most `segmentBytesMax` before they are compacted (one
 * alone may be larger), so that segments that shrank are merged by and by. A segment with damage is in no group, and
 * nothing is merged across missing offsets.
 */
export function groupSegments<Segment extends PlannedSegment>(
  segments: readonly Segment[],
  limits: { readonly segmentBytesMax: number },
): Segment[][] {
  const groups: Segment[][] = []
  let group: Segment[] = []
  let bytes = 0
  for (const segment of segments) {
    const first = group[0]
    const isNext =
      first !== undefined &&
      group.at(-1)?.endOffset === segment.baseOffset &&
      bytes + segment.bytes <= limits.segmentBytesMax &&
      segment.endOffset - first.baseOffset <= RELATIVE_OFFSET_MAX
    if (!isNext || segment.holes.length > 0) {
      group = []
      bytes = 0
    }
    if (segment.holes.length > 0) continue
    if (group.length === 0) groups.push(group)
    group.push(segment)
    bytes += segment.bytes
  }
  return groups
}
