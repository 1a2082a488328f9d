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

export class VaultKeeper {
  readonly #options: VaultKeeperOptions

  constructor(options: VaultKeeperOptions) {
    this.#options = options
  }

  /** Books what follows from the vault partition beginning at `logStartOffset` now. Throws when it could not be committed. */
  async keep(owned: OwnedPartition, logStartOffset: number): Promise<void> {
    if (logStartOffset <= 0) return
    await this.#bookLoss(owned, logStartOffset)
    await this.#forget(owned, logStartOffset)
  }

  /** Debt whose bytes are gone is lost, and nobody may overlook it. */
  async #bookLoss(owned: OwnedPartition, logStartOffset: number): Promise<void> {
    const { clock, payer, metrics } = this.#options
    const range = rangeOf(0, logStartOffset - 1)
    const gone = owned.openWithin(range)
    if (gone.length === 0) return
    await payer.book(owned, owned.lose(range, clock.wallMs()), asOffset(logStartOffset))
    metrics.addLost(
      owned.stream,
      gone.reduce((sum, { recordCount }) => sum + recordCount, 0),
    )
    for (const entry of gone) this.#tellLoss(entry, logStartOffset)
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

  async #forget(owned: OwnedPartition, logStartOffset: number): Promise<void> {
    const booking = owned.forget(asOffset(logStartOffset))
    if (booking === null) return
    const progress = owned.progress < 0 ? asOffset(logStartOffset) : owned.progress
    await this.#options.payer.book(owned, booking, progress)
    this.#options.metrics.addForgotten(booking.records.length)
  }
}
