/**
 * The header of a RecordBatch v2 (KIP-98): the one file that knows its byte positions. It reads, checks and patches a
 * batch where it lies, without copying; the records inside are `RecordCursor`'s. Drawn in
 * `schemas/formats/record-batch.md`; the source is Kafka's `DefaultRecordBatch`.
 *
 *     0        8      12      16   17    21     23      27        35        43        51     53      57     61
 *     | base   | batch| leader|mag-| CRC | attri-| last  | base    | max     | producer| prod.| base   | rec. | records
 *     | offset |length| epoch | ic | 32C | butes | delta | time    | time    | id      | epoch| sequence| count| …
 *     '- not under the CRC: whoever appends sets it -' '- everything from 21 to the end is under the CRC ------------
 */

import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import { BatchError, corruptBatch, invalidBatch } from './batch-error.ts'
import { crcOf } from './crc32c.ts'
import { readInt64, writeInt64 } from './int64.ts'

export { crcOf } from './crc32c.ts'

/** Bytes before the first record. */
export const RECORD_BATCH_HEADER_BYTES = 61
/** Bytes before the batch is long enough to say its own length. */
export const RECORD_BATCH_PREFIX_BYTES = 12
/** The only format that is read or written. */
export const RECORD_BATCH_MAGIC = 2

/** Compression codecs by the number the attributes hold. */
export const COMPRESSION = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const
export type Compression = (typeof COMPRESSION)[keyof typeof COMPRESSION]

/** Bits of the attributes field. */
export const BATCH_ATTRIBUTE = {
  compressionMask: 0x07,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
  deleteHorizon: 0x40,
} as const

const BATCH_LENGTH_AT = 8
const PARTITION_LEADER_EPOCH_AT = 12
const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const BASE_TIMESTAMP_AT = 27
const MAX_TIMESTAMP_AT = 35
const PRODUCER_ID_AT = 43
const PRODUCER_EPOCH_AT = 51
const BASE_SEQUENCE_AT = 53
const RECORD_COUNT_AT = 57

/** A decoded header. 64-bit fields are numbers: exact up to 2^53, the nearest double beyond. */
export interface BatchHeader {
  readonly baseOffset: Offset
  /** The whole batch in bytes, the first 12 included. */
  readonly batchBytes: number
  readonly partitionLeaderEpoch: number
  readonly magic: number
  /** The CRC-32C as stated, unsigned. */
  readonly crc: number
  readonly attributes: number
  /** The codec's number; 5 to 7 name none, and `checkBatch` refuses them. */
  readonly compression: Compression
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** True when `maxTimestamp`, set by the broker, is the time of every record. */
  readonly isLogAppendTime: boolean
  readonly lastOffsetDelta: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  /** -1 when the producer is not idempotent. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/**
 * Decodes the header at `at` without judging it. The caller knows that 61 bytes are there; otherwise a `RangeError` is
 * thrown, which is a bug of the caller.
 */
export function readBatchHeader(bytes: Buffer, at: number): BatchHeader {
  const attributes = attributesAt(bytes, at)
  return {
    baseOffset: baseOffsetAt(bytes, at),
    batchBytes: batchBytesAt(bytes, at),
    partitionLeaderEpoch: partitionLeaderEpochAt(bytes, at),
    magic: magicAt(bytes, at),
    crc: crcAt(bytes, at),
    attributes,
    compression: (attributes & BATCH_ATTRIBUTE.compressionMask) as Compression,
    isTransactional: (attributes & BATCH_ATTRIBUTE.transactional) !== 0,
    isControl: (attributes & BATCH_ATTRIBUTE.control) !== 0,
    isLogAppendTime: (attributes & BATCH_ATTRIBUTE.logAppendTime) !== 0,
    lastOffsetDelta: lastOffsetDeltaAt(bytes, at),
    baseTimestamp: baseTimestampAt(bytes, at),
    maxTimestamp: maxTimestampAt(bytes, at),
    producerId: producerIdAt(bytes, at),
    producerEpoch: producerEpochAt(bytes, at),
    baseSequence: baseSequenceAt(bytes, at),
    recordCount: recordCountAt(bytes, at),
  }
}

/** The offset of the first record. */
export const baseOffsetAt = (bytes: Buffer, at: number): Offset => asOffset(readInt64(bytes, at))
/** The whole batch in bytes. Needs the first 12 bytes only; any number may be there, negative too. */
export const batchBytesAt = (bytes: Buffer, at: number): number =>
  bytes.readInt32BE(at + BATCH_LENGTH_AT) + RECORD_BATCH_PREFIX_BYTES
/** The leader epoch that whoever appended the batch gave it. */
export const partitionLeaderEpochAt = (bytes: Buffer, at: number): number =>
  bytes.readInt32BE(at + PARTITION_LEADER_EPOCH_AT)
/** The format's number; 2 is this one. */
export const magicAt = (bytes: Buffer, at: number): number => bytes.readInt8(at + MAGIC_AT)
/** The stated CRC-32C, unsigned. */
export const crcAt = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at + CRC_AT)
/** The attribute bits: see `BATCH_ATTRIBUTE`. */
export const attributesAt = (bytes: Buffer, at: number): number => bytes.readInt16BE(at + ATTRIBUTES_AT)
/** The codec's number, 0 to 7. */
export const compressionAt = (bytes: Buffer, at: number): Compression =>
  (attributesAt(bytes, at) & BATCH_ATTRIBUTE.compressionMask) as Compression
