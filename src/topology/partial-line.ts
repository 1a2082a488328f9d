/**
 * Partial density from bytes to bytes: the line is copied into the event as its body while it is looked at, its time and
 * level are found in its bytes, and no text is made of it. JSON objects and access logs are handled here; any other line
 * is declined, and then the stages of the partial tier run on it.
 */

import { isUtf8 } from 'node:buffer'
import type { CompiledTopology } from './compile.ts'
import { stagesAt } from './compile.ts'
import type { EventWriter, LevelBytes } from './event-writer.ts'
import { isWeakName, knownName } from './field-roles.ts'
import { levelOfField } from './level-field.ts'
import { LineEscaper } from './line-escaper.ts'
import { DOCKER_STARTS } from './line-format.ts'
import type { GlancedField } from './line-glance.ts'
import { CLF_BYTES, clfTimeAt, JsonGlance, levelTextOf, timeTextOf } from './line-glance.ts'
import { formatStage } from './stages/format.ts'
import { glanceStage } from './stages/glance.ts'
import { severityStage } from './stages/severity.ts'
import { timestampStage } from './stages/timestamp.ts'
import { FoundTime } from './time/found-time.ts'
import { readTimeValue } from './time/read-time-value.ts'
import { Rfc3339 } from './time/rfc3339.ts'
import { NO_TIME, scanClf } from './time/scan-time.ts'
import type { TimeZone } from './time/time-zone.ts'
import { timeZoneOf } from './time/time-zone.ts'

/** The stages that this does the work of; with any other beside them it stands aside. */
const GLANCED_STAGES: readonly unknown[] = [formatStage, glanceStage, timestampStage, severityStage]

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const QUOTE = 0x22
const OPEN_BRACE = 0x7b
/** Longest level that is read here. */
const LEVEL_BYTES_MAX = 64
const DOCKER_START_BYTES = DOCKER_STARTS.map((start) => Buffer.from(start))

export const DECLINED = -1

/** Null when the topology's partial tier does something else than glance at lines. */
export function partialLineOf(topology: CompiledTopology, writer: EventWriter): PartialLine | null {
  const stages = stagesAt(topology, 'partial')
  const isGlance =
    stages.length === GLANCED_STAGES.length &&
    stages.every((stage, index) => stage.definition === GLANCED_STAGES[index])
  if (!isGlance) return null
  const own = stages.find((stage) => stage.definition === timestampStage)?.options['timeZone']
  return new PartialLine(writer, timeZoneOf(typeof own === 'string' ? own : topology.timeZone))
}

/** Levels that are remembered: those of up to eight bytes, by what they are. */
const LEVEL_SLOT_MASK = 63

export class PartialLine {
  readonly #writer: EventWriter
  readonly #zone: TimeZone
  readonly #escaper = new LineEscaper()
  readonly #json = new JsonGlance()
  readonly #commonest = new Rfc3339()
  readonly #found = new FoundTime()

  #source: Buffer | null = null
  #sourceView: DataView = new DataView(new ArrayBuffer(0))

  // The time found in this line: where it stands as it is to be written, -1 when it does not, or else what it is.
  #instantAt = -1
  #instantEnd = -1
  #seconds = Number.NaN
  #fraction = ''

  /** The last time of an access log, as its bytes and what it meant. */
  readonly #clf = Buffer.alloc(CLF_BYTES)
  #clfSeconds = Number.NaN

  readonly #levelKeys = new Float64Array((LEVEL_SLOT_MASK + 1) * 3).fill(-1)
  readonly #levels: LevelBytes[] = []

  constructor(writer: EventWriter, zone: TimeZone) {
    this.#writer = writer
    this.#zone = zone
  }

