/**
 * `eventLoopDelayMs` and `eventLoopUtilization` of the thread that it is started in.
 *
 * A timer that comes due every 250 ms, and every second at rest, notes how late it ran. Node's own histogram is not used: its reset forgets the last
 * probe, so a block that begins right after a read is never seen. The mean is taken and not a peak, because one pause of the
 * garbage collector is no reason to shed for a whole dwell, and a loop that starves is late every time.
 */

import type { EventLoopUtilization } from 'node:perf_hooks'
import { performance } from 'node:perf_hooks'
import type { Clock, Timer } from '../../core/clock.ts'
import type { Readings } from '../sensors.ts'

/** How often the loop is probed. Finer costs wake-ups; a delay that matters here is far longer. */
const PROBE_MS = 250
/** The same while nobody waits for anything: then wake-ups are most of what a process costs. */
const REST_PROBE_MS = 1_000
/** Probes that a reading should be the mean of. */
const PROBES_PER_READING = 4

export class EventLoopSensor {
  readonly #clock: Clock
  #timer: Timer
  #dueMs: number
  #probeMs = PROBE_MS
  #lateMs = 0
  #probeCount = 0
  #utilization: EventLoopUtilization = performance.eventLoopUtilization()

  private constructor(clock: Clock) {
    this.#clock = clock
    this.#dueMs = clock.monotonicMs() + PROBE_MS
    this.#timer = clock.after(PROBE_MS, this.#probe)
  }

  /** Starts probing; the sensor does not keep the process alive. */
  static start({ clock }: { readonly clock: Clock }): EventLoopSensor {
    return new EventLoopSensor(clock)
  }

  /** How long to wait between two readings, so that one pause is not the whole of one. */
  get readingMs(): number {
    return PROBES_PER_READING * this.#probeMs
  }

  /** Says whether there is work; counts from the next probe on. */
  set isAtRest(isAtRest: boolean) {
    this.#probeMs = isAtRest ? REST_PROBE_MS : PROBE_MS
  }

  /** Mean delay, and share of busy time, since the last read; the delay is null when nothing came due since. */
  read(): Pick<Readings, 'eventLoopDelayMs' | 'eventLoopUtilization'> {
    // A probe that is overdue right now counts: whoever reads may have been run before it.
    const overdueMs = this.#clock.monotonicMs() - this.#dueMs
    const probeCount = this.#probeCount + (overdueMs > 0 ? 1 : 0)
    const lateMs = this.#lateMs + Math.max(0, overdueMs)
    this.#probeCount = 0
    this.#lateMs = 0
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization)
    this.#utilization = now
    return {
      eventLoopDelayMs: probeCount === 0 ? null : lateMs / probeCount,
      eventLoopUtilization: utilization,
    }
  }

  stop(): void {
    this.#timer.cancel()
  }

  readonly #probe = () => {
    const nowMs = this.#clock.monotonicMs()
    this.#lateMs += Math.max(0, nowMs - this.#dueMs)
    this.#probeCount += 1
    this.#dueMs = nowMs + this.#probeMs
    this.#timer = this.#clock.after(this.#probeMs, this.#probe)
  }
}
