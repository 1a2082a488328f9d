/** What a replay writes to: a topic, a file, a URL. */

import type { CutBatch } from './cut-batch.ts'
import { invalidReplay } from './replay-error.ts'
import type { ReplayRange } from './replay-plan.ts'

/** Where a replay stands in one partition. */
export interface ReplayProgress extends ReplayRange {
  /** The next offset to read. */
  readonly position: number
  /** Records read and taken so far, and records written because of them. */
  readonly takenCount: number
  readonly writtenCount: number
}

/** A run of batches that is written and remembered in one step. */
export interface ReplayUnit {
  readonly batches: readonly CutBatch[]
  /** Where the replay stands in this partition when the unit is written, but for what the target counts. */
  readonly progress: Omit<ReplayProgress, 'writtenCount'>
}

export interface ReplayTarget {
  /** For messages: `topic copies`, `./web.ndjson`. */
  readonly name: string
  /**
   * Gets ready. Resolves with how far an earlier run of the same replay came, whose ranges then hold, or with null when this is
   * the first, and `ranges` are remembered.
   */
  open(ranges: readonly ReplayRange[]): Promise<readonly ReplayProgress[] | null>
  /** Writes a unit and remembers its progress; resolves when both are durable, with the records written. */
  write(unit: ReplayUnit): Promise<number>
  /** Called once at the end; resolves with what there is to say, such as another count of the records. */
  finish(): Promise<{ readonly countedRecords: number | null }>
  /** Lets go of everything; what was not remembered is done again by the next run. */
  stop(): Promise<void>
}

/** Refuses what an earlier run remembered when it cannot be of this replay. */
export function checkedProgress(
  progress: readonly ReplayProgress[],
  origin: string,
): readonly ReplayProgress[] {
  const isSound = progress.every(({ partition, from, end, position, takenCount, writtenCount }) => {
    const isCount = [partition, from, end, position, takenCount, writtenCount].every(
      (value) => Number.isSafeInteger(value) && value >= 0,
    )
    return isCount && from <= position && position <= end
  })
  if (isSound) return progress
  throw invalidReplay(
    `expected ${origin} to say how far an earlier run came, found something else; --restart begins anew`,
  )
}
