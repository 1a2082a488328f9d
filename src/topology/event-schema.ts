/**
 * The event as a schema: the OpenTelemetry log data model as JSON, one object per event, every key always present. The
 * published `schemas/enriched-event.schema.json` is generated from this, and its type is what readers get.
 */

import { z } from 'zod'
import { DENSITIES } from './declaration.ts'

const RFC_3339_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z$/

const jsonValue = z.json()

export const enrichedEventSchema = z.strictObject({
  eventId: z
    .string()
    .describe('topic:partition:offset of the vault record: the same record always gives the same id.'),
  timestamp: z
    .string()
    .regex(RFC_3339_UTC)
    .nullable()
    .describe(
      'When it happened, by the line itself: RFC 3339 in UTC, with the digits the line has, at least milliseconds. Null when the line does not say.',
    ),
  observedTimestamp: z
    .string()
    .regex(RFC_3339_UTC)
    .nullable()
    .describe('The vault record’s own Kafka timestamp. Null when it has none.'),
  severityText: z
    .string()
    .nullable()
    .describe('The level as it stands in the line; for a syslog <PRI>, its keyword.'),
  severityNumber: z
    .number()
    .int()
    .min(1)
    .max(24)
    .nullable()
    .describe('OpenTelemetry severity number of that level.'),
  body: jsonValue.describe('The message; the whole line where it has no message part of its own.'),
  attributes: z
    .record(z.string(), jsonValue)
    .describe('What the line says, under OpenTelemetry semantic-convention names where there are any.'),
  resource: z
    .record(z.string(), jsonValue)
    .describe('What the line says about its origin: host.name, service.name.'),
  traceId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .nullable()
    .describe('W3C trace id.'),
  spanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .nullable()
    .describe('W3C span id.'),
  density: z.enum(DENSITIES).describe('How fully the record was enriched.'),
  vault: z
    .strictObject({
      topic: z.string(),
      partition: z.number().int().min(0),
      offset: z.number().int().min(0),
    })
    .describe('Where the raw record lies.'),
})

export type EnrichedEvent = z.infer<typeof enrichedEventSchema>

/** The published JSON Schema, as the text of its file. */
export function enrichedEventJsonSchema(): string {
  const { $schema, ...schema } = z.toJSONSchema(enrichedEventSchema, { target: 'draft-2020-12' })
  const document = {
    $comment:
      'Generated from src/topology/event-schema.ts; test/topology/event-schema.test.ts keeps it fresh.',
    $schema,
    $id: 'urn:gophership:enriched-event',
    title: 'GopherShip enriched event',
    ...schema,
  }
  return `${JSON.stringify(document, null, 2)}\n`
}
