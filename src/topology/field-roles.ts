/**
 * Which field of a structured line (JSON, logfmt) plays which part. The names are those that the widespread loggers
 * write: pino, bunyan, winston, zap, logrus, zerolog, slog, log4j2, logback, Serilog, structlog, GELF, ECS, journald,
 * MongoDB, Google Cloud, Datadog, OpenTelemetry. When two fields want one part the better name wins (the lower rank)
 * and the other stays an attribute: no field is ever dropped.
 */

import type { FieldMap } from './field-map.ts'
import type { JsonValue } from './json-value.ts'

/** The parts a field can play, as indexes. */
export const ROLE = {
  message: 0,
  time: 1,
  level: 2,
  traceParent: 3,
  traceId: 4,
  spanId: 5,
  host: 6,
  service: 7,
  pid: 8,
  thread: 9,
  logger: 10,
  /** An object that holds the ids: ECS's `trace`, Datadog's `dd`, log4j2's `contextMap`; Google's `trace` is the id itself. */
  traceGroup: 11,
} as const
export type Role = (typeof ROLE)[keyof typeof ROLE]

const ROLE_COUNT = 12

/** Best name first. */
const NAMES: Readonly<Record<keyof typeof ROLE, readonly string[]>> = {
  message: [
    'message',
    'msg',
    'log',
    'body',
    '@message',
    '@m',
    '@mt',
    'Message',
    'Body',
    'MESSAGE',
    'short_message',
    'textPayload',
    'RenderedMessage',
    'MessageTemplate',
  ],
  time: [
    '@timestamp',
    'timestamp',
    'time',
    'ts',
    'Timestamp',
    'timeUnixNano',
    'timestamp_ms',
    'timestampMs',
    'timeMillis',
    'epochMillis',
    'instant',
    'datetime',
    'date_time',
    'dateTime',
    'asctime',
    'eventTime',
    'event_time',
    'EventTime',
    'eventTimestamp',
    'event_timestamp',
    'logTime',
    'log_time',
    'logtime',
    'time_iso8601',
    'time_local',
    'requestReceivedTimestamp',
    'EdgeStartTimestamp',
    'start_time',
    'StartUTC',
    'Time',
    'TimeStamp',
    'TIMESTAMP',
    '__REALTIME_TIMESTAMP',
    '@t',
    'epoch',
    'date',
    't',
  ],
  level: [
    'severityText',
    'severity_text',
    'SeverityText',
    // The word, where a line has the number as well: Monolog's and Google's 400 are not the same.
    'levelname',
    'level_name',
    'levelName',
    'level',
    'severity',
    'log.level',
    'lvl',
    'loglevel',
    'logLevel',
    'log_level',
    'LogLevel',
    'Level',
    'Severity',
    'LEVEL',
    'SEVERITY',
    '@l',
    'PRIORITY',
    'severityNumber',
    'severity_number',
    'SeverityNumber',
    'priority',
    's',
    'at',
  ],
  traceParent: ['traceparent', 'traceParent', 'trace_parent', 'TRACEPARENT'],
  traceId: [
    'trace_id',
    'traceId',
    'trace.id',
    'traceID',
    'TraceId',
    'TraceID',
    'traceid',
    'otelTraceID',
    'x-b3-traceid',
    'X-B3-TraceId',
    'dd.trace_id',
    '@tr',
    'xray_trace_id',
    'logging.googleapis.com/trace',
  ],
  spanId: [
    'span_id',
    'spanId',
    'span.id',
    'spanID',
    'SpanId',
    'SpanID',
    'spanid',
    'otelSpanID',
    'x-b3-spanid',
    'X-B3-SpanId',
    'dd.span_id',
    '@sp',
    'logging.googleapis.com/spanId',
  ],
  host: ['host.name', 'hostname', 'host_name', 'hostName', 'HOSTNAME', '_HOSTNAME'],
  service: ['service.name', 'service_name', 'serviceName', 'service', 'otelServiceName', 'SYSLOG_IDENTIFIER'],
  pid: ['process.pid', 'pid', 'process_id', 'processId', '_PID'],
  thread: ['thread.name', 'thread_name', 'threadName', 'thread'],
  logger: [
    'otel.scope.name',
    'log.logger',
    'logger_name',
    'loggerName',
    'logger',
    'LoggerName',
    'SourceContext',
  ],
  traceGroup: [
    'trace',
    'dd',
    'otel',
    'mdc',
    'MDC',
    'contextMap',
    'trace_context',
    'traceContext',
    'spanContext',
    'span_context',
    'context',
    'span',
    'attributes',
    'fields',
    'extra',
    'labels',
    'Properties',
    'jsonPayload',
  ],
}

const RANK_BITS = 6
const RANK_MASK = (1 << RANK_BITS) - 1

/** Name to role and rank in one number: role << RANK_BITS | rank. */
const ROLE_OF_NAME: ReadonlyMap<string, number> = new Map(
  Object.entries(NAMES).flatMap(([role, names]) =>
    names.map((name, rank): [string, number] => [
      name,
      (ROLE[role as keyof typeof ROLE] << RANK_BITS) | rank,
    ]),
  ),
)

const NOT_KNOWN = -1
const NAMES_REMEMBERED_MAX = 64

