/**
 * 64-bit big-endian integers as JavaScript numbers: exact up to 2^53, the nearest double beyond, never a throw for
 * any bytes and never a BigInt. Bytes that must stay exact are copied, not decoded.
 */

const TWO_32 = 4_294_967_296
const TWO_63 = 2 ** 63

/** Decodes the signed 64-bit integer at `at`. */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4)
}

/**
 * Encodes an integer at `at`. A value beyond the 64-bit range is held at its edge, so that a hostile 2^63 - 1 that was
 * decoded (and rounded up) encodes as 2^63 - 1 again.
 */
export function writeInt64(bytes: Buffer, at: number, value: number): void {
  if (value >= TWO_63) {
    bytes.writeInt32BE(0x7fffffff, at)
    bytes.writeUInt32BE(0xffffffff, at + 4)
    return
  }
  const held = Math.max(value, -TWO_63)
  const high = Math.floor(held / TWO_32)
  bytes.writeInt32BE(high, at)
  bytes.writeUInt32BE(held - high * TWO_32, at + 4)
}
