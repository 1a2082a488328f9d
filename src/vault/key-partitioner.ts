/**
 * The partition of a record key, as Kafka's default partitioner has it (`Utils.murmur2` and `toPositive` in
 * org.apache.kafka.common.utils): a key lands in the same partition whether it came over HTTP or from a Java client.
 */

const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995

/** The partition of a non-null key, 0 to `partitionCount` - 1. */
export function partitionOfKey(key: Buffer, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}

/** MurmurHash2, 32 bits, with Kafka's seed. The result is a signed 32-bit integer. */
export function murmur2(bytes: Buffer): number {
  const length = bytes.length
  let hash = SEED ^ length
  const wholeEnd = length & ~3
  for (let at = 0; at < wholeEnd; at += 4) {
    let word = Math.imul(bytes.readInt32LE(at), MULTIPLIER)
    word = Math.imul(word ^ (word >>> 24), MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  const rest = length & 3
  if (rest === 3) hash ^= byteAt(bytes, wholeEnd + 2) << 16
  if (rest >= 2) hash ^= byteAt(bytes, wholeEnd + 1) << 8
  if (rest >= 1) hash = Math.imul(hash ^ byteAt(bytes, wholeEnd), MULTIPLIER)
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER)
  return hash ^ (hash >>> 15)
}

const byteAt = (bytes: Buffer, at: number): number => bytes[at] ?? 0
