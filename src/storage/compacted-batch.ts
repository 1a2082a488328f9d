/**
 * One batch with some of its records left out, as Kafka's cleaner writes it (KIP-534 for the delete horizon): the base
 * offset, the last offset delta and the producer's fields stay, so that offsets and sequences mean what they did; the count
 * and the CRC change; records keep their offset deltas and, but for a new horizon, all their bytes. The batch's own codec
 * packs them again, if it can.
 *
 * The delete horizon is the time from which tombstones, or a marker without a transaction left, may go. It takes the place of
 * the base timestamp, with a bit in the attributes, and the records' timestamp deltas are counted from it.
 */

import { strict as assert } from 'node:assert'
import { compress } from '../batch/compression/codecs.ts'
import { compressZstdFarBack } from '../batch/compression/zstd.ts'
import type { Compression } from '../batch/record-batch.ts'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  batchBytesAt,
  COMPRESSION,
  deleteHorizonAt,
  patchCompacted,
  RECORD_BATCH_HEADER_BYTES,
} from '../batch/record-batch.ts'
import type { RecordCursor } from '../batch/record-cursor.ts'
import { rawVarintBytes, varlongBytes, writeRawVarint, writeVarlong, zigzag } from '../batch/varint.ts'
import type { Pace } from './pace.ts'
import { RECORDS_PER_QUESTION } from './pace.ts'
import { STORED_BATCH_BYTES_MAX } from './segment-format.ts'

export interface CompactionRules {
  /** Whether the record that the cursor stands on stays. */
  keeps(cursor: RecordCursor): boolean
  /** The horizon for tombstones that stay in a batch without one, or for a whole marker; null to set none. */
  readonly newHorizonMs: number | null
  /** True for a marker: the horizon is set whatever its record says. */
  readonly isMarker: boolean
  /** True when a batch without records stays all the same, for its producer's sake. */
  readonly isKeptEmpty: boolean
}

export interface Compacted {
  /** The batch as it is to be stored, a view of the same bytes when nothing changes; null for none. */
  readonly bytes: Buffer | null
  readonly keptCount: number
  readonly isChanged: boolean
}

/** How a record's bytes lie in the inflated batch, and whether they stay. */
interface Kept {
  readonly flags: Uint8Array
  readonly ends: Int32Array
  count: number
  bytes: number
  minTimestamp: number
  maxTimestamp: number
  hasTombstone: boolean
}

/**
 * Applies the rules to the whole, checked batch at `at`; the cursor is only borrowed. Rejects with the cursor's failures
 * when the records cannot be decoded, and with the pace's when the work is not wanted any more.
 */
export async function compactBatch(
  bytes: Buffer,
  at: number,
  rules: CompactionRules,
  tools: { readonly cursor: RecordCursor; readonly pace: Pace },
): Promise<Compacted> {
  const { cursor } = tools
  const whole = bytes.subarray(at, at + batchBytesAt(bytes, at))
  const header = cursor.open(bytes, at)
  const { recordCount } = header
  const kept: Kept = {
    flags: new Uint8Array(recordCount),
    ends: new Int32Array(recordCount),
    count: 0,
    bytes: 0,
    minTimestamp: Number.POSITIVE_INFINITY,
    maxTimestamp: -1,
    hasTombstone: false,
  }
  const records = cursor.bytes
  const recordsStart = header.compression === COMPRESSION.none ? at + RECORD_BATCH_HEADER_BYTES : 0
  await judge(cursor, recordsStart, { kept, rules, pace: tools.pace })
  if (kept.count === 0) {
    if (!rules.isKeptEmpty) return { bytes: null, keptCount: 0, isChanged: true }
    if (recordCount === 0) return { bytes: whole, keptCount: 0, isChanged: false }
    return { bytes: emptied(whole), keptCount: 0, isChanged: true }
  }
  const isExact = isExactFrom(header.baseTimestamp, kept)
  const wantsHorizon = (rules.isMarker || kept.hasTombstone) && deleteHorizonAt(bytes, at) === null
  const { newHorizonMs } = rules
  const horizonMs =
    wantsHorizon && newHorizonMs !== null && isExact && isExactFrom(newHorizonMs, kept) ? newHorizonMs : null
  if (kept.count === recordCount && horizonMs === null) {
    return { bytes: whole, keptCount: recordCount, isChanged: false }
  }
  let plain: Buffer
  if (horizonMs === null) plain = copyKept(records, recordsStart, kept)
  else {
    cursor.open(bytes, at)
    plain = await recount(cursor, horizonMs, { kept, pace: tools.pace })
  }
  const { compression, packed } = pack(header.compression, plain)
  const batch = Buffer.allocUnsafeSlow(RECORD_BATCH_HEADER_BYTES + packed.length)
  whole.copy(batch, 0, 0, RECORD_BATCH_HEADER_BYTES)
  packed.copy(batch, RECORD_BATCH_HEADER_BYTES)
  patchCompacted(batch, 0, {
    batchBytes: batch.length,
    attributes:
      (header.attributes & ~BATCH_ATTRIBUTE.compressionMask) |
      compression |
      (horizonMs === null ? 0 : BATCH_ATTRIBUTE.deleteHorizon),
    baseTimestamp: horizonMs,
    maxTimestamp: header.isLogAppendTime || !isExact ? null : kept.maxTimestamp,
    recordCount: kept.count,
  })
  return { bytes: batch, keptCount: kept.count, isChanged: true }
}

