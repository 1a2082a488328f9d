/**
 * Pays a piece of debt in one transaction: the full-density events and dead letters, the settlement, and the compactor's
 * progress. Either all of it counts or none, whenever the process dies.
 *
 * Promises: nothing is settled that was not read and enriched in the same transaction; a piece ends at a batch boundary, so
 * that stopping early settles what is done; after a failure nothing of the piece counts, and the books are as they were.
 */

import { baseOffsetAt, batchBytesAt, recordCountAt } from '../batch/record-batch.ts'
import { asOffset, type Offset } from '../core/brands.ts'
import type { Clock } from '../core/clock.ts'
import { GopherShipError } from '../core/errors.ts'
import type { OutputBatch } from '../enrichment/output-batch.ts'
import type { PartitionEnricher } from '../enrichment/partition-enricher.ts'
import type { GroupGeneration } from '../kafka/group-member.ts'
import { kafkaErrorCodeOf } from '../kafka/kafka-errors.ts'
import type { TransactionalProducer } from '../kafka/transactional-producer.ts'
import type { DebtEntry } from '../ledger/debt-entry.ts'
import { encodeLedgerBatches, LEDGER_PARTITION, LEDGER_TOPIC } from '../ledger/ledger-topic.ts'
import { type OffsetRange, rangeOf } from '../ledger/offset-range.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { Booking, OwnedPartition } from './owned-partition.ts'
import type { Amount } from './rate-budget.ts'
import type { RangeBatch, VaultRangeReader } from './vault-range-reader.ts'

/** How much of an entry may be paid in one go, and who may end it sooner. */
export interface PieceLimits {
  readonly budget: Amount
  /** The last offset of the entry that may be paid. */
  readonly last: Offset
  /** Asked before every batch but the first. */
  readonly mayGoOn: () => boolean
}

/** An entry, and what to enrich it with. */
export interface Work {
  readonly entry: DebtEntry
  readonly enricher: PartitionEnricher
  /** Where the enricher puts what it finishes; empty when paying begins. */
  readonly made: OutputBatch[]
}

/** What was paid. */
export interface PaidPiece extends Amount {
  readonly range: OffsetRange
  readonly eventCount: number
  readonly deadLetterCount: number
}

export interface ChunkPayerOptions {
  readonly clock: Clock
  readonly producer: TransactionalProducer
  readonly reader: VaultRangeReader
  /** Who we are in the group; null when we are not. */
  readonly generation: () => GroupGeneration | null
}

/** A piece ends when it has taken so long, so that no reader waits long behind the open transaction. */
const PIECE_MS_MAX = 1_000
/** A piece ends when it has so many bytes of the vault, so that what a failure throws away is little. */
const PIECE_BYTES_MAX = 16 * 1024 * 1024
/** A range whose first batch does not come within this time cannot be read. */
const FIRST_BATCH_MS_MAX = 10_000
/** The transaction is open while the next batch is waited for: better to settle what is done. */
const NEXT_BATCH_MS_MAX = 1_000
/** Heartbeats and questions are answered at least this often. */
const BUSY_MS_MAX = 25
const OUTPUT_BYTES_MIN = 16_384

export class ChunkPayer {
  readonly #options: ChunkPayerOptions
  /** The end of what the running piece has done; for the status. */
  position: Offset = asOffset(-1)

  constructor(options: ChunkPayerOptions) {
    this.#options = options
  }

  /**
   * Pays an entry from its first offset on, as far as the limits allow and by one batch at least. Throws what stopped it;
   * nothing counts then. Only one call at a time, of this or of `book`.
   */
  async pay(
    owned: OwnedPartition,
    { entry, enricher, made }: Work,
    limits: PieceLimits,
    signal: AbortSignal,
  ): Promise<PaidPiece> {
    const { reader, producer } = this.#options
    const { topic, partition } = owned.partition
    const outputs = new SentOutputs(producer)
    this.position = entry.first
    try {
      reader.open(topic, partition, entry.first)
      const first = await reader.next({ last: limits.last, signal, waitMsMax: FIRST_BATCH_MS_MAX })
      producer.begin()
      const done = await this.#enrich(first, { entry, enricher, made, outputs }, limits, signal)
      enricher.flush()
      await outputs.send(made)
      const range = rangeOf(entry.first, done.nextOffset - 1)
      const { recordCount, bytes } = done
      const settledMs = this.#options.clock.wallMs()
      const booking = owned.settle(range, { settledMs, counts: { recordCount, bytes } })
      await this.#commit(owned, booking, done.nextOffset, outputs)
      return { range, ...done }
    } catch (error) {
      reader.close()
      enricher.discard()
      if (kafkaErrorCodeOf(error) === KAFKA_ERROR.MESSAGE_TOO_LARGE) {
        // The topic takes less than was asked for when it was created; larger events go to the dead letters from now on.
        enricher.outputBytesMax = Math.max(OUTPUT_BYTES_MIN, Math.floor(enricher.outputBytesMax / 2))
      }
      await this.#abort(outputs, made)
      throw error
    }
  }

