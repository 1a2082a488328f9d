import { describe, expect, it } from 'vitest'
import { describeAsJson, describeAsMermaid, describeAsText } from '../../src/topology/describe.ts'
import { densityTier } from './enrich-line.ts'

const topology = densityTier('Europe/Berlin')

describe('a topology described', () => {
  it('as text names its source, each stage in order with its tiers, and its sinks', () => {
    const text = describeAsText(topology)

    expect(text).toContain('topology  density-tier')
    expect(text).toContain('every stream of the vault')
    expect(text).toContain('Europe/Berlin')
    expect(text).toMatch(/1 {2}format +full +partial +Tells what the line is/)
    expect(text).toMatch(/glance +partial/)
    expect(text).toContain('enriched.{stream}')
    expect(text).toContain('dead-letter')
    expect(text.endsWith('\n')).toBe(true)
  })

  it('as Mermaid draws each tier from the source through its stages to the sink', () => {
    const chart = describeAsMermaid(topology)

    expect(chart).toMatch(/^flowchart LR\n/)
    expect(chart).toContain('source -->|full| s0')
    expect(chart).toContain('source -->|partial| s0')
    expect(chart).toContain('-->|full| enriched')
    expect(chart).toContain('s0 -.->|failed| deadLetter')
    expect(chart).toContain('enriched.{stream}')
  })

  it('as JSON lists the stages and those of each tier', () => {
    const description = JSON.parse(JSON.stringify(describeAsJson(topology)))

    expect(description).toMatchObject({
      name: 'density-tier',
      source: { streams: 'all' },
      timeZone: 'Europe/Berlin',
    })
    expect(description.tiers.full).toContain('json')
    expect(description.tiers.partial).not.toContain('json')
    expect(description.tiers.passthrough).toEqual([])
    expect(description.stages[0]).toEqual({
      stage: 'format',
      summary: expect.any(String),
      tiers: ['full', 'partial'],
      options: {},
    })
  })
})