/** The last record's offset less the first one's. */
export const lastOffsetDeltaAt = (bytes: Buffer, at: number): number =>
  bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT)
/** The offset of the last record. */
export const lastOffsetAt = (bytes: Buffer, at: number): Offset =>
  asOffset(baseOffsetAt(bytes, at) + lastOffsetDeltaAt(bytes, at))
/** Milliseconds since the epoch that the records' timestamp deltas start from. */
export const baseTimestampAt = (bytes: Buffer, at: number): number => readInt64(bytes, at + BASE_TIMESTAMP_AT)
/** The latest timestamp, as the producer or the broker stated it. */
export const maxTimestampAt = (bytes: Buffer, at: number): number => readInt64(bytes, at + MAX_TIMESTAMP_AT)
/** The idempotent producer's id, or -1. */
export const producerIdAt = (bytes: Buffer, at: number): number => readInt64(bytes, at + PRODUCER_ID_AT)
/** The idempotent producer's epoch, or -1. */
export const producerEpochAt = (bytes: Buffer, at: number): number =>
  bytes.readInt16BE(at + PRODUCER_EPOCH_AT)
/** The sequence number of the first record, or -1. */
export const baseSequenceAt = (bytes: Buffer, at: number): number => bytes.readInt32BE(at + BASE_SEQUENCE_AT)
/** How many records the batch says it holds. */
export const recordCountAt = (bytes: Buffer, at: number): number => bytes.readInt32BE(at + RECORD_COUNT_AT)
/** When the tombstones or the marker in the batch may go (KIP-534), or null while that time has not been set. */
export const deleteHorizonAt = (bytes: Buffer, at: number): number | null =>
  (attributesAt(bytes, at) & BATCH_ATTRIBUTE.deleteHorizon) === 0 ? null : baseTimestampAt(bytes, at)

