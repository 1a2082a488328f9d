/** The vault partitions that an audit is about, as they stood when it began. */

import type { KafkaCluster } from '../kafka/cluster.ts'
import { fetchCommittedOffsets } from '../kafka/group-offsets.ts'
import { listOffsets } from '../kafka/offsets.ts'
import { type DebtAccounts, NO_ACCOUNTS } from '../ledger/debt-accounts.ts'
import type { AuditOptions } from './audit-options.ts'
import { PartitionEvidence } from './partition-evidence.ts'
import { PassthroughCopies } from './passthrough-match.ts'

/** A vault partition while it is audited. */
export interface Audited {
  readonly stream: string
  readonly topic: string
  readonly partition: number
  readonly startBefore: number
  readonly committed: number
  readonly evidence: PartitionEvidence
  readonly copies: PassthroughCopies
  ledgerBefore: DebtAccounts
  ledgerAfter: DebtAccounts
  eventsExpiredBelow: number
}

export const keyOf = (topic: string, partition: number) => `${topic}/${partition}`

/** Finds the partitions, their first offsets, and then what was committed of them, in this order. */
export async function startingPoints(
  cluster: KafkaCluster,
  { topics, streams, groupId }: AuditOptions,
): Promise<Audited[]> {
  const vaultTopics = (await cluster.listTopics()).flatMap(({ name, partitionCount }) => {
    const stream = topics.streamOf(name)
    return stream === null || (streams !== null && !streams.includes(stream))
      ? []
      : [{ stream, name, partitionCount }]
  })
  const partitions = vaultTopics
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ stream, name, partitionCount }) =>
      Array.from({ length: partitionCount }, (_, partition) => ({ stream, topic: name, partition })),
    )
  const bounds = await boundsOf(cluster, partitions)
  const committed = await fetchCommittedOffsets(cluster, groupId, partitions)
  const offsets = new Map(committed.map(({ topic, partition, offset }) => [keyOf(topic, partition), offset]))
  return partitions.map(({ stream, topic, partition }, index) => {
    const startBefore = bounds[index]?.start ?? 0
    const offset = offsets.get(keyOf(topic, partition)) ?? -1
    return {
      stream,
      topic,
      partition,
      startBefore,
      // Nothing was committed: the processors have not begun, and will at the vault's first offset.
      committed: offset < 0 ? startBefore : offset,
      evidence: new PartitionEvidence(),
      copies: new PassthroughCopies(),
      ledgerBefore: NO_ACCOUNTS,
      ledgerAfter: NO_ACCOUNTS,
      eventsExpiredBelow: 0,
    }
  })
}

/** First offset, and one past the last, of each partition right now. */
export async function boundsOf(
  cluster: KafkaCluster,
  partitions: readonly { readonly topic: string; readonly partition: number }[],
): Promise<{ readonly start: number; readonly end: number }[]> {
  const offsets = await listOffsets(
    cluster,
    partitions.flatMap(({ topic, partition }) => [
      { topic, partition, at: 'earliest' as const },
      { topic, partition, at: 'latest' as const },
    ]),
  )
  return partitions.map((_, index) => ({
    start: offsets[index * 2]?.offset ?? 0,
    end: offsets[index * 2 + 1]?.offset ?? 0,
  }))
}
