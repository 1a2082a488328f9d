/** `gophership topology describe`: what processors will do to a record, before anything runs. */

import { Command, Option } from 'commander'
import { loadTopology, shippedTopologies } from '../app/topology-file.ts'
import { compileTopology } from '../topology/compile.ts'
import { describeAsJson, describeAsMermaid, describeAsText } from '../topology/describe.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'

const FORMATS = ['text', 'mermaid', 'json'] as const

export function topologyCommand({ terminal }: CommandContext): Command {
  const wanted = ['processor.topology', 'processor.timeZone']
  const describe = addConfigOptions(new Command('describe'), (path) => wanted.includes(path))
    .description('print a topology: its source, its stages in order, the tiers they belong to, its sinks')
    .argument(
      '[topology]',
      'the name of one that ships, or the path of a file; without it, the configured one',
    )
    .addOption(new Option('-f, --format <format>', 'how to print it').choices([...FORMATS]).default('text'))
    .addHelpText(
      'after',
      '\nFails with exit code 2 when the topology cannot run, so it also serves as a check.\n' +
        '\nExamples:\n  gophership topology describe\n  gophership topology describe ./mine.yaml\n  gophership topology describe -f mermaid > topology.mmd',
    )
    .action(
      async (named: string | undefined, options: { format: (typeof FORMATS)[number] }, command: Command) => {
        const { config } = await configOf(command, terminal)
        const declaration = await loadTopology(named ?? config.processor.topology)
        const topology = compileTopology(declaration, { timeZone: config.processor.timeZone })
        if (options.format === 'json') terminal.out(`${JSON.stringify(describeAsJson(topology), null, 2)}\n`)
        else if (options.format === 'mermaid') terminal.out(describeAsMermaid(topology))
        else terminal.out(describeAsText(topology))
      },
    )
  const list = new Command('list').description('list the topologies that ship').action(async () => {
    for (const name of await shippedTopologies()) terminal.out(`${name}\n`)
  })
  return new Command('topology')
    .description('look at topologies before they run')
    .addCommand(describe)
    .addCommand(list)
}
