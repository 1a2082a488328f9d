/** Reads the dead letters: which there are, and one with everything it holds. */

import { RecordCursor } from '../batch/record-cursor.ts'
import type { RecordHeader } from '../batch/record-headers.ts'
import { isFailure } from '../core/errors.ts'
import { type DeadLetterFacts, decodeDeadLetterHeaders } from '../enrichment/dead-letter-headers.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { listOffsets } from '../kafka/offsets.ts'
import { batchesOf, type ScanRange, scanPartitions } from '../kafka/partition-scan.ts'
import type { RedrivenLog } from './redriven-log.ts'

/** A letter as read; its bytes are copies. */
export interface DeadLetter {
  /** Where it lies in the dead-letter topic. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly facts: DeadLetterFacts
  /** Counted by what was sent back, not by any header. */
  readonly attempt: number
  /** The record's own, as its producer sent them. */
  readonly headers: readonly RecordHeader[]
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** Which letters are meant; what is null does not matter. */
export interface DeadLetterFilter {
  readonly reason: string | null
  readonly stage: string | null
  /** The vault topic of the stream. */
  readonly vaultTopic: string | null
}

export const EVERY_LETTER: DeadLetterFilter = { reason: null, stage: null, vaultTopic: null }

export interface DeadLetterScan {
  /** The dead-letter topic. */
  readonly topic: string
  readonly filter: DeadLetterFilter
  readonly redriven: RedrivenLog
  readonly signal?: AbortSignal
  /** Called with the letters of each answer, in order; the next answer waits for its promise. */
  readonly onLetters: (letters: readonly DeadLetter[]) => void | Promise<void>
  /** Records of the topic that are no letters of ours. */
  readonly onForeign?: (partition: number, offset: number) => void
}

/** Reads the letters that are there when it begins; none when the topic does not exist. */
export async function scanDeadLetters(cluster: KafkaCluster, scan: DeadLetterScan): Promise<void> {
  const { topic } = scan
  const partitionCount = (await cluster.refreshMetadata([topic])).topics.get(topic)?.partitions.length ?? 0
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
  const ask = (at: 'earliest' | 'latest') =>
    listOffsets(
      cluster,
      partitions.map((partition) => ({ topic, partition, at })),
      { isolation: 'read_committed' },
    )
  const [first, last] = [await ask('earliest'), await ask('latest')]
  const ranges = partitions.map((partition, index) => ({
    topic,
    partition,
    from: first[index]?.offset ?? 0,
    end: last[index]?.offset ?? 0,
  }))
  await scanRanges(cluster, ranges, scan)
}

/** The letter at one offset of the dead-letter topic; null when there is none. */
export async function readDeadLetter(
  cluster: KafkaCluster,
  {
    topic,
    partition,
    offset,
  }: { readonly topic: string; readonly partition: number; readonly offset: number },
  redriven: RedrivenLog,
): Promise<DeadLetter | null> {
  const partitionCount = (await cluster.refreshMetadata([topic])).topics.get(topic)?.partitions.length ?? 0
  if (partition >= partitionCount) return null
  const [first, last] = await listOffsets(cluster, [
    { topic, partition, at: 'earliest' },
    { topic, partition, at: 'latest' },
  ])
  if (offset < (first?.offset ?? 0) || offset >= (last?.offset ?? 0)) return null
  let found: DeadLetter | null = null
  await scanRanges(cluster, [{ topic, partition, from: offset, end: offset + 1 }], {
    topic,
    filter: EVERY_LETTER,
    redriven,
    onLetters: ([letter]) => {
      found = letter ?? null
    },
  })
  return found
}

async function scanRanges(
  cluster: KafkaCluster,
  ranges: readonly ScanRange[],
  scan: DeadLetterScan,
): Promise<void> {
  const { topic, filter, redriven, signal, onLetters, onForeign } = scan
  const cursor = new RecordCursor()
  await scanPartitions(cluster, ranges, {
    ...(signal && { signal }),
    onBatches: async (fetched, range) => {
      const letters: DeadLetter[] = []
      for (const at of batchesOf(fetched, range)) {
        cursor.open(fetched.records, at)
        while (cursor.next()) {
          if (cursor.offset < range.from || cursor.offset >= range.end) continue
          const decoded = factsOf(cursor)
          if (decoded === null) {
            onForeign?.(fetched.partition, cursor.offset)
            continue
          }
          const { facts, own } = decoded
          if (!isMeant(facts, filter)) continue
          letters.push({
            topic,
            partition: fetched.partition,
            offset: cursor.offset,
            timestampMs: cursor.timestamp,
            facts,
            attempt: redriven.attemptOf(facts),
            headers: own.map(({ key, value }) => ({ key, value: copied(value) })),
            key: copied(cursor.keyBytes()),
            value: copied(cursor.valueBytes()),
          })
        }
        cursor.close()
      }
      if (letters.length > 0) await onLetters(letters)
    },
  })
}

function isMeant(facts: DeadLetterFacts, { reason, stage, vaultTopic }: DeadLetterFilter): boolean {
  if (reason !== null && facts.reason !== reason) return false
  if (stage !== null && facts.stage !== stage) return false
  return vaultTopic === null || facts.topic === vaultTopic
}

function factsOf(cursor: RecordCursor) {
  try {
    return decodeDeadLetterHeaders(cursor.headers())
  } catch (error) {
    if (!isFailure(error)) throw error
    return null
  }
}

const copied = (bytes: Buffer | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes))