  /** Writes the event of `bytes[start, end)`; its size, or `DECLINED`. */
  write(bytes: Buffer, start: number, valueEnd: number, recordTimestampMs: number, offset: number): number {
    let end = valueEnd
    if (end > start && bytes[end - 1] === LINE_FEED) end -= 1
    while (end > start && bytes[end - 1] === CARRIAGE_RETURN) end -= 1
    const isJson = bytes[start] === OPEN_BRACE
    const clfAt = isJson ? -1 : clfTimeAt(bytes, start, end)
    // A container's wrapping has the time of the line in it, at full density.
    if (isJson ? isDockerAt(bytes, start) : clfAt < 0) return DECLINED

    const writer = this.#writer
    writer.reserveLine(end - start)
    const copiedAt = writer.bodyAt + 1
    const copiedEnd = this.#escaper.write(this.#viewOf(bytes), start, end, writer.view, copiedAt)
    if (!this.#escaper.isAscii && !isUtf8(bytes.subarray(start, end))) return DECLINED
    let level = writer.levelOf(null, null)
    if (isJson) {
      const json = this.#json
      if (!json.look(bytes, start, end, this.#escaper)) return DECLINED
      if (json.level.end - json.level.at > LEVEL_BYTES_MAX) return DECLINED
      this.#readTime(bytes, json.time, recordTimestampMs)
      if (json.level.known >= 0) level = this.#levelOf(bytes, json.level)
    } else if (!this.#readClf(bytes, clfAt)) {
      return DECLINED
    }
    const instantAt = this.#instantAt
    const timeBytes =
      instantAt >= 0 ? this.#instantEnd - instantAt + 2 : writer.timeBytesOf(this.#seconds, this.#fraction)
    const bodyAt = writer.bodyAtOf(offset, timeBytes, recordTimestampMs, level)
    const buffer = writer.buffer
    // The line goes to its place first: the head is written over where it was.
    if (bodyAt + 1 !== copiedAt) buffer.copyWithin(bodyAt + 1, copiedAt, copiedEnd)
    const timeAt = writer.writeId(offset)
    const timeEnd =
      instantAt >= 0
        ? writer.copyTime(timeAt, bytes, instantAt, this.#instantEnd)
        : writer.writeTime(timeAt, this.#seconds, this.#fraction)
    writer.writeRestOfHead(timeEnd, recordTimestampMs, level)
    buffer[bodyAt] = QUOTE
    return writer.endLine(copiedEnd + bodyAt + 1 - copiedAt, offset)
  }

  #viewOf(bytes: Buffer): DataView {
    if (bytes !== this.#source) {
      this.#source = bytes
      this.#sourceView = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    return this.#sourceView
  }

  #readTime(bytes: Buffer, field: GlancedField, recordTimestampMs: number): void {
    this.#seconds = Number.NaN
    this.#instantAt = -1
    if (
      field.known >= 0 &&
      field.kind === 'string' &&
      this.#commonest.isSameDay(bytes, field.at, field.end)
    ) {
      this.#instantAt = field.at
      this.#instantEnd = field.end
      return
    }
    const text = timeTextOf(bytes, field)
    if (text === null) return
    if (field.kind === 'string' && this.#commonest.read(text)) {
      this.#seconds = this.#commonest.seconds
      this.#fraction = this.#commonest.fractionOf(text)
      return
    }
    const found = this.#found
    found.clear()
    if (!readTimeValue(text, found, isWeakName(knownName(field.known)))) return
    this.#seconds = found.resolve(this.#zone, recordTimestampMs)
    this.#fraction = found.fraction
  }

  /** True for the time of an access log at `at`. */
  #readClf(bytes: Buffer, at: number): boolean {
    const last = this.#clf
    if (!startsWith(bytes, at, last)) {
      bytes.copy(last, 0, at, at + CLF_BYTES)
      this.#found.clear()
      const isTime = scanClf(bytes.toString('latin1', at, at + CLF_BYTES), 0, this.#found) !== NO_TIME
      this.#clfSeconds = isTime ? this.#found.resolve(this.#zone, 0) : Number.NaN
    }
    this.#instantAt = -1
    this.#seconds = this.#clfSeconds
    this.#fraction = ''
    return !Number.isNaN(this.#seconds)
  }

  #levelOf(bytes: Buffer, field: GlancedField): LevelBytes {
    // GELF counts its levels as syslog does.
    const countsAsSyslog = this.#json.isGelf()
    const length = field.end - field.at
    if (field.kind === 'other' || length === 0) return this.#writer.levelOf(null, null)
    if (length > 8) return this.#readLevel(bytes, field, countsAsSyslog)
    let low = 0
    let high = 0
    for (let at = field.at; at < field.end; at += 1) {
      high = (high << 8) | (low >>> 24)
      low = (low << 8) | (bytes[at] as number)
    }
    const kind =
      ((field.known * 16 + length) * 2 + (field.kind === 'string' ? 1 : 0)) * 2 + (countsAsSyslog ? 1 : 0)
    const slot = (low ^ (low >>> 7) ^ high ^ kind) & LEVEL_SLOT_MASK
    const keys = this.#levelKeys
    const at = slot * 3
    if (keys[at] === kind && keys[at + 1] === low && keys[at + 2] === high)
      return this.#levels[slot] as LevelBytes
    const level = this.#readLevel(bytes, field, countsAsSyslog)
    keys[at] = kind
    keys[at + 1] = low
    keys[at + 2] = high
    this.#levels[slot] = level
    return level
  }

  #readLevel(bytes: Buffer, field: GlancedField, countsAsSyslog: boolean): LevelBytes {
    const text = levelTextOf(bytes, field)
    const found = text === null ? null : levelOfField(knownName(field.known), text, countsAsSyslog)
    return this.#writer.levelOf(found?.text ?? null, found?.number ?? null)
  }
}

function isDockerAt(bytes: Buffer, at: number): boolean {
  // The first letter tells most lines apart.
  const letter = bytes[at + 2]
  if (letter !== 0x6c && letter !== 0x73) return false
  for (const start of DOCKER_START_BYTES) if (startsWith(bytes, at, start)) return true
  return false
}

function startsWith(bytes: Buffer, at: number, start: Buffer): boolean {
  for (let index = 0; index < start.length; index += 1) if (bytes[at + index] !== start[index]) return false
  return true
}
