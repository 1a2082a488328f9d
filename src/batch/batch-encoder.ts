/**
 * Builds record batches in a buffer that is used again for the next one. Nothing is allocated per record.
 *
 *     encoder.start({ compression: COMPRESSION.lz4 })
 *     encoder.append(timestampMs, key, value)
 *     encoder.appendText(timestampMs, source, keyStart, keyEnd, JSON.stringify(event)) // one buffer.write, no copy
 *     const batch = encoder.finish() // a view: copy it if it must outlive the next start()
 */

import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX } from '../core/limits.ts'
import { batchTooLarge, invalidBatch } from './batch-error.ts'
import { compress } from './compression/codecs.ts'
import type { Compression } from './record-batch.ts'
import { BATCH_ATTRIBUTE, COMPRESSION, RECORD_BATCH_HEADER_BYTES, writeBatchHeader } from './record-batch.ts'
import type { EncodedHeaders } from './record-headers.ts'
import { NO_HEADERS } from './record-headers.ts'
import { rawVarintBytes, varlongBytes, writeRawVarint, writeVarlong, zigzag } from './varint.ts'

export type { EncodedHeaders, RecordHeader } from './record-headers.ts'
export { encodeHeaders, NO_HEADERS } from './record-headers.ts'

export interface BatchEncoderOptions {
  /** Size of the buffer to begin with; it doubles as needed. Default 64 KiB. */
  readonly bytesInitial?: number
  /** Largest batch, before and after compression. Default `BATCH_BYTES_MAX`. */
  readonly bytesMax?: number
}

export interface BatchStartOptions {
  /** Default none. */
  readonly compression?: Compression
  /** What the timestamp deltas start from. Default: the first record's timestamp. */
  readonly baseTimestamp?: number
  /** Default -1 for these three: not an idempotent producer. */
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  /** Default false. */
  readonly isTransactional?: boolean
}

/** Bytes of a record besides key, value and headers, at most: length, attributes, two deltas, two lengths. */
const RECORD_OVERHEAD_BYTES_MAX = 5 + 1 + 10 + 5 + 5 + 5
/** Up to this many bytes a loop is quicker than a call into the runtime's copy. */
const SHORT_COPY_BYTES = 16

export class BatchEncoder {
  readonly #bytesMax: number
  #buffer: Buffer
  /** Where the next record goes. */
  #position = RECORD_BATCH_HEADER_BYTES
  #recordCount = 0
  #options: BatchStartOptions = {}
  #baseTimestamp = 0
  #maxTimestamp = -1
  /** Reused for compressed batches. */
  #packed: Buffer | null = null

  // The record between beginRecord and endRecord.
  #openTimestamp = 0
  #openKeySource: Buffer = NO_HEADERS
  #openKeyStart = -1
  #openKeyEnd = -1
  #openHeaders: EncodedHeaders = NO_HEADERS
  #openValueStart = -1

