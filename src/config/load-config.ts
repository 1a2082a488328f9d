/**
 * Puts a configuration together: defaults, then the file, then the environment, then flags, each over the one before.
 * Everything comes in as data; reading files and the environment is the caller's.
 */

import type { ConfigProblem } from './config-error.ts'
import { ConfigError } from './config-error.ts'
import { nearestName } from './nearest.ts'
import { parseOptionText } from './option-text.ts'
import type { ConfigOption } from './options.ts'
import { CONFIG_OPTIONS, ENVIRONMENT_PREFIX, keysAt } from './options.ts'
import { brokenRules } from './rules.ts'
import type { Config } from './schema.ts'
import { configSchema } from './schema.ts'
import type { YamlSource } from './yaml-source.ts'
import { parseYaml } from './yaml-source.ts'

export interface ConfigSources {
  readonly file?: { readonly name: string; readonly text: string } | undefined
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Flags given, by option path. */
  readonly flags?: ReadonlyMap<string, string>
}

export interface LoadedConfig {
  readonly config: Config
  /** Where each option that is not at its default was set, by its path. */
  readonly origins: ReadonlyMap<string, string>
  /** Environment names that begin like ours and mean nothing to us. */
  readonly warnings: readonly string[]
}

/** Names of ours in the environment that are not options. */
const OTHER_ENVIRONMENT_NAMES: readonly string[] = ['GOPHERSHIP_CONFIG', 'GOPHERSHIP_TEST_LONG']

type Tree = Record<string, unknown>

/** Loads and checks. Throws ConfigError that names every problem with its place and, for unknown keys, the nearest name. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const yaml = sources.file === undefined ? null : parseYaml(sources.file.name, sources.file.text)
  const tree = withoutEmptyGroups(yaml?.data ?? {}) as Tree
  const origins = new Map<string, string>()
  const warnings: string[] = []

  for (const option of CONFIG_OPTIONS) {
    const written = valueAt(tree, option.keys)
    if (written === undefined) continue
    origins.set(option.path, yaml?.sourceOf(option.keys) ?? '')
    if (typeof written === 'string' && option.kind === 'integer') {
      setAt(tree, option.keys, parseOptionText(option, written))
    }
  }
  for (const [name, text] of Object.entries(sources.environment ?? {})) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || text === undefined) continue
    const option = CONFIG_OPTIONS.find((candidate) => candidate.environmentName === name)
    if (option === undefined) {
      if (!OTHER_ENVIRONMENT_NAMES.includes(name)) warnings.push(unknownEnvironmentName(name))
    } else if (option.unit === 'port' && text.startsWith('tcp://')) {
      warnings.push(`${name} is ignored: "${text}" is what Kubernetes sets for a service of that name`)
    } else {
      setText(tree, option, text, name, origins)
    }
  }
  for (const [path, text] of sources.flags ?? []) {
    const option = CONFIG_OPTIONS.find((candidate) => candidate.path === path)
    if (option !== undefined) setText(tree, option, text, option.flag, origins)
  }

  const parsed = configSchema.safeParse(tree)
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.flatMap((issue) => describeIssue(issue, { tree, yaml, origins })),
    )
  }
  const broken = brokenRules(parsed.data)
  if (broken.length > 0) {
    throw new ConfigError(
      broken.map((problem) => ({ ...problem, source: origins.get(problem.path) ?? problem.source })),
    )
  }
  return { config: parsed.data, origins, warnings }
}

/**
 * A group whose every option is commented out (`broker:` and nothing under it) is null in YAML, and meant as "nothing
 * set here". At most as deep as the schema: what is deeper is for the schema to refuse.
 */
function withoutEmptyGroups(tree: unknown, keys: readonly string[] = []): unknown {
  const names = keysAt(keys)
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree) || names === null) return tree
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([key, value]) => value !== null || !names.includes(key) || keysAt([...keys, key]) === null)
      .map(([key, value]) => [key, names.includes(key) ? withoutEmptyGroups(value, [...keys, key]) : value]),
  )
}

