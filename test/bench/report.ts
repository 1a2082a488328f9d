/**
 * What a benchmark gives back and how it is printed: machine, Node version, command, then each result with its spread
 * over several rounds. A single number hides how noisy the machine was.
 */

import { cpus, totalmem } from 'node:os'

/** One measured quantity over at least five rounds. */
export interface BenchResult {
  readonly name: string
  readonly unit: string
  /** One value a round. */
  readonly rounds: readonly number[]
  /** What the value is held against, as text: a target or a reference. */
  readonly target?: string
}

export interface MeasureOptions {
  readonly unit: string
  /** Default 7, after one round to warm up. */
  readonly rounds?: number
  readonly target?: string
}

/** Calls `run` once to warm up and then once a round; it returns the round's value. */
export async function measure(
  name: string,
  run: () => number | Promise<number>,
  options: MeasureOptions,
): Promise<BenchResult> {
  await run()
  const rounds: number[] = []
  for (let round = 0; round < (options.rounds ?? 7); round += 1) rounds.push(await run())
  return {
    name,
    unit: options.unit,
    rounds,
    ...(options.target === undefined ? {} : { target: options.target }),
  }
}

/** Runs `work`, which says how much it did, for about `durationMs`, and returns how much it did a second. */
export function perSecond(work: () => number, durationMs = 250): number {
  const startMs = performance.now()
  let done = 0
  let tookMs = 0
  do {
    done += work()
    tookMs = performance.now() - startMs
  } while (tookMs < durationMs)
  return (done / tookMs) * 1000
}

/** The machine, the runtime and the command, as the lines above the results. */
export function formatPreamble(command: string): string {
  const processors = cpus()
  return [
    `machine: ${processors.length} x ${processors[0]?.model ?? 'unknown processor'}, ${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    `node:    ${process.version} (${process.platform} ${process.arch})`,
    `command: ${command}`,
  ].join('\n')
}

/** One line a result: the median as its value, then the spread. */
export function formatResults(results: readonly BenchResult[]): string {
  const nameChars = Math.max(0, ...results.map(({ name }) => name.length))
  return results
    .map(({ name, unit, rounds, target }) => {
      const sorted = [...rounds].sort((a, b) => a - b)
      const [low, middle, high] = [sorted[0], sorted[sorted.length >> 1], sorted[sorted.length - 1]].map(
        formatNumber,
      )
      const spread = `min ${low} / median ${middle} / max ${high} over ${rounds.length} rounds`
      return `${name.padEnd(nameChars)}  ${middle.padStart(10)} ${unit}  (${spread})${target === undefined ? '' : `  target ${target}`}`
    })
    .join('\n')
}

function formatNumber(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)}G`
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)}k`
  return value >= 100 ? value.toFixed(0) : value.toFixed(2)
}
