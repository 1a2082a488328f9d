/** `gophership topology describe`: what processors will do to a record, before anything runs. */

import { Command, Option } from 'commander'
import { loadTopology, shippedTopologies } from '../app/topology-file.ts'
import { compileTopology } from '../topology/compile.ts'
import { describeAsJson, describeAsMermaid, describeAsText } from '../topology/describe.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import type { OutputFormat } from './output.ts'
import { outputOption, printResult } from './output.ts'

/** `table` is what it is called everywhere else; here it is the text. */
const FORMATS = ['text', 'mermaid', 'json', 'yaml', 'table'] as const
type Format = (typeof FORMATS)[number]

export function topologyCommand({ terminal }: CommandContext): Command {
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
        const topology = compileTopology(declaration, { timeZone: config.processor.timeZone })
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
  return new Command('topology')
    .description('look at topologies before they run')
    .addCommand(describe)
    .addCommand(list)
}

function formatOption(flags: string): Option {
  return new Option(flags, 'how to print it').choices([...FORMATS])
}
