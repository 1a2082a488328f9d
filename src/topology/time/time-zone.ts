/**
 * Wall-clock time in an IANA zone to an instant. The zone's rules come from Intl, which is far too slow per line:
 * the offset is looked up once per quarter of an hour of wall time and remembered (a bounded number), since every
 * zone's rules since 1972 change on a quarter hour.
 *
 * Where a wall time happens twice (the clock went back) the first one is meant; where it never happens (the clock
 * went forward) the offset before the change is used. That is what RFC 5545, java.time and Temporal do by default.
 */

import { GopherShipError } from '../../core/errors.ts'

const BUCKET_SECONDS = 900
const BUCKETS_MAX = 4096
const DAY_SECONDS = 86400

export interface TimeZone {
  readonly name: string
  /** Seconds to add to UTC to get the wall clock, for a wall-clock time given as if it were UTC. */
  offsetAtWall(wallSeconds: number): number
}

/** Throws GS_TOPOLOGY_INVALID for a name that is not in the IANA database. */
export function timeZoneOf(name: string): TimeZone {
  if (name === 'UTC' || name === 'Etc/UTC' || name === 'Z') return { name, offsetAtWall: () => 0 }
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch (cause) {
    throw new GopherShipError(
      'GS_TOPOLOGY_INVALID',
      `the time zone is to be an IANA name such as "Europe/Berlin" or "UTC", and "${name}" is none`,
      { cause, facts: { timeZone: name } },
    )
  }
  return new IntlTimeZone(name, format)
}

class IntlTimeZone implements TimeZone {
  readonly name: string
  readonly #format: Intl.DateTimeFormat
  readonly #offsets = new Map<number, number>()
  #bucket = Number.NaN
  #offset = 0

  constructor(name: string, format: Intl.DateTimeFormat) {
    this.name = name
    this.#format = format
  }

  offsetAtWall(wallSeconds: number): number {
    const bucket = Math.floor(wallSeconds / BUCKET_SECONDS)
    if (bucket === this.#bucket) return this.#offset
    let offset = this.#offsets.get(bucket)
    if (offset === undefined) {
      offset = this.#lookUp(bucket * BUCKET_SECONDS)
      if (this.#offsets.size >= BUCKETS_MAX) this.#offsets.clear()
      this.#offsets.set(bucket, offset)
    }
    this.#bucket = bucket
    this.#offset = offset
    return offset
  }

  #lookUp(wallSeconds: number): number {
    const before = this.#offsetAtInstant(wallSeconds - DAY_SECONDS)
    const after = this.#offsetAtInstant(wallSeconds + DAY_SECONDS)
    if (before === after) return before
    // A change is near. The offset before it, when it still holds at that instant, gives the first of two readings.
    if (this.#offsetAtInstant(wallSeconds - before) === before) return before
    if (this.#offsetAtInstant(wallSeconds - after) === after) return after
    return before
  }

  #offsetAtInstant(utcSeconds: number): number {
    const fields = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 }
    for (const part of this.#format.formatToParts(utcSeconds * 1000)) {
      if (part.type in fields) fields[part.type as keyof typeof fields] = Number(part.value)
    }
    const wall = Date.UTC(
      fields.year,
      fields.month - 1,
      fields.day,
      fields.hour,
      fields.minute,
      fields.second,
    )
    return Math.round(wall / 1000) - utcSeconds
  }
}
