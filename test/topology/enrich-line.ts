/** The shipped topology run over one line, for the tests of its stages. */

import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import type { CompiledTopology } from '../../src/topology/compile.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import type { Density } from '../../src/topology/declaration.ts'
import type { EnrichedEvent } from '../../src/topology/event-schema.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import { TopologyDriver } from '../../src/topology/topology-driver.ts'

const file = new URL('../../topologies/density-tier.yaml', import.meta.url)

/** The records of these tests arrive then. */
export const ARRIVAL_MS = Date.UTC(2024, 5, 30, 12)

export function densityTier(timeZone = 'UTC'): CompiledTopology {
  return compileTopology(parseTopology(readFileSync(file, 'utf8'), 'density-tier.yaml'), { timeZone })
}

const shipped = densityTier()

/** The event of one line; throws when it became a dead letter. */
export function enrich(
  line: string | null,
  options: { density?: Density; topology?: CompiledTopology; recordTimestampMs?: number } = {},
): EnrichedEvent {
  const { topology = shipped, density = 'full', recordTimestampMs = ARRIVAL_MS } = options
  const outcome = new TopologyDriver(topology, { density, recordTimestampMs }).pipe(line)
  if ('event' in outcome) return outcome.event
  throw new Error(`the line became a dead letter: ${outcome.deadLetter.message}`)
}

/** `enrich` at full density, of a line in which partial density finds the same time and level, or none. */
export function enrichAtBoth(line: string): EnrichedEvent {
  const whole = enrich(line)
  const { timestamp, severityText, severityNumber } = enrich(line, { density: 'partial' })
  if (timestamp !== null) expect(timestamp).toBe(whole.timestamp)
  if (severityText !== null || severityNumber !== null)
    expect([severityText, severityNumber]).toEqual([whole.severityText, whole.severityNumber])
  return whole
}

/** A line and all that it is read as. */
export type Reading = [
  line: string,
  timestamp: string | null,
  severityText: string | null,
  severityNumber: number | null,
  body: string,
  attributes?: Record<string, unknown>,
  resource?: Record<string, unknown>,
]

/** Asserts what a line is read as; time and level at both densities. */
export function expectReading(...reading: Reading): void {
  const [line, timestamp, severityText, severityNumber, body, attributes = {}, resource = {}] = reading
  const event = enrich(line)
  expect(event).toMatchObject({ timestamp, severityText, severityNumber, body })
  expect(event.attributes).toEqual(attributes)
  expect(event.resource).toEqual(resource)
  expect(enrich(line, { density: 'partial' })).toMatchObject({ timestamp, severityText, severityNumber })
}
