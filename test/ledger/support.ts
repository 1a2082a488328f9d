/** Entries for tests, and a model of the books that shares no code with them: one cell for each offset. */

import fc from 'fast-check'
import { asPartitionId } from '../../src/core/brands.ts'
import type { DebtEntry, DebtPartition, DebtState, DebtTier } from '../../src/ledger/debt-entry.ts'
import { DEBT_TIERS } from '../../src/ledger/debt-entry.ts'
import type { DebtBooks } from '../../src/ledger/debt-ranges.ts'
import { rangeOf } from '../../src/ledger/offset-range.ts'

export const PARTITION: DebtPartition = {
  topology: 'density-tier',
  topic: 'raw-vault.orders',
  partition: asPartitionId(3),
}

/** Each offset holds one record of this size, so that shares in proportion are exact. */
export const RECORD_BYTES = 10

export function debt(first: number, last: number, changes: Partial<DebtEntry> = {}): DebtEntry {
  return {
    ...PARTITION,
    ...rangeOf(first, last),
    tier: 'passthrough',
    recordCount: last - first + 1,
    bytes: (last - first + 1) * RECORD_BYTES,
    timestampMinMs: 1_000 + first,
    timestampMaxMs: 1_000 + last,
    reason: { zone: 'red', driver: 'lagSeconds' },
    openedMs: 5_000,
    state: 'open',
    closedMs: null,
    ...changes,
  }
}

/** An entry as its test needs to see it: `open passthrough 3-7`. */
export const short = ({ state, tier, first, last }: DebtEntry): string => `${state} ${tier} ${first}-${last}`
export const shorts = (books: DebtBooks): string[] => books.map(short)

/** The offsets a model knows. */
export const OFFSET_COUNT = 64

export type Action =
  | { readonly kind: 'add'; readonly first: number; readonly last: number; readonly tier: DebtTier }
  | { readonly kind: 'settle' | 'lose' | 'subtract'; readonly first: number; readonly last: number }
  | { readonly kind: 'forget'; readonly first: number; readonly last: number }

const anyRange = (spanMax: number) =>
  fc
    .tuple(fc.nat({ max: OFFSET_COUNT - 1 }), fc.integer({ min: 1, max: spanMax }))
    .map(([first, span]) => ({ first, last: Math.min(OFFSET_COUNT - 1, first + span - 1) }))

/** Mostly bookings, long ones, and short settlements within them: the others need something to work on. */
export const anyAction: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(anyRange(24), fc.constantFrom(...DEBT_TIERS))
      .map(([range, tier]): Action => ({ kind: 'add', tier, ...range })),
  },
  { weight: 6, arbitrary: anyRange(4).map((range): Action => ({ kind: 'settle', ...range })) },
  { weight: 1, arbitrary: anyRange(12).map((range): Action => ({ kind: 'lose', ...range })) },
  { weight: 1, arbitrary: anyRange(12).map((range): Action => ({ kind: 'subtract', ...range })) },
  { weight: 1, arbitrary: anyRange(12).map((range): Action => ({ kind: 'forget', ...range })) },
)

export interface Cell {
  readonly state: DebtState
  readonly tier: DebtTier
}

/** The naive model: an array of cells, null where nothing is booked. */
export class BitmapModel {
  cells: (Cell | null)[] = new Array<Cell | null>(OFFSET_COUNT).fill(null)

  /** Does the action, or returns false where the books must refuse it. */
  take(action: Action): boolean {
    const { kind, first, last } = action
    const within = this.cells.slice(first, last + 1)
    if (kind === 'add' && within.some((cell) => cell !== null)) return false
    if (kind === 'settle' && within.some((cell) => cell?.state !== 'open')) return false
    this.cells = this.cells.map((cell, offset) => {
      if (kind === 'forget') return offset < first && cell?.state === 'settled' ? null : cell
      if (offset < first || offset > last) return cell
      if (kind === 'add') return { state: 'open', tier: action.tier }
      if (kind === 'subtract' || cell === null) return null
      if (kind === 'settle') return { ...cell, state: 'settled' }
      return cell.state === 'open' ? { ...cell, state: 'lost' } : cell
    })
    return true
  }

  /** Maximal runs of equal cells: what the books must look like. */
  runs(): string[] {
    const runs: { first: number; last: number; cell: Cell }[] = []
    this.cells.forEach((cell, offset) => {
      if (cell === null) return
      const run = runs.at(-1)
      const continues =
        run?.last === offset - 1 && run.cell.state === cell.state && run.cell.tier === cell.tier
      if (continues && run !== undefined) run.last = offset
      else runs.push({ first: offset, last: offset, cell })
    })
    return runs.map(({ first, last, cell }) => `${cell.state} ${cell.tier} ${first}-${last}`)
  }
}