/** A name's hash starts at 0; each byte makes it `hash * NAME_HASH_STEP + byte`, as a 32-bit integer. */
export const NAME_HASH_STEP = 31

const KNOWN_NAMES: readonly string[] = [...ROLE_OF_NAME.keys()]
const KNOWN_ROLES: readonly number[] = [...ROLE_OF_NAME.values()]
/** Slots of the table below: so many that names rarely meet. */
const SLOT_MASK = 1023
/** Hash to index in the lists, open addressing; an empty slot is `NOT_KNOWN`. */
const SLOTS = new Int16Array(SLOT_MASK + 1).fill(NOT_KNOWN)
for (const [index, name] of KNOWN_NAMES.entries()) {
  let hash = 0
  for (let at = 0; at < name.length; at += 1)
    hash = (Math.imul(hash, NAME_HASH_STEP) + name.charCodeAt(at)) | 0
  let slot = hash & SLOT_MASK
  while (SLOTS[slot] !== NOT_KNOWN) slot = (slot + 1) & SLOT_MASK
  SLOTS[slot] = index
}

/** Tells which well-known name stands at `bytes[at, end)`, as a number of its own; -1 for any other name. */
export function knownNameAt(bytes: Uint8Array, at: number, end: number, hash: number): number {
  for (let slot = hash & SLOT_MASK; ; slot = (slot + 1) & SLOT_MASK) {
    const index = SLOTS[slot] as number
    if (index === NOT_KNOWN || isNameAt(bytes, at, end, KNOWN_NAMES[index] as string)) return index
  }
}

/** The name that `knownNameAt` gave that number. */
export function knownName(known: number): string {
  return KNOWN_NAMES[known] as string
}

/** The part that a well-known name plays. */
export function roleOfKnown(known: number): number {
  return (KNOWN_ROLES[known] as number) >> RANK_BITS
}

/** How good a name it is for its part: the lower the better. */
export function rankOfKnown(known: number): number {
  return (KNOWN_ROLES[known] as number) & RANK_MASK
}

/** Every well-known name that plays one of these parts. */
export function namesOfRoles(roles: readonly Role[]): string[] {
  return KNOWN_NAMES.filter((_name, known) => roles.includes(roleOfKnown(known) as Role))
}

function isNameAt(bytes: Uint8Array, at: number, end: number, name: string): boolean {
  if (name.length !== end - at) return false
  for (let index = 0; index < name.length; index += 1)
    if (bytes[at + index] !== name.charCodeAt(index)) return false
  return true
}

/** Names that mean a time or a level only when their value looks like one; a bare number under them says nothing. */
const WEAK_NAMES: ReadonlySet<string> = new Set(['t', 's', 'at', 'priority'])

/** True for a name that needs its value to prove the role. */
export function isWeakName(name: string): boolean {
  return WEAK_NAMES.has(name)
}

/**
 * Which attribute plays which part. The fields themselves are attributes until a stage takes one, so what no stage takes
 * simply stays.
 */
export class FieldRoles {
  readonly #attributes: FieldMap
  readonly #keys: string[] = new Array(ROLE_COUNT).fill('')
  readonly #values: JsonValue[] = new Array(ROLE_COUNT).fill(null)
  readonly #ranks: number[] = new Array(ROLE_COUNT).fill(0)
  /** One bit for each role that is played. */
  #played = 0
  /** The names of the line before in their order, and what each is: lines of one program have the same ones. */
  readonly #lastNames: string[] = []
  readonly #lastKnown: number[] = []
  #nameIndex = 0

  constructor(attributes: FieldMap) {
    this.#attributes = attributes
  }

  clear(): void {
    this.#played = 0
    this.#nameIndex = 0
  }

  /** Notes the attribute `key` and its value if its name has a role and is the best for it so far. */
  note(key: string, value: JsonValue): void {
    const known = this.#knownOf(key)
    if (known === NOT_KNOWN) return
    const role = known >> RANK_BITS
    const rank = known & RANK_MASK
    const bit = 1 << role
    if ((this.#played & bit) !== 0 && (this.#ranks[role] as number) < rank) return
    this.#keys[role] = key
    this.#values[role] = value
    this.#ranks[role] = rank
    this.#played |= bit
  }

  /** Role and rank of a name. The parser gives the same names as the same objects, so looking at the line before is cheap. */
  #knownOf(key: string): number {
    const index = this.#nameIndex
    this.#nameIndex = index + 1
    if (this.#lastNames[index] === key) return this.#lastKnown[index] as number
    const known = ROLE_OF_NAME.get(key) ?? NOT_KNOWN
    if (index < NAMES_REMEMBERED_MAX) {
      this.#lastNames[index] = key
      this.#lastKnown[index] = known
    }
    return known
  }

  /** The name of the field that plays the part; '' when none does. */
  keyOf(role: Role): string {
    return (this.#played & (1 << role)) === 0 ? '' : (this.#keys[role] as string)
  }

  /** The value of the field that plays the part, undefined when none does. */
  valueOf(role: Role): JsonValue | undefined {
    return (this.#played & (1 << role)) === 0 ? undefined : this.#values[role]
  }

  /** Uses the field up: it plays no part any more and is no attribute. */
  take(role: Role): void {
    if ((this.#played & (1 << role)) === 0) return
    this.#attributes.drop(this.#keys[role] as string)
    this.#played &= ~(1 << role)
  }
}
