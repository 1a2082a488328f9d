import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { systemDisk } from '../../../src/core/system-disk.ts'
import { EventLoopSensor } from '../../../src/pressure/sources/event-loop-sensor.ts'
import { LagSensor } from '../../../src/pressure/sources/lag-sensor.ts'
import { LatencySensor } from '../../../src/pressure/sources/latency-sensor.ts'
import { MemorySensor } from '../../../src/pressure/sources/memory-sensor.ts'
import { parseSomeAvg10, StallSensor } from '../../../src/pressure/sources/stall-sensor.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { kernelDisk } from './kernel-disk.ts'

const PRESSURE = (percent: number) =>
  `some avg10=${percent} avg60=36.63 avg300=35.86 total=1789749888\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=0\n`

describe('the memory sensor', () => {
  it('is resident memory over the limit', async () => {
    const sensor = await MemorySensor.start(
      kernelDisk({ '/proc/meminfo': 'MemTotal: 1000 kB\n', '/proc/self/status': 'VmRSS:\t 250 kB\n' }),
    )

    expect(await sensor.read()).toBe(0.25)
    expect(sensor.limit?.path).toBe('/proc/meminfo')
  })

  it('knows nothing on a system without these files', async () => {
    const sensor = await MemorySensor.start(kernelDisk({}))

    expect(await sensor.read()).toBeNull()
  })

  it.runIf(process.platform === 'linux')('finds what this machine has', async () => {
    const sensor = await MemorySensor.start(systemDisk)

    const share = await sensor.read()

    expect(share).toBeGreaterThan(0)
    expect(share).toBeLessThan(1)
  })
})

describe('the stall sensor', () => {
  it('reads the line of tasks that waited', () => {
    expect(parseSomeAvg10(PRESSURE(18.74))).toBe(18.74)
    expect(parseSomeAvg10(PRESSURE(0))).toBe(0)
    expect(parseSomeAvg10('full avg10=3.00 avg60=0.00\n')).toBeNull()
    expect(parseSomeAvg10('')).toBeNull()
  })

  it('prefers the process’s own group, and falls back to the machine for what is missing there', async () => {
    const sensor = await StallSensor.start(
      kernelDisk({
        '/proc/self/cgroup': '0::/app\n',
        '/sys/fs/cgroup/app/cpu.pressure': PRESSURE(11),
        '/proc/pressure/cpu': PRESSURE(99),
        '/proc/pressure/memory': PRESSURE(22),
      }),
    )

    expect(await sensor.read()).toEqual({ stallCpu: 11, stallMemory: 22, stallIo: null })
  })
})

describe('the latency sensor', () => {
  it('is the 99th percentile of late, at most a fifth too high', () => {
    const sensor = new LatencySensor({ clock: manualClock() })
    for (let count = 0; count < 980; count += 1) sensor.observe(5)
    for (let count = 0; count < 20; count += 1) sensor.observe(400)

    const value = sensor.read()

    expect(value).toBeGreaterThanOrEqual(400)
    expect(value).toBeLessThanOrEqual(480)
  })

  it('does not take one slow batch in a thousand for a slow upstream', () => {
    const sensor = new LatencySensor({ clock: manualClock() })
    for (let count = 0; count < 999; count += 1) sensor.observe(5)
    sensor.observe(60_000)

    expect(sensor.read()).toBeLessThanOrEqual(6)
  })

  it('forgets after two windows, and knows nothing without acknowledgements', () => {
    const clock = manualClock()
    const sensor = new LatencySensor({ clock })
    sensor.observe(900)

    clock.advance(10_001)
    const inNextWindow = sensor.read()
    clock.advance(10_001)

    expect(inNextWindow).toBeGreaterThanOrEqual(900)
    expect(sensor.read()).toBeNull()
  })
})

