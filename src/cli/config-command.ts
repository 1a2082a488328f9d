/** `gophership config check|show|schema`: is it right, what does it come to, what may be in it. */

import { Command } from 'commander'
import type { ConfigProblem } from '../config/config-error.ts'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load-config.ts'
import { formatOptionValue } from '../config/option-text.ts'
import type { ConfigOption } from '../config/options.ts'
import { CONFIG_OPTIONS, configJsonSchema } from '../config/options.ts'
import type { Config } from '../config/schema.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { EXIT } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import { formatTable, outputOption, printResult } from './output.ts'

export function configCommand({ terminal, setExitCode }: CommandContext): Command {
  const check = new Command('check')
    .description('check a configuration file by itself, without the environment')
    .argument('<file>', 'the YAML file, or - for standard input')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  gophership config check gophership.yaml && gophership up -c gophership.yaml\n' +
        '  gophership config check gophership.yaml -o json | jq .problems',
    )
    .action(async (file: string, { output }: { output: OutputFormat }) => {
      const source = { name: file, text: await terminal.readText(file) }
      const print = (problems: readonly ConfigProblem[], text: string) =>
        printResult(terminal, {
          format: output,
          value: { file, isValid: problems.length === 0, problems },
          table: () => text,
        })
      try {
        const { config } = loadConfig({ file: source })
        print([], `${file} is valid: roles ${config.roles.join(', ')}; data in ${config.dataDir}\n`)
      } catch (error) {
        if (!(error instanceof ConfigError) || output === 'table') throw error
        print(error.problems, '')
        setExitCode(EXIT.usage)
      }
    })

  const show = addConfigOptions(new Command('show'))
    .description('print the configuration that "up" would run with, every default filled in')
    .addOption(outputOption().default('yaml'))
    .option('--origins', 'say where each option was set: a table, or -o json|yaml')
    .addHelpText(
      'after',
      '\nExamples:\n  gophership config show > gophership.yaml\n  gophership config show --origins',
    )
    .action(async (_options: unknown, command: Command) => {
      const { config, origins } = await configOf(command, terminal)
      const { output, origins: withOrigins } = command.opts<{ output: OutputFormat; origins?: boolean }>()
      const isGiven = command.getOptionValueSource('output') !== 'default'
      const rows = CONFIG_OPTIONS.map((option) => ({
        option,
        value: configuredValue(config, option),
        setBy: origins.get(option.path) ?? 'default',
      }))
      printResult(terminal, {
        format: withOrigins === true && !isGiven ? 'table' : output,
        value:
          withOrigins === true ? rows.map(({ option, ...row }) => ({ option: option.path, ...row })) : config,
        table: () =>
          formatTable(terminal, rows, [
            { title: 'OPTION', cell: ({ option }) => option.path },
            { title: 'VALUE', cell: ({ option, value }) => formatOptionValue(option, value) },
            { title: 'SET BY', cell: ({ setBy }) => setBy },
          ]),
      })
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
            { title: 'FLAG', cell: ({ shortFlag, flag }) => shortFlag ?? flag },
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

function configuredValue(config: Config, { keys }: ConfigOption): ConfigOption['defaultValue'] {
  return keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], config) as never
}
