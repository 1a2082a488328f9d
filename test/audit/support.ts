/** Histories of one vault partition for tests: what each offset was meant to become, and what is then found in the topics. */

import fc from 'fast-check'
import { OffsetSet } from '../../src/audit/offset-set.ts'
import { PartitionEvidence } from '../../src/audit/partition-evidence.ts'
import type { PartitionCase, PartitionVerdict, VaultEvidence } from '../../src/audit/verdict.ts'
import { judge } from '../../src/audit/verdict.ts'
import type { DebtEntry, DebtTier } from '../../src/ledger/debt-entry.ts'
import { coalesce } from '../../src/ledger/debt-ranges.ts'
import { formatRange } from '../../src/ledger/offset-range.ts'
import { debt, PARTITION } from '../ledger/support.ts'

/** What became of one offset. `marker` holds no record. */
export type Fate = 'enriched' | 'letter' | 'marker'

/** A run of offsets that were treated alike. */
export interface Stretch {
  readonly tier: 'full' | DebtTier
  /** What happened to its debt: nothing for a full one. `settling` is paid while the outputs are read. */
  readonly debt: 'open' | 'settled' | 'settling' | 'lost'
  readonly fates: readonly Fate[]
  /** For `settling`: whether the outputs were read in time to be seen. */
  readonly isSeen: boolean
}

/** One offset of a history, spelled out. */
export interface Cell {
  readonly offset: number
  readonly stretch: Stretch
  readonly fate: Fate
}

export const stretches: fc.Arbitrary<Stretch[]> = fc.array(
  fc.record({
    tier: fc.constantFrom(
      'full' as const,
      'full' as const,
      'partial' as const,
      'passthrough' as const,
      'deferred' as const,
    ),
    debt: fc.constantFrom(
      'open' as const,
      'settled' as const,
      'settled' as const,
      'settling' as const,
      'lost' as const,
    ),
    fates: fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.constant('enriched' as const) },
        { weight: 1, arbitrary: fc.constant('letter' as const) },
        { weight: 1, arbitrary: fc.constant('marker' as const) },
      ),
      { minLength: 1, maxLength: 12 },
    ),
    isSeen: fc.boolean(),
  }),
  { minLength: 1, maxLength: 10 },
)

/** Everything an audit reads, in a form that a test can change before it is judged. */
export class History {
  readonly cells: readonly Cell[]
  readonly full: number[] = []
  readonly partial: number[] = []
  readonly letters: number[] = []
  readonly present: number[] = []
  owedBefore: DebtEntry[] = []
  repaidBefore: DebtEntry[] = []
  owedAfter: DebtEntry[] = []
  repaidAfter: DebtEntry[] = []

  constructor(list: readonly Stretch[], firstOffset = 0) {
    let at = firstOffset
    const cells: Cell[] = []
    for (const stretch of list) {
      const first = at
      for (const fate of stretch.fates) cells.push({ offset: at++, stretch, fate })
      const { tier } = stretch
      if (tier === 'full') continue
      const open = debt(first, at - 1, { tier })
      const closed = (state: 'settled' | 'lost') => ({ ...open, state, closedMs: 9_000 })
      this.owedBefore.push(open)
      this.owedAfter.push(open)
      if (stretch.debt === 'settled') this.repaidBefore.push(closed('settled'))
      if (stretch.debt === 'settled' || stretch.debt === 'settling') this.repaidAfter.push(closed('settled'))
      if (stretch.debt === 'lost') {
        this.repaidBefore.push(closed('lost'))
        this.repaidAfter.push(closed('lost'))
      }
    }
    this.cells = cells
    for (const { offset, stretch, fate } of cells) {
      if (fate === 'marker' || isGone(stretch)) continue
      this.present.push(offset)
      if (stretch.tier === 'partial') this.partial.push(offset)
      if (!isPaid(stretch)) continue
      if (fate === 'letter') this.letters.push(offset)
      else this.full.push(offset)
    }
  }

  /** The case as it stands, with whatever else the test says. */
  partitionCase(changes: Partial<PartitionCase> = {}): PartitionCase {
    const evidence = new PartitionEvidence()
    for (const offset of this.full) evidence.addEvent('full', offset)
    for (const offset of this.partial) evidence.addEvent('partial', offset)
    for (const offset of this.letters) evidence.addDeadLetter(offset, offset)
    const first = this.cells[0]?.offset ?? 0
    const end = (this.cells.at(-1)?.offset ?? -1) + 1
    return {
      topic: PARTITION.topic,
      partition: PARTITION.partition,
      startBefore: first,
      startAfter: first,
      committed: end,
      end,
      ledgerBefore: { owed: coalesce(this.owedBefore), repaid: coalesce(this.repaidBefore) },
      ledgerAfter: { owed: coalesce(this.owedAfter), repaid: coalesce(this.repaidAfter) },
      evidence,
      eventsExpiredBelow: 0,
      deadLettersExpiredBelow: 0,
      guarantee: 'exactly-once',
      ...changes,
    }
  }

  vault(): VaultEvidence {
    const present = new OffsetSet()
    for (const offset of this.present) present.add(offset)
    return { present, isWhole: true }
  }

  judge(changes: Partial<PartitionCase> = {}): PartitionVerdict {
    return judge(this.partitionCase(changes), this.vault())
  }
}

/** True when the stretch's records have their outputs of full density. */
export function isPaid({ tier, debt: state, isSeen }: Stretch): boolean {
  return tier === 'full' || state === 'settled' || (state === 'settling' && isSeen)
}

/** True when the bytes of the stretch's records are not in the vault any more. */
const isGone = ({ tier, debt: state }: Stretch): boolean => tier !== 'full' && state === 'lost'

/** Findings as a test needs to see them: `hole [3, 3]`, violations only. */
export function violations(verdict: PartitionVerdict): string[] {
  return verdict.findings
    .filter(({ isViolation }) => isViolation)
    .map(
      ({ kind, detail, ranges }) => `${kind} ${ranges.map(formatRange).join(' ')}${detail && ` (${detail})`}`,
    )
}

/** A stretch of records that all went well. */
export const run = (tier: Stretch['tier'], count: number, changes: Partial<Stretch> = {}): Stretch => ({
  tier,
  debt: 'open',
  fates: Array.from({ length: count }, () => 'enriched' as const),
  isSeen: true,
  ...changes,
})
