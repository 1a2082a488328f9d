/** Whether debt may be paid at this moment, which, and if not, why not and until when. Pure. */

import type { Zone } from '../pressure/tiers.ts'

/** Everything that has a say. Times are on the clock that their names say. */
export interface PayCircumstances {
  readonly isEmergency: boolean
  readonly isPaused: boolean
  readonly zone: Zone
  /** What drove the pressure, for the explanation. */
  readonly driver: string
  /** For how long the zone has been green without a break; 0 when it is not. */
  readonly greenMs: number
  /** For how long it must have been. */
  readonly steadyMs: number
  readonly isIdleHour: boolean
  /** When the next idle hour begins, wall-clock ms. */
  readonly idleFromMs: number | null
  /** There is debt that was asked to be paid now. */
  readonly isOrdered: boolean
  /** There is debt that would outlive the vault's retention. */
  readonly isUrgent: boolean
}

/** Why nothing may be paid, or only some of it; `none` when everything may. */
export type HoldReason = 'none' | 'emergency' | 'paused' | 'window' | 'pressure' | 'steadiness'

/** What may be paid: all debt, only what cannot wait (ordered, urgent), or none. */
export interface PayPermit {
  readonly all: boolean
  readonly ordered: boolean
  readonly urgent: boolean
  /** Why not all. */
  readonly reason: HoldReason
  /** The reason as half a sentence for people; empty for `none`. */
  readonly explanation: string
  /** When the reason is expected to end, where that is known: wall-clock ms. */
  readonly endsMs: number | null
}

/**
 * Takes the decision. The emergency switch stops everything, a pause everything but the bookkeeping. An order to pay `now` goes
 * over the window and the pressure. Debt that would be lost is paid outside the window and in yellow: red is when the vault's
 * own consumers are about to be late, and rate limits do not help them then.
 */
export function permitFor(circumstances: PayCircumstances, nowWallMs: number): PayPermit {
  const { isEmergency, isPaused, zone, driver, greenMs, steadyMs, isIdleHour, idleFromMs } = circumstances
  if (isEmergency) return nothing('emergency', 'the emergency switch is on')
  if (isPaused) return nothing('paused', 'it was paused (gophership compact resume goes on)')
  const ordered = circumstances.isOrdered
  const urgent = circumstances.isUrgent && zone !== 'red'
  const some = (reason: HoldReason, explanation: string, endsMs: number | null): PayPermit => ({
    all: false,
    ordered,
    urgent,
    reason,
    explanation,
    endsMs,
  })
  if (!isIdleHour) return some('window', 'it is outside the idle windows', idleFromMs)
  if (zone !== 'green') return some('pressure', `pressure is ${zone} (${driver})`, null)
  if (greenMs < steadyMs) {
    const leftMs = steadyMs - greenMs
    const leftSeconds = Math.ceil(leftMs / 1_000)
    const text = `pressure is green, and has to stay so for another ${leftSeconds} s`
    return some('steadiness', text, nowWallMs + leftMs)
  }
  return { all: true, ordered: true, urgent: true, reason: 'none', explanation: '', endsMs: null }
}

function nothing(reason: HoldReason, explanation: string): PayPermit {
  return { all: false, ordered: false, urgent: false, reason, explanation, endsMs: null }
}

/** For how long the zone has been green, from one look to the next. */
export class SteadyGreen {
  #sinceMs: number | null = null

  /** Takes a look and returns for how long it has been green, in ms on the monotonic clock. */
  observe(zone: Zone, monotonicMs: number): number {
    if (zone !== 'green') this.#sinceMs = null
    else this.#sinceMs ??= monotonicMs
    return this.#sinceMs === null ? 0 : monotonicMs - this.#sinceMs
  }
}
