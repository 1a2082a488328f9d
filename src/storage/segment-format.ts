/**
 * The names and limits of a segment's files: Kafka's own, so that Kafka's tools can read them. Drawn in
 * `schemas/formats/segment-log.md`.
 */

import { strict as assert } from 'node:assert'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { BATCH_BYTES_MAX, FRAME_BYTES_MAX } from '../core/limits.ts'

/** Largest batch that is stored or believed when read: it came in one frame. */
export const STORED_BATCH_BYTES_MAX = FRAME_BYTES_MAX
/** Largest segment file: positions in the offset index are 31 bits. */
export const SEGMENT_BYTES_MAX = 2 ** 31 - 1
/** Offsets in both indexes are stored relative to the segment's base in 31 bits. */
export const RELATIVE_OFFSET_MAX = 2 ** 31 - 1

assert(BATCH_BYTES_MAX <= STORED_BATCH_BYTES_MAX, 'every accepted batch can be stored')

const OFFSET_DIGITS = 20
const LOG_NAME = /^([0-9]{20})\.log$/

/** The three files of the segment that starts at `baseOffset`. */
export const logFileName = (baseOffset: Offset): string => `${digitsOf(baseOffset)}.log`
export const offsetIndexFileName = (baseOffset: Offset): string => `${digitsOf(baseOffset)}.index`
export const timeIndexFileName = (baseOffset: Offset): string => `${digitsOf(baseOffset)}.timeindex`

/** A segment that compaction is writing; of no meaning to a start, which removes it. */
export const cleanedFileName = (baseOffset: Offset): string => `${logFileName(baseOffset)}${CLEANED_SUFFIX}`
/** A segment that compaction has written whole: it takes its place once the checkpoint says so. */
export const swapFileName = (baseOffset: Offset): string => `${logFileName(baseOffset)}${SWAP_SUFFIX}`
export const CLEANED_SUFFIX = '.cleaned'
export const SWAP_SUFFIX = '.swap'

const digitsOf = (offset: Offset): string => String(offset).padStart(OFFSET_DIGITS, '0')

/** The base offset a file's name states, or null when it is not the name of a segment. */
export function parseLogFileName(name: string): Offset | null {
  const match = LOG_NAME.exec(name)
  if (match === null) return null
  const offset = Number(match[1])
  return Number.isSafeInteger(offset) ? asOffset(offset) : null
}
