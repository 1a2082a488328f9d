import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileTopology } from '../../../src/topology/compile.ts'
import type { StagedTier } from '../../../src/topology/declaration.ts'
import { TopologyDriver } from '../../../src/topology/topology-driver.ts'

const TIERS: StagedTier[] = ['full', 'partial']
function driverOf(options: Record<string, unknown>): TopologyDriver {
  return new TopologyDriver(
    compileTopology({
      name: 'own',
      source: { streams: 'all' },
      stages: [
        { stage: 'format', tiers: TIERS },
        { stage: 'glance', tiers: ['partial'] },
        { stage: 'json', tiers: ['full'] },
        { stage: 'redact', tiers: TIERS, options },
      ],
      sinks: { enriched: 'enriched.{stream}', deadLetter: 'dead-letter' },
    }),
  )
}

function bodyOf(text: string, options: Record<string, unknown>): unknown {
  const outcome = driverOf(options).pipe(text)
  return 'event' in outcome ? outcome.event.body : outcome
}

describe('the redact stage', () => {
  it.each([
    ['paid with 4111111111111111.', 'paid with [redacted].'],
    ['4111 1111 1111 1111', '[redacted]'],
    ['4111-1111-1111-1111 12/27', '[redacted] 12/27'],
    ['200 4111111111111111 17', '200 [redacted] 17'],
    ['3782 822463 10005 and 6011000990139424', '[redacted] and [redacted]'],
    ['4111111111111112', '4111111111111112'],
    ['order 12345', 'order 12345'],
    ['41111111111111111111111111', '41111111111111111111111111'],
  ])('takes card numbers out of %s', (text, expected) => {
    expect(bodyOf(text, { patterns: ['card-number'] })).toBe(expected)
  })

  it.each([
    ['email-address', 'from ann.b+c@mail.example.com now', 'from [redacted] now'],
    ['email-address', 'a@b', 'a@b'],
    ['ip-address', 'from 203.0.113.9:80', 'from [redacted]:80'],
    ['ip-address', 'version 1.2.3.4.5 and 300.1.1.1', 'version 1.2.3.4.5 and 300.1.1.1'],
    ['bearer-token', 'Authorization: Bearer abc.def-123==', 'Authorization: Bearer [redacted]'],
    ['json-web-token', 'jwt eyJhbGciOi.eyJzdWIiOiIx.SflKxw end', 'jwt [redacted] end'],
  ])('knows %s', (pattern, text, expected) => {
    expect(bodyOf(text, { patterns: [pattern] })).toBe(expected)
  })

  it('looks into every text, however deep, and leaves the rest as it is', () => {
    const driver = driverOf({ expressions: ['secret\\d'], replacement: '$&' })
    driver.pipe(
      '{"msg":"secret1","a":{"b":["secret2",{"c":"secret3 secret4","__proto__":"secret5"}],"n":1.5},"d":null,"service":"secret6"}',
    )

    const event = JSON.parse(JSON.stringify(driver.events[0]))
    expect(event.body).toBe('$&')
    expect(JSON.stringify(event.attributes)).toBe(
      '{"a":{"b":["$&",{"c":"$& $&","__proto__":"$&"}],"n":1.5},"d":null}',
    )
    expect(event.resource).toEqual({ 'service.name': '$&' })
  })

  it('finds a card number that was sent as a number, also one that a double cannot hold', () => {
    const driver = driverOf({ patterns: ['card-number'] })
    driver.pipe('{"pan":4111111111111111,"long":6304000000000000000,"n":41}')

    expect(driver.events[0]?.attributes).toEqual({ pan: '[redacted]', long: '[redacted]', n: 41 })
  })

  it('replaces whole values by where they stand: names with dots, and names in maps', () => {
    const driver = driverOf({
      paths: [
        'attributes.a.b',
        'attributes.c.d.e',
        'resource.host.name',
        'attributes.none',
        'attributes.null',
      ],
    })
    driver.pipe('{"a.b":1,"c":{"d":{"e":{"f":2},"g":3}},"hostname":"h","null":null}')

    expect(driver.events[0]).toMatchObject({
      attributes: { 'a.b': '[redacted]', c: { d: { e: '[redacted]', g: 3 } }, null: null },
      resource: { 'host.name': '[redacted]' },
    })
  })

  it('works on the line at partial density', () => {
    const driver = driverOf({ patterns: ['card-number'] })

    driver.pipe('{"msg":"4111111111111111"}', { density: 'partial' })

    expect(driver.events[0]).toMatchObject({ body: '{"msg":"[redacted]"}', density: 'partial' })
  })

  it('lets no card number through, whatever stands around it', () => {
    const card = fc.constantFrom(
      '4111111111111111',
      '5500005555555559',
      '378282246310005',
      '6011000990139424',
    )
    const around = fc.string({
      unit: fc.constantFrom('a', ' ', '"', ':', '.', ',', 'é', '\n', '-x'),
      maxLength: 5,
    })
    const before = fc.constantFrom('', '12 ', 'id=5 ')
    const after = fc.constantFrom('', ' 7', '.', ' 12 ')
    fc.assert(
      fc.property(
        fc.array(fc.tuple(around, before, card, after, around), { minLength: 1, maxLength: 4 }),
        (parts) => {
          // A letter, because two numbers with only a blank between may be one.
          const text = parts.map(([a, b, c, d, e]) => `${a}x${b}${c}${d}x${e}`).join('')
          const body = String(bodyOf(`x${text}`, { patterns: ['card-number'] }))

          for (const [, , number] of parts) expect(body.replaceAll(' ', '')).not.toContain(number)
        },
      ),
      { numRuns: 500, seed: 7 },
    )
  })

  it.each([
    '1 '.repeat(200_000),
    '4111 '.repeat(80_000),
    'a@'.repeat(200_000),
    '1.'.repeat(200_000),
    'eyJaaaa.'.repeat(50_000),
  ])('takes no time to speak of over half a megabyte of almost', (text) => {
    const startedMs = performance.now()
    bodyOf(text, {
      patterns: ['card-number', 'email-address', 'ip-address', 'bearer-token', 'json-web-token'],
    })

    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })

  it.each([
    [{}, 'at least one of patterns, expressions and paths'],
    [{ patterns: ['cards'] }, 'patterns[0]'],
    [{ expressions: ['('] }, 'a regular expression of JavaScript'],
    [{ paths: ['vault.offset'] }, 'body, severityText, attributes.NAME or resource.NAME'],
  ])('refuses %j', (options, message) => {
    expect(() => driverOf(options)).toThrow(message)
  })
})
