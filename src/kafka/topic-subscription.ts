/** Which topics a member reads: a list, or a choice made anew from all topic names whenever the cluster's topics are polled. */

import type { KafkaCluster } from './cluster.ts'
import type { MetadataSnapshot } from './metadata-snapshot.ts'

/** A fixed list, or a pure function of the names of all topics. */
export type TopicSelection = readonly string[] | ((topicNames: readonly string[]) => readonly string[])

export class TopicSubscription {
  readonly #cluster: KafkaCluster
  readonly #selection: TopicSelection

  constructor(cluster: KafkaCluster, selection: TopicSelection) {
    this.#cluster = cluster
    this.#selection = selection
  }

  /** The selected topics in order, by what the cluster has at this moment. A listed topic need not exist yet. */
  async current(): Promise<readonly string[]> {
    if (typeof this.#selection !== 'function') {
      await this.#cluster.refreshMetadata(this.#selection)
      return this.#selection.toSorted()
    }
    const { topics } = await this.#cluster.refreshMetadata(null)
    const names = [...topics.values()].filter(({ isInternal }) => !isInternal).map(({ name }) => name)
    return [...new Set(this.#selection(names))].toSorted()
  }
}

/** How many partitions each of these topics has; those that do not exist are left out. */
export function partitionCountsOf(snapshot: MetadataSnapshot, topics: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const topic of [...topics].toSorted()) {
    const count = snapshot.topics.get(topic)?.partitions.length ?? 0
    if (count > 0) counts.set(topic, count)
  }
  return counts
}

export function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index])
}

export function sameCounts(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([topic, count]) => b.get(topic) === count)
}
