import { describe, expect, it } from 'vitest'
import { compileTopology } from '../../../src/topology/compile.ts'
import type { EnrichedEvent } from '../../../src/topology/event-schema.ts'
import { TopologyDriver } from '../../../src/topology/topology-driver.ts'

function enrich(line: string, options: Record<string, unknown>): EnrichedEvent {
  const stage = (name: string, own?: Record<string, unknown>) => ({
    stage: name,
    tiers: ['full' as const],
    ...(own === undefined ? {} : { options: own }),
  })
  const topology = compileTopology({
    name: 'own',
    source: { streams: 'all' },
    stages: [stage('format'), stage('json'), stage('severity'), stage('lookup', options)],
    sinks: { enriched: 'enriched.{stream}', deadLetter: 'dead-letter' },
  })
  const outcome = new TopologyDriver(topology).pipe(line)
  if ('event' in outcome) return outcome.event
  throw new Error(outcome.deadLetter.message)
}

const table = { cart: 'storefront', 404: { text: 'not found', retry: false }, true: 1, WARN: 'look' }
const to = 'attributes.found'

describe('the lookup stage', () => {
  it.each([
    ['{"service":"cart"}', 'resource.service.name', 'storefront'],
    ['{"status":404}', 'attributes.status', { text: 'not found', retry: false }],
    ['{"http":{"status.code":404}}', 'attributes.http.status.code', { text: 'not found', retry: false }],
    ['{"ok":true}', 'attributes.ok', 1],
    ['{"level":"WARN"}', 'severityText', 'look'],
    ['{"msg":"cart"}', 'body', 'storefront'],
  ])('sets what the table has for %s at %s', (line, from, expected) => {
    expect(enrich(line, { from, to, table }).attributes['found']).toEqual(expected)
  })

  it.each([
    '{"service":"CART"}',
    '{"service":"none"}',
    '{"a":1}',
    '{"service":null}',
    '{"service":"toString"}',
    '{"service":"__proto__"}',
  ])('sets nothing for %s, which is not in the table', (line) => {
    expect(enrich(line, { from: 'resource.service.name', to, table }).attributes).not.toHaveProperty('found')
  })

  it('sets the default for what is not in the table, and nothing when there is nothing to look up', () => {
    const options = { from: 'attributes.a', to, table, default: 'other' }

    expect(enrich('{"a":"none"}', options).attributes['found']).toBe('other')
    expect(enrich('{"b":"none"}', options).attributes).not.toHaveProperty('found')
  })

  it('leaves a field that is there, unless it is to replace it', () => {
    const options = { from: 'attributes.a', to, table: { x: 'new' } }

    expect(enrich('{"a":"x","found":"old"}', options).attributes['found']).toBe('old')
    expect(enrich('{"a":"x","found":"old"}', { ...options, replaces: true }).attributes['found']).toBe('new')
  })

  it('ignores case when told to, and then refuses a table in which that makes two one', () => {
    const options = { from: 'attributes.a', to, table: { Cart: 1 }, ignoresCase: true }

    expect(enrich('{"a":"cART"}', options).attributes['found']).toBe(1)
    expect(() => enrich('{}', { ...options, table: { a: 1, A: 2 } })).toThrow('the same but for their case')
  })

  it('refuses to set what is no attribute and not of the resource', () => {
    expect(() => enrich('{}', { from: 'body', to: 'body', table })).toThrow(
      'the event itself is not looked up',
    )
  })
})
