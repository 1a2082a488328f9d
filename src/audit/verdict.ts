/**
 * The audit's judgement of one vault partition: a pure function from what was read to what is wrong. It compares three
 * independent accounts: the offsets that the processors say they are done with, the ledger, and the outputs themselves.
 *
 * The system runs meanwhile, so what was read at different times must not be held against each other. The order of reading
 * is part of the contract:
 *   1. the vault's first offset, 2. committed offsets, 3. the ledger, 4. the outputs, 5. the ledger again, 6. the vault.
 * What was committed by 2 is booked by 3 or has its output by 4, because each of them was one transaction with the commit.
 * What 3 calls open and 5 calls settled was settled while 4 was read, so its output may or may not have been seen, and
 * neither is a fault. What 3 calls settled has its outputs in 4; what 5 calls open has none.
 */

import type { DebtAccounts } from '../ledger/debt-accounts.ts'
import { booksOf } from '../ledger/debt-accounts.ts'
import type { DebtEntry } from '../ledger/debt-entry.ts'
import type { DebtBooks } from '../ledger/debt-ranges.ts'
import { type Finding, type FindingKind, findingOf } from './finding.ts'
import { OffsetSet } from './offset-set.ts'
import type { PartitionEvidence } from './partition-evidence.ts'

/** How sure delivery was configured to be. With at-least-once a crash may leave an output twice, which is told and allowed. */
export type Guarantee = 'exactly-once' | 'at-least-once'

/** Everything that was read of one partition. */
export interface PartitionCase {
  readonly topic: string
  readonly partition: number
  /** The vault's first offset before anything else was read, and when everything had been read. */
  readonly startBefore: number
  readonly startAfter: number
  /** The next offset that the processors will read; not below 0. */
  readonly committed: number
  /** One past the vault's last offset, when everything had been read. */
  readonly end: number
  readonly ledgerBefore: DebtAccounts
  readonly ledgerAfter: DebtAccounts
  readonly evidence: PartitionEvidence
  /** Offsets below these may have had an output that retention has deleted since; 0 for none. */
  readonly eventsExpiredBelow: number
  readonly deadLettersExpiredBelow: number
  readonly guarantee: Guarantee
}

/** What was read of the vault itself: all of it below `committed` (deep), or only what was asked for. */
export interface VaultEvidence {
  /** Offsets that hold a committed record. Markers, aborted records and cleaned offsets are missing. */
  readonly present: OffsetSet
  /** True when `present` knows every offset from `startAfter` to `committed`. */
  readonly isWhole: boolean
}

/** Of offsets from the vault's first to `committed`; with the whole vault read, of records. */
export interface PartitionCounts {
  readonly enriched: number
  readonly owed: number
  readonly settled: number
  readonly deadLettered: number
  readonly lost: number
  readonly holes: number
  readonly overlaps: number
  readonly duplicates: number
}

export interface PartitionVerdict {
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly committed: number
  readonly counts: PartitionCounts
  /** Violations first, each kind in the order of `FINDING_KINDS`. */
  readonly findings: readonly Finding[]
}

/**
 * The offsets that have to be looked up in the vault: what look like holes may hold no record, and what was written off must
 * hold none.
 */
export function suspectsOf(partition: PartitionCase): OffsetSet {
  const claims = claimsOf(partition)
  const { startAfter, committed } = partition
  return unclaimed(partition, claims).union(claims.lost.intersection(OffsetSet.of(startAfter, committed)))
}

/** Judges one partition. `vault` must know at least the suspects. */
export function judge(partition: PartitionCase, vault: VaultEvidence): PartitionVerdict {
  const { topic, startAfter, committed, evidence, guarantee } = partition
  const claims = claimsOf(partition)
  const scope = OffsetSet.of(startAfter, committed)
  const counted = vault.isWhole ? scope.intersection(vault.present) : scope
  const isExact = guarantee === 'exactly-once'
  const findings: (Finding | null)[] = []
  const find = (kind: FindingKind, offsets: OffsetSet, isViolation = true, detail = '') =>
    findings.push(findingOf({ kind, isViolation, detail, topic, partition: partition.partition }, offsets))

  const unaccounted = unclaimed(partition, claims).intersection(vault.present)
  const expired = unaccounted.intersection(
    OffsetSet.of(0, Math.max(partition.eventsExpiredBelow, partition.deadLettersExpiredBelow)),
  )
  const holes = unaccounted.difference(expired)
  find('hole', holes)

  let overlapping = new OffsetSet()
  for (const { left, right, offsets, isRepeatable } of overlapsOf(claims)) {
    const inScope = offsets.intersection(scope)
    find('overlap', inScope, isExact || !isRepeatable, `${left} and ${right}`)
    overlapping = overlapping.union(inScope)
  }
  find('duplicate', evidence.fullAgain, isExact, 'events of full density')
  find('duplicate', evidence.partialAgain, isExact, 'events of partial density')
  find('duplicate', evidence.deadLettersAgain, isExact, 'dead letters')

  const owedAfter = offsetsOf(booksOf(partition.ledgerAfter), ({ state }) => state === 'open', partition.end)
  find('gone-unread', OffsetSet.of(committed, partition.startBefore).difference(claims.lost))
  find('owed-but-gone', owedAfter.intersection(OffsetSet.of(0, partition.startBefore)))
  find('lost-but-there', claims.lost.intersection(scope).intersection(vault.present))
  find('repaid-without-debt', repaidWithoutDebt(partition))
  if (vault.isWhole) findAgainstVault(partition, vault, claims, scope, isExact, find)
  find('lost', claims.lost, false)
  find('expired', expired, false)
  const all = findings.filter((finding) => finding !== null)
  return {
    topic,
    partition: partition.partition,
    first: startAfter,
    committed,
    counts: {
      enriched: claims.enriched.intersection(counted).size,
      owed: claims.open.intersection(counted).size,
      settled: claims.settled.intersection(counted).size,
      deadLettered: evidence.deadLetters.intersection(counted).size,
      lost: claims.lost.size,
      holes: holes.size,
      overlaps: overlapping.size,
      duplicates: evidence.fullAgain.union(evidence.partialAgain).union(evidence.deadLettersAgain).size,
    },
    findings: [...all.filter(({ isViolation }) => isViolation), ...all.filter((found) => !found.isViolation)],
  }
}

