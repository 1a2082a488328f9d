/**
 * Keeps the books in step with the vault's retention: debt whose bytes are gone is lost, and what is settled and gone is
 * forgotten, so that the ledger stays small.
 */

import { asOffset } from '../core/brands.ts'
import type { Clock } from '../core/clock.ts'
import type { DebtEntry } from '../ledger/debt-entry.ts'
import { rangeOf } from '../ledger/offset-range.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { ChunkPayer } from './chunk-payer.ts'
import type { CompactorMetrics } from './compactor-metrics.ts'
import type { OwnedPartition } from './owned-partition.ts'

export interface VaultKeeperOptions {
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly payer: ChunkPayer
  readonly metrics: CompactorMetrics
}

/** Entries lost or forgotten in one transaction, so that its records fit into one batch of the ledger's topic. */
const ENTRIES_BOOKED_MAX = 500

export class VaultKeeper {
  readonly #options: VaultKeeperOptions

  constructor(options: VaultKeeperOptions) {
    this.#options = options
  }

  /**
   * Books what follows from the vault partition beginning at `logStartOffset` now, as long as `mayGoOn` says so. Throws when it
   * could not be committed.
   */
  async keep(owned: OwnedPartition, logStartOffset: number, mayGoOn: () => boolean): Promise<void> {
    if (logStartOffset <= 0) return
    while (mayGoOn() && (await this.#bookLoss(owned, logStartOffset)));
    while (mayGoOn() && (await this.#forget(owned, logStartOffset)));
  }

  /** Debt whose bytes are gone is lost, and nobody may overlook it. False when there was none. */
  async #bookLoss(owned: OwnedPartition, logStartOffset: number): Promise<boolean> {
    const { clock, payer, metrics } = this.#options
    const gone = owned.openWithin(rangeOf(0, logStartOffset - 1)).slice(0, ENTRIES_BOOKED_MAX)
    const last = gone.at(-1)
    if (last === undefined) return false
    await payer.book(owned, owned.lose(rangeOf(0, last.last), clock.wallMs()), asOffset(logStartOffset))
    metrics.addLost(
      owned.stream,
      gone.reduce((sum, { recordCount }) => sum + recordCount, 0),
    )
    for (const entry of gone) this.#tellLoss(entry, logStartOffset)
    return true
  }

  #tellLoss(
    { topology, topic, partition, first, last, recordCount, tier }: DebtEntry,
    logStartOffset: number,
  ): void {
    this.#options.diagnostics.error(
      { topology, topic, partition, first, last, recordCount, tier, logStartOffset },
      'debt is lost: the vault deleted its bytes before it was paid',
    )
  }

  /** False when there was nothing to forget. */
  async #forget(owned: OwnedPartition, logStartOffset: number): Promise<boolean> {
    const booking = owned.forget(asOffset(logStartOffset), { entriesMax: ENTRIES_BOOKED_MAX })
    if (booking === null) return false
    const progress = owned.progress < 0 ? asOffset(logStartOffset) : owned.progress
    await this.#options.payer.book(owned, booking, progress)
    this.#options.metrics.addForgotten(booking.records.length)
    return true
  }
}
