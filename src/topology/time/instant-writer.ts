/**
 * Instants as RFC 3339 in UTC, written as bytes. Lines come in time order, so the last second is remembered; one writer
 * per kind of time (event times, arrival times) keeps the memory useful.
 */

import { civilFromDays } from './civil.ts'

/** Most bytes of one instant: nine digits of a fraction. */
export const INSTANT_BYTES_MAX = 30

const ZERO = 0x30
const UPPER_Z = 0x5a
/** `2024-05-17T10:05:03.` */
const SECOND_BYTES = 20

export class InstantWriter {
  /** Up to and with the point before the fraction. */
  readonly #text = Buffer.from('1970-01-01T00:00:00.', 'latin1')
  #day = 0
  #second = 0

  /**
   * Writes `seconds` since the epoch and the digits of `fraction` ('' to 9 of them; at least three are written). The
   * index behind it.
   */
  write(target: Buffer, at: number, seconds: number, fraction: string): number {
    let next = this.#writeSecond(target, at, seconds)
    const digits = fraction.length
    for (let index = 0; index < digits; index += 1, next += 1) target[next] = fraction.charCodeAt(index)
    for (let index = digits; index < 3; index += 1, next += 1) target[next] = ZERO
    target[next] = UPPER_Z
    return next + 1
  }

  /** Writes whole milliseconds since the epoch, 0 or more. The index behind it. */
  writeMs(target: Buffer, at: number, epochMs: number): number {
    const seconds = Math.floor(epochMs / 1000)
    const next = this.#writeSecond(target, at, seconds)
    const millis = epochMs - seconds * 1000
    const tens = (millis / 10) | 0
    target[next] = ZERO + ((millis / 100) | 0)
    target[next + 1] = ZERO + (tens % 10)
    target[next + 2] = ZERO + (millis - tens * 10)
    target[next + 3] = UPPER_Z
    return next + 4
  }

  #writeSecond(target: Buffer, at: number, seconds: number): number {
    if (seconds !== this.#second) this.#startSecond(seconds)
    target.set(this.#text, at)
    return at + SECOND_BYTES
  }

  #startSecond(seconds: number): void {
    const text = this.#text
    const day = Math.floor(seconds / 86_400)
    if (day !== this.#day) {
      const [year, month, dayOfMonth] = civilFromDays(day)
      writeTwoDigits(text, 0, Math.floor(year / 100))
      writeTwoDigits(text, 2, year % 100)
      writeTwoDigits(text, 5, month)
      writeTwoDigits(text, 8, dayOfMonth)
      this.#day = day
    }
    const ofDay = seconds - day * 86_400
    const minutes = (ofDay / 60) | 0
    const hour = (minutes / 60) | 0
    writeTwoDigits(text, 11, hour)
    writeTwoDigits(text, 14, minutes - hour * 60)
    writeTwoDigits(text, 17, ofDay - minutes * 60)
    this.#second = seconds
  }
}

function writeTwoDigits(target: Buffer, at: number, value: number): void {
  const tens = (value / 10) | 0
  target[at] = ZERO + tens
  target[at + 1] = ZERO + value - tens * 10
}