/**
 * Packs records as they were packed; when they would not fit a batch any more, because the producer's encoder looked back
 * further than ours does, with one that looks back as far as any reader. Keeping the batch as it is would be no way out: an
 * older value could outlive its tombstone.
 */
function pack(wanted: Compression, plain: Buffer): { compression: Compression; packed: Buffer } {
  const packed = compress(wanted, plain)
  if (RECORD_BATCH_HEADER_BYTES + packed.length <= STORED_BATCH_BYTES_MAX)
    return { compression: wanted, packed }
  const dense = compressZstdFarBack(plain)
  assert(
    RECORD_BATCH_HEADER_BYTES + dense.length <= STORED_BATCH_BYTES_MAX,
    'what was packed once packs again',
  )
  return { compression: COMPRESSION.zstd, packed: dense }
}

async function judge(
  cursor: RecordCursor,
  recordsStart: number,
  work: { kept: Kept; rules: CompactionRules; pace: Pace },
): Promise<void> {
  const { kept, rules, pace } = work
  let start = recordsStart
  while (cursor.next()) {
    const index = cursor.recordIndex
    const end = cursor.headersEnd
    kept.ends[index] = end
    if (rules.keeps(cursor)) {
      kept.flags[index] = 1
      kept.count += 1
      kept.bytes += end - start
      kept.minTimestamp = Math.min(kept.minTimestamp, cursor.timestamp)
      kept.maxTimestamp = Math.max(kept.maxTimestamp, cursor.timestamp)
      if (cursor.valueStart === -1) kept.hasTombstone = true
    }
    start = end
    if (index % RECORDS_PER_QUESTION === 0 && pace.isDue()) await pace.pause()
  }
}

/**
 * Whether the kept timestamps, counted from `baseMs`, are exact as numbers, which they are not beyond 2^53. A batch where
 * they are not, or would not be from the horizon, keeps its tombstones; so does every one when `delete.retention.ms` is as
 * good as for ever.
 */
function isExactFrom(baseMs: number, { minTimestamp, maxTimestamp }: Kept): boolean {
  return [baseMs, minTimestamp - baseMs, maxTimestamp - baseMs].every(Number.isSafeInteger)
}

/** The kept records' bytes as they are, neighbours in one copy. */
function copyKept(records: Buffer, recordsStart: number, kept: Kept): Buffer {
  const plain = Buffer.allocUnsafeSlow(kept.bytes)
  let to = 0
  let runStart = -1
  let start = recordsStart
  for (let index = 0; index <= kept.flags.length; index += 1) {
    const isKept = kept.flags[index] === 1
    if (isKept && runStart === -1) runStart = start
    if (!isKept && runStart !== -1) {
      to += records.copy(plain, to, runStart, start)
      runStart = -1
    }
    start = kept.ends[index] ?? start
  }
  return plain
}

/** The kept records with their timestamps counted from `horizonMs`. */
async function recount(
  cursor: RecordCursor,
  horizonMs: number,
  work: { kept: Kept; pace: Pace },
): Promise<Buffer> {
  const { kept, pace } = work
  // A timestamp delta takes at most ten bytes, a length five.
  const plain = Buffer.allocUnsafeSlow(kept.bytes + kept.count * 15)
  let to = 0
  while (cursor.next()) {
    const index = cursor.recordIndex
    if (index % RECORDS_PER_QUESTION === 0 && pace.isDue()) await pace.pause()
    if (kept.flags[index] === 0) continue
    const { bytes, keyStart, keyEnd, valueStart, valueEnd, headersStart, headersEnd } = cursor
    const delta = cursor.timestamp - horizonMs
    const keyBytes = keyStart === -1 ? -1 : keyEnd - keyStart
    const valueBytes = valueStart === -1 ? -1 : valueEnd - valueStart
    const bodyBytes =
      1 +
      varlongBytes(delta) +
      rawVarintBytes(zigzag(cursor.offsetDelta)) +
      rawVarintBytes(zigzag(keyBytes)) +
      Math.max(keyBytes, 0) +
      rawVarintBytes(zigzag(valueBytes)) +
      Math.max(valueBytes, 0) +
      (headersEnd - headersStart)
    to = writeRawVarint(plain, to, zigzag(bodyBytes))
    plain[to] = 0
    to = writeVarlong(plain, to + 1, delta)
    to = writeRawVarint(plain, to, zigzag(cursor.offsetDelta))
    to = writeRawVarint(plain, to, zigzag(keyBytes))
    if (keyBytes > 0) to += bytes.copy(plain, to, keyStart, keyEnd)
    to = writeRawVarint(plain, to, zigzag(valueBytes))
    if (valueBytes > 0) to += bytes.copy(plain, to, valueStart, valueEnd)
    to += bytes.copy(plain, to, headersStart, headersEnd)
  }
  return plain.subarray(0, to)
}

/** The header alone: offsets, producer and latest timestamp stay known. */
function emptied(whole: Buffer): Buffer {
  const batch = Buffer.allocUnsafeSlow(RECORD_BATCH_HEADER_BYTES)
  whole.copy(batch, 0, 0, batch.length)
  const dropped = BATCH_ATTRIBUTE.compressionMask | BATCH_ATTRIBUTE.deleteHorizon
  patchCompacted(batch, 0, {
    batchBytes: batch.length,
    attributes: attributesAt(whole, 0) & ~dropped,
    baseTimestamp: null,
    maxTimestamp: null,
    recordCount: 0,
  })
  return batch
}
