/** Reads the outputs of a stream's partitions, and the dead letters of all, into evidence. */

import { baseOffsetAt } from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import { isFailure } from '../core/errors.ts'
import { BATCH_RECORDS_MAX } from '../core/limits.ts'
import { decodeDeadLetterHeaders } from '../enrichment/dead-letter-headers.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { listOffsets } from '../kafka/offsets.ts'
import { batchesOf, type ScanRange, scanPartitions } from '../kafka/partition-scan.ts'
import { type DebtBooks, debtWithin } from '../ledger/debt-ranges.ts'
import { rangeOf } from '../ledger/offset-range.ts'
import { EventPlaceReader } from './event-place.ts'
import { OffsetSet } from './offset-set.ts'
import type { PartitionEvidence } from './partition-evidence.ts'
import type { PassthroughCopies } from './passthrough-match.ts'
import { printOf } from './passthrough-match.ts'

export interface ReadOptions {
  readonly signal?: AbortSignal
  /** Told how many offsets were passed since the last call. */
  readonly onRead: (offsetCount: number) => void
}

/** A vault partition whose outputs are read. */
export interface OutputsOf {
  readonly topic: string
  readonly partition: number
  readonly evidence: PartitionEvidence
  /** The books before the outputs are read. */
  readonly books: DebtBooks
}

/**
 * The partitions of a topic, each from its first offset to its end right now (open transactions included: reading waits for
 * them); none when the topic does not exist.
 */
export async function wholeTopic(cluster: KafkaCluster, topic: string): Promise<ScanRange[]> {
  const { topics } = await cluster.refreshMetadata([topic])
  const partitionCount = topics.get(topic)?.partitions.length ?? 0
  const bounds = await listOffsets(
    cluster,
    Array.from({ length: partitionCount }, (_, partition) => partition).flatMap((partition) => [
      { topic, partition, at: 'earliest' as const },
      { topic, partition, at: 'latest' as const },
    ]),
  )
  return Array.from({ length: partitionCount }, (_, partition) => ({
    topic,
    partition,
    from: bounds[partition * 2]?.offset ?? 0,
    end: bounds[partition * 2 + 1]?.offset ?? 0,
  }))
}

/**
 * Reads the events of an enriched topic. Resolves with the vault offset, by partition, below which events may have been
 * deleted by retention: 0 for none, infinite when nothing tells.
 */
export async function readEvents(
  cluster: KafkaCluster,
  ranges: readonly ScanRange[],
  partitions: readonly OutputsOf[],
  { signal, onRead }: ReadOptions,
): Promise<Map<number, number>> {
  const cursor = new RecordCursor()
  const states = new Map(
    partitions.map((outputs) => [
      outputs.partition,
      { ...outputs, reader: new EventPlaceReader(outputs.topic, outputs.partition) },
    ]),
  )
  // Events of the processors come in the order of the vault, so whatever precedes the first one of them that is left may be
  // gone. Events of settled debt come late and tell nothing.
  const expiredBelow = new Map(
    ranges.map(({ partition, from }) => [partition, from === 0 ? 0 : Number.POSITIVE_INFINITY]),
  )
  await scanPartitions(
    cluster,
    ranges.filter(({ partition }) => states.has(partition)),
    {
      ...(signal && { signal }),
      onBatches: (fetched, range) => {
        const state = states.get(fetched.partition)
        if (state === undefined) return
        const { evidence, reader, books } = state
        for (const at of batchesOf(fetched, range)) {
          cursor.open(fetched.records, at)
          while (cursor.next()) {
            if (cursor.offset < range.from || cursor.offset >= range.end) continue
            if (cursor.valueStart < 0) reader.fault = 'foreign'
            else reader.read(cursor.bytes, cursor.valueStart, cursor.valueEnd)
            const { fault, offset } = reader
            if (fault === 'foreign') evidence.foreign.add(cursor.offset)
            else if (fault !== null) evidence.misnamed.add(cursor.offset)
            else {
              evidence.addEvent(reader.density, offset)
              if (expiredBelow.get(range.partition) === Number.POSITIVE_INFINITY) {
                const isBooked = debtWithin(books, rangeOf(offset, offset)).length > 0
                if (!isBooked) expiredBelow.set(range.partition, offset)
              }
            }
          }
        }
        cursor.close()
        onRead(Math.max(0, Math.min(fetched.nextOffset, range.end) - fetched.fetchOffset))
      },
    },
  )
  return expiredBelow
}

/** What was read of the dead-letter topic. */
export interface DeadLetterReading {
  /** Offsets in that topic, by its partitions, of records that are no dead letters of ours. */
  readonly foreign: ReadonlyMap<number, OffsetSet>
  /** The vault offset, by vault topic and partition, below which letters may be gone; see `expiredBelow`. */
  expiredBelow(topic: string, partition: number): number
}

/** Reads the dead letters of every vault partition; those of others are passed over. */
export async function readDeadLetters(
  cluster: KafkaCluster,
  ranges: readonly ScanRange[],
  evidenceOf: (topic: string, partition: number) => PartitionEvidence | undefined,
  { signal, onRead }: ReadOptions,
): Promise<DeadLetterReading> {
  const cursor = new RecordCursor()
  const foreign = new Map<number, OffsetSet>()
  const firstKept = new Map<string, number>()
  await scanPartitions(cluster, ranges, {
    ...(signal && { signal }),
    onBatches: (fetched, range) => {
      for (const at of batchesOf(fetched, range)) {
        cursor.open(fetched.records, at)
        while (cursor.next()) {
          if (cursor.offset < range.from || cursor.offset >= range.end) continue
          const facts = decodedFacts(cursor)
          if (facts === null) {
            const offsets = foreign.get(fetched.partition) ?? new OffsetSet()
            foreign.set(fetched.partition, offsets)
            offsets.add(cursor.offset)
            continue
          }
          const { topic, partition, offset, lastOffset = offset } = facts
          const key = `${topic}/${partition}`
          if (!firstKept.has(key)) firstKept.set(key, offset)
          const last = Math.min(lastOffset, offset + BATCH_RECORDS_MAX - 1)
          evidenceOf(topic, partition)?.addDeadLetter(offset, last)
        }
      }
      cursor.close()
      onRead(Math.max(0, Math.min(fetched.nextOffset, range.end) - fetched.fetchOffset))
    },
  })
  const isWhole = ranges.every(({ from }) => from === 0)
  return {
    foreign,
    expiredBelow: (topic, partition) =>
      isWhole ? 0 : (firstKept.get(`${topic}/${partition}`) ?? Number.POSITIVE_INFINITY),
  }
}

/** Reads what was forwarded untouched, as one print for each batch. */
export async function readCopies(
  cluster: KafkaCluster,
  ranges: readonly ScanRange[],
  copiesOf: (partition: number) => PassthroughCopies,
  { signal, onRead }: ReadOptions,
): Promise<void> {
  await scanPartitions(cluster, ranges, {
    ...(signal && { signal }),
    onBatches: (fetched, range) => {
      const copies = copiesOf(fetched.partition)
      for (const at of batchesOf(fetched, range)) {
        copies.add(printOf(fetched.records, at), baseOffsetAt(fetched.records, at))
      }
      onRead(Math.max(0, Math.min(fetched.nextOffset, range.end) - fetched.fetchOffset))
    },
  })
}

function decodedFacts(cursor: RecordCursor) {
  try {
    return decodeDeadLetterHeaders(cursor.headers())?.facts ?? null
  } catch (error) {
    if (!isFailure(error)) throw error
    return null
  }
}
