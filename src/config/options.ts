/**
 * The configuration schema as a flat list of options: what flags, environment names, help, reference and JSON Schema
 * are made from. Nothing about an option is written anywhere but in `schema.ts`.
 */

import { z } from 'zod'
import type { Unit } from './schema.ts'
import { configSchema } from './schema.ts'

export type OptionKind = 'text' | 'integer' | 'choice' | 'list' | 'toggle'

/** One option, under all its names. */
export interface ConfigOption {
  /** As in the file: `ingress.kafka.port`. */
  readonly path: string
  readonly keys: readonly string[]
  /** As on the command line: `--ingress-kafka-port`. */
  readonly flag: string
  /** A shorter flag that means the same: `--kafka-port`. */
  readonly shortFlag: string | null
  /** As in the environment: `GOPHERSHIP_INGRESS_KAFKA_PORT`. */
  readonly environmentName: string
  readonly kind: OptionKind
  /** The allowed values of a choice, or of each item of a list; null where any text goes. */
  readonly choices: readonly string[] | null
  readonly unit: Unit | null
  readonly defaultValue: string | number | boolean | readonly string[]
  readonly description: string
}

export const ENVIRONMENT_PREFIX = 'GOPHERSHIP_'

/** Every option, in the order of the schema. */
export const CONFIG_OPTIONS: readonly ConfigOption[] = listOptions(configSchema, [])

/** The names allowed in the object at `keys`, or null when an option (or nothing) is there. */
export function keysAt(keys: readonly PropertyKey[]): readonly string[] | null {
  let at: z.ZodType = configSchema
  for (const key of keys) {
    if (!(at instanceof z.ZodObject) || typeof key !== 'string' || !Object.hasOwn(at.shape, key)) return null
    at = withoutDefault(at.shape[key] as z.ZodType).inner
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : null
}

/** The JSON Schema of the configuration file, draft 2020-12; an editor completes and checks against it. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    override({ zodSchema, jsonSchema }) {
      delete jsonSchema['shortFlag']
      const unit = z.globalRegistry.get(zodSchema)?.['unit']
      if (jsonSchema.type === 'integer' && (unit === 'bytes' || unit === 'ms')) {
        const { minimum, maximum } = jsonSchema
        delete jsonSchema.type
        delete jsonSchema.minimum
        delete jsonSchema.maximum
        const pattern = unit === 'bytes' ? '^-?\\d+ ?([KMGT]i?)?B?$' : '^-?\\d+ ?(ms|s|m|h|d)?$'
        jsonSchema.anyOf = [
          { type: 'integer', minimum, maximum },
          { type: 'string', pattern },
        ]
      }
    },
  })
  return { title: 'GopherShip configuration', ...schema }
}

function listOptions(schema: z.ZodObject, keys: readonly string[]): ConfigOption[] {
  return Object.entries(schema.shape).flatMap(([key, declared]) => {
    const at = [...keys, key]
    const { inner, defaultValue } = withoutDefault(declared as z.ZodType)
    if (inner instanceof z.ZodObject) return listOptions(inner, at)
    const meta = (declared as z.ZodType).meta() ?? {}
    const words = at
      .map((name) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
      .join('-')
    return [
      {
        path: at.join('.'),
        keys: at,
        flag: `--${words}`,
        shortFlag: (meta['shortFlag'] as string | undefined) ?? null,
        environmentName: ENVIRONMENT_PREFIX + words.replaceAll('-', '_').toUpperCase(),
        ...kindOf(inner),
        unit: (meta['unit'] as Unit | undefined) ?? null,
        defaultValue: defaultValue as ConfigOption['defaultValue'],
        description: meta.description ?? '',
      },
    ]
  })
}

function kindOf(schema: z.ZodType): { kind: OptionKind; choices: readonly string[] | null } {
  if (schema instanceof z.ZodEnum) return { kind: 'choice', choices: schema.options.map(String) }
  if (schema instanceof z.ZodBoolean) return { kind: 'toggle', choices: ['true', 'false'] }
  if (schema instanceof z.ZodArray) {
    const item = schema.element
    return { kind: 'list', choices: item instanceof z.ZodEnum ? item.options.map(String) : null }
  }
  return { kind: schema instanceof z.ZodNumber ? 'integer' : 'text', choices: null }
}

function withoutDefault(schema: z.ZodType): { inner: z.ZodType; defaultValue: unknown } {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return { inner: schema.unwrap() as z.ZodType, defaultValue: schema.def.defaultValue }
  }
  return { inner: schema, defaultValue: undefined }
}
