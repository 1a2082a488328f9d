/**
 * Turns the raw batches of one vault partition into output batches: events for the stream's enriched topic, dead
 * letters for what no stage could handle. Synchronous and without I/O; sending is the caller's.
 *
 * At full density every record of the input becomes exactly one output record, an event or a dead letter. At partial
 * density a record that cannot be handled gives no output: it is owed like the others of its range, and whoever enriches it
 * fully says what is wrong with it, once. Events go to the partition of their vault record, so that their order is the vault's.
 */

import type { BatchEncoder } from '../batch/batch-encoder.ts'
import { NO_HEADERS } from '../batch/batch-encoder.ts'
import type { BatchHeader } from '../batch/record-batch.ts'
import {
  baseOffsetAt,
  batchBytesAt,
  isBatchIntact,
  lastOffsetDeltaAt,
  maxTimestampAt,
  recordCountAt,
} from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import type { RecordHeader } from '../batch/record-headers.ts'
import type { Offset, PartitionId } from '../core/brands.ts'
import { asOffset, asPartitionId } from '../core/brands.ts'
import { isFailure } from '../core/errors.ts'
import { BATCH_BYTES_MAX, EVENT_BYTES_MAX } from '../core/limits.ts'
import type { Enricher } from '../topology/enricher.ts'
import { ContentTypeReader } from './content-type.ts'
import { encodeDeadLetterHeaders } from './dead-letter-headers.ts'
import type { EncoderPool } from './encoder-pool.ts'
import type { OutputBatch } from './output-batch.ts'

/** The dead-letter topic has as many partitions as anyone needs for its rate: one keeps its order simple. */
const DEAD_LETTER_PARTITION: PartitionId = asPartitionId(0)

export interface PartitionEnricherOptions {
  readonly enricher: Enricher
  readonly encoders: EncoderPool
  readonly vaultTopic: string
  readonly partition: PartitionId
  readonly enrichedTopic: string
  readonly deadLetterTopic: string
  /** An output batch is closed when it has reached this size. */
  readonly batchBytesTarget: number
  /** Where finished output batches go, in order. */
  readonly emit: (output: OutputBatch) => void
}

/** What one call did. */
export interface EnrichedCount {
  /** The offset after the last one covered. */
  readonly nextOffset: Offset
  readonly eventCount: number
  readonly deadLetterCount: number
}

/** The densities at which events are made. */
export type EnrichDensity = 'full' | 'partial'

export interface EnrichOptions {
  /** Default `full`. */
  readonly density?: EnrichDensity
  /** The last offset to be enriched; records behind it are left. Default: all of the batch. */
  readonly last?: number
}

export class PartitionEnricher {
  readonly #options: PartitionEnricherOptions
  readonly #cursor = new RecordCursor()
  readonly #contentTypes = new ContentTypeReader()
  /** Largest output record, in bytes of key, value and headers. Lowered when the output topic turns out to take less. */
  outputBytesMax = EVENT_BYTES_MAX + BATCH_BYTES_MAX
  #events: BatchEncoder | null = null
  #deadLetters: BatchEncoder | null = null

  constructor(options: PartitionEnricherOptions) {
    this.#options = options
  }

  /**
   * Enriches the records of the batch at `at` whose offsets are from `from` to `last`. Output batches that fill up are
   * emitted on the way; `flush` emits the rest. A batch that cannot be decoded becomes one dead letter that holds its bytes.
   */
  enrich(
    bytes: Buffer,
    at: number,
    from: Offset,
    { density = 'full', last = Number.POSITIVE_INFINITY }: EnrichOptions = {},
  ): EnrichedCount {
    const endOffset = asOffset(baseOffsetAt(bytes, at) + lastOffsetDeltaAt(bytes, at) + 1)
    const nextOffset = endOffset > last ? asOffset(last + 1) : endOffset
    const cursor = this.#cursor
    let eventCount = 0
    let deadLetterCount = 0
    let reached = from
    try {
      if (!isBatchIntact(bytes, at, bytes.length)) throw new DamagedBatch()
      const header: BatchHeader = cursor.open(bytes, at)
      if (header.isControl) return { nextOffset, eventCount, deadLetterCount }
      while (cursor.next()) {
        if (cursor.offset < reached) continue
        if (cursor.offset > last) break
        const outcome = this.#enrichRecord(density)
        if (outcome === 'event') eventCount++
        else if (outcome === 'dead-letter') deadLetterCount++
        reached = asOffset(cursor.offset + 1)
      }
    } catch (error) {
      if (!(error instanceof DamagedBatch) && !isFailure(error)) throw error
      if (density === 'partial') return { nextOffset, eventCount, deadLetterCount }
      this.#deadLetterBatch(bytes, at, reached, nextOffset - 1, error)
      deadLetterCount += Math.max(1, recordCountAt(bytes, at) - eventCount)
    } finally {
      cursor.close()
    }
    return { nextOffset, eventCount, deadLetterCount }
  }

