/**
 * Record headers to and from bytes: a varint count, then for each a varint key length, the key in UTF-8, a varint value
 * length (-1 for null) and the value. Encoded once, the same bytes are appended to any number of records; a region read
 * by a `RecordCursor` is in the same form and is copied verbatim.
 */

import { invalidBatch } from './batch-error.ts'
import { rawVarintBytes, readVarint, varintEnd, writeRawVarint, zigzag } from './varint.ts'

declare const encoded: unique symbol
/** Headers in their encoded form, count included. Made by `encodeHeaders` or `RecordCursor.headersBytes`. */
export type EncodedHeaders = Buffer & { readonly [encoded]: true }

/** One header. Keys may repeat; values may be null. */
export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** Encodes headers once, for use on many records. */
export function encodeHeaders(list: readonly RecordHeader[]): EncodedHeaders {
  let size = rawVarintBytes(zigzag(list.length))
  for (const { key, value } of list) {
    const keyBytes = Buffer.byteLength(key)
    size += rawVarintBytes(zigzag(keyBytes)) + keyBytes
    size += rawVarintBytes(zigzag(value === null ? -1 : value.length)) + (value === null ? 0 : value.length)
  }
  const bytes = Buffer.allocUnsafeSlow(size)
  let at = writeRawVarint(bytes, 0, zigzag(list.length))
  for (const { key, value } of list) {
    at = writeRawVarint(bytes, at, zigzag(Buffer.byteLength(key)))
    at += bytes.write(key, at)
    at = writeRawVarint(bytes, at, zigzag(value === null ? -1 : value.length))
    if (value !== null) at += value.copy(bytes, at)
  }
  return bytes as EncodedHeaders
}

/** No headers: the single byte of a zero count. */
export const NO_HEADERS: EncodedHeaders = encodeHeaders([])

/**
 * Walks the encoded headers in [start, end) and calls `visit` with the positions of each key and value (a null value's
 * start is -1). Throws `GS_BATCH_INVALID` when they do not fill the region exactly or a key is null.
 */
export function walkHeaders(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => void,
): void {
  const count = readVarint(bytes, start, end)
  let at = varintEnd
  // A header takes two bytes at least, so a count that the region cannot hold is refused before it is believed.
  if (count < 0 || count > (end - at) / 2) {
    throw invalidBatch(`A record says ${count} headers, its remaining ${end - at} bytes cannot hold them.`, {
      position: start,
      headerCount: count,
    })
  }
  for (let index = 0; index < count; index += 1) {
    const keyBytes = readVarint(bytes, at, end)
    at = varintEnd
    if (keyBytes < 0 || keyBytes > end - at) {
      throw invalidBatch(
        `A record header key must be 0 to ${end - at} bytes here, its length says ${keyBytes}.`,
        {
          position: at,
          keyBytes,
        },
      )
    }
    const keyStart = at
    at += keyBytes
    const keyEnd = at
    const valueBytes = readVarint(bytes, at, end)
    at = varintEnd
    if (valueBytes < -1 || valueBytes > end - at) {
      throw invalidBatch(
        `A record header value must be at most ${end - at} bytes here, its length says ${valueBytes}.`,
        {
          position: at,
          valueBytes,
        },
      )
    }
    if (valueBytes === -1) {
      visit(keyStart, keyEnd, -1, -1)
    } else {
      visit(keyStart, keyEnd, at, at + valueBytes)
      at += valueBytes
    }
  }
  if (at !== end) {
    throw invalidBatch(`A record goes on for ${end - at} bytes after its last header.`, { position: at })
  }
}

/** Decodes the headers in [start, end): values are views. Throws `GS_BATCH_INVALID`. */
export function decodeHeaders(bytes: Buffer, start: number, end: number): RecordHeader[] {
  const list: RecordHeader[] = []
  walkHeaders(bytes, start, end, (keyStart, keyEnd, valueStart, valueEnd) => {
    list.push({
      key: bytes.toString('utf8', keyStart, keyEnd),
      value: valueStart === -1 ? null : bytes.subarray(valueStart, valueEnd),
    })
  })
  return list
}

/**
 * The value of the last header named `name` (the last one wins, as with Kafka's `lastHeader`): a view, null for a null
 * value, undefined when there is none. Throws `GS_BATCH_INVALID` on malformed headers.
 */
export function findHeader(
  bytes: Buffer,
  start: number,
  end: number,
  name: string,
): Buffer | null | undefined {
  if (end - start === 1 && bytes[start] === 0) return undefined
  const nameBytes = Buffer.from(name)
  let found: Buffer | null | undefined
  walkHeaders(bytes, start, end, (keyStart, keyEnd, valueStart, valueEnd) => {
    if (keyEnd - keyStart !== nameBytes.length || nameBytes.compare(bytes, keyStart, keyEnd) !== 0) return
    found = valueStart === -1 ? null : bytes.subarray(valueStart, valueEnd)
  })
  return found
}
