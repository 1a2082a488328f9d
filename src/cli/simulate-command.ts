/** `gophership simulate TRACE`: what the decisions of this release would do under arrivals of some shape, before they come. */

import { Command } from 'commander'
import { decisionOptions } from '../app/pressure-options.ts'
import { nearestName } from '../config/nearest.ts'
import { GopherShipError } from '../core/errors.ts'
import { drawRun } from '../simulator/chart.ts'
import { namedTrace, TRACE_HELP, TRACE_NAMES } from '../simulator/named-traces.ts'
import { formatReport, reportOn } from '../simulator/report.ts'
import { DEFAULT_LOOK_MS, type SimulationOptions, simulate } from '../simulator/simulation.ts'
import { parseTrace, type Trace } from '../simulator/trace.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { EXIT } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import { outputOption, printResult } from './output.ts'

const TRACES = TRACE_NAMES.map((name) => `  ${name.padEnd(11)} ${TRACE_HELP[name]}`).join('\n')
const HELP = `
A trace is one of these names, or a CSV file of lines "seconds,recordsPerSecond", one for each change of the rate:
${TRACES}

The decisions, the planner and the ledger are those that run; time is virtual, so a day takes a second. The optimum is the
least that anybody could have shed who knew the whole trace beforehand. Exits 1 when a record waited longer than the
objective although some tier could have kept it.

Examples:
  gophership simulate step
  gophership simulate black-swan --capacity 50000 --svg black-swan.svg
  gophership simulate monday.csv --capacity 40000 --workers 3 --pressure-lag-objective-ms 30s
  gophership simulate diurnal -o json | jq .shedRatio
`

interface SimulateOptions {
  readonly capacity: string
  readonly workers: string
  readonly partialCost: string
  readonly passthroughCost: string
  readonly svg?: string
  readonly output: OutputFormat
}

export function simulateCommand({ terminal, setExitCode }: CommandContext): Command {
  return addConfigOptions(new Command('simulate'), (path) => path.startsWith('pressure.'))
    .description('what would be shed, owed and repaid under a trace of arrivals')
    .argument('<trace>', 'a name from below, or a CSV file')
    .option('--capacity <records>', 'records a second that one worker enriches fully', '1000')
    .option('--workers <count>', 'workers that share the work', '1')
    .option('--partial-cost <percent>', 'what a record costs in partial, of its cost in full', '30')
    .option('--passthrough-cost <percent>', 'what a record costs in passthrough, of its cost in full', '3')
    .option('--svg <file>', 'draw arrivals, wait, backlog, debt and tier over time into this file')
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(async (traceName: string, given: SimulateOptions, command: Command) => {
      const { config } = await configOf(command, terminal)
      const capacity = numberOf('--capacity', given.capacity, { min: 1, max: 1e9 })
      const workerCount = numberOf('--workers', given.workers, { min: 1, max: 1_000 })
      const fullUs = 1e6 / capacity
      const partial = numberOf('--partial-cost', given.partialCost, { min: 0.1, max: 100 })
      const passthrough = numberOf('--passthrough-cost', given.passthroughCost, { min: 0.01, max: partial })
      const options: SimulationOptions = {
        decision: decisionOptions(config),
        costUs: {
          full: fullUs,
          partial: (fullUs * partial) / 100,
          passthrough: (fullUs * passthrough) / 100,
        },
        workerCount,
        lookMs: Math.max(DEFAULT_LOOK_MS, config.pressure.lookIntervalMs),
      }
      const trace = await openTrace(traceName, capacity * workerCount, (path) => terminal.readText(path))
      const run = simulate(trace, options)
      const report = reportOn(trace, options, run)
      if (given.svg !== undefined) {
        const title = `${trace.name}: ${options.decision.lagObjectiveSeconds} s objective, ${capacity * workerCount} records/s in full`
        await terminal.writeText(
          given.svg,
          drawRun(run, { title, objectiveSeconds: options.decision.lagObjectiveSeconds }),
        )
      }
      const { optimum, ...figures } = report
      printResult(terminal, {
        format: given.output,
        value: { ...figures, optimumShedMs: optimum.shedMs, traceSeconds: traceSeconds(trace) },
        table: () => `${formatReport(report)}\n${given.svg === undefined ? '' : `drawn in ${given.svg}\n`}`,
      })
      const isMissed = report.isObjectivePossible && report.waitSecondsMax > report.objectiveSeconds
      if (isMissed) setExitCode(EXIT.failed)
    })
}

async function openTrace(
  name: string,
  capacity: number,
  readText: (path: string) => Promise<string>,
): Promise<Trace> {
  const known = TRACE_NAMES.find((one) => one === name)
  if (known !== undefined) return namedTrace(known, capacity)
  if (name.includes('/') || name.includes('.') || name === '-') return parseTrace(name, await readText(name))
  const near = nearestName(name, [...TRACE_NAMES])
  throw new GopherShipError(
    'GS_TRACE_INVALID',
    `no trace is named "${name.slice(0, 80)}"; ${near === null ? `there is ${TRACE_NAMES.join(', ')}` : `did you mean "${near}"?`} (a file is given by its path, such as ./monday.csv)`,
    { facts: { trace: name } },
  )
}

function numberOf(
  flag: string,
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const value = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new GopherShipError(
    'GS_CONFIG_INVALID',
    `expected ${flag} to be a number from ${min} to ${max}, found "${text.slice(0, 40)}"`,
  )
}

const traceSeconds = ({ stepMs, arrivals }: Trace): number => (stepMs * arrivals.length) / 1_000
