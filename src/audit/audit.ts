/**
 * The proof that nothing is missing and nothing is doubled, recomputed from the topics alone: committed offsets, ledger,
 * outputs and, for the deep audit, the vault itself. No counter of ours is asked.
 *
 * The quick audit proves, for every vault partition, that each offset from the vault's first to the committed one is exactly
 * one of enriched, owed, settled, dead-lettered, lost: no hole and no overlap, and no output twice. It takes the ledger's
 * word for what was settled and reads the vault only where something seems to be missing.
 *
 * The deep audit takes nobody's word: it reads the whole vault too, and proves that each settled record has its output, that
 * each output is of a record that exists, that events of partial density and passed-through batches are where the ledger
 * says, and nowhere else.
 */

import type { KafkaCluster } from '../kafka/cluster.ts'
import { booksOf } from '../ledger/debt-accounts.ts'
import { openLedger } from './audit-ledger.ts'
import { type AuditOptions, progressOf } from './audit-options.ts'
import { type Audited, boundsOf, keyOf, startingPoints } from './audited-partition.ts'
import { type Finding, type FindingKind, findingOf } from './finding.ts'
import { OffsetSet } from './offset-set.ts'
import { type BookedBatch, matchPassthrough } from './passthrough-match.ts'
import { readCopies, readDeadLetters, readEvents, wholeTopic } from './read-outputs.ts'
import { readSuspects, readWholeVault } from './read-vault.ts'
import type { Guarantee, PartitionCase, PartitionVerdict } from './verdict.ts'
import { judge, suspectsOf } from './verdict.ts'

export interface AuditedPartition extends PartitionVerdict {
  readonly stream: string
}

export interface AuditReport {
  readonly topology: string
  readonly groupId: string
  readonly isDeep: boolean
  readonly guarantee: Guarantee
  /** By vault topic, then partition. */
  readonly partitions: readonly AuditedPartition[]
  /** What belongs to no vault partition. */
  readonly findings: readonly Finding[]
  readonly violationCount: number
}

/** Audits a cluster that may be in use. Throws what Kafka throws; violations are in the report. */
export async function audit(cluster: KafkaCluster, options: AuditOptions): Promise<AuditReport> {
  // The order of reading is a contract with `verdict.ts`.
  const audited = await startingPoints(cluster, options)
  const ledger = await openLedger(cluster, options)
  try {
    for (const one of audited) one.ledgerBefore = ledger.accountsOf(one)
    const letters = await readOutputs(cluster, audited, options)
    await ledger.catchUp()
    for (const one of audited) one.ledgerAfter = ledger.accountsOf(one)
    const cases = new Map(
      audited.map((one) => [one, caseOf(one, letters.expiredBelow(one.topic, one.partition), options)]),
    )
    const suspects = new Map(Array.from(cases, ([one, partition]) => [one, suspectsOf(partition)]))
    const readings = options.isDeep
      ? await readWholeVault(cluster, audited, options)
      : await readSuspects(cluster, suspects, options)
    const bounds = await boundsOf(cluster, audited)
    const partitions = audited.map((one, index) => {
      const { start = 0, end = 0 } = bounds[index] ?? {}
      const partition = {
        ...(cases.get(one) as PartitionCase),
        startAfter: Math.max(one.startBefore, start),
        end,
      }
      const { present = new OffsetSet(), booked = [] } = readings.get(one) ?? {}
      const verdict = judge(partition, { present, isWhole: options.isDeep })
      const more = [...outputFindings(one, options), ...passthroughFindings(one, booked, options)]
      return { stream: one.stream, ...verdict, findings: violationsFirst([...verdict.findings, ...more]) }
    })
    const findings = [...letterFindings(letters.foreign, options), ...ledger.findings()]
    const all = [...partitions.flatMap((verdict) => verdict.findings), ...findings]
    return {
      topology: options.topology,
      groupId: options.groupId,
      isDeep: options.isDeep,
      guarantee: options.guarantee,
      partitions,
      findings,
      violationCount: all.filter(({ isViolation }) => isViolation).length,
    }
  } finally {
    await ledger.stop()
  }
}

