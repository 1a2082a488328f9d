/**
 * Whether the batches that were forwarded untouched are those that the ledger says were: each booked vault batch has one
 * copy, and each copy is of a booked batch. A copy carries no coordinates, because it is verbatim, so batches are told by a
 * print of their bytes. Appending changes the header (offsets, epoch, producer, transactional bit, and so the CRC); the
 * print is of the records behind it.
 */

import { batchBytesAt, crcOf, RECORD_BATCH_HEADER_BYTES } from '../batch/record-batch.ts'
import { OffsetSet } from './offset-set.ts'

/** Bits of the length that go into a print beside the 32 of the CRC, so that it stays a safe integer. */
const LENGTH_SPAN = 2 ** 21

/** A number for the records of the batch at `at`: the same for a copy, and for hardly anything else. */
export function printOf(bytes: Buffer, at: number): number {
  const batchBytes = batchBytesAt(bytes, at)
  return (
    crcOf(bytes, at + RECORD_BATCH_HEADER_BYTES, at + batchBytes) * LENGTH_SPAN + (batchBytes % LENGTH_SPAN)
  )
}

/** The batches of one partition of the passthrough topic, in order. */
export class PassthroughCopies {
  readonly #prints: number[] = []
  readonly #places: number[] = []
  /** True when retention has deleted from the front of the topic. */
  isCut = false

  add(print: number, place: number): void {
    this.#prints.push(print)
    this.#places.push(place)
  }

  get count(): number {
    return this.#prints.length
  }

  /** Copies in order, as print and first offset in the passthrough topic. */
  *[Symbol.iterator](): Generator<readonly [print: number, place: number]> {
    for (let index = 0; index < this.#prints.length; index += 1) {
      yield [this.#prints[index] as number, this.#places[index] as number]
    }
  }
}

/** A vault batch that was booked as passed through. */
export interface BookedBatch {
  readonly print: number
  readonly first: number
  readonly last: number
  /** False when its copy may, and need not, have been there already when the copies were read. */
  readonly isDue: boolean
}

export interface PassthroughMatch {
  /** Vault offsets of booked batches that have no copy. */
  readonly missing: OffsetSet
  /** First offsets, in the passthrough topic, of copies of nothing that is booked. */
  readonly unbooked: OffsetSet
}

/**
 * Compares them as bags: what the vault or the passthrough topic no longer holds, in front of the first pair, is no fault.
 *
 * @param isVaultCut true when retention has deleted from the front of the vault partition.
 */
export function matchPassthrough(
  copies: PassthroughCopies,
  booked: readonly BookedBatch[],
  isVaultCut: boolean,
): PassthroughMatch {
  const left = new Map<number, number>()
  for (const [print] of copies) left.set(print, (left.get(print) ?? 0) + 1)
  const missing = new OffsetSet()
  const paired = new Map<number, number>()
  let hasPair = false
  for (const { print, first, last, isDue } of booked) {
    const count = left.get(print) ?? 0
    if (count > 0) {
      left.set(print, count - 1)
      paired.set(print, (paired.get(print) ?? 0) + 1)
      hasPair = true
    } else if (isDue && (hasPair || !copies.isCut)) missing.addRange(first, last)
  }
  const unbooked = new OffsetSet()
  let isBehindPair = false
  for (const [print, place] of copies) {
    const count = paired.get(print) ?? 0
    if (count > 0) {
      paired.set(print, count - 1)
      isBehindPair = true
    } else if (isBehindPair || !isVaultCut) unbooked.add(place)
  }
  return { missing, unbooked }
}
