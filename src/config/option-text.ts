/** An option written as text, as a flag, the environment or a quoted YAML value has it. */

import type { ConfigOption } from './options.ts'

const BYTE_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
}
const MS_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * The value that `text` means for this option. Lists are separated by commas. Text that is no such value comes back
 * as it is: the schema refuses it, and says there what was expected.
 */
export function parseOptionText(option: ConfigOption, text: string): string | number | boolean | string[] {
  if (option.kind === 'list') {
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
  }
  if (option.kind === 'toggle' && /^(true|false)$/.test(text.trim())) return text.trim() === 'true'
  return option.kind === 'integer' ? (parseQuantity(text.trim(), option.unit) ?? text) : text
}

/** Milliseconds of a duration written with its unit (`90s`, `10m`); null for anything else. */
export function parseDurationMs(text: string): number | null {
  return /[a-z]$/.test(text.trim()) ? parseQuantity(text.trim(), 'ms') : null
}

function parseQuantity(text: string, unit: ConfigOption['unit']): number | null {
  const pattern = unit === 'bytes' ? /^(-?\d[\d_]*) ?([KMGT]i?)?B?$/ : /^(-?\d[\d_]*) ?(ms|s|m|h|d)?$/
  const match = pattern.exec(text)
  if (match === null) return null
  const [, digits = '', suffix = ''] = match
  if (suffix !== '' && unit !== 'bytes' && unit !== 'ms') return null
  const factor = (unit === 'bytes' ? BYTE_FACTORS : MS_FACTORS)[suffix]
  return factor === undefined ? null : Number(digits.replaceAll('_', '')) * factor
}

/** A value as one would type it; for help and reference. */
export function formatOptionValue(option: ConfigOption, value: ConfigOption['defaultValue']): string {
  if (Array.isArray(value)) return value.join(',')
  if (typeof value !== 'number') return String(value)
  if (option.unit === 'bytes') return formatWith(value, BYTE_FACTORS, ['Ti', 'Gi', 'Mi', 'Ki'], 'B')
  if (option.unit === 'ms') return formatWith(value, MS_FACTORS, ['d', 'h', 'm', 's'], '')
  return String(value)
}

function formatWith(
  value: number,
  factors: Readonly<Record<string, number>>,
  suffixes: readonly string[],
  ending: string,
): string {
  for (const suffix of suffixes) {
    const factor = factors[suffix] ?? 1
    if (value > 0 && value % factor === 0) return `${value / factor}${suffix}${ending}`
  }
  return String(value)
}
