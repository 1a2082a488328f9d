/** The pressure as metrics of the main thread: what is read, what it scores, what is decided, and how often that changes. */

import { Counter, Gauge, type Registry } from '../telemetry/metrics.ts'
import { DRIVERS } from './drivers.ts'
import type { PressureStatus } from './pressure-status.ts'
import { SENSOR_NAMES } from './sensors.ts'
import { TIERS, type Tier, ZONES, type Zone } from './tiers.ts'

export interface PressureMetrics {
  readonly zoneChanges: Counter<'to'>
  readonly tierChanges: Counter<'from' | 'to'>
  /** Times at which the sensors could not be looked at, such as while a thread did not answer. */
  readonly looksMissed: Counter
}

/** Registers the metrics; the gauges are read from `status` when somebody scrapes. */
export function openPressureMetrics(registry: Registry, status: () => PressureStatus): PressureMetrics {
  const registers = [registry]
  const gauge = (name: string, help: string, read: (status: PressureStatus) => number) =>
    new Gauge({
      name: `gophership_pressure_${name}`,
      help,
      registers,
      collect() {
        this.set(read(status()))
      },
    })
  const gaugeBy = <Value extends string>(
    [name, label]: readonly [name: string, label: string],
    help: string,
    values: readonly Value[],
    read: (status: PressureStatus, value: Value) => number | undefined,
  ) =>
    new Gauge({
      name: `gophership_pressure_${name}`,
      help,
      labelNames: [label],
      registers,
      collect() {
        const now = status()
        this.reset()
        for (const value of values) {
          const found = read(now, value)
          if (found !== undefined) this.set({ [label]: value }, found)
        }
      },
    })
  const sensorOf = (now: PressureStatus, name: string) => now.sensors.find((sensor) => sensor.name === name)

  gauge('score', 'Pressure, 0 to 100: yellow from 40, red from 80.', ({ score }) => score)
  gauge('emergency', '1 while the emergency switch is set.', ({ emergency }) => (emergency === null ? 0 : 1))
  gauge('observe_only', '1 while decisions are published and not followed.', ({ isObserveOnly }) =>
    isObserveOnly ? 1 : 0,
  )
  gauge('lag_objective_seconds', 'The wait that is not to be exceeded.', (now) => now.lagObjectiveSeconds)
  gauge('backlog_records', 'Vault records that wait to be processed.', (now) => now.backlogRecordCount)
  gauge('arrival_rate_records', 'Records per second that arrived of late.', (now) => now.arrivalRate)
  gaugeBy(['zone', 'zone'], '1 for the zone of pressure.', ZONES, (now, zone: Zone) =>
    now.zone === zone ? 1 : 0,
  )
  gaugeBy(['tier', 'tier'], '1 for the tier that is worked in.', TIERS, (now, tier: Tier) =>
    now.tier === tier ? 1 : 0,
  )
  gaugeBy(['driver', 'driver'], '1 for what drives the tier.', DRIVERS, (now, name) =>
    now.driver === name ? 1 : 0,
  )
  gaugeBy(
    ['sensor_value', 'sensor'],
    'What a sensor reads, in its own unit.',
    SENSOR_NAMES,
    (now, name) => sensorOf(now, name)?.value,
  )
  gaugeBy(
    ['sensor_score', 'sensor'],
    'What a reading scores: 40 at soft, 80 at hard.',
    SENSOR_NAMES,
    (now, name) => sensorOf(now, name)?.score,
  )
  gaugeBy(
    ['wait_seconds', 'tier'],
    'How long a record that waits now would have waited in the end.',
    TIERS,
    (now, tier: Tier) => now.waitSeconds[tier],
  )
  gaugeBy(
    ['worker_rate_records', 'tier'],
    'Records per second that one worker does, as measured or assumed.',
    TIERS,
    (now, tier: Tier) => now.tierRates[tier],
  )
  const zoneChanges = new Counter({
    name: 'gophership_pressure_zone_changes_total',
    help: 'Changes of zone, by the zone that was entered.',
    labelNames: ['to'],
    registers,
  })
  const tierChanges = new Counter({
    name: 'gophership_pressure_tier_changes_total',
    help: 'Changes of tier.',
    labelNames: ['from', 'to'],
    registers,
  })
  // There from the start, so that an alert on the rate sees the first change as a rise.
  for (const to of ZONES) zoneChanges.inc({ to }, 0)
  for (const from of TIERS) for (const to of TIERS) if (from !== to) tierChanges.inc({ from, to }, 0)
  const looksMissed = new Counter({
    name: 'gophership_pressure_looks_missed_total',
    help: 'Looks at the sensors that failed; the decision before stood on.',
    registers,
  })
  return { zoneChanges, tierChanges, looksMissed }
}
