/**
 * Where work on the partitions of an assignment begins, and whether it can: nobody can say where a partition begins that has no
 * leader, nor where its output goes when the cluster refuses the topic for it. The others need not wait for such a one; it is
 * looked at again until it has both.
 */

import type { Clock } from '../core/clock.ts'
import { isFailure } from '../core/errors.ts'
import type { OutputTopics } from '../enrichment/output-topics.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { CommittedOffset } from '../kafka/group-offsets.ts'
import { listOffsets } from '../kafka/offsets.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'

/** A partition, and the offset of the first record to work on. */
export type Start = Pick<CommittedOffset, 'topic' | 'partition' | 'offset'>

/** Partitions that cannot be begun with yet, and how soon they are looked at again. */
export interface Unable {
  readonly partitions: readonly CommittedOffset[]
  readonly pauseMs: number
}

export interface PartitionStartsOptions {
  readonly cluster: KafkaCluster
  readonly clock: Clock
  readonly diagnostics: Diagnostics
}

/** A leader is elected in moments. */
const LEADER_LOOK_MS = 500
/** Whether a topic may be created changes when somebody changes it. */
const OUTPUT_RETRY_MS = 5_000

export class PartitionStarts {
  readonly #cluster: KafkaCluster
  readonly #clock: Clock
  readonly #diagnostics: Diagnostics
  readonly #outputs: OutputTopics

  constructor({ cluster, clock, diagnostics }: PartitionStartsOptions, outputs: OutputTopics) {
    this.#cluster = cluster
    this.#clock = clock
    this.#diagnostics = diagnostics
    this.#outputs = outputs
  }

  /** Looks at the partitions of a new assignment, with what the group has committed of them. */
  async look(committed: readonly CommittedOffset[]): Promise<{ starts: Start[]; unable: Unable[] }> {
    // Those of a new topic may have their leaders by now.
    if (!committed.every((one) => this.#canBegin(one))) {
      await this.#cluster.refreshMetadata(topicsOf(committed))
    }
    this.#outputs.reset()
    const refused = await this.#ensureOutputs(committed)
    const able = Map.groupBy(committed, (one) => {
      if (refused.has(one.topic)) return OUTPUT_RETRY_MS
      return this.#canBegin(one) ? 0 : LEADER_LOOK_MS
    })
    const starts = await this.#startsOf(able.get(0) ?? [])
    able.delete(0)
    return { starts, unable: [...able].map(([pauseMs, partitions]) => ({ partitions, pauseMs })) }
  }

  /** Calls `begin` with those that can be begun with by then, until there are none left or the signal ends it. Never rejects. */
  async follow(
    { partitions, pauseMs }: Unable,
    { signal, begin }: { readonly signal: AbortSignal; begin(starts: readonly Start[]): Promise<void> },
  ): Promise<void> {
    for (let waiting = partitions; waiting.length > 0; ) {
      await this.#clock.sleep(pauseMs, signal).catch(() => {})
      if (signal.aborted) return
      try {
        await this.#cluster.refreshMetadata(topicsOf(waiting))
        const refused = await this.#ensureOutputs(waiting)
        const able = waiting.filter((one) => !refused.has(one.topic) && this.#canBegin(one))
        await begin(await this.#startsOf(able))
        waiting = waiting.filter((one) => !able.includes(one))
      } catch (error) {
        this.#diagnostics.debug({ error }, 'partitions that cannot be begun with could not be looked at')
      }
    }
  }

  /** Makes sure of the topics that output goes to; gives the vault topics for which the cluster refuses one. */
  async #ensureOutputs(partitions: readonly CommittedOffset[]): Promise<ReadonlySet<string>> {
    const refused = new Set<string>()
    const ensure = async (topic: string) => {
      try {
        await this.#outputs.ensure(topic)
      } catch (error) {
        if (!isFailure(error, 'GS_KAFKA_RESPONSE')) throw error
        refused.add(topic)
        this.#diagnostics.warn(
          { error, topic },
          'the cluster refuses an output topic; what it is for waits in the vault, and the topic is asked for again',
        )
      }
    }
    await Promise.all(topicsOf(partitions).map(ensure))
    return refused
  }

  /** Whether it is known where the partition begins, or can be asked. */
  #canBegin({ topic, partition, offset }: CommittedOffset): boolean {
    return offset >= 0 || this.#cluster.leaderOf(topic, partition) !== null
  }

  /** Behind what the group has committed, or at the front. */
  async #startsOf(committed: readonly CommittedOffset[]): Promise<Start[]> {
    const fresh = committed.filter(({ offset }) => offset < 0)
    const earliest = await listOffsets(
      this.#cluster,
      fresh.map(({ topic, partition }) => ({ topic, partition, at: 'earliest' as const })),
    )
    return [...committed.filter(({ offset }) => offset >= 0), ...earliest]
  }
}

const topicsOf = (partitions: readonly CommittedOffset[]) => [
  ...new Set(partitions.map(({ topic }) => topic)),
]
