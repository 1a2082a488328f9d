/**
 * Decides who may connect: at most so many at once, so many from one address, and so many a second. It holds
 * counts only; the listener owns the sockets.
 */

import type { Clock } from '../core/clock.ts'
import type { RejectionReason } from './listener-types.ts'

export interface AcceptGateLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly acceptsPerSecondMax: number
}

export type AcceptDecision =
  | { readonly accepted: true; readonly delayMs: number }
  | { readonly accepted: false; readonly reason: RejectionReason }

export class AcceptGate {
  readonly #clock: Clock
  readonly #limits: AcceptGateLimits
  readonly #countByAddress = new Map<string, number>()
  #count = 0
  /** When the next connection may be read, in the manner of a leaky bucket with one second of burst. */
  #nextTurnMs = 0

  constructor(clock: Clock, limits: AcceptGateLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#nextTurnMs = clock.monotonicMs() - 1000
  }

  get connectionCount(): number {
    return this.#count
  }

  /** Counts the connection in, or says why not. `delayMs` is how long it must wait before it is read. */
  admit(address: string): AcceptDecision {
    if (this.#count >= this.#limits.connectionsMax) return { accepted: false, reason: 'connections-max' }
    const fromAddress = this.#countByAddress.get(address) ?? 0
    if (fromAddress >= this.#limits.connectionsPerAddressMax) {
      return { accepted: false, reason: 'connections-per-address-max' }
    }
    this.#count += 1
    this.#countByAddress.set(address, fromAddress + 1)
    const nowMs = this.#clock.monotonicMs()
    this.#nextTurnMs = Math.max(this.#nextTurnMs, nowMs - 1000) + 1000 / this.#limits.acceptsPerSecondMax
    return { accepted: true, delayMs: Math.max(0, this.#nextTurnMs - nowMs) }
  }

  /** Counts an admitted connection out, once. */
  release(address: string): void {
    this.#count -= 1
    const left = (this.#countByAddress.get(address) ?? 1) - 1
    if (left === 0) this.#countByAddress.delete(address)
    else this.#countByAddress.set(address, left)
  }
}
