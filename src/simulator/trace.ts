/**
 * Arrivals over time: how many records come in each step. The shapes that a buffer meets, and traces recorded elsewhere.
 * Everything is in multiples of a base rate, so that one trace serves every capacity.
 */

import { GopherShipError } from '../core/errors.ts'

export interface Trace {
  readonly name: string
  readonly stepMs: number
  /** Records that arrive in each step; whole numbers. */
  readonly arrivals: readonly number[]
}

/** The length of a step where nothing says otherwise. */
export const STEP_MS = 250

/** The longest trace: a week of steps. */
export const TRACE_STEPS_MAX = (7 * 24 * 3_600 * 1_000) / STEP_MS

/** A trace from a rate that depends on the time, in records/s; fractions of a record are carried over. */
export function traceOf(name: string, seconds: number, rateAt: (second: number) => number): Trace {
  const stepCount = Math.floor((seconds * 1_000) / STEP_MS)
  let carried = 0
  const arrivals = Array.from({ length: stepCount }, (_, step) => {
    carried += (Math.max(0, rateAt((step * STEP_MS) / 1_000)) * STEP_MS) / 1_000
    const whole = Math.floor(carried)
    carried -= whole
    return whole
  })
  return { name, stepMs: STEP_MS, arrivals }
}

/** A rate that jumps to `factor` times the base for some seconds. */
export const step = (base: number, { factor = 4, fromSecond = 60, forSeconds = 60, seconds = 600 } = {}) =>
  traceOf('step', seconds, (at) => (at >= fromSecond && at < fromSecond + forSeconds ? base * factor : base))

/** A rate that rises evenly to `factor` times the base, and falls back as evenly. */
export const ramp = (base: number, { factor = 4, fromSecond = 60, riseSeconds = 120, seconds = 900 } = {}) =>
  traceOf('ramp', seconds, (at) => {
    const away = Math.abs(at - fromSecond - riseSeconds) / riseSeconds
    return base * (1 + (factor - 1) * Math.max(0, 1 - away))
  })

/** Bursts that come again before the last one is quite gone. */
export const sawtooth = (base: number, { factor = 5, periodSeconds = 90, seconds = 900 } = {}) =>
  traceOf('sawtooth', seconds, (at) => base * factor * (1 - (at % periodSeconds) / periodSeconds))

/** A day with a quiet night and a busy afternoon, run through in an hour. */
export const diurnal = (base: number, { factor = 3, seconds = 3_600 } = {}) =>
  traceOf('diurnal', seconds, (at) => base * factor * 0.5 * (1 - Math.cos((2 * Math.PI * at) / seconds)))

/** Twenty times the base, out of nothing. */
export const blackSwan = (
  base: number,
  { factor = 20, fromSecond = 60, forSeconds = 120, seconds = 900 } = {},
) => ({
  ...step(base, { factor, fromSecond, forSeconds, seconds }),
  name: 'black-swan',
})

/**
 * Parses a recorded trace: one line `seconds,recordsPerSecond` for each change of the rate, in order; the rate holds until the
 * next line, and the last line ends the trace. Empty lines, and lines that begin with `#`, are passed over; so is a first line
 * of column names. Throws `GS_TRACE_INVALID` naming the line.
 */
export function parseTrace(name: string, text: string): Trace {
  const points: { readonly second: number; readonly rate: number }[] = []
  let isFirst = true
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const [second, rate, ...rest] = line.split(',').map((cell) => (cell.trim() === '' ? NaN : Number(cell)))
    const isHeader = isFirst && /^[a-z_ ,]+$/i.test(line)
    isFirst = false
    if (isHeader) continue
    const previous = points.at(-1)?.second ?? -1
    const isPoint =
      second !== undefined &&
      rate !== undefined &&
      rest.length === 0 &&
      Number.isFinite(rate) &&
      rate >= 0 &&
      second > previous
    if (!isPoint || second * 1_000 > TRACE_STEPS_MAX * STEP_MS) {
      throw invalid(name, index + 1, line.slice(0, 80))
    }
    points.push({ second, rate })
  }
  const last = points.at(-1)
  if (points.length < 2 || last === undefined) throw invalid(name, 1, 'fewer than two lines')
  const start = points[0]?.second ?? 0
  let at = 0
  return traceOf(name, last.second - start, (second) => {
    while ((points[at + 1]?.second ?? Number.POSITIVE_INFINITY) <= second + start) at += 1
    return points[at]?.rate ?? 0
  })
}

function invalid(name: string, line: number, found: string): GopherShipError {
  return new GopherShipError(
    'GS_TRACE_INVALID',
    `${name}, line ${line}: expected "seconds,recordsPerSecond" with seconds that rise over at most a week, such as "60,4000"; found "${found}".`,
    { facts: { name, line } },
  )
}
