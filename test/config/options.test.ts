import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load-config.ts'
import { formatOptionValue, parseOptionText } from '../../src/config/option-text.ts'
import { CONFIG_OPTIONS, configJsonSchema } from '../../src/config/options.ts'

test('every option has a sentence of help, a default that is accepted, and a unit if it is a quantity', () => {
  for (const option of CONFIG_OPTIONS) {
    expect(option.description, option.path).toMatch(/^[A-Z].*\.$/)
    expect(option.defaultValue, option.path).toBeDefined()
    if (option.kind === 'integer') expect(option.unit, option.path).not.toBeNull()
  }
})

test('a name says its unit', () => {
  for (const { path, unit } of CONFIG_OPTIONS) {
    if (unit === 'ms') expect(path).toMatch(/Ms(Max)?$/)
    if (unit === 'bytes') expect(path).toMatch(/Bytes(Max)?$/)
    if (unit === 'count') expect(path).toMatch(/Count(Min|Max)?$/)
    if (unit === 'port') expect(path).toMatch(/[pP]ort$/)
  }
})

test('flags and environment names are unique and derived from the path', () => {
  const port = CONFIG_OPTIONS.find(({ path }) => path === 'ingress.kafka.advertisedPort')

  expect(port).toMatchObject({
    flag: '--ingress-kafka-advertised-port',
    environmentName: 'GOPHERSHIP_INGRESS_KAFKA_ADVERTISED_PORT',
  })
  const flags = CONFIG_OPTIONS.flatMap(({ flag, shortFlag }) =>
    shortFlag === null ? [flag] : [flag, shortFlag],
  )
  expect(new Set(flags).size).toBe(flags.length)
  expect(new Set(CONFIG_OPTIONS.map(({ environmentName }) => environmentName)).size).toBe(
    CONFIG_OPTIONS.length,
  )
})

test('every default, printed and read back, is itself', () => {
  for (const option of CONFIG_OPTIONS) {
    expect(parseOptionText(option, formatOptionValue(option, option.defaultValue)), option.path).toEqual(
      option.defaultValue,
    )
  }
})

test('all options can be given as flags at once', () => {
  const flags = new Map(
    CONFIG_OPTIONS.map((option) => [option.path, formatOptionValue(option, option.defaultValue)]),
  )

  expect(loadConfig({ flags }).config).toEqual(loadConfig({}).config)
})

test('the JSON Schema knows every option and allows nothing else', () => {
  const schema = configJsonSchema()

  for (const { keys, description } of CONFIG_OPTIONS) {
    let at = schema as {
      properties?: Record<string, never>
      additionalProperties?: boolean
      description?: string
    }
    for (const key of keys) {
      expect(at.additionalProperties).toBe(false)
      at = at.properties?.[key] ?? {}
    }
    expect(at.description).toBe(description)
  }
})
