/**
 * Walks the records of one batch at a time. A cursor is reused for any number of batches and makes no object per
 * record: `next` moves it, and its fields say where the record's parts lie.
 *
 * Views (`keyBytes`, `valueBytes`, `headers`) stay valid as long as the bytes they point into: the caller's own for a
 * plain batch, a buffer made by `open` for a compressed one, which later calls of `open` leave alone.
 */

import type { Offset } from '../core/brands.ts'
import { asOffset, NO_OFFSET } from '../core/brands.ts'
import { BATCH_INFLATED_BYTES_MAX, BATCH_RECORDS_MAX } from '../core/limits.ts'
import { batchTooLarge, invalidBatch } from './batch-error.ts'
import { inflate } from './compression/codecs.ts'
import type { BatchHeader } from './record-batch.ts'
import {
  batchBytesAt,
  COMPRESSION,
  magicAt,
  RECORD_BATCH_HEADER_BYTES,
  RECORD_BATCH_MAGIC,
  readBatchHeader,
} from './record-batch.ts'
import type { EncodedHeaders, RecordHeader } from './record-headers.ts'
import { decodeHeaders, findHeader } from './record-headers.ts'
import { readRawVarint, readVarlong, varintEnd } from './varint.ts'

/** The smallest record: a length, attributes, two deltas, two lengths and a header count, a byte each. */
export const RECORD_BYTES_MIN = 7

export interface CursorLimits {
  /** Most bytes the records may inflate to. Default `BATCH_INFLATED_BYTES_MAX`. */
  readonly inflatedBytesMax?: number
  /** Most records the batch may hold. Default `BATCH_RECORDS_MAX`. */
  readonly recordsMax?: number
}

const NO_BYTES = Buffer.alloc(0)

export class RecordCursor {
  /** What the positions below refer to. */
  bytes: Buffer = NO_BYTES
  /** The record's offset. */
  offset: Offset = NO_OFFSET
  /** Milliseconds since the epoch; exact up to 2^53. */
  timestamp = -1
  /** The key lies in [keyStart, keyEnd); a null key has start -1 (and end -1). */
  keyStart = -1
  keyEnd = -1
  /** The value lies in [valueStart, valueEnd); a null value has start -1 (and end -1). */
  valueStart = -1
  valueEnd = -1
  headerCount = 0
  /** The encoded headers, count included, lie in [headersStart, headersEnd); `headersEnd` is the record's end too. */
  headersStart = 0
  headersEnd = 0
  /** The record's place in its batch, from 0; -1 before the first `next`. */
  recordIndex = -1
  /** The record's offset less the batch's base offset, as stated. */
  offsetDelta = 0

  #recordCount = 0
  #position = 0
  #end = 0
  #baseOffset = 0
  #baseTimestamp = 0
  #appendTimestamp = 0
  #isLogAppendTime = false

