import { Registry } from 'prom-client'
import { afterEach, expect, test } from 'vitest'
import { AmbientReader, AmbientWriter, createAmbientBuffer } from '../../src/pressure/ambient-status.ts'
import { DEFAULT_DECISION_OPTIONS, type DecisionOptions } from '../../src/pressure/decision.ts'
import { PressureObserver, type StandingOrders } from '../../src/pressure/observer.ts'
import { NO_ORDERS } from '../../src/pressure/orders.ts'
import type { Readings } from '../../src/pressure/sensors.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { manualClock } from '../support/manual-clock.ts'

const started: PressureObserver[] = []
afterEach(() => {
  for (const observer of started.splice(0)) observer.stop()
})

interface Bench {
  readonly clock: ReturnType<typeof manualClock>
  readonly observer: PressureObserver
  readonly reader: AmbientReader
  readonly registry: Registry
  readonly said: { level: string; fields: Record<string, unknown>; message: string }[]
  readings: Readings
  orders: StandingOrders
  arrivedRecordCount: number
  look: () => Promise<void>
  lookCount: number
  failing: boolean
}

const CALM = { lagRecords: 0, lagSeconds: 0, lagVelocity: 0 }

function bench(decision: Partial<DecisionOptions> = {}): Bench {
  const clock = manualClock()
  const registry = new Registry()
  const buffer = createAmbientBuffer()
  const said: Bench['said'] = []
  const say = (level: string) => (fields: object, message: string) =>
    void said.push({ level, fields: { ...fields }, message })
  const self = {
    clock,
    registry,
    said,
    reader: new AmbientReader(buffer),
    readings: {} as Readings,
    orders: NO_ORDERS as StandingOrders,
    arrivedRecordCount: 0,
    lookCount: 0,
    failing: false,
  }
  // Filled in below; the observer asks for orders while it is made.
  const made = self as unknown as Bench
  const observer = new PressureObserver({
    clock,
    diagnostics: { ...silentDiagnostics, info: say('info'), warn: say('warn') },
    metrics: registry,
    decision: { ...DEFAULT_DECISION_OPTIONS, ...decision },
    ambient: new AmbientWriter(buffer),
    lookIntervalMs: 250,
    orders: () => made.orders,
    look: async () => {
      made.lookCount += 1
      if (made.failing) throw new Error('a thread is silent')
      const { lagSeconds = 0 } = made.readings
      return {
        readings: made.readings,
        taken: {
          work: { elapsedMs: 250, arrivedRecordCount: made.arrivedRecordCount, done: [] },
          backlogRecordCount: 0,
          workerCount: 1,
          waitingPartitionCount: 0,
          lag: { ...CALM, lagSeconds },
        },
      }
    },
  })
  const look = async () => {
    clock.advance(2_000)
    clock.runDue()
    await new Promise((resolve) => setImmediate(resolve))
  }
  Object.assign(self, { observer, look })
  started.push(observer)
  return made
}

async function start(decision: Partial<DecisionOptions> = {}): Promise<Bench> {
  const made = bench(decision)
  made.observer.start()
  await new Promise((resolve) => setImmediate(resolve))
  return made
}

test('what the sensors say is published to every thread, told once, and in the metrics', async () => {
  const at = await start()
  at.readings = { lagSeconds: 84 }

  await at.look()
  await at.look()

  expect(at.reader.read()).toMatchObject({
    tier: 'passthrough',
    zone: 'red',
    cause: 'ceiling',
    driver: 'lagSeconds',
  })
  expect(at.observer.status()).toMatchObject({
    zone: 'red',
    tier: 'passthrough',
    driver: 'lagSeconds',
    zoneChangeCount: 1,
    tierChangeCount: 1,
    pressureText: expect.stringMatching(/^red: lagSeconds 84 ≥ 60, since 2026-01-01T/),
  })
  expect(at.observer.status().sensors[0]).toMatchObject({
    name: 'lagSeconds',
    value: 84,
    soft: 15,
    hard: 60,
    unit: 's',
  })
  expect(at.said.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    'warn: the pressure has risen',
    'info: the tier has changed',
  ])
  expect(at.said[0]?.fields['because']).toMatch(/^red: lagSeconds 84 ≥ 60/)
  const page = await at.registry.metrics()
  expect(page).toContain('gophership_pressure_zone{zone="red"} 1')
  expect(page).toContain('gophership_pressure_zone{zone="green"} 0')
  expect(page).toContain('gophership_pressure_tier{tier="passthrough"} 1')
  expect(page).toContain('gophership_pressure_sensor_value{sensor="lagSeconds"} 84')
  expect(page).toMatch(/gophership_pressure_sensor_score{sensor="lagSeconds"} 100/)
  expect(page).not.toContain('gophership_pressure_sensor_value{sensor="spillFill"}')
  expect(page).toContain('gophership_pressure_driver{driver="lagSeconds"} 1')
  expect(page).toContain('gophership_pressure_tier_changes_total{from="full",to="passthrough"} 1')
  expect(page).toContain('gophership_pressure_zone_changes_total{to="red"} 1')
})

