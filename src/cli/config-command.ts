/** `gophership config check|show|schema`: is it right, what does it come to, what may be in it. */

import { Command } from 'commander'
import { stringify } from 'yaml'
import { loadConfig } from '../config/load-config.ts'
import { formatOptionValue } from '../config/option-text.ts'
import { CONFIG_OPTIONS, configJsonSchema } from '../config/options.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import type { OutputFormat } from './output.ts'
import { formatTable, outputOption, printResult } from './output.ts'

export function configCommand({ terminal }: CommandContext): Command {
  const check = new Command('check')
    .description('check a configuration file by itself, without the environment')
    .argument('<file>', 'the YAML file, or - for standard input')
    .addHelpText(
      'after',
      '\nExamples:\n  gophership config check gophership.yaml && gophership up -c gophership.yaml',
    )
    .action(async (file: string) => {
      const { config } = loadConfig({ file: { name: file, text: await terminal.readText(file) } })
      terminal.out(`${file} is valid: roles ${config.roles.join(', ')}; data in ${config.dataDir}\n`)
    })

  const show = addConfigOptions(new Command('show'))
    .description('print the configuration that "up" would run with, every default filled in')
    .option('--origins', 'say where each option was set instead')
    .addHelpText(
      'after',
      '\nExamples:\n  gophership config show > gophership.yaml\n  gophership config show --origins',
    )
    .action(async (_options: unknown, command: Command) => {
      const { config, origins } = await configOf(command, terminal)
      if (command.opts<{ origins?: boolean }>().origins !== true) {
        terminal.out(stringify(config))
        return
      }
      const rows = CONFIG_OPTIONS.map((option) => ({ option, origin: origins.get(option.path) ?? 'default' }))
      terminal.out(
        formatTable(terminal, rows, [
          { title: 'OPTION', cell: ({ option }) => option.path },
          { title: 'SET BY', cell: ({ origin }) => origin },
        ]),
      )
    })

  const schema = new Command('schema')
    .description('print what a configuration may hold: JSON Schema, or a table of every option')
    .addOption(outputOption().default('json'))
    .addHelpText(
      'after',
      '\nExamples:\n  gophership config schema > gophership.schema.json   for the editor: completion and checks\n' +
        '  gophership config schema -o table                   every option with its flag, unit and default',
    )
    .action((options: { output: OutputFormat }) => {
      printResult(terminal, {
        format: options.output,
        value: configJsonSchema(),
        table: () =>
          formatTable(terminal, CONFIG_OPTIONS, [
            { title: 'OPTION', cell: ({ path }) => path },
            { title: 'ENVIRONMENT', cell: ({ environmentName }) => environmentName },
            { title: 'DEFAULT', cell: (option) => formatOptionValue(option, option.defaultValue) },
            { title: 'UNIT', cell: ({ unit }) => unit ?? '' },
            { title: 'MEANING', cell: ({ description }) => description },
          ]),
      })
    })

  return new Command('config')
    .description('check and explain the configuration')
    .addCommand(check)
    .addCommand(show)
    .addCommand(schema)
}
