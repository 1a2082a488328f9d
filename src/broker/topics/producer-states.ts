/**
 * What a partition remembers of its idempotent producers (KIP-98): the epoch and the last five batches of each, so that
 * a batch sent twice is answered with its first offset instead of being stored twice. Kafka's rules are in
 * `ProducerAppendInfo` and `ProducerStateEntry`.
 *
 * Departure: a batch older than the five kept is answered DUPLICATE_SEQUENCE_NUMBER (which clients take for success)
 * where Kafka says OUT_OF_ORDER_SEQUENCE_NUMBER. As in Kafka, an unknown producer may start at any sequence.
 */

import { KAFKA_ERROR } from '../../wire/error-codes.ts'

/** Kafka's `NUM_BATCHES_TO_RETAIN`; a producer may have as many requests in flight. */
const BATCHES_KEPT = 5
/** Sequences run from 0 to 2^31 - 1 and then from 0 again. */
const SEQUENCE_COUNT = 2 ** 31

/** One remembered batch. */
export interface ProducerBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
  readonly logAppendTimeMs: number
}

export interface ProducerEntry {
  epoch: number
  /** When the producer last appended, on the wall clock. */
  lastSeenMs: number
  /** Oldest first, at most five. */
  batches: ProducerBatch[]
}

/** The producer fields of a batch header. */
export interface ProducerClaim {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

export type SequenceCheck =
  | { readonly kind: 'append' }
  | { readonly kind: 'duplicate'; readonly batch: ProducerBatch }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly message: string }

const APPEND: SequenceCheck = { kind: 'append' }

/** `sequence + count`, wrapping from 2^31 - 1 to 0. */
export function advanceSequence(sequence: number, count: number): number {
  return (sequence + count) % SEQUENCE_COUNT
}

export class ProducerStates {
  readonly #entries = new Map<number, ProducerEntry>()
  readonly #producersMax: number

