/**
 * Copies to a topic, partition by partition as in the vault. Exactly once: the copies of a unit and the place behind it are
 * one transaction, so an interrupted replay goes on without a gap and without a second copy.
 */

import { recordCountAt } from '../batch/record-batch.ts'
import { DERIVED_BATCH_BYTES_MAX } from '../core/limits.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { TransactionalProducer } from '../kafka/transactional-producer.ts'
import { LogBatchMaker } from './cut-batch.ts'
import type { KafkaCheckpoint } from './kafka-checkpoint.ts'
import { ReplayError } from './replay-error.ts'
import type { ReplayRange } from './replay-plan.ts'
import type { ReplayProgress, ReplayTarget, ReplayUnit } from './replay-target.ts'

/** What one batch becomes: batches for topics, in order. */
export interface Conversion {
  /** Adds what a batch becomes; called in the order of the vault. */
  add(partition: number, batch: Buffer): void
  /** What has become of the batches added since the last call. */
  take(): readonly ConvertedBatch[]
}

export interface ConvertedBatch {
  readonly topic: string
  readonly partition: number
  readonly batch: Buffer
}

export interface TopicTargetOptions {
  readonly name: string
  /** Topics that are created where they are missing, with at least these partitions. */
  readonly topics: readonly { readonly topic: string; readonly partitionCount: number }[]
  readonly conversion: Conversion
  readonly checkpoint: KafkaCheckpoint
  /** Forget what an earlier run did. */
  readonly isRestart: boolean
}

/** No group member commits: the group of a replay has none. */
const NO_MEMBER = { generationId: -1, memberId: '', groupInstanceId: null } as const

export class TopicTarget implements ReplayTarget {
  readonly name: string
  readonly #cluster: KafkaCluster
  readonly #options: TopicTargetOptions
  readonly #producer: TransactionalProducer
  readonly #written = new Map<number, number>()

  constructor(cluster: KafkaCluster, options: TopicTargetOptions) {
    this.name = options.name
    this.#cluster = cluster
    this.#options = options
    this.#producer = new TransactionalProducer(cluster, { transactionalId: options.checkpoint.groupId })
  }

  async open(ranges: readonly ReplayRange[]): Promise<readonly ReplayProgress[] | null> {
    const { topics, checkpoint, isRestart } = this.#options
    const configs = { 'max.message.bytes': String(DERIVED_BATCH_BYTES_MAX) }
    for (const { topic, partitionCount } of topics) {
      const found = await this.#cluster.ensureTopic(topic, { partitionCount, configs })
      if (found >= partitionCount) continue
      throw new ReplayError(
        'GS_REPLAY_TARGET',
        `expected ${topic} to have at least ${partitionCount} partitions, as many as are replayed, found ${found}: choose another topic`,
        { facts: { topic, partitionCount, found } },
      )
    }
    // First the id, which ends whatever an earlier run left open; then what it remembered is final.
    await this.#producer.init()
    const earlier = isRestart ? null : await checkpoint.read(ranges)
    for (const { partition, writtenCount } of earlier ?? []) this.#written.set(partition, writtenCount)
    if (earlier !== null) return earlier
    const fresh = ranges.map((range) => ({ ...range, position: range.from, takenCount: 0, writtenCount: 0 }))
    await this.#commit([], fresh)
    return null
  }

  async write({ batches, progress }: ReplayUnit): Promise<number> {
    const { conversion } = this.#options
    const { partition } = progress
    for (const { bytes } of batches) conversion.add(partition, bytes)
    const converted = conversion.take()
    const count = converted.reduce((sum, { batch }) => sum + recordCountAt(batch, 0), 0)
    const writtenCount = (this.#written.get(partition) ?? 0) + count
    await this.#commit(converted, [{ ...progress, writtenCount }])
    this.#written.set(partition, writtenCount)
    return count
  }

  async #commit(batches: readonly ConvertedBatch[], places: readonly ReplayProgress[]): Promise<void> {
    const { checkpoint } = this.#options
    const producer = this.#producer
    producer.begin()
    try {
      const sends = batches.map(({ topic, partition, batch }) => producer.send(topic, partition, batch))
      const group = { groupId: checkpoint.groupId, ...NO_MEMBER }
      await Promise.all([
        ...sends,
        producer.sendOffsets(
          group,
          places.map((place) => checkpoint.offsetOf(place)),
        ),
      ])
      await producer.commit()
    } catch (error) {
      await producer.abort().catch(() => {})
      throw error
    }
  }

  async finish(): Promise<{ countedRecords: null }> {
    return { countedRecords: null }
  }

  stop(): Promise<void> {
    return this.#producer.stop()
  }
}

/** Copies as they are, to the partition they come from. */
export class VerbatimConversion implements Conversion {
  readonly #topic: string
  readonly #maker = new LogBatchMaker()
  #batches: ConvertedBatch[] = []

  constructor(topic: string) {
    this.#topic = topic
  }

  add(partition: number, batch: Buffer): void {
    this.#batches.push({ topic: this.#topic, partition, batch: this.#maker.make(batch) })
  }

  take(): readonly ConvertedBatch[] {
    const batches = this.#batches
    this.#batches = []
    return batches
  }
}