  /** Emits the output batches that are not full. */
  flush(): void {
    if (this.#events !== null) this.#finishEvents(this.#events)
    if (this.#deadLetters !== null) this.#finishDeadLetters(this.#deadLetters)
  }

  /** Forgets output that was not emitted: the partition is not ours any more, or starts again. */
  discard(): void {
    if (this.#events !== null) this.#options.encoders.give(this.#events)
    if (this.#deadLetters !== null) this.#options.encoders.give(this.#deadLetters)
    this.#events = null
    this.#deadLetters = null
  }

  #enrichRecord(density: EnrichDensity): 'event' | 'dead-letter' | 'nothing' {
    const { enricher, vaultTopic, partition, batchBytesTarget } = this.#options
    const cursor = this.#cursor
    const result = enricher.enrich(
      cursor.bytes,
      cursor.valueStart,
      cursor.valueEnd,
      cursor.timestamp,
      vaultTopic,
      partition,
      cursor.offset,
      this.#contentTypes.read(cursor),
      density,
    )
    if (typeof result !== 'number') {
      if (density === 'partial') return 'nothing'
      this.#deadLetterRecord(result.reason, result.stage, result.message)
      return 'dead-letter'
    }
    const payloadBytes = result + cursor.keyEnd - cursor.keyStart
    if (payloadBytes > this.outputBytesMax) {
      if (density === 'partial') return 'nothing'
      const message = `the event and its key have ${payloadBytes} bytes, the topic takes ${this.outputBytesMax}`
      this.#deadLetterRecord('event-too-large', 'encode', message)
      return 'dead-letter'
    }
    let encoder = this.#events ?? this.#startEvents()
    if (encoder.recordCount > 0 && !encoder.fits(payloadBytes)) {
      this.#finishEvents(encoder)
      encoder = this.#startEvents()
    }
    encoder.appendValue(
      cursor.timestamp,
      cursor.bytes,
      cursor.keyStart,
      cursor.keyEnd,
      enricher.event,
      result,
      NO_HEADERS,
    )
    if (encoder.bytes >= batchBytesTarget) this.#finishEvents(encoder)
    return 'event'
  }

  #deadLetterRecord(reason: string, stage: string, message: string): void {
    const { vaultTopic, partition } = this.#options
    const cursor = this.#cursor
    const own = cursor.headers()
    const facts = { reason, stage, message, attempt: 1, topic: vaultTopic, partition, offset: cursor.offset }
    this.#appendDeadLetter(cursor.timestamp, cursor.keyBytes(), cursor.valueBytes(), facts, own)
  }

  #deadLetterBatch(bytes: Buffer, at: number, offset: Offset, lastOffset: number, error: unknown): void {
    const { vaultTopic, partition } = this.#options
    const batch = bytes.subarray(at, at + batchBytesAt(bytes, at))
    const message = error instanceof Error ? error.message : String(error)
    const facts = {
      reason: 'undecodable-batch',
      stage: 'decode',
      message,
      attempt: 1,
      topic: vaultTopic,
      partition,
      offset,
      lastOffset,
    }
    const timestampMs = Math.max(0, maxTimestampAt(bytes, at))
    this.#appendDeadLetter(timestampMs, null, batch, facts, [])
  }

  #appendDeadLetter(
    timestampMs: number,
    key: Buffer | null,
    value: Buffer | null,
    facts: Parameters<typeof encodeDeadLetterHeaders>[0],
    own: readonly RecordHeader[],
  ): void {
    let headers = encodeDeadLetterHeaders(facts, own)
    if (headers.length + (key?.length ?? 0) + (value?.length ?? 0) > this.outputBytesMax) {
      // Its coordinates lead back to the vault, where the bytes are; a letter that cannot be sent would stop the partition.
      headers = encodeDeadLetterHeaders({ ...facts, omitted: 'too-large' }, [])
      key = null
      value = null
    }
    const payloadBytes = (key?.length ?? 0) + (value?.length ?? 0) + headers.length
    let encoder = this.#deadLetters ?? this.#startDeadLetters()
    if (encoder.recordCount > 0 && !encoder.fits(payloadBytes)) {
      this.#finishDeadLetters(encoder)
      encoder = this.#startDeadLetters()
    }
    encoder.append(timestampMs, key, value, headers)
    if (encoder.bytes >= this.#options.batchBytesTarget) this.#finishDeadLetters(encoder)
  }

  #startEvents(): BatchEncoder {
    this.#events = this.#options.encoders.take()
    this.#events.start()
    return this.#events
  }

  #startDeadLetters(): BatchEncoder {
    this.#deadLetters = this.#options.encoders.take()
    this.#deadLetters.start()
    return this.#deadLetters
  }

  #finishEvents(encoder: BatchEncoder): void {
    this.#events = null
    this.#finish(encoder, this.#options.enrichedTopic, this.#options.partition)
  }

  #finishDeadLetters(encoder: BatchEncoder): void {
    this.#deadLetters = null
    this.#finish(encoder, this.#options.deadLetterTopic, DEAD_LETTER_PARTITION)
  }

  #finish(encoder: BatchEncoder, topic: string, partition: PartitionId): void {
    const { encoders, emit } = this.#options
    if (encoder.recordCount === 0) {
      encoders.give(encoder)
      return
    }
    const release = () => encoders.give(encoder)
    emit({ topic, partition, batch: encoder.finish(), recordCount: encoder.recordCount, release })
  }
}

/** A batch from the vault whose bytes do not check out. */
class DamagedBatch extends Error {
  constructor() {
    super('expected an intact record batch from the vault, found bytes that fail its CRC or its length')
  }
}
