import { describe, expect, it } from 'vitest'
import { isFailure } from '../../src/core/errors.ts'
import { formatFailures, parseCases, runCases } from '../../src/topology/topology-cases.ts'
import { densityTier } from './enrich-line.ts'

const topology = densityTier()
const run = (yaml: string, options = {}) => runCases(topology, parseCases(yaml, 'mine.cases.yaml'), options)

describe('cases of a topology', () => {
  it('pass when the fields they name are so, and say nothing of the others', () => {
    const results = run(`
- { name: a, line: '{"level":"info","msg":"x","a":{"b":[1,{"c":2}]}}', event: { body: x, attributes: { a: { b: [1, { c: 2 }] } } } }
- { name: b, line: null, event: { body: null } }
- { name: c, base64: /w==, deadLetter: { reason: invalid-utf8 } }
- { name: d, line: plain, arrivedAt: '2020-01-02T03:04:05Z', event: { observedTimestamp: '2020-01-02T03:04:05.000Z' } }
- { name: e, line: '[1]', contentType: application/json, event: { body: [1] } }
`)

    expect(formatFailures(results)).toBe('')
    expect(results.map(({ passed }) => passed)).toEqual([true, true, true, true, true])
  })

  it('name every place that differs, as deep as it is', () => {
    const [result] = run(
      `- { name: a, line: '{"level":"info","msg":"x","a":{"b":[1]},"c":2}', event: { body: y, attributes: { a: { b: [2] }, d: 3 } } }`,
    )

    expect(result?.differences).toEqual([
      { path: 'body', expected: 'y', found: 'x' },
      { path: 'attributes.a.b[0]', expected: 2, found: 1 },
      { path: 'attributes.d', expected: 3, found: undefined },
      { path: 'attributes.c', expected: undefined, found: 2 },
    ])
    expect(formatFailures([result as never])).toContain(
      '  attributes.d\n    expected  3\n    found     nothing\n',
    )
  })

  it('fail when an event is a dead letter, and the other way round', () => {
    const results = run(`
- { name: a, base64: /w==, event: { body: x } }
- { name: b, line: x, deadLetter: { stage: text } }
`)

    expect(results.map(({ passed }) => passed)).toEqual([false, false])
    expect(formatFailures(results)).toContain('invalid-utf8')
  })

  it('run at their own density, or at that of the run', () => {
    const yaml = `
- { name: a, line: '{"msg":"x"}', event: { density: full } }
- { name: b, line: '{"msg":"x"}', density: partial, event: { density: partial, body: '{"msg":"x"}' } }
`

    expect(run(yaml).map(({ passed, density }) => [passed, density])).toEqual([
      [true, 'full'],
      [true, 'partial'],
    ])
    expect(run(yaml, { density: 'passthrough' }).map(({ passed }) => passed)).toEqual([false, true])
  })

  it.each([
    ['an unknown key', '- { name: a, lnie: x, event: {} }', 'unknown key "lnie"; did you mean "line"?'],
    ['neither line nor bytes', '- { name: a, event: {} }', 'either line or base64'],
    ['no expectation', '- { name: a, line: x }', 'either event or deadLetter'],
    ['two', '- { name: a, line: x, event: {}, deadLetter: {} }', 'either event or deadLetter'],
    [
      'a field that events do not have',
      '- { name: a, line: x, event: { message: x } }',
      'no other fields than',
    ],
    ['a density that is none', '- { name: a, line: x, density: fully, event: {} }', 'at [0].density'],
    ['no case', '[]', 'at least one case'],
    ['no YAML', 'a: [', 'is to be a YAML document'],
  ])('with %s are refused, and the message says how to mend it', (_what, yaml, message) => {
    let refusal = ''
    try {
      parseCases(yaml, 'mine.cases.yaml')
    } catch (error) {
      if (isFailure(error, 'GS_TOPOLOGY_INVALID')) refusal = error.message
    }

    expect(refusal).toContain(message)
  })
})
