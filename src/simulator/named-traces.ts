/** The traces that come with GopherShip, by name: each brings far more than full density can do, for long enough to have to shed. */

import { RECORDED_TRACE } from './recorded-trace.ts'
import { blackSwan, diurnal, parseTrace, ramp, sawtooth, step, type Trace } from './trace.ts'

export const TRACE_NAMES = ['step', 'ramp', 'sawtooth', 'diurnal', 'black-swan', 'recorded'] as const
export type TraceName = (typeof TRACE_NAMES)[number]

/** What each is, in a few words. */
export const TRACE_HELP: Readonly<Record<TraceName, string>> = {
  step: 'four times the capacity for a minute, out of nothing',
  ramp: 'evenly up to four times the capacity, and down again',
  sawtooth: 'bursts that come again before the last one is gone',
  diurnal: 'a quiet night and a busy afternoon, in an hour',
  'black-swan': 'ten times the capacity for two minutes',
  recorded: 'a day of a real SSH server under attack',
}

/** @param capacity records per second that all workers together enrich fully. */
export function namedTrace(name: TraceName, capacity: number): Trace {
  switch (name) {
    case 'step':
      return step(capacity, { factor: 4 })
    case 'ramp':
      return ramp(capacity / 2, { factor: 8 })
    case 'sawtooth':
      return sawtooth(capacity * 0.8, { factor: 5 })
    case 'diurnal':
      return diurnal(capacity * 0.8, { factor: 3 })
    case 'black-swan':
      return blackSwan(capacity / 2, { factor: 20 })
    case 'recorded':
      return scaled(parseTrace('recorded', RECORDED_TRACE), capacity / RECORDED_CAPACITY)
  }
}

/** The capacity for which the recorded rates are meant. */
const RECORDED_CAPACITY = 1_000

function scaled(trace: Trace, factor: number): Trace {
  return { ...trace, arrivals: trace.arrivals.map((count) => Math.round(count * factor)) }
}
