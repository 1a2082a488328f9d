/**
 * The bytes that members of a consumer group exchange through their coordinator: what each subscribes to, and what the
 * leader gives each. Kafka's `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, versions 0 to 3 (KIP-429
 * owned partitions, KIP-792 generation, KIP-881 rack), so that other clients' tools can read ours and we theirs.
 *
 * The version stands in front. A newer one than we know is read as our newest, and what follows is left unread: that is
 * the rule by which Kafka adds fields.
 */

import type { TableCodec } from '../wire/compile.ts'
import { compileTable } from '../wire/compile.ts'
import type { DecodedOf, EncodableOf, FieldTable } from '../wire/fields.ts'
import { array, bytes, int32, string } from '../wire/fields.ts'
import { WireReader } from '../wire/wire-reader.ts'
import { WireWriter } from '../wire/wire-writer.ts'

/** The protocol type under which these bytes are exchanged. */
export const CONSUMER_PROTOCOL_TYPE = 'consumer'

const VERSION_MAX = 3

const TOPIC_PARTITIONS = { topic: string(), partitions: array(int32()) }

const SUBSCRIPTION = {
  topics: array(string()),
  userData: bytes({ nullable: true, default: null }),
  ownedPartitions: array(TOPIC_PARTITIONS, { since: 1 }),
  generationId: int32({ since: 2, default: -1 }),
  rackId: string({ since: 3, nullable: true, default: null }),
}

const ASSIGNMENT = {
  assignedPartitions: array(TOPIC_PARTITIONS),
  userData: bytes({ nullable: true, default: null }),
}

export type ConsumerSubscription = DecodedOf<typeof SUBSCRIPTION>
export type ConsumerAssignment = DecodedOf<typeof ASSIGNMENT>

const subscriptionCodecs = codecsOf(SUBSCRIPTION)
const assignmentCodecs = codecsOf(ASSIGNMENT)

/** Version 0 to 3; the newest unless told otherwise. */
export function encodeSubscription(value: EncodableOf<typeof SUBSCRIPTION>, version = VERSION_MAX): Buffer {
  return encodeVersioned(subscriptionCodecs, value, version)
}

/** Throws GS_WIRE_MALFORMED. */
export function decodeSubscription(encoded: Buffer): ConsumerSubscription {
  return decodeVersioned(subscriptionCodecs, encoded, 'consumer subscription') as ConsumerSubscription
}

/** Version 0 to 3; they do not differ. Version 0 is what every client reads. */
export function encodeAssignment(value: EncodableOf<typeof ASSIGNMENT>, version = 0): Buffer {
  return encodeVersioned(assignmentCodecs, value, version)
}

/** Throws GS_WIRE_MALFORMED. No bytes at all mean nothing assigned: what a coordinator gives a member its leader left out. */
export function decodeAssignment(encoded: Buffer): ConsumerAssignment {
  if (encoded.length === 0) return { assignedPartitions: [], userData: null }
  return decodeVersioned(assignmentCodecs, encoded, 'consumer assignment') as ConsumerAssignment
}

function codecsOf(table: FieldTable): readonly TableCodec[] {
  return Array.from({ length: VERSION_MAX + 1 }, (_, version) =>
    compileTable(table, { version, flexible: false }),
  )
}

function codecAt(codecs: readonly TableCodec[], version: number): TableCodec {
  return codecs[Math.min(Math.max(version, 0), VERSION_MAX)] as TableCodec // the index is in range
}

function encodeVersioned(codecs: readonly TableCodec[], value: object, version: number): Buffer {
  const writer = new WireWriter()
  writer.int16(version)
  codecAt(codecs, version).encode(writer, value as Record<string, unknown>)
  return Buffer.concat(writer.finish())
}

function decodeVersioned(codecs: readonly TableCodec[], encoded: Buffer, subject: string): object {
  const reader = new WireReader(encoded, 0, subject)
  const version = reader.int16()
  if (version < 0) reader.fail(`version ${version}`)
  return codecAt(codecs, version).decode(reader)
}
