/** `gophership topology describe|test|list`: what processors will do to a record, before anything runs. */

import { Command, Option } from 'commander'
import { loadCases, loadTopology, shippedTopologies } from '../app/topology-file.ts'
import { importModule } from '../core/import-module.ts'
import type { Density } from '../topology/declaration.ts'
import { DENSITIES } from '../topology/declaration.ts'
import { describeAsJson, describeAsMermaid, describeAsText } from '../topology/describe.ts'
import { prepareTopology } from '../topology/prepare-topology.ts'
import type { CaseResult } from '../topology/topology-cases.ts'
import { formatFailures, runCases } from '../topology/topology-cases.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { EXIT } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import { formatTable, outputOption, printable, printResult } from './output.ts'
import type { Terminal } from './terminal.ts'

/** `table` is what it is called everywhere else; here it is the text. */
const FORMATS = ['text', 'mermaid', 'json', 'yaml', 'table'] as const
type Format = (typeof FORMATS)[number]

export function topologyCommand({ terminal, setExitCode }: CommandContext): Command {
  const wanted = ['processor.topology', 'processor.timeZone']
  const describe = addConfigOptions(new Command('describe'), (path) => wanted.includes(path))
    .description('print a topology: its source, its stages in order, the tiers they belong to, its sinks')
    .argument(
      '[topology]',
      'the name of one that ships, or the path of a file; without it, the configured one',
    )
    .addOption(formatOption('-o, --output <format>').default('text'))
    .addOption(formatOption('-f, --format <format>').hideHelp())
    .addHelpText(
      'after',
      '\nFails with exit code 2 when the topology cannot run, so it also serves as a check.\n' +
        '\nExamples:\n  gophership topology describe\n  gophership topology describe ./mine.yaml\n  gophership topology describe -o mermaid > topology.mmd',
    )
    .action(
      async (
        named: string | undefined,
        options: { readonly output: Format; readonly format?: Format },
        command: Command,
      ) => {
        const { config } = await configOf(command, terminal)
        const declaration = await loadTopology(named ?? config.processor.topology)
        const topology = await prepareTopology(declaration, importModule, {
          timeZone: config.processor.timeZone,
        })
        const format = options.format ?? options.output
        if (format === 'mermaid') {
          terminal.out(describeAsMermaid(topology))
          return
        }
        printResult(terminal, {
          format: format === 'text' ? 'table' : format,
          value: describeAsJson(topology),
          table: () => describeAsText(topology),
        })
      },
    )
  const list = new Command('list')
    .description('list the topologies that ship')
    .addOption(outputOption())
    .addHelpText('after', '\nExamples:\n  gophership topology list')
    .action(async ({ output }: { output: OutputFormat }) => {
      printResult(terminal, {
        format: output,
        value: await shippedTopologies(),
        table: (names) => names.map((name) => `${name}\n`).join(''),
      })
    })
  const test = addConfigOptions(new Command('test'), (path) => wanted.includes(path))
    .description('run a topology’s cases without a broker: lines in, events and dead letters out')
    .argument(
      '[topology]',
      'the name of one that ships, or the path of a file; without it, the configured one',
    )
    .option(
      '--cases <file>',
      'the cases; without it, the file beside the topology: mine.cases.yaml for mine.yaml',
    )
    .addOption(
      new Option('--density <density>', 'the density of cases that name none')
        .choices([...DENSITIES])
        .default('full'),
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nFails with exit code 1 when a case fails, and with 2 when the topology or its cases cannot be read.\n' +
        '\nExamples:\n  gophership topology test ./mine.yaml\n  gophership topology test ./mine.yaml --cases ./more.cases.yaml -o json',
    )
    .action(async (named: string | undefined, options: TestOptions, command: Command) => {
      const { config } = await configOf(command, terminal)
      const topologyName = named ?? config.processor.topology
      const declaration = await loadTopology(topologyName)
      const topology = await prepareTopology(declaration, importModule, {
        timeZone: config.processor.timeZone,
      })
      const cases = await loadCases(topologyName, options.cases)
      const results = runCases(topology, cases, { density: options.density })
      const failedCount = results.filter(({ passed }) => !passed).length
      printResult(terminal, {
        format: options.output,
        value: {
          topology: topology.name,
          passedCount: results.length - failedCount,
          failedCount,
          cases: results,
        },
        table: (value) => formatCases(terminal, value),
      })
      if (failedCount > 0) setExitCode(EXIT.failed)
    })
  return new Command('topology')
    .description('look at topologies before they run, and try them')
    .addCommand(describe)
    .addCommand(test)
    .addCommand(list)
}

interface TestOptions {
  readonly cases?: string
  readonly density: Density
  readonly output: OutputFormat
}

interface TestReport {
  readonly topology: string
  readonly passedCount: number
  readonly failedCount: number
  readonly cases: readonly CaseResult[]
}

/** One line for each case, then where those that failed differ. Lines of logs cannot move the cursor. */
function formatCases(terminal: Terminal, { topology, passedCount, failedCount, cases }: TestReport): string {
  const table = formatTable(terminal, cases, [
    { title: 'CASE', cell: ({ name }) => name },
    { title: 'DENSITY', cell: ({ density }) => density },
    { title: 'RESULT', cell: ({ passed }) => (passed ? 'passed' : 'FAILED') },
  ])
  const failures = formatFailures(cases).split('\n').map(printable).join('\n')
  const sum = `${topology}: ${passedCount} passed, ${failedCount} failed\n`
  return [table, ...(failures === '' ? [] : [failures]), sum].join('\n')
}

function formatOption(flags: string): Option {
  return new Option(flags, 'how to print it').choices([...FORMATS])
}