  /**
   * Takes up the batch that starts at `at`; more bytes may follow it. Inflates it if compressed, bounded by `limits`.
   * Checks what memory safety needs (length, magic, counts against the bytes and the limits), not the CRC:
   * `checkBatch` does that. Throws `GS_BATCH_INVALID`, `GS_BATCH_TOO_LARGE`, `GS_BATCH_CORRUPT` or
   * `GS_BATCH_UNSUPPORTED_COMPRESSION`; the cursor is then empty.
   */
  open(bytes: Buffer, at = 0, limits: CursorLimits = {}): BatchHeader {
    this.close()
    const bytesPresent = bytes.length - at
    if (bytesPresent < RECORD_BATCH_HEADER_BYTES) {
      throw invalidBatch(
        `A record batch has at least ${RECORD_BATCH_HEADER_BYTES} bytes, found ${bytesPresent}; read whole batches.`,
        { bytesPresent },
      )
    }
    if (magicAt(bytes, at) !== RECORD_BATCH_MAGIC) {
      throw invalidBatch(
        `Record batches must have magic ${RECORD_BATCH_MAGIC}, found ${magicAt(bytes, at)}.`,
        {
          magic: magicAt(bytes, at),
        },
      )
    }
    const batchBytes = batchBytesAt(bytes, at)
    if (batchBytes < RECORD_BATCH_HEADER_BYTES || batchBytes > bytesPresent) {
      throw invalidBatch(
        `The batch's length field says ${batchBytes} bytes, ${RECORD_BATCH_HEADER_BYTES} to ${bytesPresent} were expected.`,
        { batchBytes, bytesPresent },
      )
    }
    const header = readBatchHeader(bytes, at)
    const recordCount = header.recordCount
    if (recordCount < 0)
      throw invalidBatch(`The batch says it holds ${recordCount} records.`, { recordCount })
    const recordsMax = limits.recordsMax ?? BATCH_RECORDS_MAX
    if (recordCount > recordsMax) {
      throw batchTooLarge(
        `The batch holds ${recordCount} records, the limit is ${recordsMax}; send smaller batches.`,
        { recordCount, recordsMax },
      )
    }

    const from = at + RECORD_BATCH_HEADER_BYTES
    const to = at + batchBytes
    if (header.compression === COMPRESSION.none) {
      this.bytes = bytes
      this.#position = from
      this.#end = to
    } else if (recordCount > 0) {
      const inflatedBytesMax = limits.inflatedBytesMax ?? BATCH_INFLATED_BYTES_MAX
      this.bytes = inflate(header.compression, bytes.subarray(from, to), inflatedBytesMax)
      this.#position = 0
      this.#end = this.bytes.length
    }
    const recordsBytes = this.#end - this.#position
    if (recordCount * RECORD_BYTES_MIN > recordsBytes) {
      this.close()
      throw invalidBatch(
        `The batch says it holds ${recordCount} records, its ${recordsBytes} bytes cannot.`,
        {
          recordCount,
          recordsBytes,
        },
      )
    }
    this.#recordCount = recordCount
    this.#baseOffset = header.baseOffset
    this.#baseTimestamp = header.baseTimestamp
    this.#appendTimestamp = header.maxTimestamp
    this.#isLogAppendTime = header.isLogAppendTime
    return header
  }

  /** Lets go of the batch, so that its memory can be freed while the cursor is kept. */
  close(): void {
    this.bytes = NO_BYTES
    this.#recordCount = 0
    this.#position = 0
    this.#end = 0
    this.recordIndex = -1
  }

