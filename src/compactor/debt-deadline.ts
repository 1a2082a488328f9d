/**
 * When the bytes under an entry may be deleted, and whether it is urgent to pay it before. Retention by time is exact (or
 * early); retention by size is estimated from how fast the vault partition grows. Pure.
 */

import type { DebtEntry } from '../ledger/debt-entry.ts'
import { deadlineOf } from '../ledger/debt-order.ts'

/** The retention of a vault topic; -1 keeps everything. */
export interface VaultRetention {
  readonly retentionMs: number
  readonly retentionBytes: number
}

export const KEEP_EVERYTHING: VaultRetention = { retentionMs: -1, retentionBytes: -1 }

/** A vault partition's end, and how fast it moves. */
export interface VaultGrowth {
  readonly endOffset: number
  readonly recordsPerSecond: number
}

export interface Deadline {
  /** Wall-clock ms; infinite when nothing deletes it. */
  readonly deadlineMs: number
  readonly isUrgent: boolean
}

export interface DeadlineFacts {
  readonly retention: VaultRetention
  /** Null while it is not known: retention by size is then left out. */
  readonly growth: VaultGrowth | null
  /** The entry is urgent when less than this share of the retention, 0 to 1, is left. */
  readonly urgentShare: number
  readonly nowMs: number
}

/** The earlier of the two deadlines. An entry that has passed one is urgent for as long as it is open. */
export function deadlineFor(entry: DebtEntry, facts: DeadlineFacts): Deadline {
  const byTime = timeDeadline(entry, facts)
  const bySize = sizeDeadline(entry, facts)
  return {
    deadlineMs: Math.min(byTime.deadlineMs, bySize.deadlineMs),
    isUrgent: byTime.isUrgent || bySize.isUrgent,
  }
}

function timeDeadline(entry: DebtEntry, { retention, urgentShare, nowMs }: DeadlineFacts): Deadline {
  const deadlineMs = deadlineOf(entry, retention.retentionMs)
  return { deadlineMs, isUrgent: deadlineMs - nowMs <= retention.retentionMs * urgentShare }
}

/** Kafka deletes from the front while what follows is still the retained size: what lies behind an entry is what counts. */
function sizeDeadline(entry: DebtEntry, { retention, growth, urgentShare, nowMs }: DeadlineFacts): Deadline {
  const { retentionBytes } = retention
  const isKnown = retentionBytes >= 0 && growth !== null && entry.recordCount > 0
  if (!isKnown) return { deadlineMs: Number.POSITIVE_INFINITY, isUrgent: false }
  const recordBytes = entry.bytes / entry.recordCount
  const bytesLeft = retentionBytes - Math.max(0, growth.endOffset - entry.first) * recordBytes
  const bytesPerSecond = growth.recordsPerSecond * recordBytes
  const msLeft =
    bytesLeft <= 0 ? 0 : bytesPerSecond > 0 ? (bytesLeft * 1_000) / bytesPerSecond : Number.POSITIVE_INFINITY
  return { deadlineMs: nowMs + msLeft, isUrgent: bytesLeft <= retentionBytes * urgentShare }
}

/** How fast a partition's end moves: an average that follows changes within a few minutes. */
export class GrowthMeter {
  #endOffset = -1
  #seenMs = 0
  #recordsPerSecond = 0

  /** Takes a look at the end. */
  observe(endOffset: number, monotonicMs: number): void {
    const isFirst = this.#endOffset < 0
    const elapsedMs = monotonicMs - this.#seenMs
    if (!isFirst && elapsedMs < 1) return
    if (!isFirst) {
      const rate = (Math.max(0, endOffset - this.#endOffset) * 1_000) / elapsedMs
      const weight = 1 - Math.exp(-elapsedMs / AVERAGED_MS)
      this.#recordsPerSecond += weight * (rate - this.#recordsPerSecond)
    }
    this.#endOffset = endOffset
    this.#seenMs = monotonicMs
  }

  /** Null before the first look. */
  growth(): VaultGrowth | null {
    if (this.#endOffset < 0) return null
    return { endOffset: this.#endOffset, recordsPerSecond: this.#recordsPerSecond }
  }
}

const AVERAGED_MS = 60_000
