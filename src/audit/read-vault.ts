/** Reads of the vault what a judgement needs: all of it for a deep audit, else only where something seems to be missing. */

import { baseOffsetAt, lastOffsetAt, recordCountAt } from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { batchesOf, type ScanRange, scanPartitions } from '../kafka/partition-scan.ts'
import { booksOf } from '../ledger/debt-accounts.ts'
import { type DebtBooks, debtWithin } from '../ledger/debt-ranges.ts'
import { rangeOf } from '../ledger/offset-range.ts'
import { type AuditOptions, progressOf } from './audit-options.ts'
import { type Audited, boundsOf } from './audited-partition.ts'
import { OffsetSet } from './offset-set.ts'
import { type BookedBatch, printOf } from './passthrough-match.ts'

/** What was read of one partition's vault. */
export interface VaultReading {
  /** Offsets that hold a committed record. */
  readonly present: OffsetSet
  /** Batches that the ledger says were passed through, in order; only of a deep audit. */
  readonly booked: BookedBatch[]
}

/** Suspects further apart than this are fetched one after the other, nearer ones in one go. */
const SUSPECT_GAP_MAX = 10_000
/** Seeks of one partition; beyond that the vault is read on to the last suspect. */
const SUSPECT_RANGES_MAX = 64

/** Reads whole partitions. */
export async function readWholeVault(
  cluster: KafkaCluster,
  audited: readonly Audited[],
  options: AuditOptions,
): Promise<Map<Audited, VaultReading>> {
  const bounds = await boundsOf(cluster, audited)
  const ranges = audited.map((one, index): [Audited, ScanRange] => {
    const { topic, partition, startBefore, committed, ledgerAfter } = one
    // To where something may be said: to the committed offset, and on to what was booked since.
    const bookedEnd = (ledgerAfter.owed.at(-1)?.last ?? -1) + 1
    const end = Math.min(Math.max(committed, bookedEnd), bounds[index]?.end ?? 0)
    return [one, { topic, partition, from: startBefore, end }]
  })
  return readRounds(cluster, audited, [new Map(ranges)], options)
}

/** Reads where the suspects are. */
export async function readSuspects(
  cluster: KafkaCluster,
  suspects: ReadonlyMap<Audited, OffsetSet>,
  options: AuditOptions,
): Promise<Map<Audited, VaultReading>> {
  const rounds: Map<Audited, ScanRange>[] = []
  for (const [one, offsets] of suspects) {
    for (const [round, range] of suspectRanges(one, offsets).entries()) {
      rounds[round] ??= new Map()
      rounds[round].set(one, range)
    }
  }
  return readRounds(cluster, [...suspects.keys()], rounds, options)
}

async function readRounds(
  cluster: KafkaCluster,
  audited: readonly Audited[],
  rounds: readonly ReadonlyMap<Audited, ScanRange>[],
  options: AuditOptions,
): Promise<Map<Audited, VaultReading>> {
  const readings = new Map(
    audited.map((one) => [one, { present: new OffsetSet(), booked: [] } as VaultReading]),
  )
  const { onRead, signal } = progressOf(
    'vault',
    rounds.flatMap((round) => [...round.values()]),
    options,
  )
  const cursor = new RecordCursor()
  for (const round of rounds) {
    const states = new Map(
      Array.from(round, ([one, range]) => [
        range,
        { reading: readings.get(one) as VaultReading, bookOf: bookerOf(one, options) },
      ]),
    )
    await scanPartitions(cluster, [...round.values()], {
      ...(signal && { signal }),
      onBatches: (fetched, range) => {
        const { records } = fetched
        const state = states.get(range)
        if (state === undefined) return
        const { present, booked } = state.reading
        for (const at of batchesOf(fetched, range)) {
          const [first, last] = [baseOffsetAt(records, at), lastOffsetAt(records, at)]
          // A batch from which compaction took records is the only one that has to be opened.
          if (recordCountAt(records, at) === last - first + 1) present.addRange(first, last)
          else addRecords(present, cursor, records, at)
          const isDue = state.bookOf(first, last)
          if (isDue !== null) booked.push({ print: printOf(records, at), first, last, isDue })
        }
        onRead(Math.max(0, Math.min(fetched.nextOffset, range.end) - fetched.fetchOffset))
      },
    })
  }
  return readings
}

function suspectRanges({ topic, partition }: Audited, suspects: OffsetSet): ScanRange[] {
  const ranges: ScanRange[] = []
  for (const { first, last } of suspects.ranges()) {
    const previous = ranges.at(-1)
    const isNear = previous !== undefined && first - previous.end < SUSPECT_GAP_MAX
    if (previous !== undefined && (isNear || ranges.length === SUSPECT_RANGES_MAX)) {
      ranges[ranges.length - 1] = { ...previous, end: last + 1 }
    } else ranges.push({ topic, partition, from: first, end: last + 1 })
  }
  return ranges
}

/**
 * Tells of a batch whether it is booked as passed through: true when its copy must have been there when the copies were read,
 * false when it may have been, null when it is not booked so.
 */
function bookerOf(
  { ledgerBefore, ledgerAfter, committed }: Audited,
  { isDeep }: AuditOptions,
): (first: number, last: number) => boolean | null {
  if (!isDeep) return () => null
  const [before, after] = [booksOf(ledgerBefore), booksOf(ledgerAfter)]
  const isPassedThrough = (books: DebtBooks, first: number, last: number) =>
    debtWithin(books, rangeOf(first, last)).some(({ tier }) => tier === 'passthrough')
  return (first, last) => {
    if (isPassedThrough(before, first, last)) return last < committed
    return isPassedThrough(after, first, last) ? false : null
  }
}

function addRecords(present: OffsetSet, cursor: RecordCursor, records: Buffer, at: number): void {
  cursor.open(records, at)
  while (cursor.next()) present.add(cursor.offset)
  cursor.close()
}
