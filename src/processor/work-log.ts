/** What a worker did, by tier, and how long its commits took: what the pressure's observer asks for. */

import type { Clock } from '../core/clock.ts'
import { LatencySensor } from '../pressure/sources/latency-sensor.ts'
import type { Tier } from '../pressure/tiers.ts'

/** Grows for as long as the worker lives. */
export type TierWork = Readonly<Record<Tier, { readonly recordCount: number; readonly busyMs: number }>>

/** A commit under way, and what the thread did meanwhile. */
interface OpenCommit {
  readonly startedMs: number
  blockedMs: number
}

export class WorkLog {
  readonly #clock: Clock
  readonly #work: Record<Tier, { recordCount: number; busyMs: number }> = {
    full: { recordCount: 0, busyMs: 0 },
    partial: { recordCount: 0, busyMs: 0 },
    passthrough: { recordCount: 0, busyMs: 0 },
  }
  readonly #commits: LatencySensor
  #commit: OpenCommit | null = null
  #lastCommitMs: number | null = null

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
    this.#commits = new LatencySensor({ clock })
  }

  /**
   * @param busyMs worker time, waiting for a slow sink included.
   * @param blockedMs the part of it in which the thread could do nothing else, not even hear an answer.
   */
  add(tier: Tier, recordCount: number, { busyMs, blockedMs }: { busyMs: number; blockedMs: number }): void {
    const sum = this.#work[tier]
    sum.recordCount += recordCount
    sum.busyMs += busyMs
    if (this.#commit !== null) this.#commit.blockedMs += blockedMs
  }

  commitStarted(): void {
    this.#commit = { startedMs: this.#clock.monotonicMs(), blockedMs: 0 }
  }

  /**
   * Notes how long a commit that succeeded waited for the upstream. The thread works on batches meanwhile and hears the answers
   * only between two of them, so the time it was busy does not count: taking it for strain would have a worker thin out its
   * own work. An upstream that holds work up leaves the thread nothing to do, and that counts. Of two commits in a row the
   * faster counts: one slow one, right after a start or a rebalance, says nothing of the upstream.
   */
  commitSucceeded(): void {
    const commit = this.#commit
    this.#commit = null
    if (commit === null) return
    const tookMs = Math.max(0, this.#clock.monotonicMs() - commit.startedMs - commit.blockedMs)
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
