/** A zone of the IANA database named behind a date, as PHP writes it: `02-Jan-2023 12:00:00 Europe/Berlin`. */

import { matchAt } from '../match-at.ts'
import type { FoundTime } from './found-time.ts'
import { NO_TIME } from './scan-time.ts'
import type { TimeZone } from './time-zone.ts'
import { timeZoneOf } from './time-zone.ts'

const NAME = / ([A-Z][A-Za-z_]{1,20}(?:\/[A-Z][A-Za-z_-]{1,30}){1,2})(?=\])/y
const ZONES_MAX = 64
/** Null for a name that is no zone. */
const zones = new Map<string, TimeZone | null>()

/** Gives the time the offset that the zone named at `at` has then; the index behind the name, or NO_TIME for none. */
export function scanZoneName(text: string, at: number, found: FoundTime): number {
  const [name] = matchAt(NAME, text, at)
  const zone = name === undefined ? null : zoneOf(name.slice(1))
  if (name === undefined || zone === null || !found.takeOffset(zone)) return NO_TIME
  return at + name.length
}

function zoneOf(name: string): TimeZone | null {
  let zone = zones.get(name)
  if (zone === undefined) {
    try {
      zone = timeZoneOf(name)
    } catch {
      zone = null
    }
    if (zones.size >= ZONES_MAX) zones.clear()
    zones.set(name, zone)
  }
  return zone
}
