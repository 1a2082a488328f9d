/**
 * `__transaction_state`: the latest state of every transactional id, by id. Appending is all it does; who may go where from
 * which state is the coordinator's.
 *
 * Promises: records count in the order of the calls; what was durable is there after any crash, as `load` gives it.
 *
 * The topic is bounded as that of the offsets is: the state of every id is appended anew, and once that is durable
 * everything before it goes.
 */

import { BatchEncoder } from '../../batch/batch-encoder.ts'
import { readBatchHeader } from '../../batch/record-batch.ts'
import { RecordCursor } from '../../batch/record-cursor.ts'
import { asOffset } from '../../core/brands.ts'
import type { Clock } from '../../core/clock.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import type { Partition } from '../topics/partition.ts'
import type { SavedTransaction } from './transaction.ts'
import {
  decodeTransactionKey,
  decodeTransactionValue,
  encodeTransactionKey,
  encodeTransactionValue,
} from './transaction-records.ts'

export interface TransactionLogOptions {
  readonly partition: Partition
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  /** The log is written anew when it is larger than this and four times its size after the last time. */
  readonly rewriteBytesMin?: number
}

const READ_BYTES = 4 * 1024 * 1024
/** A batch is closed once it is this large. */
const BATCH_BYTES = 256 * 1024
/** One transaction may name every partition there is. */
const BATCH_BYTES_MAX = 16 * 1024 * 1024
const REWRITE_BYTES_MIN = 8 * 1024 * 1024

export class TransactionLog {
  readonly #options: TransactionLogOptions
  readonly #encoder = new BatchEncoder({ bytesInitial: 16 * 1024, bytesMax: BATCH_BYTES_MAX })
  #bytesAfterRewrite = 0
  #rewriting: Promise<void> | null = null

  constructor(options: TransactionLogOptions) {
    this.#options = options
  }

  /** Reads the whole topic: the latest state of each id. */
  async load(): Promise<Map<string, SavedTransaction>> {
    const { log } = this.#options.partition
    const transactions = new Map<string, SavedTransaction>()
    const cursor = new RecordCursor()
    let offset: number = log.logStartOffset
    while (offset < log.logEndOffset) {
      const bytes = await log.read(asOffset(offset), { bytesMax: READ_BYTES })
      if (bytes.length === 0) break
      for (let at = 0; at < bytes.length; ) {
        const header = cursor.open(bytes, at)
        while (cursor.next()) loadRecord(transactions, cursor.keyBytes(), cursor.valueBytes())
        at += header.batchBytes
        offset = header.baseOffset + header.lastOffsetDelta + 1
      }
    }
    return transactions
  }

  /** Appends the present state of these ids; resolves when it is durable. Rejects when the disk refuses. */
  async write(transactions: Iterable<SavedTransaction>): Promise<void> {
    await this.#append(transactions, encodeTransactionValue)
  }

  /** Forgets these ids; resolves when that is durable. */
  async remove(transactions: Iterable<SavedTransaction>): Promise<void> {
    await this.#append(transactions, () => null)
  }

  /** Writes the log anew when it has grown enough; `all` is the state of every id. */
  rewriteWhenLarge(all: Iterable<SavedTransaction>): void {
    const { sizeBytes } = this.#options.partition.log
    const bytesMin = this.#options.rewriteBytesMin ?? REWRITE_BYTES_MIN
    if (this.#rewriting !== null || sizeBytes < bytesMin || sizeBytes < this.#bytesAfterRewrite * 4) return
    this.#rewriting = this.#rewrite(all)
      .catch((error: unknown) => {
        this.#options.diagnostics.warn({ err: error }, 'the topic of transactions could not be rewritten')
      })
      .finally(() => {
        this.#rewriting = null
      })
  }

  /** Resolves when no rewrite is under way. */
  async idle(): Promise<void> {
    await this.#rewriting
  }

  async #rewrite(all: Iterable<SavedTransaction>): Promise<void> {
    const { partition } = this.#options
    const from = partition.log.logEndOffset
    const bytesBefore = partition.appendedBytes
    // Appended in one go: a state that changes meanwhile lands behind all of these.
    await this.#append(all, encodeTransactionValue)
    this.#bytesAfterRewrite = partition.appendedBytes - bytesBefore
    await partition.log.deleteRecordsBefore(from)
  }

  #append(
    transactions: Iterable<SavedTransaction>,
    encodeValue: (transaction: SavedTransaction) => Buffer | null,
  ): Promise<void> {
    const nowMs = this.#options.clock.wallMs()
    let durable: Promise<void> = Promise.resolve()
    this.#encoder.start()
    for (const transaction of transactions) {
      const value = encodeValue(transaction)
      this.#encoder.append(nowMs, encodeTransactionKey(transaction.transactionalId), value)
      if (this.#encoder.bytes < BATCH_BYTES) continue
      durable = this.#appendBatch()
      this.#encoder.start()
    }
    return this.#encoder.recordCount > 0 ? this.#appendBatch() : durable
  }

  /** The encoder's buffer is used again, so the log gets a copy. */
  #appendBatch(): Promise<void> {
    const batch = Buffer.from(this.#encoder.finish())
    const outcome = this.#options.partition.append(batch, readBatchHeader(batch, 0))
    // The broker's own batches carry no sequence, so they are never refused.
    if (outcome.kind === 'refused') throw new TypeError(outcome.message)
    return outcome.durable
  }
}

function loadRecord(
  transactions: Map<string, SavedTransaction>,
  key: Buffer | null,
  value: Buffer | null,
): void {
  const transactionalId = key === null ? null : decodeTransactionKey(key)
  if (transactionalId === null) return
  const saved = value === null ? null : decodeTransactionValue(transactionalId, value)
  if (saved === null) transactions.delete(transactionalId)
  else transactions.set(transactionalId, saved)
}