  constructor(options: BatchEncoderOptions = {}) {
    this.#bytesMax = options.bytesMax ?? BATCH_BYTES_MAX
    const bytesInitial = Math.min(options.bytesInitial ?? 65_536, this.#bytesMax)
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytesInitial, RECORD_BATCH_HEADER_BYTES))
  }

  /** Bytes of the batch so far, header included, before compression. */
  get bytes(): number {
    return this.#position
  }

  get recordCount(): number {
    return this.#recordCount
  }

  /** The buffer that a value is written into between `beginRecord` and `endRecord`. Any other call may replace it. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** Begins an empty batch and takes back the view that the last `finish` gave. */
  start(options: BatchStartOptions = {}): void {
    this.#options = options
    this.#position = RECORD_BATCH_HEADER_BYTES
    this.#recordCount = 0
    this.#openValueStart = -1
  }

  /** Whether one more record is sure to fit whose key, value and headers make `payloadBytes` together. */
  fits(payloadBytes: number): boolean {
    return (
      this.#position + RECORD_OVERHEAD_BYTES_MAX + payloadBytes <= this.#bytesMax &&
      this.#recordCount < BATCH_RECORDS_MAX
    )
  }

  /**
   * Appends a record. `timestampMs` is an integer. Throws `GS_BATCH_TOO_LARGE` when the batch would pass `bytesMax` or
   * `BATCH_RECORDS_MAX`; it is then as it was before, and can be finished.
   */
  append(
    timestampMs: number,
    key: Buffer | null,
    value: Buffer | null,
    headers: EncodedHeaders = NO_HEADERS,
  ): void {
    this.#write(
      timestampMs,
      key ?? NO_HEADERS,
      key === null ? -1 : 0,
      key === null ? -1 : key.length,
      value ?? NO_HEADERS,
      value === null ? -1 : 0,
      value === null ? -1 : value.length,
      headers,
    )
  }

  /**
   * Appends a record whose key and value lie in `source`, as a `RecordCursor` gives them: a start of -1 is null. Throws
   * as `append`.
   */
  appendRange(
    timestampMs: number,
    source: Buffer,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    headers: EncodedHeaders = NO_HEADERS,
  ): void {
    this.#write(timestampMs, source, keyStart, keyEnd, source, valueStart, valueEnd, headers)
  }

  /** As `appendRange`, with the first `valueBytes` bytes of another buffer as the value. */
  appendValue(
    timestampMs: number,
    keySource: Buffer,
    keyStart: number,
    keyEnd: number,
    value: Buffer,
    valueBytes: number,
    headers: EncodedHeaders = NO_HEADERS,
  ): void {
    this.#write(timestampMs, keySource, keyStart, keyEnd, value, 0, valueBytes, headers)
  }

  /**
   * Appends a record whose value is `text` in UTF-8, written straight into the batch; the key lies in `source` (start -1
   * for none). Throws as `append`.
   */
  appendText(
    timestampMs: number,
    source: Buffer,
    keyStart: number,
    keyEnd: number,
    text: string,
    headers: EncodedHeaders = NO_HEADERS,
  ): void {
    if (text.length > this.#bytesMax - this.#position) throw this.#full(text.length)
    // A UTF-16 unit becomes 1 to 3 bytes. Reserving the most is free while there is room; else they are counted.
    let valueBytesMax = text.length * 3
    if (this.#position + valueBytesMax > this.#buffer.length - 1024) valueBytesMax = Buffer.byteLength(text)
    const at = this.beginRecord(timestampMs, source, keyStart, keyEnd, {
      valueBytesMax,
      valueBytesExpected: text.length,
      headers,
    })
    this.endRecord(this.#buffer.write(text, at))
  }

  /**
   * Begins a record whose value the caller writes in place: up to `valueBytesMax` bytes into `buffer` from the position
   * returned, then `endRecord(bytesWritten)`. When the size is `valueBytesExpected` (default: the most) or near it,
   * nothing moves; else the value is shifted by a few bytes, because its length is written before it in as many bytes
   * as it needs. Throws as `append`, but for the size limit, which `endRecord` applies to what was really written.
   */
  beginRecord(
    timestampMs: number,
    source: Buffer,
    keyStart: number,
    keyEnd: number,
    value: { valueBytesMax: number; valueBytesExpected?: number; headers?: EncodedHeaders },
  ): number {
    if (this.#recordCount >= BATCH_RECORDS_MAX) throw this.#full(0)
    const keyBytes = keyStart === -1 ? 0 : keyEnd - keyStart
    const headers = value.headers ?? NO_HEADERS
    this.#reserve(RECORD_OVERHEAD_BYTES_MAX + keyBytes + value.valueBytesMax + headers.length)
    this.#openTimestamp = timestampMs
    this.#openKeySource = source
    this.#openKeyStart = keyStart
    this.#openKeyEnd = keyEnd
    this.#openHeaders = headers
    const expected = value.valueBytesExpected ?? value.valueBytesMax
    const delta = this.#timestampDelta(timestampMs)
    const bodyBytes = this.#bodyBytes(delta, keyStart === -1 ? -1 : keyBytes, expected, headers)
    const recordBytes = rawVarintBytes(bodyBytes << 1) + bodyBytes
    this.#openValueStart = this.#position + recordBytes - headers.length - expected
    return this.#openValueStart
  }

  /** Ends the record that `beginRecord` began, with a value of `valueBytes`. Throws as `append`. */
  endRecord(valueBytes: number): void {
    const writtenAt = this.#openValueStart
    if (writtenAt === -1) throw invalidBatch('endRecord was called without beginRecord; call them in pairs.')
    this.#openValueStart = -1
    const headers = this.#openHeaders
    const keyBytes = this.#openKeyStart === -1 ? -1 : this.#openKeyEnd - this.#openKeyStart
    const delta = this.#timestampDelta(this.#openTimestamp)
    const bodyBytes = this.#bodyBytes(delta, keyBytes, valueBytes, headers)
    const recordBytes = rawVarintBytes(bodyBytes << 1) + bodyBytes
    if (recordBytes > this.#bytesMax - this.#position) throw this.#full(recordBytes)
    const buffer = this.#buffer
    const valueStart = this.#position + recordBytes - headers.length - valueBytes
    if (valueStart !== writtenAt) buffer.copyWithin(valueStart, writtenAt, writtenAt + valueBytes)
    this.#writePrefix(bodyBytes, delta, this.#openKeySource, this.#openKeyStart, keyBytes, valueBytes)
    copyRange(headers, 0, headers.length, buffer, valueStart + valueBytes)
    this.#accept(this.#openTimestamp, recordBytes)
  }

  /**
   * Writes the header and, if asked for at `start`, compresses. Returns a view of the whole batch that is valid until the
   * next `start`. A batch that compression would push over `bytesMax` stays plain. An empty batch is a bug of the caller
   * (`GS_BATCH_INVALID`): Kafka has no such thing.
   */
  finish(): Buffer {
    if (this.#recordCount === 0)
      throw invalidBatch('A record batch needs at least one record; append one, then finish.')
    let compression = this.#options.compression ?? COMPRESSION.none
    let batch = this.#buffer
    let batchBytes = this.#position
    if (compression !== COMPRESSION.none) {
      const records = compress(compression, this.#buffer.subarray(RECORD_BATCH_HEADER_BYTES, this.#position))
      const packedBytes = RECORD_BATCH_HEADER_BYTES + records.length
      if (packedBytes > this.#bytesMax) {
        compression = COMPRESSION.none
      } else {
        batch = this.#packedBuffer(packedBytes)
        batchBytes = packedBytes
        records.copy(batch, RECORD_BATCH_HEADER_BYTES)
      }
    }
    writeBatchHeader(batch, 0, {
      batchBytes,
      attributes: compression | (this.#options.isTransactional === true ? BATCH_ATTRIBUTE.transactional : 0),
      baseTimestamp: this.#baseTimestamp,
      maxTimestamp: this.#maxTimestamp,
      producerId: this.#options.producerId ?? -1,
      producerEpoch: this.#options.producerEpoch ?? -1,
      baseSequence: this.#options.baseSequence ?? -1,
      recordCount: this.#recordCount,
    })
    return batch.subarray(0, batchBytes)
  }

  /**
   * The path of every record that is not written in place. It is one flat function, with varints of one and two bytes
   * spelled out, because each call that the compiler leaves standing here costs more than the bytes it writes, and each
   * that it does not leaves less of its budget for the others.
   */
  #write(
    timestampMs: number,
    keySource: Buffer,
    keyStart: number,
    keyEnd: number,
    valueSource: Buffer,
    valueStart: number,
    valueEnd: number,
    headers: EncodedHeaders,
  ): void {
    this.#openValueStart = -1
    const recordIndex = this.#recordCount
    if (recordIndex === 0) this.#baseTimestamp = this.#options.baseTimestamp ?? timestampMs
    const delta = timestampMs - this.#baseTimestamp
    const smallDelta = delta | 0
    if (smallDelta !== delta) {
      this.#writeFar(timestampMs, keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd, headers)
      return
    }
    const deltaRaw = zigzag(smallDelta)
    const keyBytes = keyStart === -1 ? 0 : keyEnd - keyStart
    const keyRaw = keyStart === -1 ? 1 : keyBytes << 1
    const valueBytes = valueStart === -1 ? 0 : valueEnd - valueStart
    const valueRaw = valueStart === -1 ? 1 : valueBytes << 1
    const headersBytes = headers.length
    const bodyBytes =
      1 +
      rawVarintBytes(deltaRaw) +
      rawVarintBytes(recordIndex << 1) +
      rawVarintBytes(keyRaw) +
      keyBytes +
      rawVarintBytes(valueRaw) +
      valueBytes +
      headersBytes
    const recordBytes = rawVarintBytes(bodyBytes << 1) + bodyBytes
    const position = this.#position
    if (recordBytes > this.#bytesMax - position || recordIndex >= BATCH_RECORDS_MAX)
      throw this.#full(recordBytes)
    if (recordBytes > this.#buffer.length - position) this.#reserve(recordBytes)
    const buffer = this.#buffer

    let at = position
    let raw = bodyBytes << 1
    if (raw < 0x80) buffer[at] = raw
    else if (raw < 0x4000) {
      buffer[at++] = raw | 0x80
      buffer[at] = raw >>> 7
    } else {
      for (; raw >= 0x80; raw >>>= 7, at += 1) buffer[at] = (raw & 0x7f) | 0x80
      buffer[at] = raw
    }
    buffer[at + 1] = 0
    at += 2
    raw = deltaRaw
    if (raw < 0x80) buffer[at] = raw
    else if (raw < 0x4000) {
      buffer[at++] = raw | 0x80
      buffer[at] = raw >>> 7
    } else {
      for (; raw >= 0x80; raw >>>= 7, at += 1) buffer[at] = (raw & 0x7f) | 0x80
      buffer[at] = raw
    }
    at += 1
    raw = recordIndex << 1
    if (raw < 0x80) buffer[at] = raw
    else if (raw < 0x4000) {
      buffer[at++] = raw | 0x80
      buffer[at] = raw >>> 7
    } else {
      for (; raw >= 0x80; raw >>>= 7, at += 1) buffer[at] = (raw & 0x7f) | 0x80
      buffer[at] = raw
    }
    at += 1
    raw = keyRaw
    if (raw < 0x80) buffer[at] = raw
    else if (raw < 0x4000) {
      buffer[at++] = raw | 0x80
      buffer[at] = raw >>> 7
    } else {
      for (; raw >= 0x80; raw >>>= 7, at += 1) buffer[at] = (raw & 0x7f) | 0x80
      buffer[at] = raw
    }
    at += 1
    if (keyBytes > 0) {
      copyRange(keySource, keyStart, keyEnd, buffer, at)
      at += keyBytes
    }
    raw = valueRaw
    if (raw < 0x80) buffer[at] = raw
    else if (raw < 0x4000) {
      buffer[at++] = raw | 0x80
      buffer[at] = raw >>> 7
    } else {
      for (; raw >= 0x80; raw >>>= 7, at += 1) buffer[at] = (raw & 0x7f) | 0x80
      buffer[at] = raw
    }
    at += 1
    if (valueBytes > SHORT_COPY_BYTES && valueBytes === valueSource.length) buffer.set(valueSource, at)
    else if (valueBytes > 0) copyRange(valueSource, valueStart, valueEnd, buffer, at)
    at += valueBytes
    if (headersBytes === 1) buffer[at] = 0
    else copyRange(headers, 0, headersBytes, buffer, at)
    if (recordIndex === 0 || timestampMs > this.#maxTimestamp) this.#maxTimestamp = timestampMs
    this.#position = position + recordBytes
    this.#recordCount = recordIndex + 1
  }

  /** The same for a record more than 24 days from the batch's base. Apart, so that it does not slow down the others. */
  #writeFar(
    timestampMs: number,
    keySource: Buffer,
    keyStart: number,
    keyEnd: number,
    valueSource: Buffer,
    valueStart: number,
    valueEnd: number,
    headers: EncodedHeaders,
  ): void {
    const delta = this.#timestampDelta(timestampMs)
    const keyBytes = keyStart === -1 ? -1 : keyEnd - keyStart
    const valueBytes = valueStart === -1 ? -1 : valueEnd - valueStart
    const bodyBytes = this.#bodyBytes(delta, keyBytes, valueBytes, headers)
    const recordBytes = rawVarintBytes(bodyBytes << 1) + bodyBytes
    if (recordBytes > this.#bytesMax - this.#position || this.#recordCount >= BATCH_RECORDS_MAX)
      throw this.#full(recordBytes)
    this.#reserve(recordBytes)
    const valueAt = this.#writePrefix(bodyBytes, delta, keySource, keyStart, keyBytes, valueBytes)
    if (valueBytes > 0) copyRange(valueSource, valueStart, valueEnd, this.#buffer, valueAt)
    copyRange(headers, 0, headers.length, this.#buffer, valueAt + Math.max(0, valueBytes))
    this.#accept(timestampMs, recordBytes)
  }

  /** The record's timestamp less the batch's base, which the first record sets unless `start` did. */
  #timestampDelta(timestampMs: number): number {
    assertTimestamp(timestampMs)
    if (this.#recordCount === 0) this.#baseTimestamp = this.#options.baseTimestamp ?? timestampMs
    return timestampMs - this.#baseTimestamp
  }

  /** Size of a record without its length field; a length of -1 is null. */
  #bodyBytes(delta: number, keyBytes: number, valueBytes: number, headers: EncodedHeaders): number {
    return (
      1 +
      varlongBytes(delta) +
      rawVarintBytes(this.#recordCount << 1) +
      (keyBytes < 0 ? 1 : rawVarintBytes(keyBytes << 1) + keyBytes) +
      (valueBytes < 0 ? 1 : rawVarintBytes(valueBytes << 1) + valueBytes) +
      headers.length
    )
  }

  /** Writes everything before the value and returns the value's position. */
  #writePrefix(
    bodyBytes: number,
    delta: number,
    keySource: Buffer,
    keyStart: number,
    keyBytes: number,
    valueBytes: number,
  ): number {
    const buffer = this.#buffer
    let at = writeRawVarint(buffer, this.#position, bodyBytes << 1)
    buffer[at] = 0
    at = writeVarlong(buffer, at + 1, delta)
    at = writeRawVarint(buffer, at, this.#recordCount << 1)
    if (keyBytes < 0) {
      buffer[at] = 1
      at += 1
    } else {
      at = writeRawVarint(buffer, at, keyBytes << 1)
      copyRange(keySource, keyStart, keyStart + keyBytes, buffer, at)
      at += keyBytes
    }
    if (valueBytes >= 0) return writeRawVarint(buffer, at, valueBytes << 1)
    buffer[at] = 1
    return at + 1
  }

  #accept(timestampMs: number, recordBytes: number): void {
    if (this.#recordCount === 0 || timestampMs > this.#maxTimestamp) this.#maxTimestamp = timestampMs
    this.#position += recordBytes
    this.#recordCount += 1
  }

  /** Makes room for `bytes` more. What is reserved may pass `bytesMax`; what is accepted may not. */
  #reserve(bytes: number): void {
    const needed = this.#position + bytes
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(this.#buffer.length * 2, this.#bytesMax)))
    this.#buffer.copy(grown, 0, 0, this.#position)
    this.#buffer = grown
  }

  #packedBuffer(bytes: number): Buffer {
    if (this.#packed === null || this.#packed.length < bytes) {
      this.#packed = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(bytes * 2, this.#bytesMax)))
    }
    return this.#packed
  }

  #full(recordBytes: number) {
    return batchTooLarge(
      `A batch takes at most ${this.#bytesMax} bytes and ${BATCH_RECORDS_MAX} records; with this record of ${recordBytes} bytes ` +
        `it would be at ${this.#position + recordBytes} and ${this.#recordCount + 1}. Finish it and start another.`,
      { bytesMax: this.#bytesMax, batchBytes: this.#position, recordBytes, recordCount: this.#recordCount },
    )
  }
}

function assertTimestamp(timestampMs: number): void {
  if (Number.isInteger(timestampMs)) return
  throw invalidBatch(`A record's timestamp must be whole milliseconds, found ${timestampMs}.`, {
    timestampMs,
  })
}

function copyRange(source: Buffer, from: number, to: number, target: Buffer, at: number): void {
  if (to - from <= SHORT_COPY_BYTES) {
    for (let index = from; index < to; index += 1, at += 1) target[at] = source[index]
  } else if (to - from === source.length) {
    target.set(source, at) // A whole buffer: half the cost of `copy`, which has to make a view first.
  } else {
    source.copy(target, at, from, to)
  }
}