interface Issue {
  readonly code?: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
  readonly minimum?: number | bigint
  readonly maximum?: number | bigint
  /** The allowed ones, where only some are. */
  readonly values?: readonly unknown[]
}

function describeIssue(
  issue: Issue,
  { tree, yaml, origins }: { tree: Tree; yaml: YamlSource | null; origins: ReadonlyMap<string, string> },
): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => ({
      source: yaml?.sourceOf([...issue.path, key]) ?? 'configuration',
      path: [...issue.path, key].join('.'),
      message: `unknown key; ${suggestion(issue.path, key)}`,
    }))
  }
  const option = CONFIG_OPTIONS.find(({ keys }) => keys.every((key, index) => issue.path[index] === key))
  const found = valueAt(tree, issue.path)
  const shown = found === undefined ? '' : `, found ${JSON.stringify(found).slice(0, 100)}`
  const near = typeof found === 'string' ? nearestName(found, (issue.values ?? []).map(String)) : null
  const message = describeExpectation(issue, option)
  return [
    {
      source: (option && origins.get(option.path)) ?? yaml?.sourceOf(issue.path) ?? 'configuration',
      path: issue.path.join('.'),
      message: `${message}${shown}${near === null ? '' : `; did you mean "${near}"?`}`,
    },
  ]
}

/** How a quantity may be written, for who wrote it otherwise. */
const QUANTITIES: Readonly<Record<string, string>> = {
  bytes: 'a whole number of bytes, or with a unit such as 64MiB',
  ms: 'a whole number of milliseconds, or with a unit such as 30s or 7d',
  percent: 'a whole number of percent, without a sign',
  seconds: 'a whole number of seconds',
}

function describeExpectation(
  { code, minimum, maximum, message }: Issue,
  option: ConfigOption | undefined,
): string {
  if (code === 'too_small') return `expected at least ${minimum}`
  if (code === 'too_big') return `expected at most ${maximum}`
  if (code === 'invalid_type' && option?.kind === 'integer')
    return `expected ${QUANTITIES[option.unit ?? ''] ?? 'a whole number'}`
  if (code === 'invalid_type' && option === undefined) return 'expected options, each as "name: value"'
  return message
    .replace(/^Invalid (input|option): /, '')
    .replace(/, received .*$/, '')
    .replace('expected string', 'expected text')
    .replace('expected array', 'expected a list')
    .replaceAll('|', ' | ')
}

function suggestion(path: readonly PropertyKey[], key: string): string {
  const siblings = keysAt(path) ?? []
  const near = nearestName(key, siblings)
  if (near !== null) return `did you mean "${near}"?`
  const elsewhere = CONFIG_OPTIONS.find(({ keys }) => keys.at(-1) === key || keys.at(-2) === key)
  if (elsewhere !== undefined) return `there is "${elsewhere.path}"`
  return `expected one of ${siblings.join(', ')}`
}

function unknownEnvironmentName(name: string): string {
  const near = nearestName(
    name,
    CONFIG_OPTIONS.map((option) => option.environmentName),
  )
  return `${name} is no option and is ignored${near === null ? '' : `; did you mean ${near}?`}`
}

function setText(
  tree: Tree,
  option: ConfigOption,
  text: string,
  origin: string,
  origins: Map<string, string>,
): void {
  setAt(tree, option.keys, parseOptionText(option, text))
  origins.set(option.path, origin)
}

function valueAt(tree: unknown, keys: readonly PropertyKey[]): unknown {
  let at = tree
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<PropertyKey, unknown>)[key]
  }
  return at
}

/** Sets a value, making the objects on the way. A file that has something else in their place keeps it, to be refused. */
function setAt(tree: Tree, keys: readonly string[], value: unknown): void {
  let at = tree
  for (const key of keys.slice(0, -1)) {
    at[key] ??= {}
    const next = at[key]
    if (typeof next !== 'object' || Array.isArray(next)) return
    at = next as Tree
  }
  at[keys.at(-1) ?? ''] = value
}
