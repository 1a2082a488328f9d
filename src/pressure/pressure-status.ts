/** What status, dashboard and the status topic tell of the pressure. Plain data; a field is never renamed. */

import type { Driver } from './drivers.ts'
import type { DecisionCause } from './orders.ts'
import type { SensorName } from './sensors.ts'
import type { Tier, Zone } from './tiers.ts'

/** One sensor that has a reading. */
export interface SensorStatus {
  readonly name: SensorName
  readonly value: number
  /** 0 to 100: 40 at soft, 80 at hard. */
  readonly score: number
  readonly soft: number
  readonly hard: number
  readonly unit: string
}

export interface PressureStatus {
  readonly zone: Zone
  readonly zoneHeldSeconds: number
  readonly score: number
  readonly tier: Tier
  /** What had the last word on the tier. */
  readonly cause: DecisionCause
  readonly driver: Driver
  readonly isObserveOnly: boolean
  /** One line each, for people. */
  readonly pressureText: string
  readonly tierText: string
  /** The order that stands; `scope` says whether it came from this process alone. */
  readonly emergency: {
    readonly reason: string
    readonly sinceMs: number
    readonly by: string
    readonly scope: 'process' | 'cluster'
  } | null
  readonly override: { readonly tier: Tier; readonly untilMs: number; readonly reason: string } | null
  /** Worst first. */
  readonly sensors: readonly SensorStatus[]
  readonly lagObjectiveSeconds: number
  readonly backlogRecordCount: number
  /** Records per second that arrived of late, and that one worker does in each tier. */
  readonly arrivalRate: number
  readonly tierRates: Readonly<Record<Tier, number>>
  /** How long a record that waits now would have waited in the end, in each tier. */
  readonly waitSeconds: Readonly<Record<Tier, number>>
  readonly zoneChangeCount: number
  readonly tierChangeCount: number
  /** When the sensors were last looked at, wall clock. */
  readonly lookedMs: number
}
