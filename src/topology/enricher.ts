/**
 * The hot path: one vault record in, the bytes of one event (or a dead letter) out. One enricher per worker: it
 * owns one draft and one set of stages per tier, and reuses them for every record. Pure: no clock, no I/O; the same
 * record, options and density always give the same text.
 */

import { EVENT_BYTES_MAX } from '../core/limits.ts'
import type { CompiledTopology } from './compile.ts'
import { stagesAt } from './compile.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { Density } from './declaration.ts'
import { decodeLine } from './decode-line.ts'
import { EventDraft } from './event-draft.ts'
import { EventWriter } from './event-writer.ts'
import type { PartialLine } from './partial-line.ts'
import { DECLINED, partialLineOf } from './partial-line.ts'
import type { Stage } from './stage.ts'

interface RunningStage {
  readonly name: string
  readonly run: Stage
}

/** Makes an enricher with its own stages and draft. Not to be shared between threads. */
export function createEnricher(topology: CompiledTopology): Enricher {
  return new Enricher(topology)
}

export class Enricher {
  readonly #stages: Readonly<Record<Density, readonly RunningStage[]>>
  readonly #draft = new EventDraft()
  readonly #writer = new EventWriter()
  /** The short way to partial density; null when the topology's partial tier has work of its own to do. */
  readonly #partialLine: PartialLine | null

  constructor(topology: CompiledTopology) {
    this.#partialLine = partialLineOf(topology, this.#writer)
    // A stage that belongs to both tiers is one stage with one state.
    const running = new Map(
      topology.stages.map((stage) => [stage, { name: stage.name, run: stage.create() }]),
    )
    const at = (density: Density) =>
      stagesAt(topology, density).map((stage) => running.get(stage) as RunningStage)
    this.#stages = { full: at('full'), partial: at('partial'), passthrough: [] }
  }

  /** Holds the event that `enrich` made last, from its start; the next call writes over it. */
  get event(): Buffer {
    return this.#writer.buffer
  }

  /**
   * Enriches the record whose value is `bytes[valueStart, valueEnd)`; `valueStart` -1 is a null value, which gives an
   * event with a null body. `recordTimestampMs` is the vault record's own timestamp (-1 for none); topic, partition
   * and offset are its place in the vault. The answer is the size of the event, whose bytes are the first of `event`
   * until the next call, or a dead letter. Never throws.
   */
  enrich(
    bytes: Buffer,
    valueStart: number,
    valueEnd: number,
    recordTimestampMs: number,
    topic: string,
    partition: number,
    offset: number,
    contentType: string | null,
    density: Density,
  ): number | DeadLetter {
    const writer = this.#writer
    writer.enter(topic, partition)
    const draft = this.#draft
    if (valueStart < 0) {
      draft.reset('', contentType, recordTimestampMs)
      draft.body = null
    } else {
      if (density === 'partial' && this.#partialLine !== null) {
        const lineBytes = this.#partialLine.write(bytes, valueStart, valueEnd, recordTimestampMs, offset)
        if (lineBytes !== DECLINED) return lineBytes > EVENT_BYTES_MAX ? tooLarge(lineBytes) : lineBytes
      }
      const line = decodeLine(bytes, valueStart, valueEnd)
      if (line === null) {
        return { reason: 'invalid-utf8', stage: 'decode', message: 'the value is not UTF-8 text' }
      }
      draft.reset(line, contentType, recordTimestampMs)
      const failure = this.#runStages(density)
      if (failure !== null) return failure
    }
    try {
      const eventBytes = writer.writeDraft(draft, offset, density)
      return eventBytes > EVENT_BYTES_MAX ? tooLarge(eventBytes) : eventBytes
    } catch (error) {
      return { reason: 'stage-failed', stage: 'encode', message: messageOf(error) }
    }
  }

  /** `enrich` with the event as text: for tests and tools, which have time. */
  enrichToJson(...record: Parameters<Enricher['enrich']>): string | DeadLetter {
    const result = this.enrich(...record)
    return typeof result === 'number' ? this.event.toString('utf8', 0, result) : result
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
}

function tooLarge(eventBytes: number): DeadLetter {
  return {
    reason: 'event-too-large',
    stage: 'encode',
    message: `the event is to have at most ${EVENT_BYTES_MAX} bytes and has ${eventBytes}`,
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
