/**
 * Cases of a topology: lines, and what is to become of them, in a YAML file beside the topology. They run without a
 * broker, from the command line (`gophership topology test`) and from anybody's own tests:
 *
 *     const results = runCases(topology, parseCases(yaml, 'mine.cases.yaml'))
 *     expect(formatFailures(results)).toBe('')
 *
 * Fields of the event that a case does not name may be anything, but the maps `attributes` and `resource` are compared whole.
 */

import { parse, YAMLParseError } from 'yaml'
import { z } from 'zod'
import { GopherShipError } from '../core/errors.ts'
import type { CompiledTopology } from './compile.ts'
import type { Density } from './declaration.ts'
import { DENSITIES, describeFaults } from './declaration.ts'
import { enrichedEventSchema } from './event-schema.ts'
import { TopologyDriver } from './topology-driver.ts'

/** When the records of cases arrive that do not say it themselves. */
export const CASE_ARRIVAL = '2024-06-30T12:00:00Z'

const EVENT_FIELDS = Object.keys(enrichedEventSchema.shape)

const caseSchema = z
  .strictObject({
    name: z.string().min(1).describe('What the case shows, as a sentence.'),
    line: z.string().nullable().optional().describe('The record’s value; null for a record without one.'),
    base64: z.base64().optional().describe('In place of `line`: bytes that are no text.'),
    density: z
      .enum(DENSITIES)
      .optional()
      .describe('Default: the density that the run is for, which is full.'),
    contentType: z.string().optional().describe('The record’s content-type header.'),
    arrivedAt: z.iso
      .datetime({ offset: true })
      .optional()
      .describe(`The record’s own time. Default: ${CASE_ARRIVAL}.`),
    event: z
      .record(z.string(), z.json())
      .refine((event) => Object.keys(event).every((key) => EVENT_FIELDS.includes(key)), {
        error: `an event has no other fields than ${EVENT_FIELDS.join(', ')}`,
      })
      .optional()
      .describe('Fields that the event is to have.'),
    deadLetter: z
      .strictObject({
        reason: z.string().optional(),
        stage: z.string().optional(),
        message: z.string().optional(),
      })
      .optional()
      .describe('In place of `event`: the record is to become a dead letter, for this reason at this stage.'),
  })
  .refine(({ line, base64 }) => (line === undefined) !== (base64 === undefined), {
    error: 'is to have either line or base64',
  })
  .refine(({ event, deadLetter }) => (event === undefined) !== (deadLetter === undefined), {
    error: 'is to have either event or deadLetter',
  })
const casesSchema = z.array(caseSchema).min(1, 'at least one case')

export type TopologyCase = z.infer<typeof caseSchema>

/** One place where what became of a line is not what its case says. */
export interface Difference {
  /** `attributes.client.address`; '' for the whole. */
  readonly path: string
  /** Undefined for what is not to be there, or is not. */
  readonly expected: unknown
  readonly found: unknown
}

export interface CaseResult {
  readonly name: string
  readonly density: Density
  readonly passed: boolean
  readonly line: string | null
  readonly differences: readonly Difference[]
}

/** Reads cases from YAML text; `origin` names the file in messages. Throws GS_TOPOLOGY_INVALID naming every fault. */
export function parseCases(yamlText: string, origin: string): TopologyCase[] {
  let document: unknown
  try {
    document = parse(yamlText, { maxAliasCount: 100 })
  } catch (cause) {
    const place = cause instanceof YAMLParseError ? cause.message.split('\n')[0] : 'it cannot be read'
    throw new GopherShipError('GS_TOPOLOGY_INVALID', `${origin} is to be a YAML document: ${place}`, {
      cause,
    })
  }
  const result = casesSchema.safeParse(document)
  if (result.success) return result.data
  throw new GopherShipError(
    'GS_TOPOLOGY_INVALID',
    `${origin} is no list of cases:\n${describeFaults(result.error, casesSchema).join('\n')}`,
    { facts: { origin, faultCount: result.error.issues.length } },
  )
}

/** Runs the cases in order; those that name no density run at the one given, which is full unless said otherwise. */
export function runCases(
  topology: CompiledTopology,
  cases: readonly TopologyCase[],
  { density: densityOfRun = 'full' }: { readonly density?: Density } = {},
): CaseResult[] {
  const driver = new TopologyDriver(topology)
  return cases.map((one) => {
    const density = one.density ?? densityOfRun
    const outcome = driver.pipe(
      one.base64 === undefined ? (one.line ?? null) : Buffer.from(one.base64, 'base64'),
      {
        density,
        contentType: one.contentType ?? null,
        recordTimestampMs: Date.parse(one.arrivedAt ?? CASE_ARRIVAL),
      },
    )
    const differences: Difference[] = []
    const expected = one.event ?? one.deadLetter
    const found =
      one.event === undefined
        ? 'deadLetter' in outcome
          ? outcome.deadLetter
          : undefined
        : 'event' in outcome
          ? outcome.event
          : undefined
    if (found === undefined) {
      const kind = one.event === undefined ? 'deadLetter' : 'event'
      differences.push({ path: kind, expected, found: undefined }, ...otherOutcome(outcome))
    } else {
      for (const [key, value] of Object.entries(expected ?? {}))
        compare(value, (found as unknown as Record<string, unknown>)[key], key, differences)
    }
    const line = one.base64 === undefined ? (one.line ?? null) : `base64:${one.base64}`
    return { name: one.name, density, passed: differences.length === 0, line, differences }
  })
}

/** What there is in place of what should be. */
function otherOutcome(outcome: ReturnType<TopologyDriver['pipe']>): Difference[] {
  return 'event' in outcome
    ? [{ path: 'event', expected: undefined, found: outcome.event }]
    : [{ path: 'deadLetter', expected: undefined, found: outcome.deadLetter }]
}

/** Notes every place, as deep as it goes, where the two are not the same; the order of names does not matter. */
function compare(expected: unknown, found: unknown, path: string, differences: Difference[]): void {
  if (isMap(expected) && isMap(found)) {
    const names = new Set([...Object.keys(expected), ...Object.keys(found)])
    for (const name of names) compare(expected[name], found[name], `${path}.${name}`, differences)
  } else if (Array.isArray(expected) && Array.isArray(found) && expected.length === found.length) {
    for (const [index, item] of expected.entries())
      compare(item, found[index], `${path}[${index}]`, differences)
  } else if (JSON.stringify(expected) !== JSON.stringify(found)) {
    differences.push({ path, expected, found })
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The cases that failed and where, for people; '' when all passed. */
export function formatFailures(results: readonly CaseResult[]): string {
  return results
    .filter(({ passed }) => !passed)
    .map(({ name, density, line, differences }) => {
      const places = differences.flatMap(({ path, expected, found }) => [
        `  ${path}`,
        `    expected  ${formatValue(expected)}`,
        `    found     ${formatValue(found)}`,
      ])
      return [`${name} (${density})`, `  line        ${formatValue(line)}`, ...places, ''].join('\n')
    })
    .join('\n')
}

const VALUE_CHARS_MAX = 2_000

function formatValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length <= VALUE_CHARS_MAX
    ? text
    : `${text.slice(0, VALUE_CHARS_MAX)}… (${text.length} characters)`
}
