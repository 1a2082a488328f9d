/**
 * Runs a topology without a broker, for tests of topologies and of stages: lines in, events and dead letters out, as the
 * processor would give them. Offsets count from 0.
 *
 *     const driver = new TopologyDriver(compileTopology(parseTopology(yaml, 'mine.yaml')))
 *     driver.pipe('{"msg":"hello"}')
 *     driver.events[0]?.body   // 'hello'
 */

import type { CompiledTopology } from './compile.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { Density } from './declaration.ts'
import type { Enricher } from './enricher.ts'
import { createEnricher } from './enricher.ts'
import type { EnrichedEvent } from './event-schema.ts'

export interface DriverOptions {
  /** Stream whose vault topic the records are said to come from. Default `test`. */
  readonly stream?: string
  /** Default `full`. */
  readonly density?: Density
  /** The records' own timestamp, unless `pipe` says another. Default 2024-01-01T00:00:00Z. */
  readonly recordTimestampMs?: number
}

export interface PipeOptions {
  /** Default: the driver's. */
  readonly density?: Density
  readonly contentType?: string | null
  readonly recordTimestampMs?: number
}

/** What became of one record. */
export type Outcome = { readonly event: EnrichedEvent } | { readonly deadLetter: DeadLetter }

const DEFAULT_TIMESTAMP_MS = Date.UTC(2024, 0, 1)

export class TopologyDriver {
  readonly events: EnrichedEvent[] = []
  readonly deadLetters: DeadLetter[] = []
  readonly #enricher: Enricher
  readonly #options: DriverOptions
  #offset = 0

  constructor(topology: CompiledTopology, options: DriverOptions = {}) {
    this.#enricher = createEnricher(topology)
    this.#options = options
  }

  /** Feeds one record: text, bytes, or null for a record without a value. */
  pipe(line: string | Uint8Array | null, options: PipeOptions = {}): Outcome {
    const bytes = typeof line === 'string' ? Buffer.from(line) : Buffer.from(line ?? [])
    const result = this.#enricher.enrichToJson(
      bytes,
      line === null ? -1 : 0,
      bytes.length,
      options.recordTimestampMs ?? this.#options.recordTimestampMs ?? DEFAULT_TIMESTAMP_MS,
      `raw-vault.${this.#options.stream ?? 'test'}`,
      0,
      this.#offset,
      options.contentType ?? null,
      options.density ?? this.#options.density ?? 'full',
    )
    this.#offset += 1
    if (typeof result !== 'string') {
      this.deadLetters.push(result)
      return { deadLetter: result }
    }
    const event = JSON.parse(result) as EnrichedEvent
    this.events.push(event)
    return { event }
  }
}
