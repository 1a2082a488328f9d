/** What a worker did, by tier, and how long its commits took: what the pressure's observer asks for. */

import type { Clock } from '../core/clock.ts'
import { LatencySensor } from '../pressure/sources/latency-sensor.ts'
import type { Tier } from '../pressure/tiers.ts'

/** Grows for as long as the worker lives. */
export type TierWork = Readonly<Record<Tier, { readonly recordCount: number; readonly busyMs: number }>>

export class WorkLog {
  readonly #work: Record<Tier, { recordCount: number; busyMs: number }> = {
    full: { recordCount: 0, busyMs: 0 },
    partial: { recordCount: 0, busyMs: 0 },
    passthrough: { recordCount: 0, busyMs: 0 },
  }
  readonly #commits: LatencySensor
  #lastCommitMs: number | null = null

  constructor({ clock }: { readonly clock: Clock }) {
    this.#commits = new LatencySensor({ clock })
  }

  /** @param busyMs worker time, waiting for a slow sink included. */
  add(tier: Tier, recordCount: number, busyMs: number): void {
    const sum = this.#work[tier]
    sum.recordCount += recordCount
    sum.busyMs += busyMs
  }

  /** Of two commits in a row the faster counts: one slow one, right after a start or a rebalance, says nothing of the upstream. */
  addCommit(tookMs: number): void {
    if (this.#lastCommitMs !== null) this.#commits.observe(Math.min(tookMs, this.#lastCommitMs))
    this.#lastCommitMs = tookMs
  }

  totals(): TierWork {
    const { full, partial, passthrough } = this.#work
    return { full: { ...full }, partial: { ...partial }, passthrough: { ...passthrough } }
  }

  /** The 99th percentile of late, ms; null when there were none. */
  commitMs(): number | null {
    return this.#commits.read()
  }
}
