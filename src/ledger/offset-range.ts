/** Runs of vault offsets. Both ends belong to the range, so that a range is never empty. */

import { asOffset, type Offset } from '../core/brands.ts'

export interface OffsetRange {
  readonly first: Offset
  /** Inclusive; never below `first`. */
  readonly last: Offset
}

/** The range from `first` to `last`, both included. The caller has checked them. */
export const rangeOf = (first: number, last: number): OffsetRange => ({
  first: asOffset(first),
  last: asOffset(last),
})

/** How many offsets a range spans, whether or not each holds a record. */
export const spanOf = ({ first, last }: OffsetRange): number => last - first + 1

/** Text for messages: `[3, 7]`. */
export const formatRange = ({ first, last }: OffsetRange): string => `[${first}, ${last}]`

/** True for two safe integers from 0 on, in order. */
export const isRange = ({ first, last }: OffsetRange): boolean =>
  Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && last >= first
