/** Runs replayed batches through a topology, at full density, into topics of its own. */

import { baseOffsetAt } from '../batch/record-batch.ts'
import { asOffset, asPartitionId, type PartitionId } from '../core/brands.ts'
import { DERIVED_BATCH_BYTES_MAX } from '../core/limits.ts'
import { EncoderPool } from '../enrichment/encoder-pool.ts'
import type { OutputBatch } from '../enrichment/output-batch.ts'
import { PartitionEnricher } from '../enrichment/partition-enricher.ts'
import type { CompiledTopology } from '../topology/compile.ts'
import { createEnricher, type Enricher } from '../topology/enricher.ts'
import type { Conversion, ConvertedBatch } from './topic-target.ts'

export interface TopologyConversionOptions {
  readonly topology: CompiledTopology
  /** Where the records come from; part of every event. */
  readonly vaultTopic: string
  readonly enrichedTopic: string
  readonly deadLetterTopic: string
}

const OUTPUT_BATCH_BYTES_TARGET = 512 * 1024

export class TopologyConversion implements Conversion {
  readonly #options: TopologyConversionOptions
  readonly #enricher: Enricher
  readonly #encoders = new EncoderPool({
    bytesInitial: 64 * 1024,
    bytesMax: DERIVED_BATCH_BYTES_MAX,
    keptMax: 8,
  })
  readonly #partitions = new Map<number, PartitionEnricher>()
  #outputs: OutputBatch[] = []

  constructor(options: TopologyConversionOptions) {
    this.#options = options
    this.#enricher = createEnricher(options.topology)
  }

  add(partition: number, batch: Buffer): void {
    this.#partitionOf(asPartitionId(partition)).enrich(batch, 0, asOffset(baseOffsetAt(batch, 0)))
  }

  take(): readonly ConvertedBatch[] {
    for (const enricher of this.#partitions.values()) enricher.flush()
    // Copied, because an encoder's memory is used again.
    const converted = this.#outputs.map(({ topic, partition, batch }) => ({
      topic,
      partition,
      batch: Buffer.from(batch),
    }))
    for (const output of this.#outputs) output.release()
    this.#outputs = []
    return converted
  }

  #partitionOf(partition: PartitionId): PartitionEnricher {
    const known = this.#partitions.get(partition)
    if (known !== undefined) return known
    const { vaultTopic, enrichedTopic, deadLetterTopic } = this.#options
    const enricher = new PartitionEnricher({
      enricher: this.#enricher,
      encoders: this.#encoders,
      vaultTopic,
      partition,
      enrichedTopic,
      deadLetterTopic,
      batchBytesTarget: OUTPUT_BATCH_BYTES_TARGET,
      emit: (output) => this.#outputs.push(output),
    })
    this.#partitions.set(partition, enricher)
    return enricher
  }
}
