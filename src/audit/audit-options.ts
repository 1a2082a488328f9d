/** What an audit is asked, and what it says while it works. */

import type { SourceTopics } from '../enrichment/source-topics.ts'
import type { ScanRange } from '../kafka/partition-scan.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { ReadOptions } from './read-outputs.ts'
import type { Guarantee } from './verdict.ts'

export interface AuditOptions {
  readonly topology: string
  readonly topics: SourceTopics
  /** The processors' consumer group: its offsets say what they are done with. */
  readonly groupId: string
  /** Null: every stream that the topology reads. */
  readonly streams: readonly string[] | null
  readonly isDeep: boolean
  readonly guarantee: Guarantee
  readonly diagnostics: Diagnostics
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: AuditProgress) => void
}

/** How far one of the long steps is. */
export interface AuditProgress {
  readonly step: 'outputs' | 'vault'
  readonly readOffsets: number
  readonly totalOffsets: number
}

/** Reading options that add up to the progress of one step over these ranges. */
export function progressOf(
  step: AuditProgress['step'],
  ranges: readonly ScanRange[],
  { signal, onProgress }: AuditOptions,
): ReadOptions {
  const totalOffsets = ranges.reduce((sum, { from, end }) => sum + Math.max(0, end - from), 0)
  let readOffsets = 0
  onProgress?.({ step, readOffsets, totalOffsets })
  return {
    ...(signal && { signal }),
    onRead: (offsetCount) => {
      readOffsets += offsetCount
      onProgress?.({ step, readOffsets, totalOffsets })
    },
  }
}
