/** The configuration's options as command-line flags, and the configuration that a command was given. */

import type { Command } from 'commander'
import { Option } from 'commander'
import type { LoadedConfig } from '../config/load-config.ts'
import { loadConfig } from '../config/load-config.ts'
import { formatOptionValue } from '../config/option-text.ts'
import type { ConfigOption } from '../config/options.ts'
import { CONFIG_OPTIONS } from '../config/options.ts'
import type { Terminal } from './terminal.ts'

/** Names the configuration file, like `--config`. */
const CONFIG_FILE_ENVIRONMENT_NAME = 'GOPHERSHIP_CONFIG'

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  bytes: 'bytes',
  ms: 'ms',
  count: 'count',
  port: 'port',
  records: 'records',
  seconds: 'seconds',
  percent: 'percent',
}

/** Adds `--config` and a flag for every configuration option whose path `isWanted`. */
export function addConfigOptions(
  command: Command,
  isWanted: (path: string) => boolean = () => true,
): Command {
  command.addOption(
    new Option('-c, --config <file>', `configuration file, YAML (env: ${CONFIG_FILE_ENVIRONMENT_NAME})`),
  )
  for (const option of CONFIG_OPTIONS) {
    if (isWanted(option.path)) command.addOption(toFlag(option))
  }
  return command
}

/**
 * Loads the configuration for a command: its file, the environment, its flags. Warnings go to the person. Throws
 * ConfigError.
 */
export async function configOf(command: Command, terminal: Terminal): Promise<LoadedConfig> {
  const given = command.opts<Record<string, string | undefined>>()
  const path = given['config'] ?? terminal.environment[CONFIG_FILE_ENVIRONMENT_NAME]
  const file = path === undefined ? undefined : { name: path, text: await terminal.readText(path) }
  const flags = new Map<string, string>()
  for (const option of CONFIG_OPTIONS) {
    const text = given[toFlag(option).attributeName()]
    if (text !== undefined) flags.set(option.path, text)
  }
  const loaded = loadConfig({ file, environment: terminal.environment, flags })
  for (const warning of loaded.warnings) terminal.err(`warning: ${warning}\n`)
  return loaded
}

function toFlag(option: ConfigOption): Option {
  const placeholder =
    option.choices?.join('|') ?? PLACEHOLDERS[option.unit ?? ''] ?? option.keys.at(-1) ?? 'text'
  const isList = option.kind === 'list'
  const value = formatOptionValue(option, option.defaultValue)
  const shownDefault = value === '' ? '' : ` (default: ${value})`
  const name = isList && option.choices !== null ? 'list' : placeholder
  const flags = option.shortFlag === null ? option.flag : `${option.shortFlag}, ${option.flag}`
  return new Option(`${flags} <${name}>`, `${option.description}${shownDefault}`).helpGroup(groupOf(option))
}

function groupOf(option: ConfigOption): string {
  const group = option.keys.slice(0, -1).join('.')
  return group === '' ? 'Options:' : `Configuration of ${group}:`
}
