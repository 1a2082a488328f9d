import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { enrichedEventJsonSchema, enrichedEventSchema } from '../../src/topology/event-schema.ts'
import { enrich } from './enrich-line.ts'

const file = new URL('../../schemas/enriched-event.schema.json', import.meta.url)

it('the published schema is what the code generates', () => {
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(enrichedEventJsonSchema()))
})

it('the published schema asks for every key and for no other', () => {
  const schema = JSON.parse(readFileSync(file, 'utf8'))

  expect(schema.required.toSorted()).toEqual(Object.keys(enrich('x')).toSorted())
  expect(schema.additionalProperties).toBe(false)
})

it('an event with a key too many, too few, or of the wrong type is none', () => {
  const event = enrich('x')
  const { body, ...bodiless } = event

  expect(enrichedEventSchema.safeParse(event).success).toBe(true)
  expect(body).toBe('x')
  expect(enrichedEventSchema.safeParse(bodiless).success).toBe(false)
  expect(enrichedEventSchema.safeParse({ ...event, more: 1 }).success).toBe(false)
  expect(enrichedEventSchema.safeParse({ ...event, timestamp: 'yesterday' }).success).toBe(false)
})
