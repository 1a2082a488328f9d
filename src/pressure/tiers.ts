/** The words of pressure: zones from calm to hard-pressed, and density tiers from the densest to the thinnest. */

export const ZONES = ['green', 'yellow', 'red'] as const
export type Zone = (typeof ZONES)[number]

/** What is done with a record: all stages; timestamp and severity by byte scan; forwarded or deferred as it is. */
export const TIERS = ['full', 'partial', 'passthrough'] as const
export type Tier = (typeof TIERS)[number]

/** True when the first tier enriches more than the second. */
export const isDenser = (a: Tier, b: Tier): boolean => TIERS.indexOf(a) < TIERS.indexOf(b)

/** The one of two tiers that enriches less. */
export const thinnerOf = (a: Tier, b: Tier): Tier => (isDenser(a, b) ? b : a)

/** The one of two zones that is under more pressure. */
export const worseOf = (a: Zone, b: Zone): Zone => (ZONES.indexOf(a) >= ZONES.indexOf(b) ? a : b)

/** The next calmer zone; green has none and stays. */
export const calmerThan = (zone: Zone): Zone => ZONES[Math.max(0, ZONES.indexOf(zone) - 1)] ?? 'green'