/** What is claimed of each offset, and by whom. */
interface Claims {
  /** Full density, by the enriched topic, outside of what was settled. */
  readonly enriched: OffsetSet
  /** Open before and after the outputs were read. */
  readonly open: OffsetSet
  /** Settled before the outputs were read, or meanwhile, without the dead letters among them. */
  readonly settled: OffsetSet
  /** Settled before the outputs were read: these must have their outputs. */
  readonly settledBefore: OffsetSet
  readonly lost: OffsetSet
  readonly deadLetters: OffsetSet
  readonly full: OffsetSet
}

function claimsOf({ ledgerBefore, ledgerAfter, evidence, end }: PartitionCase): Claims {
  const before = booksOf(ledgerBefore)
  const after = booksOf(ledgerAfter)
  const openBefore = offsetsOf(before, ({ state }) => state === 'open', end)
  const closedAfter = offsetsOf(after, ({ state }) => state === 'settled', end)
  const lostAfter = offsetsOf(after, ({ state }) => state === 'lost', end)
  const settledBefore = offsetsOf(before, ({ state }) => state === 'settled', end)
  const settledAny = settledBefore.union(openBefore.intersection(closedAfter))
  const { full, deadLetters } = evidence
  return {
    enriched: full.difference(settledAny),
    open: openBefore.difference(closedAfter).difference(lostAfter),
    settled: settledAny.difference(deadLetters),
    settledBefore,
    lost: offsetsOf(before, ({ state }) => state === 'lost', end).union(lostAfter),
    deadLetters,
    full,
  }
}

function unclaimed({ startAfter, committed }: PartitionCase, claims: Claims): OffsetSet {
  return OffsetSet.of(startAfter, committed)
    .difference(claims.enriched)
    .difference(claims.open)
    .difference(claims.settled)
    .difference(claims.deadLetters)
    .difference(claims.lost)
}

interface ClaimedTwice {
  readonly left: string
  readonly right: string
  readonly offsets: OffsetSet
  /** True for what a crash leaves behind when outputs and ledger are not one transaction. */
  readonly isRepeatable: boolean
}

function overlapsOf({ enriched, open, lost, deadLetters, full }: Claims): ClaimedTwice[] {
  const pair = (left: string, right: string, offsets: OffsetSet, isRepeatable: boolean): ClaimedTwice => ({
    left,
    right,
    offsets,
    isRepeatable,
  })
  return [
    pair('enriched', 'open', enriched.intersection(open), true),
    pair('dead-lettered', 'open', deadLetters.intersection(open), true),
    pair('enriched', 'dead-lettered', full.intersection(deadLetters), false),
    pair('enriched', 'lost', enriched.intersection(lost), true),
    pair('dead-lettered', 'lost', deadLetters.intersection(lost), true),
  ]
}

function repaidWithoutDebt({ ledgerAfter, end }: PartitionCase): OffsetSet {
  const any = () => true
  return offsetsOf(ledgerAfter.repaid, any, end).difference(offsetsOf(ledgerAfter.owed, any, end))
}

/** What can only be said with the whole vault at hand. */
function findAgainstVault(
  partition: PartitionCase,
  { present }: VaultEvidence,
  claims: Claims,
  scope: OffsetSet,
  isExact: boolean,
  find: (kind: FindingKind, offsets: OffsetSet, isViolation?: boolean, detail?: string) => void,
): void {
  const { evidence, ledgerBefore, ledgerAfter, startAfter, end, eventsExpiredBelow } = partition
  const isPartial = ({ tier }: DebtEntry) => tier === 'partial'
  const bookedPartial = offsetsOf(booksOf(ledgerBefore), isPartial, end).union(
    offsetsOf(booksOf(ledgerAfter), isPartial, end),
  )
  const outputs = claims.full.union(evidence.partial).union(claims.deadLetters)
  const unpaid = claims.settledBefore
    .intersection(scope)
    .intersection(present)
    .difference(claims.full)
    .difference(claims.deadLetters)
  find('settled-without-output', unpaid.difference(OffsetSet.of(0, eventsExpiredBelow)))
  // The ledger forgets what was settled once the vault has let go of it; below its first offset nothing can be compared.
  find('partial-without-debt', evidence.partial.intersection(scope).difference(bookedPartial), isExact)
  const withoutRecord = outputs.intersection(scope).difference(present)
  const beyond = outputs.difference(OffsetSet.of(0, Math.max(end, startAfter)))
  find('output-without-record', withoutRecord.union(beyond))
}

/** The offsets of entries, cut at `end`: a ledger that was tampered with must not cost more than the vault is long. */
function offsetsOf(books: DebtBooks, isWanted: (entry: DebtEntry) => boolean, end: number): OffsetSet {
  const offsets = new OffsetSet()
  for (const entry of books) {
    const last = Math.min(entry.last, end - 1)
    if (isWanted(entry) && entry.first <= last) offsets.addRange(entry.first, last)
  }
  return offsets
}
