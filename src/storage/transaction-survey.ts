/**
 * What became of the transactions in the part of a log that is to be compacted, from its markers alone: the cleaner believes
 * nothing but the log. State only; the batches are told in the order of their offsets.
 *
 * A transaction whose marker was not met is undecided: its records stay as they are and hide no older ones, and the next
 * pass begins at the first of them. One that damage may have taken the marker of is never decided, and does not hold up
 * the next pass.
 */

export type TransactionOutcome = 'committed' | 'aborted' | 'undecided'

interface Span {
  readonly firstOffset: number
  /** The marker's offset, or where the damage is. */
  readonly endOffset: number
  readonly outcome: TransactionOutcome
}

export class TransactionSurvey {
  /** First offsets of the transactions that no marker has ended yet, by producer. */
  readonly #open = new Map<number, number>()
  /** Those that were not committed, by producer, in order: one ends before the next begins. */
  readonly #spans = new Map<number, Span[]>()

  /** Notes a batch of a transaction. */
  data(producerId: number, baseOffset: number): void {
    if (!this.#open.has(producerId)) this.#open.set(producerId, baseOffset)
  }

  /** Notes a marker. */
  marker(producerId: number, marker: { readonly isCommit: boolean; readonly offset: number }): void {
    const firstOffset = this.#open.get(producerId)
    this.#open.delete(producerId)
    if (firstOffset === undefined || marker.isCommit) return
    this.#note(producerId, { firstOffset, endOffset: marker.offset, outcome: 'aborted' })
  }

  /** Notes that offsets up to `offset` could not be read: any open transaction may have ended among them. */
  damage(offset: number): void {
    for (const [producerId, firstOffset] of this.#open) {
      this.#note(producerId, { firstOffset, endOffset: offset, outcome: 'undecided' })
    }
    this.#open.clear()
  }

  /** The first record whose fate a later marker decides; infinite when there is none. */
  get firstUndecidedOffset(): number {
    let first = Number.POSITIVE_INFINITY
    for (const offset of this.#open.values()) first = Math.min(first, offset)
    return first
  }

  /** What became of the transaction that a batch of the producer belongs to. */
  outcomeOf(producerId: number, baseOffset: number): TransactionOutcome {
    const openFrom = this.#open.get(producerId)
    if (openFrom !== undefined && baseOffset >= openFrom) return 'undecided'
    const span = firstEndingAfter(this.#spans.get(producerId) ?? [], baseOffset)
    return span !== undefined && baseOffset >= span.firstOffset ? span.outcome : 'committed'
  }

  #note(producerId: number, span: Span): void {
    const spans = this.#spans.get(producerId)
    if (spans === undefined) this.#spans.set(producerId, [span])
    else spans.push(span)
  }
}

function firstEndingAfter(spans: readonly Span[], offset: number): Span | undefined {
  let low = 0
  let high = spans.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((spans[middle]?.endOffset ?? 0) <= offset) low = middle + 1
    else high = middle
  }
  return spans[low]
}

/** Which transactions a walk over the log has seen data of, so that a marker is known to be the last of its transaction. */
export class TransactionTrail {
  readonly #seen = new Set<number>()

  /** Notes a batch of a transaction, whether it stays or not: its marker then outlives this pass. */
  data(producerId: number): void {
    this.#seen.add(producerId)
  }

  /** Passes a marker; true when nothing of its transaction was left before it. */
  isLastAtMarker(producerId: number): boolean {
    return !this.#seen.delete(producerId)
  }
}
