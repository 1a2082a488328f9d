/**
 * Events as bytes: the one file that knows the order of an event's keys. It writes into a buffer of its own that is used
 * again for every event, so a record costs no string of the whole event, and what is the same from event to event (the
 * names of the keys, the topic, the level) is copied and not built.
 *
 *     {"eventId":"topic:partition:offset","timestamp":…,"observedTimestamp":…,"severityText":…,"severityNumber":…,
 *      "body":…,"attributes":{…},"resource":{…},"traceId":…,"spanId":…,"density":"full",
 *      "vault":{"topic":…,"partition":…,"offset":…}}
 */

import { EVENT_BYTES_MAX } from '../core/limits.ts'
import type { Density } from './declaration.ts'
import { DENSITIES } from './declaration.ts'
import type { EventDraft } from './event-draft.ts'
import { ESCAPE_SLACK_BYTES, ESCAPED_BYTES_MAX } from './line-escaper.ts'
import { FRACTION_DIGITS_MAX } from './time/found-time.ts'
import { INSTANT_BYTES_MAX, InstantWriter } from './time/instant-writer.ts'

/** The latest time that RFC 3339's four-digit year can say. */
const OBSERVED_MS_MAX = 253_402_300_799_999

const bytesOf = (text: string) => Buffer.from(text)
const NULL = bytesOf('null')
const TIMESTAMP = bytesOf('","timestamp":')
const OBSERVED = bytesOf(',"observedTimestamp":')
const ATTRIBUTES = bytesOf(',"attributes":')
/** Behind the attributes of an event that says nothing of its origin and its trace. */
const BARE = ',"resource":{},"traceId":null,"spanId":null'
const NO_LEVEL = bytesOf(',"severityText":null,"severityNumber":null,"body":')

const QUOTE = 0x22
const CLOSE_BRACE = 0x7d
const ZERO = 0x30

/** Integers that 32-bit arithmetic can take apart. */
const SMALL_INTEGER_MAX = 0x7fffffff
/** Bytes of an event beside its topic, its level and what a record says, with room to spare. */
const FRAME_BYTES = 256 + 2 * INSTANT_BYTES_MAX
const BUFFER_BYTES_MIN = 16_384
/** Levels that are remembered, and the longest of them. */
const LEVELS_MAX = 256
const LEVEL_CHARS_MAX = 64

/** A level as the bytes of an event. */
export type LevelBytes = Uint8Array