/** What `writeBatchHeader` puts around the records; the rest follows from them. */
export interface BatchHeaderFields {
  readonly batchBytes: number
  readonly attributes: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/**
 * Writes the header of a batch whose records already lie behind it, CRC included. Base offset 0 and leader epoch -1, as
 * producers send them.
 */
export function writeBatchHeader(bytes: Buffer, at: number, fields: BatchHeaderFields): void {
  writeInt64(bytes, at, 0)
  bytes.writeInt32BE(fields.batchBytes - RECORD_BATCH_PREFIX_BYTES, at + BATCH_LENGTH_AT)
  bytes.writeInt32BE(-1, at + PARTITION_LEADER_EPOCH_AT)
  bytes.writeInt8(RECORD_BATCH_MAGIC, at + MAGIC_AT)
  bytes.writeInt16BE(fields.attributes, at + ATTRIBUTES_AT)
  bytes.writeInt32BE(fields.recordCount - 1, at + LAST_OFFSET_DELTA_AT)
  writeInt64(bytes, at + BASE_TIMESTAMP_AT, fields.baseTimestamp)
  writeInt64(bytes, at + MAX_TIMESTAMP_AT, fields.maxTimestamp)
  writeProducer(bytes, at, fields)
  bytes.writeInt32BE(fields.recordCount, at + RECORD_COUNT_AT)
  refreshCrc(bytes, at)
}

/** Sets the base offset in place. It lies outside the CRC. */
export function patchBaseOffset(bytes: Buffer, at: number, offset: number): void {
  writeInt64(bytes, at, offset)
}

/** Sets the leader epoch in place. It lies outside the CRC. */
export function patchPartitionLeaderEpoch(bytes: Buffer, at: number, epoch: number): void {
  bytes.writeInt32BE(epoch, at + PARTITION_LEADER_EPOCH_AT)
}

/** Who an idempotent producer says it is; all -1 for none. */
export interface ProducerFields {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
}

/** Sets producer id, epoch and base sequence in place and refreshes the CRC (one pass over the batch). */
export function patchProducer(bytes: Buffer, at: number, producer: ProducerFields): void {
  writeProducer(bytes, at, producer)
  refreshCrc(bytes, at)
}

/** Sets the attribute bits in place and refreshes the CRC. Changing the compression bits does not recompress anything. */
export function patchAttributes(bytes: Buffer, at: number, attributes: number): void {
  bytes.writeInt16BE(attributes, at + ATTRIBUTES_AT)
  refreshCrc(bytes, at)
}

/** Sets the latest timestamp in place and refreshes the CRC. */
export function patchMaxTimestamp(bytes: Buffer, at: number, timestampMs: number): void {
  writeInt64(bytes, at + MAX_TIMESTAMP_AT, timestampMs)
  refreshCrc(bytes, at)
}

/** What compaction changes in a batch's header; offsets and the producer's fields stay as they are. */
export interface CompactedFields {
  readonly batchBytes: number
  readonly attributes: number
  /** Null leaves the bytes as they are. */
  readonly baseTimestamp: number | null
  /** Null leaves the bytes as they are. */
  readonly maxTimestamp: number | null
  readonly recordCount: number
}

/** Adapts a copied header to the records that were kept behind it, CRC included. */
export function patchCompacted(bytes: Buffer, at: number, fields: CompactedFields): void {
  bytes.writeInt32BE(fields.batchBytes - RECORD_BATCH_PREFIX_BYTES, at + BATCH_LENGTH_AT)
  bytes.writeInt16BE(fields.attributes, at + ATTRIBUTES_AT)
  if (fields.baseTimestamp !== null) writeInt64(bytes, at + BASE_TIMESTAMP_AT, fields.baseTimestamp)
  if (fields.maxTimestamp !== null) writeInt64(bytes, at + MAX_TIMESTAMP_AT, fields.maxTimestamp)
  bytes.writeInt32BE(fields.recordCount, at + RECORD_COUNT_AT)
  refreshCrc(bytes, at)
}

function writeProducer(bytes: Buffer, at: number, producer: ProducerFields): void {
  writeInt64(bytes, at + PRODUCER_ID_AT, producer.producerId)
  bytes.writeInt16BE(producer.producerEpoch, at + PRODUCER_EPOCH_AT)
  bytes.writeInt32BE(producer.baseSequence, at + BASE_SEQUENCE_AT)
}

function refreshCrc(bytes: Buffer, at: number): void {
  bytes.writeUInt32BE(crcOf(bytes, at + ATTRIBUTES_AT, at + batchBytesAt(bytes, at)), at + CRC_AT)
}

/**
 * Checks that bytes [at, end) are exactly one batch: length, magic, CRC, codec and counts. Nothing is inflated and no
 * record is looked at (`validateRecords` does that).
 *
 * The CRC comes before every field that it covers, so that damage on the way is called damage
 * (`GS_BATCH_CORRUPT`, worth sending again) and only what the producer really said is called `GS_BATCH_INVALID` or
 * `GS_BATCH_UNSUPPORTED_COMPRESSION`.
 */
export function checkBatch(bytes: Buffer, at: number, end: number): void {
  const bytesPresent = end - at
  if (bytesPresent < RECORD_BATCH_HEADER_BYTES) {
    throw invalidBatch(
      `A record batch has at least ${RECORD_BATCH_HEADER_BYTES} bytes, found ${bytesPresent}; send whole batches.`,
      { bytesPresent },
    )
  }
  const magic = magicAt(bytes, at)
  if (magic !== RECORD_BATCH_MAGIC) {
    throw invalidBatch(
      `Record batches must have magic ${RECORD_BATCH_MAGIC}, found ${magic}; use a client that speaks Kafka 0.11 or newer.`,
      { magic },
    )
  }
  const batchBytes = batchBytesAt(bytes, at)
  if (batchBytes !== bytesPresent) {
    throw invalidBatch(
      `Exactly one record batch of ${bytesPresent} bytes was expected, its length field says ${batchBytes}.`,
      { bytesPresent, batchBytes },
    )
  }
  const crcStated = crcAt(bytes, at)
  const crc = crcOf(bytes, at + ATTRIBUTES_AT, end)
  if (crc !== crcStated) {
    throw corruptBatch(
      `The record batch states CRC-32C ${crcStated}, its bytes give ${crc}: it was damaged on the way.`,
      { crcStated, crc },
    )
  }
  const compression = compressionAt(bytes, at)
  if (compression > COMPRESSION.zstd) {
    throw new BatchError(
      'GS_BATCH_UNSUPPORTED_COMPRESSION',
      `Compression codec ${compression} does not exist; 0 (none), 1 (gzip), 2 (snappy), 3 (lz4) and 4 (zstd) do.`,
      { facts: { compression } },
    )
  }
  const recordCount = recordCountAt(bytes, at)
  const lastOffsetDelta = lastOffsetDeltaAt(bytes, at)
  if (recordCount <= 0 || lastOffsetDelta !== recordCount - 1) {
    throw invalidBatch(
      `A record batch must hold at least one record and its last offset delta must be one less than the count; ` +
        `found count ${recordCount} and delta ${lastOffsetDelta}.`,
      { recordCount, lastOffsetDelta },
    )
  }
}

/**
 * `checkBatch`, plus what only a broker may write: base offset 0, no control bit, and an idempotent or transactional
 * producer that names its sequence (Kafka's `LogValidator.validateBatch`). Throws `GS_BATCH_INVALID` for those.
 */
export function checkClientBatch(bytes: Buffer, at: number, end: number): void {
  checkBatch(bytes, at, end)
  const baseOffset = baseOffsetAt(bytes, at)
  if (baseOffset !== 0) {
    throw invalidBatch(`Producers send base offset 0, found ${baseOffset}; the log assigns offsets.`, {
      baseOffset,
    })
  }
  const attributes = attributesAt(bytes, at)
  if ((attributes & BATCH_ATTRIBUTE.control) !== 0) {
    throw invalidBatch('The control bit is set; only the transaction coordinator writes control batches.', {
      attributes,
    })
  }
  const producerId = producerIdAt(bytes, at)
  const producerEpoch = producerEpochAt(bytes, at)
  const baseSequence = baseSequenceAt(bytes, at)
  if (producerId >= 0 && (baseSequence < 0 || producerEpoch < 0)) {
    throw invalidBatch(
      `Producer id ${producerId} must come with an epoch and a base sequence of at least 0; ` +
        `found epoch ${producerEpoch} and sequence ${baseSequence}.`,
      { producerId, producerEpoch, baseSequence },
    )
  }
  if ((attributes & BATCH_ATTRIBUTE.transactional) !== 0 && producerId < 0) {
    throw invalidBatch('A transactional batch must carry the producer id of its transaction, found none.', {
      producerId,
    })
  }
}

/**
 * Whether a whole, undamaged batch starts at `at` and ends at or before `end`: length, magic, CRC, and offsets that do
 * not run backwards. For recovery, where damage is ordinary: never throws, for any bytes.
 */
export function isBatchIntact(bytes: Buffer, at: number, end: number): boolean {
  const limit = Math.min(end, bytes.length)
  if (at < 0 || limit - at < RECORD_BATCH_HEADER_BYTES) return false
  if (magicAt(bytes, at) !== RECORD_BATCH_MAGIC) return false
  const batchBytes = batchBytesAt(bytes, at)
  if (batchBytes < RECORD_BATCH_HEADER_BYTES || batchBytes > limit - at) return false
  if (lastOffsetDeltaAt(bytes, at) < 0 || recordCountAt(bytes, at) < 0) return false
  return crcOf(bytes, at + ATTRIBUTES_AT, at + batchBytes) === crcAt(bytes, at)
}
