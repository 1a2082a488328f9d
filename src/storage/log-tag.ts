/**
 * A log's tag: 31 bits that every batch in the log's segments carries where the partition leader epoch is, so that a scan
 * knows the log's own batches from others that are just as whole.
 *
 * Others there are. A record's value may be a batch, with any offset its producer likes; torn in the middle, the batch
 * around it no longer hides it. And what a file system shows behind the last synced byte after a power cut may be blocks
 * of a file that is gone. Offset and CRC hold in both; the tag comes from a secret that no producer is told, so it does
 * not.
 *
 * The field is free: an embedded log has one leader for ever, and lies outside the CRC, which stays the producer's.
 * Readers get 0 there.
 */

import { createHash } from 'node:crypto'

/** A log without a tag: made before there were tags. Its batches carry 0, and any are taken for its own. */
export const NO_TAG = 0

/** Damaged bits that a batch's tag may have. It is outside the CRC, and damage to it alone must not cost the batch. */
const DAMAGED_BITS_MAX = 4

/** The tag of one partition's log: from 1 up to 2^31 - 1, the same whenever it is asked for. `secret` is the topic's. */
export function logTagOf(secret: Buffer, partition: number): number {
  const digest = createHash('sha256').update(secret).update(`/${partition}`).digest()
  return digest.readInt32BE(0) & 0x7fffffff || 1
}

/** True when `found`, from a batch's header, is `tag`, give or take a few damaged bits. */
export function isTagOf(tag: number, found: number): boolean {
  return tag === NO_TAG || found === tag || bitCount(found ^ tag) <= DAMAGED_BITS_MAX
}

function bitCount(word: number): number {
  let count = 0
  for (let left = word; left !== 0; left &= left - 1) count += 1
  return count
}
