import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StreamTopicTemplates } from '../../src/vault/stream-topics.ts'
import {
  DEFAULT_STREAM_TOPICS,
  enrichedTopicOf,
  isReserved,
  passthroughTopicOf,
  streamNameCharsMax,
  streamNameProblem,
  streamOf,
  vaultTopicOf,
  vaultTopicsPattern,
} from '../../src/vault/stream-topics.ts'

const nameChars = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-'
const streamName = fc
  .string({ unit: fc.constantFrom(...nameChars), minLength: 1, maxLength: 230 })
  .filter((name) => streamNameProblem(name) === null)

describe('the mapping between streams and vault topics', () => {
  test('a named stream has its own topic and the stream "default" has the bare one', () => {
    expect(vaultTopicOf('orders')).toBe('raw-vault.orders')
    expect(vaultTopicOf('default')).toBe('raw-vault')
    expect(enrichedTopicOf('orders')).toBe('enriched.orders')
    expect(enrichedTopicOf('default')).toBe('enriched.default')
    expect(passthroughTopicOf('orders')).toBe('passthrough.orders')
  })

  test('goes both ways for every valid stream', () => {
    fc.assert(
      fc.property(streamName, (stream) => {
        expect(streamOf(vaultTopicOf(stream))).toBe(stream)
      }),
    )
  })

  test('no other topic claims to be a stream that already has one', () => {
    expect(streamOf('raw-vault')).toBe('default')
    expect(streamOf('raw-vault.default')).toBeNull()
    expect(streamOf('raw-vault.')).toBeNull()
    expect(streamOf('enriched.orders')).toBeNull()
    expect(streamOf('orders')).toBeNull()
    expect(streamOf('raw-vault.raw-vault.x')).toBeNull()
  })

  test('a dollar sign in a template or name has no special meaning', () => {
    const templates: StreamTopicTemplates = { ...DEFAULT_STREAM_TOPICS, vault: 'in_{stream}_raw' }
    expect(vaultTopicOf('orders', templates)).toBe('in_orders_raw')
    expect(streamOf('in_orders_raw', templates)).toBe('orders')
    expect(streamOf('in__raw', templates)).toBeNull()
    expect(vaultTopicOf('default', templates)).toBe('in_raw')
    expect(streamOf('in_raw', templates)).toBe('default')
  })

  test('a template without a placeholder carries every stream in one topic', () => {
    const templates: StreamTopicTemplates = { ...DEFAULT_STREAM_TOPICS, vault: 'everything' }
    expect(vaultTopicOf('orders', templates)).toBe('everything')
    expect(streamOf('everything', templates)).toBe('default')
    expect(streamOf('orders', templates)).toBeNull()
  })
})

describe('a template that is the placeholder alone', () => {
  const templates: StreamTopicTemplates = { ...DEFAULT_STREAM_TOPICS, vault: '{stream}' }

  test('gives every stream the topic of its own name, the stream "default" too', () => {
    for (const stream of ['orders', 'default', 'a.b']) {
      expect(vaultTopicOf(stream, templates)).toBe(stream)
      expect(streamOf(stream, templates)).toBe(stream)
    }
  })

  test("leaves GopherShip's own topics alone", () => {
    for (const topic of ['enriched.orders', 'dead-letter', 'gophership.debt', '__consumer_offsets', '']) {
      expect(streamOf(topic, templates)).toBeNull()
    }
  })
})

describe('the pattern of vault topics', () => {
  test.each(['raw-vault.{stream}', '{stream}', '{stream}.raw', 'in_{stream}_raw', 'everything'])(
    'of %s matches every topic that holds a stream, and no other',
    (vault) => {
      const templates: StreamTopicTemplates = { ...DEFAULT_STREAM_TOPICS, vault }
      const pattern = new RegExp(vaultTopicsPattern(templates))
      const streams = ['orders', 'default', 'a.b', 'rows', 'x-dead-letter']
      const own = [
        'enriched.web',
        'passthrough.web',
        'dead-letter',
        'gophership.probe',
        '__consumer_offsets',
        '',
      ]
      const near = [
        'raw-vault.dead-letter',
        'raw-vault.__x',
        'in_enriched.a_raw',
        'dead-letter.raw',
        'Everything',
      ]
      const topics = [
        ...streams.map((stream) => vaultTopicOf(stream, templates)),
        ...streams,
        ...own,
        ...near,
      ]
      for (const topic of topics) {
        expect(`${topic}: ${pattern.test(topic)}`).toBe(`${topic}: ${streamOf(topic, templates) !== null}`)
      }
    },
  )
})

describe('names that may not be streams', () => {
  test.each(['', '.', '..', 'a/b', 'a b', 'ü', 'a\0b', 'x'.repeat(250), '%2e'])(
    '%j is not a legal name',
    (name) => {
      expect(streamNameProblem(name)).toBe('illegal')
    },
  )

  test.each([
    'raw-vault',
    'raw-vault.orders',
    'raw-vaultx',
    'enriched.orders',
    'passthrough.orders',
    'dead-letter',
    'gophership.debt',
    '__consumer_offsets',
    '__anything',
  ])('%j is reserved', (name) => {
    expect(isReserved(name)).toBe(true)
    expect(streamNameProblem(name)).toBe('reserved')
  })

  test('a configured template reserves its own names too', () => {
    const templates: StreamTopicTemplates = { ...DEFAULT_STREAM_TOPICS, vault: 'vlt.{stream}' }
    expect(isReserved('vlt.orders', templates)).toBe(true)
    expect(isReserved('vlt', templates)).toBe(true)
    expect(isReserved('vltorders', templates)).toBe(false)
    expect(isReserved('raw-vault.orders', templates)).toBe(true)
  })

  test("neither may one be whose vault topic would be one of GopherShip's other topics", () => {
    const templates: StreamTopicTemplates = { ...DEFAULT_STREAM_TOPICS, vault: 'enriched{stream}' }
    expect(streamNameProblem('.orders', templates)).toBe('reserved')
    expect(streamNameProblem('-orders', templates)).toBeNull()
  })

  test('the longest valid stream still makes topic names Kafka accepts', () => {
    const longest = 'x'.repeat(streamNameCharsMax())
    expect(streamNameProblem(longest)).toBeNull()
    expect(streamNameProblem(`${longest}x`)).toBe('illegal')
    for (const topic of [vaultTopicOf(longest), enrichedTopicOf(longest), passthroughTopicOf(longest)]) {
      expect(topic.length).toBeLessThanOrEqual(249)
    }
  })
})