describe('the lag sensor', () => {
  const started = () => {
    const clock = manualClock()
    return { clock, sensor: new LagSensor({ clock }) }
  }
  /** No timestamp known. */
  const look = (position: number, highWatermark: number) => ({ position, highWatermark, timestampMs: -1 })

  it('counts records over all partitions, and seconds of the one that has waited longest', () => {
    const { clock, sensor } = started()
    sensor.observe('a/0', look(10, 10))
    sensor.observe('a/1', look(0, 0))
    clock.advance(1_000)
    sensor.observe('a/0', look(10, 50))
    clock.advance(4_000)
    sensor.observe('a/1', look(0, 7))
    clock.advance(3_000)

    expect(sensor.read()).toMatchObject({ lagRecords: 47, lagSeconds: 8 })
  })

  it('takes no pause before a record came for its lag', () => {
    const { clock, sensor } = started()
    sensor.observe('a/0', look(10, 10))
    clock.advance(3_600_000)
    sensor.observe('a/0', look(10, 10))
    clock.advance(1_000)
    sensor.observe('a/0', look(10, 90))

    expect(sensor.read().lagSeconds).toBe(1)
  })

  it('falls as the position passes what came early', () => {
    const { clock, sensor } = started()
    for (let second = 0; second <= 60; second += 1) {
      sensor.observe('a/0', look(0, second * 100))
      clock.advance(1_000)
    }
    sensor.observe('a/0', look(4_000, 6_000))

    expect(sensor.read().lagSeconds).toBe(21)
  })

  it('does not take an archive with old timestamps for years of lag', () => {
    const { clock, sensor } = started()
    sensor.observe('a/0', { position: 0, highWatermark: 0, timestampMs: 0 })
    clock.advance(500)
    sensor.observe('a/0', { position: 0, highWatermark: 1_000_000, timestampMs: 0 })

    expect(sensor.read().lagSeconds).toBe(0.5)
  })

  it('believes timestamps for what was there before it was', () => {
    const { clock, sensor } = started()
    const timestampMs = clock.wallMs() - 90_000
    sensor.observe('a/0', { position: 0, highWatermark: 1_000, timestampMs })

    expect(sensor.read().lagSeconds).toBe(90)
  })

  it('keeps a bounded memory of a partition that stands still, and still knows its age', () => {
    const { clock, sensor } = started()
    sensor.observe('a/0', look(0, 0))
    for (let second = 1; second <= 10_000; second += 1) {
      clock.advance(1_000)
      sensor.observe('a/0', look(0, second))
    }

    expect(sensor.read().lagSeconds).toBe(10_000)
    sensor.observe('a/0', look(9_000, 10_000))
    const { lagSeconds } = sensor.read()
    expect(lagSeconds).toBeGreaterThanOrEqual(1_000)
    expect(lagSeconds).toBeLessThan(1_300)
  })

  it('gains one second per second while nothing is processed, and forgets a partition that left', () => {
    const { clock, sensor } = started()
    sensor.observe('a/0', look(0, 0))
    for (let second = 1; second <= 60; second += 1) {
      clock.advance(1_000)
      sensor.observe('a/0', look(0, second))
      sensor.read()
    }

    expect(sensor.read().lagVelocity).toBeCloseTo(1, 3)
    sensor.forget('a/0')
    expect(sensor.read()).toMatchObject({ lagRecords: 0, lagSeconds: 0 })
  })
})

describe('the event loop sensor', () => {
  const started = () => {
    const clock = manualClock()
    return { clock, sensor: EventLoopSensor.start({ clock }) }
  }

  it('is how late its probes were on average', () => {
    const { clock, sensor } = started()
    for (const lateMs of [0, 0, 30, 90]) {
      clock.advance(250 + lateMs)
      clock.runDue()
    }

    expect(sensor.read().eventLoopDelayMs).toBe(30)
    expect(sensor.read().eventLoopDelayMs).toBeNull()
  })

  it('sees a block that begins right after a read, also when it is read before the late probe runs', () => {
    const { clock, sensor } = started()
    clock.advance(250)
    clock.runDue()
    sensor.read()

    clock.advance(3_250)

    expect(sensor.read().eventLoopDelayMs).toBe(3_000)
  })

  it('makes little of one pause in a second', () => {
    const { clock, sensor } = started()
    for (let count = 0; count < 4; count += 1) {
      clock.advance(count === 2 ? 550 : 250)
      clock.runDue()
    }

    expect(sensor.read().eventLoopDelayMs).toBeLessThan(100)
  })

  it('probes less often at rest, and is read over as many probes', () => {
    const { clock, sensor } = started()
    sensor.isAtRest = true
    clock.advance(250)
    clock.runDue()
    sensor.read()
    clock.advance(999)
    clock.runDue()
    const early = sensor.read().eventLoopDelayMs
    clock.advance(1)
    clock.runDue()

    expect(early).toBeNull()
    expect(sensor.read().eventLoopDelayMs).toBe(0)
    expect(sensor.readingMs).toBe(4_000)
  })

  it('knows the share of time in which the loop was busy', () => {
    const sensor = EventLoopSensor.start({ clock: systemClock })

    const until = performance.now() + 50
    while (performance.now() < until);
    const { eventLoopUtilization } = sensor.read()
    sensor.stop()

    expect(eventLoopUtilization).toBeGreaterThan(0.5)
    expect(eventLoopUtilization).toBeLessThanOrEqual(1)
  })
})
