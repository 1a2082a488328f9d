/** Which vault topics a topology reads, and the topics its output goes to. */

import { DERIVED_BATCH_BYTES_MAX } from '../core/limits.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { TopologyDeclaration } from '../topology/declaration.ts'
import type { StreamTopicTemplates } from '../vault/stream-topics.ts'
import { enrichedTopicOf, passthroughTopicOf, streamOf } from '../vault/stream-topics.ts'

const OUTPUT_CONFIGS = { 'max.message.bytes': String(DERIVED_BATCH_BYTES_MAX) } as const

export class SourceTopics {
  readonly #templates: StreamTopicTemplates
  /** Null: all. */
  readonly #streams: ReadonlySet<string> | null

  /** @param templates the vault's; the sinks of the topology take the place of their outputs. */
  constructor(declaration: TopologyDeclaration, templates: StreamTopicTemplates) {
    const { enriched, deadLetter } = declaration.sinks
    this.#templates = { ...templates, enriched, deadLetter }
    this.#streams = declaration.source.streams === 'all' ? null : new Set(declaration.source.streams)
  }

  get deadLetterTopic(): string {
    return this.#templates.deadLetter
  }

  /** The stream of a vault topic that this topology reads; null for every other topic. */
  streamOf(topic: string): string | null {
    const stream = streamOf(topic, this.#templates)
    return stream === null || (this.#streams !== null && !this.#streams.has(stream)) ? null : stream
  }

  enrichedTopicOf(stream: string): string {
    return enrichedTopicOf(stream, this.#templates)
  }

  /** Where a stream's batches are forwarded while shedding. */
  passthroughTopicOf(stream: string): string {
    return passthroughTopicOf(stream, this.#templates)
  }

  /** The topics that `ensureOutputs` makes sure of. */
  outputsOf(vaultTopic: string): string[] {
    const stream = this.streamOf(vaultTopic)
    return stream === null ? [] : [this.enrichedTopicOf(stream), this.deadLetterTopic]
  }

  /** The topic that `ensurePassthrough` makes sure of; null for a topic that is not read. */
  passthroughOf(vaultTopic: string): string | null {
    const stream = this.streamOf(vaultTopic)
    return stream === null ? null : this.passthroughTopicOf(stream)
  }

  /** Makes sure of the topic that a vault topic's batches are forwarded to, with as many partitions as it has itself. */
  async ensurePassthrough(cluster: KafkaCluster, vaultTopic: string): Promise<void> {
    const stream = this.streamOf(vaultTopic)
    if (stream === null) return
    await this.#ensure(cluster, vaultTopic, [this.passthroughTopicOf(stream)])
  }

  /** Makes sure of the output topics of a vault topic: as many enriched partitions as it has itself. */
  async ensureOutputs(cluster: KafkaCluster, vaultTopic: string): Promise<void> {
    const stream = this.streamOf(vaultTopic)
    if (stream === null) return
    await this.#ensure(cluster, vaultTopic, [this.enrichedTopicOf(stream), this.deadLetterTopic])
  }

  /** An event goes to the partition of its record, so an output topic follows its vault topic when that one grows. */
  async #ensure(cluster: KafkaCluster, vaultTopic: string, outputs: readonly string[]): Promise<void> {
    // Asked for anew: what is known may be from before the vault topic grew, or an output was deleted.
    const { topics } = await cluster.refreshMetadata([vaultTopic, ...outputs])
    const countOf = (topic: string) => topics.get(topic)?.partitions.length ?? 0
    await Promise.all(
      outputs.map(async (output) => {
        const partitionCount = output === this.deadLetterTopic ? 1 : Math.max(1, countOf(vaultTopic))
        // Enough: a partition of it that has no leader just now is waited for by what goes there, and by nobody else.
        if (countOf(output) >= partitionCount) return
        const counts = { partitionCount, partitionCountMin: partitionCount }
        await cluster.ensureTopic(output, { ...counts, configs: OUTPUT_CONFIGS })
      }),
    )
  }
}
