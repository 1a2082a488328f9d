/** Which segments may go, oldest first: Kafka's rules, as pure arithmetic. */

import type { Offset } from '../core/brands.ts'

export interface RetentionSegment {
  readonly bytes: number
  readonly endOffset: Offset
  /** Latest record timestamp, -1 when no record has one. */
  readonly maxTimestamp: number
  /** Wall-clock time of the last append. */
  readonly appendedMs: number
}

export interface RetentionLimits {
  readonly nowMs: number
  /** -1 keeps for ever. */
  readonly retentionMs: number
  /** -1 keeps any amount. */
  readonly retentionBytes: number
  readonly logStartOffset: Offset
  /** Nothing at or above this offset goes: it is not acknowledged yet. */
  readonly durableEndOffset: Offset
  /** Nothing at or above this offset goes by time or size: somebody still needs it. Default: nobody does. */
  readonly heldOffset?: number
}

/**
 * How many segments from the front may go; `segments` are in offset order, the last one is being written to. A segment goes
 * - when all of it lies below the log's start;
 * - by time, when its latest record is older than `retentionMs`; a timestamp from the future does not keep it longer than
 *   its last append would (Kafka keeps such a segment for ever);
 * - by size, while the log without it would still hold `retentionBytes`. The last segment never goes by size.
 * What is held goes only in the first way: the start is moved by an order, not by a rule.
 */
export function countExpired(segments: readonly RetentionSegment[], limits: RetentionLimits): number {
  let excessBytes = -limits.retentionBytes
  for (const segment of segments) excessBytes += segment.bytes
  const heldOffset = limits.heldOffset ?? Number.POSITIVE_INFINITY
  let count = 0
  for (const segment of segments) {
    const isLast = count === segments.length - 1
    if (segment.endOffset > limits.durableEndOffset) break
    const isBelowStart = !isLast && segment.endOffset <= limits.logStartOffset
    const isTooMuch = !isLast && limits.retentionBytes >= 0 && excessBytes >= segment.bytes
    const isHeld = segment.endOffset > heldOffset
    if (!isBelowStart && (isHeld || (!isTooMuch && !isTooOld(segment, limits)))) break
    excessBytes -= segment.bytes
    count += 1
  }
  return count
}

function isTooOld(segment: RetentionSegment, limits: RetentionLimits): boolean {
  if (limits.retentionMs < 0 || segment.bytes === 0) return false
  const newestMs =
    segment.maxTimestamp < 0 ? segment.appendedMs : Math.min(segment.maxTimestamp, segment.appendedMs)
  return limits.nowMs - newestMs > limits.retentionMs
}
