/**
 * Which zone a family of sensors is in. Fast down, slow up: a worse zone is entered at the first look that asks for it; a
 * calmer one only after the score has stayed below the exit score, and the zone has been held, for the minimum dwell; and one
 * zone at a time. So a zone is left upwards at most once per dwell, however the sensors jump.
 */

import { RED_SCORE, type ScoredSensor, YELLOW_SCORE } from './sensors.ts'
import { calmerThan, worseOf, type Zone } from './tiers.ts'

export interface ZoneOptions {
  /** Scores below which yellow and red may be left; below the scores at which they are entered (40 and 80). */
  readonly exitScores: { readonly yellow: number; readonly red: number }
  /** Shortest time in a zone before it is left for a calmer one. */
  readonly dwellMs: number
}

export interface ZoneState {
  readonly zone: Zone
  /** When it was entered, monotonic ms. */
  readonly sinceMs: number
  /** Since when the score has been below the exit score, monotonic ms; null while it is not. */
  readonly calmSinceMs: number | null
  /** The reading that last asked for this zone or a worse one; null in a green that nothing disturbed. */
  readonly cause: ScoredSensor | null
}

/** Green, from now on. */
export const calmZone = (nowMs: number): ZoneState => ({
  zone: 'green',
  sinceMs: nowMs,
  calmSinceMs: null,
  cause: null,
})

/** The zone after one more look at the worst sensor of the family. `nowMs` is monotonic. */
export function advanceZone(
  state: ZoneState,
  worst: ScoredSensor | null,
  nowMs: number,
  { exitScores, dwellMs }: ZoneOptions,
): ZoneState {
  const score = worst?.score ?? 0
  const asked: Zone = score >= RED_SCORE ? 'red' : score >= YELLOW_SCORE ? 'yellow' : 'green'
  if (asked !== state.zone && worseOf(asked, state.zone) === asked) {
    return { zone: asked, sinceMs: nowMs, calmSinceMs: null, cause: worst }
  }
  if (state.zone === 'green') return state
  const cause = asked === state.zone ? worst : state.cause
  if (score >= exitScores[state.zone]) return { ...state, calmSinceMs: null, cause }
  const calmSinceMs = state.calmSinceMs ?? nowMs
  if (nowMs - calmSinceMs < dwellMs || nowMs - state.sinceMs < dwellMs) {
    return { ...state, calmSinceMs, cause }
  }
  const zone = calmerThan(state.zone)
  if (zone === 'green') return calmZone(nowMs)
  const isCalm = zone === 'yellow' && score < exitScores.yellow
  return { zone, sinceMs: nowMs, calmSinceMs: isCalm ? nowMs : null, cause }
}

/** How long until the zone may be left for a calmer one, if the score stays as it is; null when nothing leads there. */
export function calmerInMs({ zone, sinceMs, calmSinceMs }: ZoneState, nowMs: number, dwellMs: number) {
  if (zone === 'green' || calmSinceMs === null) return null
  return Math.max(0, dwellMs - (nowMs - Math.max(sinceMs, calmSinceMs)))
}
