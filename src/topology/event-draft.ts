/**
 * The event while it is being made: what a stage is handed, reads and changes. One draft per enricher, reset for
 * every record, so nothing a stage keeps from it may outlive the call.
 *
 * It has three parts: what is given (the line and its record), what has been *found* but not yet understood (a time,
 * a level, fields with a known role: parsers put them here, and the timestamp, severity and trace-context stages
 * take them), and what goes into the event.
 */

import { FieldMap } from './field-map.ts'
import { FieldRoles } from './field-roles.ts'
import type { JsonValue } from './json-value.ts'
import type { SeverityScheme } from './severity-number.ts'
import { FoundTime } from './time/found-time.ts'

/** What a line looks like, and so which stage reads it next. */
export type LineFormat =
  /** Not looked at yet. */
  | 'unknown'
  /** A JSON object or array. */
  | 'json'
  /** Docker's json-file wrapping: {"log":…,"stream":…,"time":…}. */
  | 'docker'
  /** The Kubernetes container runtime wrapping: time, stream, tag, line. */
  | 'cri'
  /** Syslog, RFC 5424 or 3164, with or without its <PRI>. */
  | 'syslog'
  /** Common or combined access log, with or without a virtual host in front. */
  | 'access-log'
  /** key=value pairs from end to end. */
  | 'logfmt'
  /** Any other text. */
  | 'text'
  /** A head has been read off; what is left is a plain message. */
  | 'message'
  /** Read from end to end. */
  | 'done'

export class EventDraft {
  /** The whole record value as text, without the line ending or a byte order mark; never changed by a stage. */
  line = ''
  /**
   * The part of the line that no stage has taken yet. A stage that unwraps (CRI, syslog) leaves the rest here and
   * sets `format` to what the rest is.
   */
  rest = ''
  /** What `rest` is. Set by the format stage, then by each stage that has read some of it. */
  format: LineFormat = 'unknown'
  /** The record's content-type header, null when it has none. */
  contentType: string | null = null
  /** The record's own timestamp in the vault, milliseconds since the epoch; -1 when it has none. */
  recordTimestampMs = -1

  /** A time that a parser found; the timestamp stage resolves it. The first one found stays. */
  readonly foundTime = new FoundTime()
  /** How to look up `severityText`; a parser that finds a level sets both. */
  severityScheme: SeverityScheme = 'word'

  /** Seconds since the epoch, NaN for none. */
  timestampSeconds = Number.NaN
  /** Digits of the second's fraction, at most nine. */
  timestampFraction = ''
  /** The level as it stands in the line. */
  severityText: string | null = null
  /** OpenTelemetry's number, 1 to 24. */
  severityNumber: number | null = null
  body: JsonValue = null
  /** 32 lower-case hexadecimal digits. */
  traceId: string | null = null
  /** 16 lower-case hexadecimal digits. */
  spanId: string | null = null
  readonly attributes = new FieldMap()
  readonly resource = new FieldMap()
  /** Attributes of structured lines whose name tells their part: time, level, trace. A stage takes what it uses. */
  readonly foundFields = new FieldRoles(this.attributes)

  /** Starts the next record. `line` is its text. */
  reset(line: string, contentType: string | null, recordTimestampMs: number): void {
    this.line = line
    this.rest = line
    this.format = 'unknown'
    this.contentType = contentType
    this.recordTimestampMs = recordTimestampMs
    this.foundTime.clear()
    this.foundFields.clear()
    this.severityScheme = 'word'
    this.timestampSeconds = Number.NaN
    this.timestampFraction = ''
    this.severityText = null
    this.severityNumber = null
    this.body = line
    this.traceId = null
    this.spanId = null
    this.attributes.clear()
    this.resource.clear()
  }

  /** True once a parser has found a time. */
  hasTime(): boolean {
    return this.foundTime.kind !== 'none'
  }

  /** Records a time, unless an outer layer of the line had one already. */
  keepTime(time: FoundTime): void {
    if (this.foundTime.kind === 'none') this.foundTime.copyFrom(time)
  }

  /** Records a level as it stands in the line, unless an outer layer of the line had one already. */
  foundLevel(text: string, scheme: SeverityScheme): void {
    if (this.severityText !== null) return
    this.severityText = text
    this.severityScheme = scheme
  }

  /**
   * Sets one field of a structured line as an attribute, and notes the part that its name plays: the stages whose
   * business that is take it from there.
   */
  addField(key: string, value: JsonValue): void {
    this.attributes.set(key, value)
    this.foundFields.note(key, value)
  }
}
