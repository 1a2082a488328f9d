/**
 * How far a replay came, kept as committed offsets of a consumer group of its own: for each source partition the next offset
 * to read, with the range and the counts as the offset's metadata. So a transaction can hold copies and checkpoint together,
 * and any Kafka tool shows how far it is.
 */

import type { KafkaCluster } from '../kafka/cluster.ts'
import { fetchCommittedOffsets, type OffsetToCommit } from '../kafka/group-offsets.ts'
import type { ReplayRange } from './replay-plan.ts'
import { checkedProgress, type ReplayProgress } from './replay-target.ts'

export class KafkaCheckpoint {
  readonly #cluster: KafkaCluster
  readonly #topic: string
  readonly groupId: string

  /** @param topic the source; @param id the replay's. */
  constructor(cluster: KafkaCluster, { topic, id }: { readonly topic: string; readonly id: string }) {
    this.#cluster = cluster
    this.#topic = topic
    this.groupId = `gophership-replay-${id}`
  }

  /** What an earlier run left; null when there was none. Throws GS_REPLAY_INVALID on what is not ours. */
  async read(ranges: readonly ReplayRange[]): Promise<readonly ReplayProgress[] | null> {
    const asked = ranges.map(({ partition }) => ({ topic: this.#topic, partition }))
    const committed = await fetchCommittedOffsets(this.#cluster, this.groupId, asked)
    const found = committed.filter(({ offset }) => offset >= 0)
    if (found.length === 0) return null
    const progress = found.map(({ partition, offset, metadata }) => {
      const { from, end, taken, written } = parseMetadata(metadata)
      return { partition, from, end, position: offset, takenCount: taken, writtenCount: written }
    })
    return checkedProgress(
      progress.sort((a, b) => a.partition - b.partition),
      `the offsets of group ${this.groupId}`,
    )
  }

  /** The offset to commit for a place. */
  offsetOf({ partition, from, end, position, takenCount, writtenCount }: ReplayProgress): OffsetToCommit {
    const metadata = JSON.stringify({ from, end, taken: takenCount, written: writtenCount })
    return { topic: this.#topic, partition, offset: position, metadata }
  }
}

function parseMetadata(text: string | null): { from: number; end: number; taken: number; written: number } {
  const none = { from: -1, end: -1, taken: -1, written: -1 }
  try {
    const found: unknown = JSON.parse(text ?? '')
    return typeof found === 'object' && found !== null ? { ...none, ...found } : none
  } catch {
    return none
  }
}
