/** Records that have no event, and why. */

/** Why a record has no event. Every reason is one of these, for ever. */
export type DeadLetterReason =
  /** The value is not UTF-8. */
  | 'invalid-utf8'
  /** A stage threw. */
  | 'stage-failed'
  /** The event would not fit a batch. */
  | 'event-too-large'

/** A record that could not be enriched; the processor sends its bytes to the dead-letter topic with these as headers. */
export interface DeadLetter {
  readonly reason: DeadLetterReason
  /** The stage that failed: a declared one, or `decode` or `encode` around them. */
  readonly stage: string
  readonly message: string
}
