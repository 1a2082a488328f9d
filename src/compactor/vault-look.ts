/** What the compactor knows of the vault's partitions: where they begin, how they grow, what they keep. Looked at now and then. */

import type { Clock } from '../core/clock.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { listOffsets } from '../kafka/offsets.ts'
import { GrowthMeter, KEEP_EVERYTHING, type VaultGrowth, type VaultRetention } from './debt-deadline.ts'
import { readRetention } from './retention-settings.ts'

export interface VaultPartition {
  readonly topic: string
  readonly partition: number
}

/** People change a topic's retention rarely, and urgency is a matter of hours. */
const RETENTION_AGE_MS_MAX = 60_000
const DEADLINE_MS = 10_000

export class VaultLook {
  readonly #cluster: KafkaCluster
  readonly #clock: Clock
  readonly #starts = new Map<string, number>()
  readonly #growth = new Map<string, GrowthMeter>()
  #retention: ReadonlyMap<string, VaultRetention> = new Map()
  #retentionAskedMs = Number.NEGATIVE_INFINITY

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster
    this.#clock = cluster.clock
  }

  /**
   * Asks the cluster about these partitions and forgets all others. One that has no leader just now is not asked about, since
   * waiting for it would hold up all; of that one, and when the cluster's answer is thrown, what was known stays.
   */
  async refresh(partitions: readonly VaultPartition[]): Promise<void> {
    await this.#refreshRetention(partitions)
    const led = partitions.filter(({ topic, partition }) => this.#cluster.leaderOf(topic, partition) !== null)
    const ask = (at: 'earliest' | 'latest') =>
      listOffsets(
        this.#cluster,
        led.map(({ topic, partition }) => ({ topic, partition, at })),
        { deadlineMs: DEADLINE_MS },
      )
    const [starts, ends] = await Promise.all([ask('earliest'), ask('latest')])
    const nowMs = this.#clock.monotonicMs()
    for (const { topic, partition, offset } of starts) this.#starts.set(keyOf(topic, partition), offset)
    for (const { topic, partition, offset } of ends) {
      const key = keyOf(topic, partition)
      const meter = this.#growth.get(key) ?? new GrowthMeter()
      this.#growth.set(key, meter)
      meter.observe(offset, nowMs)
    }
    const asked = new Set(partitions.map(({ topic, partition }) => keyOf(topic, partition)))
    for (const known of [this.#starts, this.#growth]) {
      for (const key of known.keys()) if (!asked.has(key)) known.delete(key)
    }
  }

  /** The first offset that is left; null before the first look. */
  startOf({ topic, partition }: VaultPartition): number | null {
    return this.#starts.get(keyOf(topic, partition)) ?? null
  }

  growthOf({ topic, partition }: VaultPartition): VaultGrowth | null {
    return this.#growth.get(keyOf(topic, partition))?.growth() ?? null
  }

  /** What a topic keeps; everything, until it is known. */
  retentionOf(topic: string): VaultRetention {
    return this.#retention.get(topic) ?? KEEP_EVERYTHING
  }

  async #refreshRetention(partitions: readonly VaultPartition[]): Promise<void> {
    const topics = [...new Set(partitions.map(({ topic }) => topic))]
    const nowMs = this.#clock.monotonicMs()
    const isFresh = nowMs - this.#retentionAskedMs < RETENTION_AGE_MS_MAX
    if (isFresh && topics.every((topic) => this.#retention.has(topic))) return
    this.#retention = await readRetention(this.#cluster, topics)
    this.#retentionAskedMs = nowMs
  }
}

const keyOf = (topic: string, partition: number) => `${topic}/${partition}`