  /** Commits a booking that has no output: a loss, or what is forgotten. Throws as `pay`. */
  async book(owned: OwnedPartition, booking: Booking, progress: Offset): Promise<void> {
    const outputs = new SentOutputs(this.#options.producer)
    try {
      this.#options.producer.begin()
      await this.#commit(owned, booking, progress, outputs)
    } catch (error) {
      await this.#abort(outputs, [])
      throw error
    }
  }

  /** Enriches batch by batch until a limit is reached or the range is at its end. */
  async #enrich(
    first: RangeBatch | null,
    { entry, enricher, made, outputs }: Work & { readonly outputs: SentOutputs },
    { budget, last, mayGoOn }: PieceLimits,
    signal: AbortSignal,
  ): Promise<Omit<PaidPiece, 'range'> & { nextOffset: Offset }> {
    const { clock } = this.#options
    const startedMs = clock.monotonicMs()
    let busySinceMs = startedMs
    let [recordCount, bytes, eventCount, deadLetterCount] = [0, 0, 0, 0]
    let nextOffset: Offset = entry.first
    for (let batch = first; batch !== null; ) {
      const count = enricher.enrich(batch.bytes, batch.at, batch.first, { last })
      nextOffset = batch.nextOffset
      this.position = nextOffset
      const covered = coveredOf(batch)
      recordCount += covered.recordCount
      bytes += covered.bytes
      eventCount += count.eventCount
      deadLetterCount += count.deadLetterCount
      await outputs.send(made)
      const nowMs = clock.monotonicMs()
      const isEnough =
        bytes >= Math.min(PIECE_BYTES_MAX, budget.bytes) ||
        recordCount >= budget.recordCount ||
        nowMs - startedMs >= PIECE_MS_MAX
      if (isEnough || !mayGoOn()) return { nextOffset, recordCount, bytes, eventCount, deadLetterCount }
      if (nowMs - busySinceMs >= BUSY_MS_MAX) {
        await new Promise((resolve) => setImmediate(resolve))
        busySinceMs = clock.monotonicMs()
      }
      const next = await this.#next(last, signal)
      if (next === 'stuck') return { nextOffset, recordCount, bytes, eventCount, deadLetterCount }
      batch = next
    }
    // At its end: what is left, if anything, holds nothing to be enriched (markers, aborted transactions).
    return { nextOffset: asOffset(last + 1), recordCount, bytes, eventCount, deadLetterCount }
  }

  /** What keeps a later batch from being read does not keep the ones before it from being settled; it shows up next time. */
  async #next(last: Offset, signal: AbortSignal): Promise<RangeBatch | null | 'stuck'> {
    const { reader } = this.#options
    try {
      return await reader.next({ last, signal, waitMsMax: NEXT_BATCH_MS_MAX })
    } catch {
      reader.close()
      return 'stuck'
    }
  }

  async #commit(
    owned: OwnedPartition,
    booking: Booking,
    progress: Offset,
    outputs: SentOutputs,
  ): Promise<void> {
    const { producer, clock, generation } = this.#options
    const { topic, partition } = owned.partition
    const batches = encodeLedgerBatches(booking.records, clock.wallMs())
    await Promise.all(batches.map((batch) => producer.send(LEDGER_TOPIC, LEDGER_PARTITION, batch)))
    await outputs.settled()
    const identity = generation()
    // In a later generation the partition may be another's, who has read the ledger already.
    if (identity === null || identity.generationId !== owned.generationId) throw notOwned(topic, partition)
    await producer.sendOffsets(identity, [{ topic, partition, offset: progress }])
    await producer.commit()
    booking.commit()
    owned.progress = progress
  }

  async #abort(outputs: SentOutputs, made: OutputBatch[]): Promise<void> {
    const { producer } = this.#options
    for (const output of made.splice(0)) output.release()
    if (producer.state === 'open' || producer.state === 'broken') await producer.abort()
    await outputs.released()
  }
}

/** How much of a batch lies within the range: all of it, unless somebody cut the range by hand. */
function coveredOf({ bytes, at, first, nextOffset }: RangeBatch): Amount {
  const [recordCount, batchBytes] = [Math.max(0, recordCountAt(bytes, at)), batchBytesAt(bytes, at)]
  const spanCount = nextOffset - Math.max(first, baseOffsetAt(bytes, at))
  if (recordCount <= spanCount) return { recordCount, bytes: batchBytes }
  return { recordCount: spanCount, bytes: Math.ceil((batchBytes * spanCount) / recordCount) }
}

/** The outputs of one transaction on their way. */
class SentOutputs {
  readonly #producer: TransactionalProducer
  readonly #sends: Promise<void>[] = []
  #failure: { readonly error: unknown } | null = null

  constructor(producer: TransactionalProducer) {
    this.#producer = producer
  }

  /** Hands over what was made, waiting for room. Throws the failure of any that was handed over before. */
  async send(made: OutputBatch[]): Promise<void> {
    for (let output = made[0]; output !== undefined; output = made[0]) {
      await this.#producer.waitForRoom(output.batch.length)
      this.#throwFailure()
      made.shift()
      this.#sends.push(this.#follow(output))
    }
  }

  /** All of them are durable. */
  async settled(): Promise<void> {
    await Promise.all(this.#sends)
    this.#throwFailure()
  }

  /** Nobody reads the memory of any of them any more. */
  async released(): Promise<void> {
    await Promise.all(this.#sends)
  }

  /** Never rejects. */
  async #follow(output: OutputBatch): Promise<void> {
    try {
      await this.#producer.send(output.topic, output.partition, output.batch)
    } catch (error) {
      this.#failure ??= { error }
    } finally {
      output.release()
    }
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error
  }
}

function notOwned(topic: string, partition: number): GopherShipError {
  return new GopherShipError(
    'GS_STOPPED',
    `the debt of ${topic}-${partition} was not settled: the partition is being given to another compactor`,
    { retriable: true, facts: { topic, partition } },
  )
}
