/**
 * Which field of a structured line (JSON, logfmt) plays which part. The names are those that the widespread loggers
 * write: pino, bunyan, winston, zap, logrus, zerolog, slog, log4j2, logback, Serilog, structlog, GELF, ECS, journald,
 * MongoDB, Google Cloud, Datadog, OpenTelemetry. When two fields want one part the better name wins (the lower rank)
 * and the other stays an attribute: no field is ever dropped.
 */

import type { FieldMap } from './field-map.ts'
import type { JsonValue } from './json-text.ts'

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
} as const
export type Role = (typeof ROLE)[keyof typeof ROLE]

const ROLE_COUNT = 11
const UNTAKEN = -1

/** Best name first. */
const NAMES: Readonly<Record<keyof typeof ROLE, readonly string[]>> = {
  message: [
    'message',
    'msg',
    'log',
    'body',
    '@message',
    '@m',
    'Message',
    'Body',
    'MESSAGE',
    'short_message',
    'textPayload',
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
    'eventTimestamp',
    'event_timestamp',
    'logTime',
    'log_time',
    'logtime',
    'time_iso8601',
    'time_local',
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
    'level',
    'severity',
    'log.level',
    'levelname',
    'level_name',
    'levelName',
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
}

const RANKS_PER_ROLE = 64

/** Name to role * RANKS_PER_ROLE + rank. */
const ROLE_OF_NAME: ReadonlyMap<string, number> = new Map(
  Object.entries(NAMES).flatMap(([role, names]) =>
    names.map((name, rank): [string, number] => [
      name,
      ROLE[role as keyof typeof ROLE] * RANKS_PER_ROLE + rank,
    ]),
  ),
)

/** Names that mean a time or a level only when their value looks like one; a bare number under them says nothing. */
const WEAK_NAMES: ReadonlySet<string> = new Set(['t', 'date', 'epoch', 's', 'at', 'priority'])

/** True for a name that needs its value to prove the role. */
export function isWeakName(name: string): boolean {
  return WEAK_NAMES.has(name)
}

export class FieldRoles {
  readonly #keys: string[] = new Array(ROLE_COUNT).fill('')
  readonly #values: JsonValue[] = new Array(ROLE_COUNT).fill(null)
  readonly #ranks: number[] = new Array(ROLE_COUNT).fill(UNTAKEN)
  #anyOffered = false

  clear(): void {
    if (!this.#anyOffered) return
    this.#ranks.fill(UNTAKEN)
    this.#values.fill(null)
    this.#anyOffered = false
  }

  /** Keeps the field if its name has a role and is the best for it so far; what is not kept goes to `others`. */
  offer(key: string, value: JsonValue, others: FieldMap): void {
    const known = ROLE_OF_NAME.get(key)
    if (known === undefined) {
      others.set(key, value)
      return
    }
    const role = Math.floor(known / RANKS_PER_ROLE)
    const rank = known % RANKS_PER_ROLE
    const rankBefore = this.#ranks[role] as number
    if (rankBefore !== UNTAKEN && rankBefore < rank) {
      others.set(key, value)
      return
    }
    // A key given twice has the same rank: the later value counts, as it does in JSON.parse.
    if (rankBefore > rank) others.set(this.#keys[role] as string, this.#values[role] as JsonValue)
    this.#keys[role] = key
    this.#values[role] = value
    this.#ranks[role] = rank
    this.#anyOffered = true
  }

  /** True when a field plays the part. */
  has(role: Role): boolean {
    return this.#ranks[role] !== UNTAKEN
  }

  /** The name of the field that plays the part; meaningless without one. */
  keyOf(role: Role): string {
    return this.#keys[role] as string
  }

  /** The value of the field that plays the part, undefined without one. It stays until `take`. */
  valueOf(role: Role): JsonValue | undefined {
    return this.#ranks[role] === UNTAKEN ? undefined : this.#values[role]
  }

  /** Uses the field up: it will not become an attribute. */
  take(role: Role): void {
    this.#ranks[role] = UNTAKEN
  }

  /** What nobody took goes to `others` under its own name. */
  release(others: FieldMap): void {
    if (!this.#anyOffered) return
    for (let role = 0; role < ROLE_COUNT; role += 1) {
      if (this.#ranks[role] === UNTAKEN) continue
      others.setIfAbsent(this.#keys[role] as string, this.#values[role] as JsonValue)
      this.#ranks[role] = UNTAKEN
    }
  }
}
