/**
 * The hot path: one vault record in, the JSON text of one event (or a dead letter) out. One enricher per worker: it
 * owns one draft and one set of stages per tier, and reuses them for every record. Pure: no clock, no I/O; the same
 * record, options and density always give the same text.
 */

import { EVENT_BYTES_MAX } from '../core/limits.ts'
import type { CompiledTopology } from './compile.ts'
import { stagesAt } from './compile.ts'
import type { Density } from './declaration.ts'
import { decodeLine } from './decode-line.ts'
import { EventDraft } from './event-draft.ts'
import type { Stage } from './stage.ts'
import { InstantFormatter } from './time/civil.ts'

/** Why a record has no event. Every reason is one of these, for ever. */
export type DeadLetterReason =
  /** The value is not UTF-8. */
  | 'invalid-utf8'
  /** A stage threw. */
  | 'stage-failed'
  /** The event would not fit a batch. */
  | 'event-too-large'

/** A record that could not be enriched; the processor sends its bytes to the dead-letter topic with these as headers. */
export interface DeadLetter {
  readonly reason: DeadLetterReason
  /** The stage that failed: a declared one, or `decode` or `encode` around them. */
  readonly stage: string
  readonly message: string
}

interface RunningStage {
  readonly name: string
  readonly run: Stage
}

/** Makes an enricher with its own stages and draft. Not to be shared between threads. */
export function createEnricher(topology: CompiledTopology): Enricher {
  return new Enricher(topology)
}

/** The latest time that RFC 3339's four-digit year can say. */
const OBSERVED_MS_MAX = 253_402_300_799_999

export class Enricher {
  readonly #stages: Readonly<Record<Density, readonly RunningStage[]>>
  readonly #draft = new EventDraft()
  readonly #eventTimes = new InstantFormatter()
  readonly #arrivalTimes = new InstantFormatter()

  #topic = ''
  #partition = -1
  #idStart = ''
  #vaultStart = ''

  constructor(topology: CompiledTopology) {
    // A stage that belongs to both tiers is one stage with one state.
    const running = new Map(
      topology.stages.map((stage) => [stage, { name: stage.name, run: stage.create() }]),
    )
    const at = (density: Density) =>
      stagesAt(topology, density).map((stage) => running.get(stage) as RunningStage)
    this.#stages = { full: at('full'), partial: at('partial'), passthrough: [] }
  }

  /**
   * Enriches the record whose value is `bytes[valueStart, valueEnd)`; `valueStart` -1 is a null value, which gives an
   * event with a null body. `recordTimestampMs` is the vault record's own timestamp (-1 for none); topic, partition
   * and offset are its place in the vault. Never throws.
   */
  enrichToJson(
    bytes: Buffer,
    valueStart: number,
    valueEnd: number,
    recordTimestampMs: number,
    topic: string,
    partition: number,
    offset: number,
    contentType: string | null,
    density: Density,
  ): string | DeadLetter {
    const draft = this.#draft
    if (valueStart < 0) {
      draft.reset('', contentType, recordTimestampMs)
      draft.body = null
    } else {
      const line = decodeLine(bytes, valueStart, valueEnd)
      if (line === null) {
        return { reason: 'invalid-utf8', stage: 'decode', message: 'the value is not UTF-8 text' }
      }
      draft.reset(line, contentType, recordTimestampMs)
      const failure = this.#runStages(density)
      if (failure !== null) return failure
    }
    try {
      return this.#encode(topic, partition, offset, density)
    } catch (error) {
      return { reason: 'stage-failed', stage: 'encode', message: messageOf(error) }
    }
  }

  #runStages(density: Density): DeadLetter | null {
    const stages = this.#stages[density]
    let name = ''
    try {
      for (let index = 0; index < stages.length; index += 1) {
        const stage = stages[index] as RunningStage
        name = stage.name
        stage.run(this.#draft)
      }
      return null
    } catch (error) {
      return { reason: 'stage-failed', stage: name, message: messageOf(error) }
    }
  }

  #encode(topic: string, partition: number, offset: number, density: Density): string | DeadLetter {
    const draft = this.#draft
    if (topic !== this.#topic || partition !== this.#partition) this.#remember(topic, partition)
    const { timestampSeconds, recordTimestampMs } = draft
    const hasArrivalTime = recordTimestampMs >= 0 && recordTimestampMs <= OBSERVED_MS_MAX
    const { severityText, traceId, spanId } = draft
    const timestamp = Number.isNaN(timestampSeconds)
      ? 'null'
      : `"${this.#eventTimes.format(timestampSeconds, draft.timestampFraction)}"`
    const observed = hasArrivalTime ? `"${this.#arrivalTimes.formatMs(recordTimestampMs)}"` : 'null'
    // JSON.stringify writes a whole object at once very fast, but leaves that path for every string that was put
    // together from others. So what is put together here goes in as text, and the rest by the object.
    const text =
      `${this.#idStart}${offset}","timestamp":${timestamp},"observedTimestamp":${observed},"severityText":` +
      `${severityText === null ? 'null' : JSON.stringify(severityText)},"severityNumber":${draft.severityNumber},"body":` +
      `${JSON.stringify(draft.body)},"attributes":${draft.attributes.encode()},"resource":${draft.resource.encode()},` +
      `"traceId":${traceId === null ? 'null' : JSON.stringify(traceId)},"spanId":` +
      `${spanId === null ? 'null' : JSON.stringify(spanId)},"density":"${density}",${this.#vaultStart}${offset}}}`
    if (text.length * 3 > EVENT_BYTES_MAX && Buffer.byteLength(text) > EVENT_BYTES_MAX) {
      return {
        reason: 'event-too-large',
        stage: 'encode',
        message: `the event is to have at most ${EVENT_BYTES_MAX} bytes and has ${Buffer.byteLength(text)}`,
      }
    }
    return text
  }

  /** The parts of the text that stay the same from record to record of one partition. */
  #remember(topic: string, partition: number): void {
    const quoted = JSON.stringify(topic)
    this.#topic = topic
    this.#partition = partition
    this.#idStart = `{"eventId":${quoted.slice(0, -1)}:${partition}:`
    this.#vaultStart = `"vault":{"topic":${quoted},"partition":${partition},"offset":`
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