export class EventWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES_MIN)
  #view = viewOf(this.#buffer)
  readonly #eventTimes = new InstantWriter()
  readonly #arrivalTimes = new InstantWriter()

  #topic = ''
  #partition = -1
  #idStart: Uint8Array = NULL
  readonly #tails: Record<Density, Uint8Array> = { full: NULL, partial: NULL, passthrough: NULL }
  readonly #bareTails: Record<Density, Uint8Array> = { full: NULL, partial: NULL, passthrough: NULL }
  /** What comes behind the body of an event that is a line and no more. */
  #lineTail: Uint8Array = NULL

  /**
   * Where the constant parts of the last event's head stand. Those that stand in the same place again are still there:
   * an event is written over the one before, and its head is mostly the same.
   */
  #timestampAt = -1
  #observedAt = -1
  #levelAt = -1
  #level: LevelBytes = NO_LEVEL
  #bodyAt = 0

  readonly #levels = new Map<string, { readonly number: number | null; readonly bytes: LevelBytes }>()

  /** Holds the event last written, from its start. The next one is written over it, and may replace the buffer. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** The same bytes, for a `LineEscaper`. */
  get view(): DataView {
    return this.#view
  }

  /**
   * Where the body of the last event started: the next one's mostly does so too. From here on the buffer may be written
   * to before the head is; before it stand the constant parts that are still good.
   */
  get bodyAt(): number {
    return this.#bodyAt
  }

  /** Sets the partition whose records come next. Cheap when it is the one from before. */
  enter(topic: string, partition: number): void {
    if (partition === this.#partition && topic === this.#topic) return
    const quoted = JSON.stringify(topic)
    this.#topic = topic
    this.#partition = partition
    this.#idStart = bytesOf(`{"eventId":${quoted.slice(0, -1)}:${partition}:`)
    const vault = `"vault":{"topic":${quoted},"partition":${partition},"offset":`
    for (const density of DENSITIES) {
      this.#tails[density] = bytesOf(`,"density":"${density}",${vault}`)
      this.#bareTails[density] = bytesOf(`${BARE}${this.#tails[density]}`)
    }
    this.#lineTail = bytesOf(`","attributes":{}${this.#bareTails.partial}`)
    this.#forgetHead()
  }

  /**
   * Writes the event of a draft; the answer is its size in bytes. One over `EVENT_BYTES_MAX` may not have been written.
   * Throws for what JSON cannot say.
   */
  writeDraft(draft: EventDraft, offset: number, density: Density): number {
    const { traceId, spanId } = draft
    const body = JSON.stringify(draft.body)
    const attributes = draft.attributes.encode()
    const isBare = draft.resource.isUntouched && traceId === null && spanId === null
    const rest = isBare
      ? ''
      : `,"resource":${draft.resource.encode()},"traceId":${JSON.stringify(traceId)},"spanId":${JSON.stringify(spanId)}`
    const level = this.levelOf(draft.severityText, draft.severityNumber)
    if ((body.length + attributes.length + rest.length) * 3 + level.length > this.#room()) {
      const bytes = Buffer.byteLength(body) + Buffer.byteLength(attributes) + Buffer.byteLength(rest)
      if (bytes > EVENT_BYTES_MAX) return bytes
      this.#reserve(bytes + level.length)
    }
    const timeEnd = this.writeTime(this.writeId(offset), draft.timestampSeconds, draft.timestampFraction)
    let at = this.writeRestOfHead(timeEnd, draft.recordTimestampMs, level)
    const buffer = this.#buffer
    at += buffer.write(body, at)
    at = put(ATTRIBUTES, buffer, at)
    at += buffer.write(attributes, at)
    if (isBare) return this.#writeEnd(put(this.#bareTails[density], buffer, at), offset)
    at += buffer.write(rest, at)
    return this.#writeEnd(put(this.#tails[density], buffer, at), offset)
  }

  /** Makes room for an event whose body is a line of that many bytes; where to write the line is up to the caller. */
  reserveLine(lineBytes: number): void {
    const bytes = this.#bodyAt + lineBytes * ESCAPED_BYTES_MAX + ESCAPE_SLACK_BYTES
    if (bytes > this.#room()) this.#reserve(bytes)
  }

  /** Writes the start of an event, up to its timestamp. The index behind it. */
  writeId(offset: number): number {
    const buffer = this.#buffer
    if (this.#timestampAt < 0) put(this.#idStart, buffer, 0)
    const at = writeDigits(buffer, this.#idStart.length, offset)
    if (at !== this.#timestampAt) put(TIMESTAMP, buffer, at)
    this.#timestampAt = at
    return at + TIMESTAMP.length
  }

  /** Writes the timestamp, null for NaN. The index behind it. */
  writeTime(at: number, seconds: number, fraction: string): number {
    if (Number.isNaN(seconds)) return put(NULL, this.#buffer, at)
    const buffer = this.#buffer
    buffer[at] = QUOTE
    const end = this.#eventTimes.write(buffer, at + 1, seconds, fraction)
    buffer[end] = QUOTE
    return end + 1
  }

  /** Bytes that `writeTime` will write. */
  timeBytesOf(seconds: number, fraction: string): number {
    return Number.isNaN(seconds) ? NULL.length : quotedInstantBytes(fraction.length)
  }

  /** Writes a timestamp that stands in `source` as it is to be written. The index behind it. */
  copyTime(start: number, source: Buffer, from: number, to: number): number {
    const buffer = this.#buffer
    buffer[start] = QUOTE
    let at = start + 1
    for (let index = from; index < to; index += 1, at += 1) buffer[at] = source[index] as number
    buffer[at] = QUOTE
    return at + 1
  }

  /** Where the body of an event with this head will start. */
  bodyAtOf(offset: number, timeBytes: number, recordTimestampMs: number, level: LevelBytes): number {
    const observedBytes = isObserved(recordTimestampMs) ? quotedInstantBytes(3) : NULL.length
    const idBytes = this.#idStart.length + digitCount(offset) + TIMESTAMP.length
    return idBytes + timeBytes + OBSERVED.length + observedBytes + level.length
  }

  /** Writes what stands between the timestamp and the body. The index behind it, where the body starts. */
  writeRestOfHead(observedAt: number, recordTimestampMs: number, level: LevelBytes): number {
    const buffer = this.#buffer
    if (observedAt !== this.#observedAt) put(OBSERVED, buffer, observedAt)
    this.#observedAt = observedAt
    let at = observedAt + OBSERVED.length
    if (isObserved(recordTimestampMs)) {
      buffer[at] = QUOTE
      at = this.#arrivalTimes.writeMs(buffer, at + 1, recordTimestampMs)
      buffer[at] = QUOTE
      at += 1
    } else {
      at = put(NULL, buffer, at)
    }
    if (at !== this.#levelAt || level !== this.#level) put(level, buffer, at)
    this.#levelAt = at
    this.#level = level
    this.#bodyAt = at + level.length
    return this.#bodyAt
  }

  /** Ends an event whose body is a line, written up to `at` without its closing quote. The event's size. */
  endLine(at: number, offset: number): number {
    return this.#writeEnd(put(this.#lineTail, this.#buffer, at), offset)
  }

  /** The bytes of a level, kept from event to event. */
  levelOf(text: string | null, number: number | null): LevelBytes {
    if (text === null) return number === null ? NO_LEVEL : levelBytes(text, number)
    const known = this.#levels.get(text)
    if (known !== undefined && known.number === number) return known.bytes
    const bytes = levelBytes(text, number)
    if (text.length <= LEVEL_CHARS_MAX && this.#levels.size < LEVELS_MAX)
      this.#levels.set(text, { number, bytes })
    return bytes
  }

  #writeEnd(start: number, offset: number): number {
    const buffer = this.#buffer
    const at = writeDigits(buffer, start, offset)
    buffer[at] = CLOSE_BRACE
    buffer[at + 1] = CLOSE_BRACE
    return at + 2
  }

  /** Bytes that fit beside what every event has. */
  #room(): number {
    return this.#buffer.length - this.#frameBytes()
  }

  #frameBytes(): number {
    return this.#idStart.length + this.#lineTail.length + FRAME_BYTES
  }

  /** Grows the buffer. What was written is not kept. */
  #reserve(bytes: number): void {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytes + this.#frameBytes(), this.#buffer.length * 2))
    this.#view = viewOf(this.#buffer)
    this.#forgetHead()
  }

  /** Has the whole head written again. */
  #forgetHead(): void {
    this.#timestampAt = -1
    this.#observedAt = -1
    this.#levelAt = -1
  }
}

function isObserved(recordTimestampMs: number): boolean {
  return recordTimestampMs >= 0 && recordTimestampMs <= OBSERVED_MS_MAX
}

/** Bytes of an instant in quotes, by the digits of its fraction. */
function quotedInstantBytes(digits: number): number {
  return INSTANT_BYTES_MAX - FRACTION_DIGITS_MAX + Math.max(3, digits) + 2
}

function levelBytes(text: string | null, number: number | null): LevelBytes {
  return bytesOf(`,"severityText":${JSON.stringify(text)},"severityNumber":${number},"body":`)
}

function put(bytes: Uint8Array, target: Buffer, at: number): number {
  target.set(bytes, at)
  return at + bytes.length
}

function digitCount(value: number): number {
  if (!(value <= SMALL_INTEGER_MAX)) return `${value}`.length
  let count = 1
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) count += 1
  return count
}

/** Writes a whole number of 0 or more. The index behind it. */
function writeDigits(target: Buffer, at: number, value: number): number {
  if (!(value <= SMALL_INTEGER_MAX)) return at + target.write(`${value}`, at, 'latin1')
  const end = at + digitCount(value)
  let rest = value
  for (let index = end - 1; index >= at; index -= 1) {
    const tens = (rest / 10) | 0
    target[index] = ZERO + rest - tens * 10
    rest = tens
  }
  return end
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
}