async function readOutputs(cluster: KafkaCluster, audited: readonly Audited[], options: AuditOptions) {
  const { topics, isDeep } = options
  const byTopic = Map.groupBy(audited, ({ topic }) => topic)
  const events = await Promise.all(
    Array.from(byTopic, async ([, partitions]) => ({
      partitions,
      ranges: await wholeTopic(cluster, topics.enrichedTopicOf((partitions[0] as Audited).stream)),
    })),
  )
  const letters = await wholeTopic(cluster, topics.deadLetterTopic)
  const copies = await Promise.all(
    Array.from(isDeep ? byTopic : [], async ([, partitions]) => ({
      partitions,
      ranges: await wholeTopic(cluster, topics.passthroughTopicOf((partitions[0] as Audited).stream)),
    })),
  )
  const read = progressOf(
    'outputs',
    [...events, ...copies].flatMap(({ ranges }) => ranges).concat(letters),
    options,
  )
  for (const { partitions, ranges } of events) {
    const outputs = partitions.map((one) => ({ ...one, books: booksOf(one.ledgerBefore) }))
    const expiredBelow = await readEvents(cluster, ranges, outputs, read)
    for (const one of partitions) one.eventsExpiredBelow = expiredBelow.get(one.partition) ?? 0
  }
  for (const { partitions, ranges } of copies) {
    const byPartition = new Map(partitions.map((one) => [one.partition, one]))
    const wanted = ranges.filter(({ partition }) => byPartition.has(partition))
    for (const { partition, from } of wanted) (byPartition.get(partition) as Audited).copies.isCut = from > 0
    await readCopies(cluster, wanted, (partition) => (byPartition.get(partition) as Audited).copies, read)
  }
  const byKey = new Map(audited.map((one) => [keyOf(one.topic, one.partition), one]))
  return readDeadLetters(
    cluster,
    letters,
    (topic, partition) => byKey.get(keyOf(topic, partition))?.evidence,
    read,
  )
}

function caseOf(one: Audited, lettersExpiredBelow: number, { guarantee }: AuditOptions): PartitionCase {
  const { topic, partition, startBefore, committed, ledgerBefore, ledgerAfter, evidence } = one
  return {
    topic,
    partition,
    startBefore,
    startAfter: startBefore,
    committed,
    // Not known yet: nothing of it is needed to find suspects.
    end: committed,
    ledgerBefore,
    ledgerAfter,
    evidence,
    eventsExpiredBelow: Math.min(one.eventsExpiredBelow, committed),
    deadLettersExpiredBelow: Math.min(lettersExpiredBelow, committed),
    guarantee,
  }
}

/** Records in the output topics that are not what we write there. */
function outputFindings({ stream, partition, evidence }: Audited, { topics }: AuditOptions): Finding[] {
  const topic = topics.enrichedTopicOf(stream)
  const find = (kind: FindingKind, offsets: OffsetSet) =>
    findingOf({ kind, isViolation: true, detail: '', topic, partition }, offsets)
  const found = [find('foreign-output', evidence.foreign), find('id-mismatch', evidence.misnamed)]
  return found.filter((finding) => finding !== null)
}

function passthroughFindings(
  one: Audited,
  booked: readonly BookedBatch[],
  { topics, isDeep, guarantee }: AuditOptions,
): Finding[] {
  if (!isDeep) return []
  const { stream, topic, partition, copies, startBefore } = one
  const { missing, unbooked } = matchPassthrough(copies, booked, startBefore > 0)
  const isExact = guarantee === 'exactly-once'
  const found = [
    findingOf({ kind: 'passthrough-missing', isViolation: true, detail: '', topic, partition }, missing),
    findingOf(
      {
        kind: 'passthrough-without-debt',
        isViolation: isExact,
        detail: 'first offsets of batches',
        topic: topics.passthroughTopicOf(stream),
        partition,
      },
      unbooked,
    ),
  ]
  return found.filter((finding) => finding !== null)
}

function letterFindings(foreign: ReadonlyMap<number, OffsetSet>, { topics }: AuditOptions): Finding[] {
  const about = {
    kind: 'foreign-output',
    isViolation: true,
    detail: 'no reason, stage and coordinates',
  } as const
  const found = Array.from(foreign, ([partition, offsets]) =>
    findingOf({ ...about, topic: topics.deadLetterTopic, partition }, offsets),
  )
  return found.filter((finding) => finding !== null)
}

const violationsFirst = (findings: readonly Finding[]): Finding[] => [
  ...findings.filter(({ isViolation }) => isViolation),
  ...findings.filter(({ isViolation }) => !isViolation),
]
