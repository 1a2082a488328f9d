import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { describeAsJson, describeAsMermaid, describeAsText } from '../../src/topology/describe.ts'
import { prepareTopology } from '../../src/topology/prepare-topology.ts'
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

  it('as text lists the stages of each tier, and says what passthrough is', () => {
    const text = describeAsText(topology)

    expect(text).toMatch(/^tiers {5}full {9}format → container → syslog → /m)
    expect(text).toMatch(/^ {10}partial {6}format → glance → timestamp → severity$/m)
    expect(text).toMatch(/^ {10}passthrough {2}no stage: /m)
    for (const line of text.split('\n').filter((line) => line.includes('→')))
      expect(line.length).toBeLessThan(110)
  })

  it("as text and JSON names the file of a stage of the user's own", async () => {
    const declaration = {
      name: 'own',
      source: { streams: 'all' as const },
      stages: [{ use: 'file:///somewhere/my%20stage.ts', tiers: ['full' as const] }],
      sinks: { enriched: 'enriched.{stream}', deadLetter: 'dead-letter' },
    }
    const own = await prepareTopology(declaration, async () => ({
      default: { name: 'mine', summary: 'Mine.', options: z.strictObject({}), create: () => () => {} },
    }))

    expect(describeAsText(own)).toContain('your own, from /somewhere/my stage.ts')
    expect(describeAsJson(own).stages[0]).toMatchObject({ stage: 'mine', module: '/somewhere/my stage.ts' })
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
      module: null,
      tiers: ['full', 'partial'],
      options: {},
    })
  })
})