  constructor(options: { readonly producersMax: number }) {
    this.#producersMax = options.producersMax
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * Whether the next batch of a producer (id 0 or more) is new, known already, or out of line. Changes nothing. In a log that
   * `isDamaged`, a batch that is missing among those kept is new: 1. A power cut tears a write of three batches, and the third
   * is whole. 2. The first is sent again, as it was never acknowledged. 3. Told that it is stored, the producer drops it.
   */
  check(claim: ProducerClaim, { isDamaged = false }: { readonly isDamaged?: boolean } = {}): SequenceCheck {
    const entry = this.#entries.get(claim.producerId)
    if (entry === undefined) return APPEND
    if (claim.producerEpoch < entry.epoch) {
      return refused(
        KAFKA_ERROR.INVALID_PRODUCER_EPOCH,
        `producer ${claim.producerId} has epoch ${entry.epoch} here, the batch says ${claim.producerEpoch}`,
      )
    }
    const last = entry.batches[entry.batches.length - 1]
    if (claim.producerEpoch > entry.epoch || last === undefined) {
      if (claim.baseSequence === 0 || last === undefined) return APPEND
      return refused(
        KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER,
        `a new epoch starts at sequence 0, producer ${claim.producerId} sent ${claim.baseSequence}`,
      )
    }
    const lastSequence = advanceSequence(claim.baseSequence, claim.recordCount - 1)
    for (const batch of entry.batches) {
      if (batch.firstSequence === claim.baseSequence && batch.lastSequence === lastSequence) {
        return { kind: 'duplicate', batch }
      }
    }
    const expected = advanceSequence(last.lastSequence, 1)
    if (claim.baseSequence === expected) return APPEND
    // Behind by less than half the circle is the past, anything else is a gap.
    const behind = (expected - claim.baseSequence + SEQUENCE_COUNT) % SEQUENCE_COUNT
    const isPast = behind < SEQUENCE_COUNT / 2 && behind >= claim.recordCount
    if (isPast && isDamaged && isMissing(entry.batches, claim.baseSequence, lastSequence)) return APPEND
    return refused(
      isPast ? KAFKA_ERROR.DUPLICATE_SEQUENCE_NUMBER : KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER,
      `producer ${claim.producerId} must go on at sequence ${expected}, it sent ${claim.baseSequence}`,
    )
  }

  /** Remembers a batch that was appended. */
  record(
    claim: ProducerClaim,
    appended: { baseOffset: number; logAppendTimeMs: number; nowMs: number },
  ): void {
    let entry = this.#entries.get(claim.producerId)
    if (entry === undefined) {
      if (this.#entries.size >= this.#producersMax) this.#forgetOldest()
      entry = { epoch: claim.producerEpoch, lastSeenMs: appended.nowMs, batches: [] }
    } else {
      // Moved to the end, so that the map is in the order of last use.
      this.#entries.delete(claim.producerId)
      if (claim.producerEpoch !== entry.epoch) {
        entry.epoch = claim.producerEpoch
        entry.batches = []
      }
    }
    entry.lastSeenMs = appended.nowMs
    // Behind all others, but for one that was missing.
    entry.batches.splice(countBefore(entry.batches, claim.baseSequence), 0, {
      firstSequence: claim.baseSequence,
      lastSequence: advanceSequence(claim.baseSequence, claim.recordCount - 1),
      baseOffset: appended.baseOffset,
      logAppendTimeMs: appended.logAppendTimeMs,
    })
    if (entry.batches.length > BATCHES_KEPT) entry.batches.shift()
    this.#entries.set(claim.producerId, entry)
  }

  /**
   * Takes note of a marker: batches of an older epoch are refused from here on. A producer that goes on in the same epoch
   * goes on with its sequences.
   */
  recordMarker(marker: { producerId: number; producerEpoch: number; nowMs: number }): void {
    const entry = this.#entries.get(marker.producerId)
    if (entry === undefined || marker.producerEpoch < entry.epoch) return
    if (marker.producerEpoch > entry.epoch) {
      entry.epoch = marker.producerEpoch
      entry.batches = []
    }
    entry.lastSeenMs = marker.nowMs
    this.#entries.delete(marker.producerId)
    this.#entries.set(marker.producerId, entry)
  }

  /** Forgets producers that have not appended since `beforeMs`, but for those that `isNeeded`. */
  expire(beforeMs: number, isNeeded: (producerId: number) => boolean = () => false): void {
    for (const [producerId, entry] of this.#entries) {
      if (entry.lastSeenMs >= beforeMs) return
      if (!isNeeded(producerId)) this.#entries.delete(producerId)
    }
  }

  /** Every producer, least recently used first: what a snapshot holds. */
  entries(): Iterable<[number, ProducerEntry]> {
    return this.#entries.entries()
  }

  /** Puts back an entry from a snapshot; entries come least recently used first. */
  restore(producerId: number, entry: ProducerEntry): void {
    this.#entries.set(producerId, entry)
  }

  clear(): void {
    this.#entries.clear()
  }

  #forgetOldest(): void {
    const oldest = this.#entries.keys().next().value
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}

/** Whether a sequence comes before another: by less than half the circle. */
function isBefore(sequence: number, other: number): boolean {
  const ahead = (other - sequence + SEQUENCE_COUNT) % SEQUENCE_COUNT
  return ahead > 0 && ahead < SEQUENCE_COUNT / 2
}

/** How many of the batches end before a sequence. */
function countBefore(batches: readonly ProducerBatch[], sequence: number): number {
  return batches.findLastIndex(({ lastSequence }) => isBefore(lastSequence, sequence)) + 1
}

/** Whether none of these sequences is in the batches kept, although later ones are. */
function isMissing(batches: readonly ProducerBatch[], firstSequence: number, lastSequence: number): boolean {
  const index = countBefore(batches, firstSequence)
  const next = batches[index]
  // With fewer than are kept, nothing came before the first of them.
  const isWithin = index > 0 || batches.length < BATCHES_KEPT
  return isWithin && next !== undefined && isBefore(lastSequence, next.firstSequence)
}

function refused(errorCode: number, message: string): SequenceCheck {
  return { kind: 'refused', errorCode, message }
}
