/**
 * The ledger's topic: compacted, one partition, so that its records have one order. Written in transactions by processors and
 * compactors, read to its end by whoever needs the books.
 */

import { BatchEncoder, NO_HEADERS } from '../batch/batch-encoder.ts'
import { LEDGER_RECORD_BYTES_MAX } from '../core/limits.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { TopicReader } from '../kafka/topic-reader.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { DebtRecord } from './debt-record.ts'
import { LedgerFold } from './ledger-fold.ts'

export const LEDGER_TOPIC = 'gophership.debt'
export const LEDGER_PARTITION = 0

const LEDGER_CONFIGS = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0.5',
  'segment.bytes': String(16 * 1024 * 1024),
  // The segment being written is never compacted, so a quiet ledger has to begin a new one now and then.
  'segment.ms': String(3_600_000),
} as const

/** Creates the topic where it is missing. */
export async function ensureLedgerTopic(cluster: KafkaCluster): Promise<void> {
  await cluster.ensureTopic(LEDGER_TOPIC, { partitionCount: 1, configs: LEDGER_CONFIGS })
}

/** Ledger records in batches that the topic takes, in order: one for most, more when thousands of partitions owe at once. */
export function encodeLedgerBatches(records: readonly DebtRecord[], nowMs: number): Buffer[] {
  if (records.length === 0) return []
  const encoder = new BatchEncoder({ bytesInitial: LEDGER_RECORD_BYTES_MAX })
  const batches: Buffer[] = []
  const finish = () => {
    // Copied, because an encoder's memory is used again.
    batches.push(Buffer.from(encoder.finish()))
    encoder.start()
  }
  encoder.start()
  for (const { key, value } of records) {
    if (!encoder.fits(key.length + (value?.length ?? 0))) finish()
    encoder.append(nowMs, key, value, NO_HEADERS)
  }
  finish()
  return batches
}

/** The books as the topic has them, read with read_committed. */
export class LedgerReader {
  readonly #reader: TopicReader
  readonly #fold = new LedgerFold()
  readonly #diagnostics: Diagnostics
  #unreadableCount = 0

  constructor(cluster: KafkaCluster, { diagnostics }: { readonly diagnostics: Diagnostics }) {
    this.#diagnostics = diagnostics
    this.#reader = new TopicReader(cluster, {
      topic: LEDGER_TOPIC,
      isolation: 'read_committed',
      from: 'earliest',
      onRecord: ({ key, value, offset }) => this.#apply(key, value, offset),
    })
  }

  /** As of the last `catchUp`. */
  get fold(): LedgerFold {
    return this.#fold
  }

  /** Records that could not be understood and were passed over; an audit calls that a violation. */
  get unreadableCount(): number {
    return this.#unreadableCount
  }

  /** Reads everything that was committed when it was called, waiting for transactions that were open then. */
  catchUp(options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {}): Promise<void> {
    return this.#reader.catchUp(options)
  }

  stop(): Promise<void> {
    return this.#reader.stop()
  }

  #apply(key: Buffer | null, value: Buffer | null, offset: number): void {
    try {
      // The fold keeps what it decodes, and these are views; decoding copies.
      this.#fold.apply(key ?? Buffer.alloc(0), value)
    } catch (error) {
      this.#unreadableCount++
      this.#diagnostics.error(
        { error, topic: LEDGER_TOPIC, offset },
        'a ledger record cannot be read; it is passed over',
      )
    }
  }
}