test('an emergency is published before the order returns, and its end as well', async () => {
  const at = await start()

  at.orders = {
    emergency: { reason: 'sink is down', sinceMs: 1, by: 'ops', scope: 'process' },
    override: null,
  }
  at.observer.ordersChanged()
  const during = { ...at.reader.read(), isEmergency: at.reader.isEmergency }
  const status = at.observer.status()
  at.orders = NO_ORDERS as StandingOrders
  at.observer.ordersChanged()

  expect(during).toMatchObject({
    tier: 'passthrough',
    cause: 'emergency',
    driver: 'emergency',
    isEmergency: true,
  })
  expect(status).toMatchObject({
    tierText: 'passthrough: emergency, sink is down',
    emergency: { reason: 'sink is down', by: 'ops', scope: 'process' },
  })
  expect(at.reader.isEmergency).toBe(false)
  expect(at.observer.status().emergency).toBeNull()
})

test('a tier that is ordered holds until its time is up', async () => {
  const at = await start()
  const untilMs = at.clock.wallMs() + 3_000
  at.orders = { emergency: null, override: { tier: 'partial', untilMs, reason: 'load test' } }
  at.observer.ordersChanged()

  const ordered = at.reader.tier
  await at.look()
  const still = at.observer.status()
  await at.look()
  // What was ordered is left as it was taken up: for a dwell at least, then denser.
  const ended = at.observer.status()

  expect([ordered, still.tier, still.override?.tier]).toEqual(['partial', 'partial', 'partial'])
  expect([ended.tier, ended.cause, ended.override]).toEqual(['full', 'planner', null])
})

test('under observeOnly everything is worked out and nothing is followed', async () => {
  const at = await start({ observeOnly: true })
  at.readings = { lagSeconds: 84 }

  await at.look()

  expect(at.reader.read()).toMatchObject({ tier: 'full', zone: 'red', cause: 'observeOnly' })
  expect(at.observer.status()).toMatchObject({
    isObserveOnly: true,
    tierText: expect.stringMatching(/^full: only observing; would be passthrough/),
  })
})

test('a look that fails leaves the decision standing, and the next one comes', async () => {
  const at = await start()
  at.readings = { lagSeconds: 84 }
  await at.look()
  at.failing = true

  await at.look()
  const during = at.reader.tier
  at.failing = false
  at.readings = { lagSeconds: 0 }
  for (let count = 0; count < 12; count += 1) await at.look()

  expect(during).toBe('passthrough')
  expect(at.reader.read()).toMatchObject({ tier: 'full', zone: 'green' })
  expect(await at.registry.metrics()).toContain('gophership_pressure_looks_missed_total 1')
})

test('at rest the sensors are looked at every two seconds, and eight times as often while there is work', async () => {
  const at = await start()
  const step = async () => {
    at.clock.advance(250)
    at.clock.runDue()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const atRest = at.lookCount
  for (let count = 0; count < 16; count += 1) await step()
  const rested = at.lookCount - atRest
  at.arrivedRecordCount = 5
  for (let count = 0; count < 16; count += 1) await step()

  expect(rested).toBe(2)
  expect(at.lookCount - atRest - rested).toBeGreaterThanOrEqual(8)
})

test('what a look counted is not counted again when an order comes', async () => {
  const at = await start()
  at.arrivedRecordCount = 1_000
  await at.look()
  const before = at.observer.status().arrivalRate

  for (let count = 0; count < 5; count += 1) at.observer.ordersChanged()

  expect(at.observer.status().arrivalRate).toBe(before)
})
