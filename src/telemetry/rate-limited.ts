/**
 * Diagnostics about what strangers do must not become a way to fill a disk: each kind of line is printed at most
 * once in a window, and the next one says how many were left out.
 */

import type { Clock } from '../core/clock.ts'
import type { DiagnosticFields, Diagnostics } from './diagnostics.ts'

export interface RateLimitOptions {
  readonly clock: Clock
  /** One line of a kind in this time. */
  readonly windowMs?: number
  /** Most kinds remembered; past it every new kind counts as the kind `other`. */
  readonly kindsMax?: number
}

interface Window {
  openedMs: number
  suppressedCount: number
}

/** Prints `warn` lines, few of each kind. The kind is a word of ours, never text from outside. */
export class RateLimitedDiagnostics {
  readonly #diagnostics: Diagnostics
  readonly #clock: Clock
  readonly #windowMs: number
  readonly #kindsMax: number
  readonly #windows = new Map<string, Window>()

  constructor(diagnostics: Diagnostics, { clock, windowMs = 10_000, kindsMax = 256 }: RateLimitOptions) {
    this.#diagnostics = diagnostics
    this.#clock = clock
    this.#windowMs = windowMs
    this.#kindsMax = kindsMax
  }

  /** Prints the line, or counts it. Returns true when it was printed. */
  warn(kind: string, fields: DiagnosticFields, message: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const key = this.#windows.has(kind) || this.#windows.size < this.#kindsMax ? kind : 'other'
    const window = this.#windows.get(key)
    if (window !== undefined && nowMs - window.openedMs < this.#windowMs) {
      window.suppressedCount += 1
      return false
    }
    const suppressedCount = window?.suppressedCount ?? 0
    this.#windows.set(key, { openedMs: nowMs, suppressedCount: 0 })
    this.#diagnostics.warn(suppressedCount === 0 ? fields : { ...fields, suppressedCount }, message)
    return true
  }
}
