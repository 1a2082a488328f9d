/**
 * Whether bytes from a producer may be appended: the one translation from batch failures to Kafka's produce errors, and
 * the checks that Kafka's `LogValidator` does before an append.
 */

import type { BatchError } from '../batch/batch-error.ts'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  baseTimestampAt,
  COMPRESSION,
  checkClientBatch,
  compressionAt,
  maxTimestampAt,
  RECORD_BATCH_HEADER_BYTES,
} from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import { validateRecords } from '../batch/validate-records.ts'
import { isFailure } from '../core/errors.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { BrokerOptions } from './broker-options.ts'
import type { EffectiveConfig } from './topics/topic-config.ts'

export interface ProducedBatchLimits {
  /** The version of the Produce request: zstd needs 7. */
  readonly version: number
  readonly config: EffectiveConfig
  readonly options: BrokerOptions
  /** The request names a transactional id. */
  readonly mayBeTransactional: boolean
  readonly nowMs: number
}

export interface BatchProblem {
  readonly errorCode: number
  readonly message: string
  /** The records to blame, by their place in the batch, when it is not the batch as a whole (KIP-467). */
  readonly recordIndexes?: readonly number[]
}

/** Kafka's code for each batch failure. */
const CODE_OF = {
  GS_BATCH_CORRUPT: KAFKA_ERROR.CORRUPT_MESSAGE,
  GS_BATCH_INVALID: KAFKA_ERROR.INVALID_RECORD,
  GS_BATCH_TOO_LARGE: KAFKA_ERROR.MESSAGE_TOO_LARGE,
  GS_BATCH_UNSUPPORTED_COMPRESSION: KAFKA_ERROR.UNSUPPORTED_COMPRESSION_TYPE,
} as const

/** "No timestamp" on the wire. */
const NO_TIMESTAMP = -1
/** The end of the year 9999: no clock says more, and time arithmetic stays exact below it. */
const TIMESTAMP_MS_MAX = 253_402_300_799_999
const ZSTD_SINCE_VERSION = 7
/** Records named in one refusal; a batch with more of them is wrong throughout. */
const BLAMED_RECORDS_MAX = 10_000

/** Null when the batch may be appended as it is. Never throws for any bytes; memory is bounded by the options. */
export function checkProducedBatch(records: Buffer | null, limits: ProducedBatchLimits): BatchProblem | null {
  const { config, options } = limits
  if (records === null || records.length === 0) {
    return { errorCode: KAFKA_ERROR.INVALID_RECORD, message: 'expected one record batch, found none' }
  }
  if (records.length > config.batchBytesMax) {
    return {
      errorCode: KAFKA_ERROR.MESSAGE_TOO_LARGE,
      message: `the batch has ${records.length} bytes, the topic's max.message.bytes is ${config.batchBytesMax}`,
    }
  }
  try {
    checkClientBatch(records, 0, records.length)
    if (records.length > RECORD_BATCH_HEADER_BYTES) {
      const problem = headerProblem(records, limits) ?? timestampProblem(records, limits)
      if (problem !== null) return problem
    }
    validateRecords(records, 0, {
      inflatedBytesMax: options.batchInflatedBytesMax,
      recordsMax: options.batchRecordsMax,
      keyRequired: config.isCompacted,
    })
    return null
  } catch (error) {
    if (!isBatchError(error)) throw error
    const problem = { errorCode: CODE_OF[error.code], message: error.message }
    if (error.code !== 'GS_BATCH_INVALID' || !config.isCompacted) return problem
    const recordIndexes = keylessRecords(records, limits)
    return recordIndexes.length === 0 ? problem : { ...problem, recordIndexes }
  }
}

/**
 * Which records of a refused batch lack a key: clients tell those apart from their neighbours, which may be sent again.
 * At most `BLAMED_RECORDS_MAX`; none when the batch cannot be read to its end, as then it is refused for that.
 */
function keylessRecords(records: Buffer, { options }: ProducedBatchLimits): number[] {
  const cursor = new RecordCursor()
  const keyless: number[] = []
  try {
    cursor.open(records, 0, {
      inflatedBytesMax: options.batchInflatedBytesMax,
      recordsMax: options.batchRecordsMax,
    })
    while (cursor.next()) {
      if (cursor.keyStart === -1 && keyless.length < BLAMED_RECORDS_MAX) keyless.push(cursor.recordIndex)
    }
    return keyless
  } catch (error) {
    if (!isBatchError(error)) throw error
    return []
  }
}

function headerProblem(
  records: Buffer,
  { version, mayBeTransactional }: ProducedBatchLimits,
): BatchProblem | null {
  if (compressionAt(records, 0) === COMPRESSION.zstd && version < ZSTD_SINCE_VERSION) {
    return {
      errorCode: KAFKA_ERROR.UNSUPPORTED_COMPRESSION_TYPE,
      message: `zstd needs Produce version ${ZSTD_SINCE_VERSION}, this is version ${version}`,
    }
  }
  if (!mayBeTransactional && (attributesAt(records, 0) & BATCH_ATTRIBUTE.transactional) !== 0) {
    return {
      errorCode: KAFKA_ERROR.INVALID_RECORD,
      message: 'a transactional batch came without a transactional id',
    }
  }
  return null
}

function timestampProblem(records: Buffer, { config, nowMs }: ProducedBatchLimits): BatchProblem | null {
  if (config.isLogAppendTime) return null
  const first = baseTimestampAt(records, 0)
  const latest = maxTimestampAt(records, 0)
  for (const timestamp of [first, latest]) {
    if (timestamp === NO_TIMESTAMP) continue
    const isPossible = timestamp >= 0 && timestamp <= TIMESTAMP_MS_MAX
    const isNear =
      nowMs - timestamp <= config.timestampBeforeMsMax && timestamp - nowMs <= config.timestampAfterMsMax
    if (isPossible && isNear) continue
    return {
      errorCode: KAFKA_ERROR.INVALID_TIMESTAMP,
      message: isPossible
        ? `timestamp ${timestamp} is further from the broker's clock than the topic allows`
        : `timestamp ${timestamp} is not a time: expected milliseconds since 1970, up to the year 9999`,
    }
  }
  return null
}

function isBatchError(error: unknown): error is BatchError {
  return isFailure(error) && error.code in CODE_OF
}
