/**
 * CRC-32C (Castagnoli, RFC 3720), which guards every record batch. The native implementation where its binary loads,
 * a pure one (slicing by 8) where it does not: same results, several times slower.
 */

import { createRequire } from 'node:module'

type Crc = (bytes: Buffer, from: number, to: number) => number

/** CRC-32C of bytes [from, to), as an unsigned 32-bit number. */
export const crcOf: Crc = loadNative() ?? pureCrcOf

/** Which implementation `crcOf` is. */
export const crcImplementation: 'native' | 'pure' = crcOf === pureCrcOf ? 'pure' : 'native'

function loadNative(): Crc | null {
  try {
    const native = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c(bytes: Uint8Array): number }
    // Ask it the standard check value: a library that loads and is wrong is worse than none.
    if (native.crc32c(Buffer.from('123456789')) !== 0xe3069283) return null
    return (bytes, from, to) => native.crc32c(bytes.subarray(from, to))
  } catch {
    return null
  }
}

/** The polynomial 0x1EDC6F41, reflected. */
const POLYNOMIAL = 0x82f63b78

/** Eight tables of 256: table k advances a byte over k further zero bytes. */
let tables: Int32Array | null = null

function buildTables(): Int32Array {
  const built = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : POLYNOMIAL)
    built[byte] = crc
  }
  for (let byte = 0; byte < 256; byte += 1) {
    for (let slice = 1; slice < 8; slice += 1) {
      const previous = built[(slice - 1) * 256 + byte]
      built[slice * 256 + byte] = (previous >>> 8) ^ built[previous & 0xff]
    }
  }
  return built
}

/** The pure implementation; exported so that a test can hold it equal to the native one. */
export function pureCrcOf(bytes: Buffer, from: number, to: number): number {
  tables ??= buildTables()
  const table = tables
  let crc = -1
  let at = from
  for (; at + 8 <= to; at += 8) {
    const low = crc ^ (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24))
    crc =
      table[1792 + (low & 0xff)] ^
      table[1536 + ((low >>> 8) & 0xff)] ^
      table[1280 + ((low >>> 16) & 0xff)] ^
      table[1024 + (low >>> 24)] ^
      table[768 + bytes[at + 4]] ^
      table[512 + bytes[at + 5]] ^
      table[256 + bytes[at + 6]] ^
      table[bytes[at + 7]]
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ table[(crc ^ bytes[at]) & 0xff]
  return ~crc >>> 0
}
