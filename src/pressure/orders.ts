/** What people order, and the moment at which a decision is taken. */

import type { Tier } from './tiers.ts'

/** Durations go by the monotonic clock; what people read, and when their orders end, by the wall clock. */
export interface Instant {
  readonly monotonicMs: number
  readonly wallMs: number
}

export interface Orders {
  /** Nothing is enriched while it stands. */
  readonly emergency: { readonly reason: string } | null
  /** Work in this tier, whatever the pressure, until the wall clock says so. */
  readonly override: { readonly tier: Tier; readonly untilMs: number; readonly reason: string } | null
}

export const NO_ORDERS: Orders = { emergency: null, override: null }

/** What has the last word on the tier. */
export const DECISION_CAUSES = ['planner', 'ceiling', 'observeOnly', 'override', 'emergency'] as const
export type DecisionCause = (typeof DECISION_CAUSES)[number]
