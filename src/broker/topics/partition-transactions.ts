/**
 * The transactions of one partition: which are open, and which were aborted. From the first follows the last stable offset
 * (below it every transaction is decided), from the second what a read_committed consumer must leave out.
 *
 * State only: the partition tells it what was appended, in the order of the offsets, and a restart tells it the same again.
 * An end counts once its marker is durable, because a marker that a power cut takes back has not been seen by anyone.
 */

/** A transaction with data in the partition and no marker behind it yet. */
export interface OpenTransaction {
  readonly producerId: number
  readonly producerEpoch: number
  readonly firstOffset: number
}

/** A transaction whose records are not to be handed out: from `firstOffset` up to its marker at `lastOffset`. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
}

export class PartitionTransactions {
  /** By producer; a producer has one at a time, so the order is that of the first offsets. */
  readonly #open = new Map<number, OpenTransaction>()
  /** Those whose marker is appended and may not be durable yet. */
  #ending: { readonly firstOffset: number; readonly markerOffset: number }[] = []
  /** In the order of their markers. */
  #aborted: AbortedTransaction[] = []

  /** Every transaction without a marker, by first offset. */
  get open(): Iterable<OpenTransaction> {
    return this.#open.values()
  }

  get openCount(): number {
    return this.#open.size
  }

  get aborted(): readonly AbortedTransaction[] {
    return this.#aborted
  }

  openOf(producerId: number): OpenTransaction | undefined {
    return this.#open.get(producerId)
  }

  /** Notes a batch of a transaction; the first one opens it. */
  begin(transaction: OpenTransaction): void {
    if (!this.#open.has(transaction.producerId)) this.#open.set(transaction.producerId, transaction)
  }

  /** Notes a marker. One without an open transaction changes nothing. */
  end(marker: { readonly producerId: number; readonly isCommit: boolean; readonly offset: number }): void {
    const transaction = this.#open.get(marker.producerId)
    if (transaction === undefined) return
    this.#open.delete(marker.producerId)
    const { producerId, firstOffset } = transaction
    this.#ending.push({ firstOffset, markerOffset: marker.offset })
    if (!marker.isCommit) this.#aborted.push({ producerId, firstOffset, lastOffset: marker.offset })
  }

  /** The first offset that is not decided, at most the high watermark. */
  lastStableOffset(highWatermark: number): number {
    if (this.#open.size === 0 && this.#ending.length === 0) return highWatermark
    let stable = highWatermark
    for (const { firstOffset } of this.#open.values()) {
      stable = Math.min(stable, firstOffset)
      break
    }
    if (this.#ending.length > 0) {
      this.#ending = this.#ending.filter(({ markerOffset }) => markerOffset >= highWatermark)
      for (const { firstOffset } of this.#ending) stable = Math.min(stable, firstOffset)
    }
    return stable
  }

  /** Aborted transactions with records in [from, to), in the order of their markers. */
  abortedIn(from: number, to: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    for (let index = this.#firstEndingAtOrAfter(from); index < this.#aborted.length; index += 1) {
      const aborted = this.#aborted[index] as AbortedTransaction
      if (aborted.firstOffset < to) found.push(aborted)
    }
    return found
  }

  /** Forgets aborted transactions that lie wholly below the start of the log. */
  forgetBelow(logStartOffset: number): void {
    const count = this.#firstEndingAtOrAfter(logStartOffset)
    if (count > 0) this.#aborted = this.#aborted.slice(count)
  }

  /** Forgets aborted transactions, by the offsets of their markers: compaction has left nothing of them to leave out. */
  forgetAborted(markerOffsets: ReadonlySet<number>): void {
    if (markerOffsets.size === 0) return
    this.#aborted = this.#aborted.filter(({ lastOffset }) => !markerOffsets.has(lastOffset))
  }

  /** Forgets which transactions are open: those that have records behind this are told of again. */
  forgetOpen(): void {
    this.#open.clear()
  }

  /** Puts back what a snapshot holds. */
  restore(open: readonly OpenTransaction[], aborted: readonly AbortedTransaction[]): void {
    this.clear()
    for (const transaction of open) this.#open.set(transaction.producerId, transaction)
    this.#aborted = [...aborted]
  }

  clear(): void {
    this.#open.clear()
    this.#ending = []
    this.#aborted = []
  }

  /** Markers only ever come later, so the list is sorted by them. */
  #firstEndingAtOrAfter(offset: number): number {
    let low = 0
    let high = this.#aborted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#aborted[middle] as AbortedTransaction).lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
