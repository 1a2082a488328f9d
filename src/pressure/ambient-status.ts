/**
 * What every thread knows of the pressure: one `Int32Array` on a `SharedArrayBuffer`, written by one slow observer, read by
 * the workers. The status is a single word, so that one atomic load sees all of it or none; the emergency switch is a word of
 * its own on another cache line, cheap enough to be read for every batch and every stage call.
 *
 *   word 0   the status    bits 0-1   tier: 0 full, 1 partial, 2 passthrough
 *                          bits 2-3   zone: 0 green, 1 yellow, 2 red
 *                          bits 4-10  score, 0 to 100
 *                          bits 11-13 cause, the index in `DECISION_CAUSES`
 *                          bits 14-18 driver, the index in `DRIVERS`
 *                          the rest   0
 *   word 16  the emergency switch: 0 off, 1 on
 *
 * All zeros is full density in green, which is how a buffer begins.
 */

import { strict as assert } from 'node:assert'
import type { Random } from '../core/random.ts'
import { DRIVERS, type Driver } from './drivers.ts'
import { DECISION_CAUSES, type DecisionCause } from './orders.ts'
import { TIERS, type Tier, ZONES, type Zone } from './tiers.ts'

const STATUS_WORD = 0
const EMERGENCY_WORD = 16
const WORD_COUNT = 32

/** The status in fields. */
export interface AmbientStatus {
  readonly tier: Tier
  readonly zone: Zone
  /** A whole number, 0 to 100. */
  readonly score: number
  readonly cause: DecisionCause
  readonly driver: Driver
}

/** The memory that writer and readers share: full density in green, no emergency. */
export const createAmbientBuffer = (): SharedArrayBuffer => new SharedArrayBuffer(WORD_COUNT * 4)

/** The one writer. */
export class AmbientWriter {
  readonly #words: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = wordsOf(buffer)
  }

  /** Publishes a decision; the score is rounded down, so that it never shows a threshold that was not reached. */
  publish(status: AmbientStatus): void {
    Atomics.store(this.#words, STATUS_WORD, encodeStatus(status))
  }

  /** Sets the emergency switch, at once for every reader. */
  setEmergency(isOn: boolean): void {
    Atomics.store(this.#words, EMERGENCY_WORD, isOn ? 1 : 0)
  }
}

/** One of many readers; nothing is allocated by `tier` and `isEmergency`. */
export class AmbientReader {
  readonly #words: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = wordsOf(buffer)
  }

  /** True while the emergency switch is set: nothing more is enriched, not even the rest of a batch. */
  get isEmergency(): boolean {
    return Atomics.load(this.#words, EMERGENCY_WORD) !== 0
  }

  /** The tier to work in: one atomic load, and one for the switch, which has the last word. */
  get tier(): Tier {
    if (this.isEmergency) return 'passthrough'
    return TIERS[Atomics.load(this.#words, STATUS_WORD) & 0b11] ?? 'passthrough'
  }

  /** All of the status, from one load of it. Under the switch it is an emergency, whatever was published last. */
  read(): AmbientStatus {
    const status = decodeStatus(Atomics.load(this.#words, STATUS_WORD))
    if (!this.isEmergency) return status
    return { ...status, tier: 'passthrough', cause: 'emergency', driver: 'emergency' }
  }
}

/**
 * A worker's look at the tier: the switch at every call, the status once in about `recordsBetween` records. The distance is
 * drawn anew each time, from half to one and a half of it, so that workers do not all look, and switch, in step.
 */
export class AmbientCheck {
  readonly #reader: AmbientReader
  readonly #random: Random
  readonly #recordsBetween: number
  #recordsLeft = 0
  #tier: Tier = 'full'

  constructor(reader: AmbientReader, options: { readonly recordsBetween?: number; readonly random: Random }) {
    this.#reader = reader
    this.#random = options.random
    this.#recordsBetween = options.recordsBetween ?? 1_000
    assert(
      this.#recordsBetween >= 1,
      `expected at least 1 record between looks, found ${this.#recordsBetween}`,
    )
  }

  /** The tier for the next batch, of so many records. */
  tierFor(recordCount: number): Tier {
    if (this.#reader.isEmergency) {
      this.#recordsLeft = 0
      return 'passthrough'
    }
    if (this.#recordsLeft <= 0) {
      this.#tier = this.#reader.tier
      this.#recordsLeft = this.#recordsBetween * (0.5 + this.#random.float())
    }
    this.#recordsLeft -= recordCount
    return this.#tier
  }
}

function encodeStatus({ tier, zone, score, cause, driver }: AmbientStatus): number {
  assert(score >= 0 && score <= 100, `expected a score from 0 to 100, found ${score}`)
  return (
    TIERS.indexOf(tier) |
    (ZONES.indexOf(zone) << 2) |
    (Math.floor(score) << 4) |
    (DECISION_CAUSES.indexOf(cause) << 11) |
    (DRIVERS.indexOf(driver) << 14)
  )
}

function decodeStatus(word: number): AmbientStatus {
  const tier = TIERS[word & 0b11]
  const zone = ZONES[(word >> 2) & 0b11]
  const cause = DECISION_CAUSES[(word >> 11) & 0b111]
  const driver = DRIVERS[(word >> 14) & 0b11111]
  const isKnown = tier !== undefined && zone !== undefined && cause !== undefined && driver !== undefined
  assert(isKnown, `the ambient status ${word} was not written by this release`)
  return { tier, zone, score: (word >> 4) & 0x7f, cause, driver }
}

function wordsOf(buffer: SharedArrayBuffer): Int32Array {
  assert(
    buffer.byteLength === WORD_COUNT * 4,
    `expected ${WORD_COUNT * 4} shared bytes, found ${buffer.byteLength}`,
  )
  return new Int32Array(buffer)
}
