/** Which of the offsets that a client wants to commit can be, and what the others are answered. */

import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { OffsetToCommit } from '../groups/offset-store.ts'
import type { Call } from './route.ts'

export interface AskedOffsets {
  readonly name: string
  readonly partitions: readonly {
    readonly partitionIndex: number
    readonly committedOffset: number
    readonly committedLeaderEpoch: number
    readonly committedMetadata: string | null
  }[]
}

/** The offsets to commit, and the answer for every partition, in the order of the request. */
export function selectOffsets(asked: readonly AskedOffsets[], { broker }: Call) {
  const nowMs = broker.clock.wallMs()
  const accepted: OffsetToCommit[] = []
  const topics = asked.map((topic) => ({
    name: topic.name,
    partitions: topic.partitions.map((partition) => {
      const { partitionIndex } = partition
      const metadata = partition.committedMetadata ?? ''
      if (broker.topics.partition(topic.name, partitionIndex) === undefined) {
        return { partitionIndex, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION as number }
      }
      if (metadata.length > broker.options.offsetMetadataCharsMax) {
        return { partitionIndex, errorCode: KAFKA_ERROR.OFFSET_METADATA_TOO_LARGE as number }
      }
      accepted.push({
        topic: topic.name,
        partition: partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata,
        commitTimestampMs: nowMs,
      })
      return { partitionIndex, errorCode: KAFKA_ERROR.NONE as number }
    }),
  }))
  return { accepted, topics }
}
