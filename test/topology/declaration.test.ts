import { describe, expect, it } from 'vitest'
import { isFailure } from '../../src/core/errors.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import { TopologyDriver } from '../../src/topology/topology-driver.ts'

const WHOLE = `
name: mine
source: { streams: [orders, web] }
stages:
  - { stage: format, tiers: [full, partial] }
  - { stage: text, tiers: [full] }
  - { stage: timestamp, tiers: [full], options: { timeZone: Europe/Berlin } }
sinks: { enriched: 'enriched.{stream}', deadLetter: dead-letter }
`

/** The message with which a topology is refused. */
function refusal(yaml: string): string {
  try {
    compileTopology(parseTopology(yaml, 'mine.yaml'))
  } catch (error) {
    if (isFailure(error, 'GS_TOPOLOGY_INVALID')) return error.message
    throw error
  }
  return ''
}

describe('a topology file', () => {
  it('is taken when it is whole', () => {
    expect(refusal(WHOLE)).toBe('')
    expect(parseTopology(WHOLE, 'mine.yaml').source.streams).toEqual(['orders', 'web'])
  })

  it('sets options of its stages', () => {
    const driver = new TopologyDriver(compileTopology(parseTopology(WHOLE, 'mine.yaml')))

    driver.pipe('2024-01-15 12:00:00 hello')

    expect(driver.events[0]?.timestamp).toBe('2024-01-15T11:00:00.000Z')
  })

  it.each([
    [
      'an unknown key',
      WHOLE.replace('sinks:', 'snks:'),
      'at the top: unknown key "snks"; did you mean "sinks"?',
    ],
    [
      'an unknown key further in',
      WHOLE.replace('{ streams:', '{ stream:'),
      'at source: unknown key "stream"; did you mean "streams"?',
    ],
    [
      'an unknown key of a stage',
      WHOLE.replace('tiers: [full, partial]', 'tier: [full]'),
      'at stages[0]: unknown key "tier"; did you mean "tiers"?',
    ],
    [
      'an unknown stage',
      WHOLE.replace('stage: timestamp', 'stage: timestmap'),
      'at stages[2]: unknown stage "timestmap"; did you mean "timestamp"?',
    ],
    [
      'an unknown option',
      WHOLE.replace('{ timeZone:', '{ timezone:'),
      'unknown key "timezone"; did you mean "timeZone"?',
    ],
    [
      'a time zone that does not exist',
      WHOLE.replace('Europe/Berlin', 'Europe/Berlim'),
      '"Europe/Berlim" is none',
    ],
    ['an unknown tier', WHOLE.replace('[full, partial]', '[fully]'), 'at stages[0].tiers[0]'],
    [
      'a sink without a stream',
      WHOLE.replace("'enriched.{stream}'", 'enriched'),
      'a template that contains {stream}',
    ],
    ['a missing key', WHOLE.replace('name: mine', ''), 'at name'],
    ['YAML that is none', 'a: [', 'mine.yaml is to be a YAML document'],
    ['no document', '', 'mine.yaml is no topology'],
  ])('with %s is refused, and the message says how to mend it', (_what, yaml, message) => {
    expect(refusal(yaml)).toContain(message)
  })

  it('is refused for all of its faults at once', () => {
    const message = refusal(
      WHOLE.replace('stage: timestamp', 'stage: timestmap').replace('stage: text', 'stage: txt'),
    )

    expect(message).toContain('timestmap')
    expect(message).toContain('txt')
  })
})
