/** How background work leaves room for everything else on its thread. */

export interface Pace {
  /** True when the turn has lasted long enough; whoever works asks often, since asking is cheap. */
  isDue(): boolean
  /** Lets the others run. Rejects when the work is not wanted any more, and it then ends where it is. */
  pause(): Promise<void>
}

/** Records looked at between two questions whether a pause is due: well under a millisecond's work. */
export const RECORDS_PER_QUESTION = 256