  /**
   * Moves to the next record; false when all were seen. Throws `GS_BATCH_INVALID` on a record whose lengths do not
   * nest, and at the end when bytes are left over. Headers are stepped over unread: `headers`, `findHeader` and
   * `validateRecords` judge them. Offsets are taken as stated.
   */
  next(): boolean {
    const index = this.recordIndex + 1
    const bytes = this.bytes
    let at = this.#position
    if (index >= this.#recordCount) {
      if (at !== this.#end) throw malformed('bytes are left over after the last record', index, at)
      return false
    }

    // Each varint is one byte in the common case, read here; longer ones take the call.
    let end = this.#end
    let raw = 0
    if (at < end && bytes[at] < 0x80) {
      raw = bytes[at]
      at += 1
    } else {
      raw = readRawVarint(bytes, at, end)
      at = varintEnd
    }
    const bodyBytes = (raw >>> 1) ^ -(raw & 1)
    if (bodyBytes < RECORD_BYTES_MIN - 1 || bodyBytes > end - at) {
      throw malformed(
        `its length says ${bodyBytes}, ${RECORD_BYTES_MIN - 1} to ${end - at} were expected`,
        index,
        at,
      )
    }
    end = at + bodyBytes

    at += 1 // The record attributes are unused in this format, and ignored as Kafka does.
    if (bytes[at] < 0x80) {
      raw = bytes[at]
      at += 1
      this.timestamp = this.#baseTimestamp + ((raw >>> 1) ^ -(raw & 1))
    } else {
      this.timestamp = this.#baseTimestamp + readVarlong(bytes, at, end)
      at = varintEnd
    }
    if (this.#isLogAppendTime) this.timestamp = this.#appendTimestamp

    if (at < end && bytes[at] < 0x80) {
      raw = bytes[at]
      at += 1
    } else {
      raw = readRawVarint(bytes, at, end)
      at = varintEnd
    }
    this.offsetDelta = (raw >>> 1) ^ -(raw & 1)
    this.offset = asOffset(this.#baseOffset + this.offsetDelta)

    if (at < end && bytes[at] < 0x80) {
      raw = bytes[at]
      at += 1
    } else {
      raw = readRawVarint(bytes, at, end)
      at = varintEnd
    }
    const keyBytes = (raw >>> 1) ^ -(raw & 1)
    if (keyBytes >= 0) {
      if (keyBytes > end - at)
        throw malformed(`its key of ${keyBytes} bytes is longer than the record`, index, at)
      this.keyStart = at
      at += keyBytes
      this.keyEnd = at
    } else {
      if (keyBytes !== -1) throw malformed(`its key length is ${keyBytes}`, index, at)
      this.keyStart = -1
      this.keyEnd = -1
    }

    if (at < end && bytes[at] < 0x80) {
      raw = bytes[at]
      at += 1
    } else {
      raw = readRawVarint(bytes, at, end)
      at = varintEnd
    }
    const valueBytes = (raw >>> 1) ^ -(raw & 1)
    if (valueBytes >= 0) {
      if (valueBytes > end - at)
        throw malformed(`its value of ${valueBytes} bytes is longer than the record`, index, at)
      this.valueStart = at
      at += valueBytes
      this.valueEnd = at
    } else {
      if (valueBytes !== -1) throw malformed(`its value length is ${valueBytes}`, index, at)
      this.valueStart = -1
      this.valueEnd = -1
    }

    this.headersStart = at
    this.headersEnd = end
    if (at < end && bytes[at] < 0x80) {
      raw = bytes[at]
      at += 1
    } else {
      raw = readRawVarint(bytes, at, end)
      at = varintEnd
    }
    const headerCount = (raw >>> 1) ^ -(raw & 1)
    if (headerCount === 0 ? at !== end : headerCount < 0 || headerCount > (end - at) / 2) {
      throw malformed(
        `its header count ${headerCount} does not fit its remaining ${end - at} bytes`,
        index,
        at,
      )
    }
    this.headerCount = headerCount
    this.recordIndex = index
    this.#position = end
    return true
  }

  /** The key as a view, or null. */
  keyBytes(): Buffer | null {
    return this.keyStart === -1 ? null : this.bytes.subarray(this.keyStart, this.keyEnd)
  }

  /** The value as a view, or null. */
  valueBytes(): Buffer | null {
    return this.valueStart === -1 ? null : this.bytes.subarray(this.valueStart, this.valueEnd)
  }

  /** The headers, decoded; their values are views. Throws `GS_BATCH_INVALID` when malformed. */
  headers(): RecordHeader[] {
    return this.headerCount === 0 ? [] : decodeHeaders(this.bytes, this.headersStart, this.headersEnd)
  }

  /** The value of the last header of that name: a view, null for a null value, undefined for none. Throws as `headers`. */
  findHeader(name: string): Buffer | null | undefined {
    if (this.headerCount === 0) return undefined
    return findHeader(this.bytes, this.headersStart, this.headersEnd, name)
  }

  /** The headers as they lie, to append them to another record verbatim: a view. */
  headersBytes(): EncodedHeaders {
    return this.bytes.subarray(this.headersStart, this.headersEnd) as EncodedHeaders
  }
}

function malformed(why: string, recordIndex: number, position: number) {
  return invalidBatch(`Record ${recordIndex} of the batch is malformed: ${why}.`, { recordIndex, position })
}
