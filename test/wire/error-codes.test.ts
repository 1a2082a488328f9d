import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isRetriableKafkaError, KAFKA_ERROR, kafkaErrorName } from '../../src/wire/error-codes.ts'

const kafkas = readFileSync(new URL('golden/golden-errors.tsv', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => {
    const [code, name, retriable] = line.split('\t') as [string, string, string]
    return { code: Number(code), name, retriable: retriable === 'true' }
  })

describe('Kafka error codes', () => {
  it('have the numbers and names that Kafka prints for them, and none is missing', () => {
    expect(Object.entries(KAFKA_ERROR)).toEqual(kafkas.map(({ code, name }) => [name, code]))
    for (const { code, name } of kafkas) expect(kafkaErrorName(code)).toBe(name)
  })

  it('are retriable exactly where the exception of the Java client is', () => {
    for (const { code, name, retriable } of kafkas) expect(isRetriableKafkaError(code), name).toBe(retriable)
  })

  it('that are newer than the table have a name made of their number and are not retriable', () => {
    expect(kafkaErrorName(4242)).toBe('UNKNOWN_ERROR_4242')
    expect(isRetriableKafkaError(4242)).toBe(false)
  })
})
