/**
 * Control batches: the markers that end a transaction in a partition. One record, whose key says which marker
 * (int16 version, int16 type) and whose value names the coordinator (int16 version, int32 epoch). Source: Kafka's
 * `ControlRecordType` and `EndTransactionMarker`.
 */

import { BatchEncoder } from './batch-encoder.ts'
import { invalidBatch } from './batch-error.ts'
import { attributesAt, BATCH_ATTRIBUTE, patchAttributes } from './record-batch.ts'

export type ControlType = 'commit' | 'abort'

export interface ControlBatch {
  readonly type: ControlType
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly timestampMs: number
}

/** A decoded control record. `unknown` is a type from a newer Kafka: consumers skip it. */
export interface ControlRecord {
  readonly type: ControlType | 'unknown'
  /** -1 when the type is unknown, or its value was not given. */
  readonly coordinatorEpoch: number
}

const CONTROL_TYPE = { abort: 0, commit: 1 } as const
const CONTROL_KEY_BYTES = 4
const MARKER_VALUE_BYTES = 6

/** Encodes a marker as a batch of its own, base offset 0, in a buffer of its own. */
export function encodeControlBatch(marker: ControlBatch): Buffer {
  const key = Buffer.alloc(CONTROL_KEY_BYTES)
  key.writeInt16BE(CONTROL_TYPE[marker.type], 2)
  const value = Buffer.alloc(MARKER_VALUE_BYTES)
  value.writeInt32BE(marker.coordinatorEpoch, 2)
  const encoder = new BatchEncoder({ bytesInitial: 128 })
  encoder.start({ producerId: marker.producerId, producerEpoch: marker.producerEpoch, isTransactional: true })
  encoder.append(marker.timestampMs, key, value)
  const batch = encoder.finish()
  patchAttributes(batch, 0, attributesAt(batch, 0) | BATCH_ATTRIBUTE.control)
  return batch
}

/**
 * Decodes the key and value of a control record. Throws `GS_BATCH_INVALID` when the key is missing or shorter than its
 * two fields, when its version is negative, or when a marker's value is shorter than its fields.
 */
export function decodeControlRecord(key: Buffer | null, value: Buffer | null): ControlRecord {
  if (key === null || key.length < CONTROL_KEY_BYTES || key.readInt16BE(0) < 0) {
    throw invalidBatch('A control record needs a key of a version from 0 and a type, two bytes each.', {
      keyBytes: key === null ? -1 : key.length,
    })
  }
  const typeNumber = key.readInt16BE(2)
  if (typeNumber !== CONTROL_TYPE.abort && typeNumber !== CONTROL_TYPE.commit) {
    return { type: 'unknown', coordinatorEpoch: -1 }
  }
  const type = typeNumber === CONTROL_TYPE.commit ? 'commit' : 'abort'
  if (value === null) return { type, coordinatorEpoch: -1 }
  if (value.length < MARKER_VALUE_BYTES) {
    throw invalidBatch(
      `A transaction marker's value has at least ${MARKER_VALUE_BYTES} bytes, found ${value.length}.`,
      {
        valueBytes: value.length,
      },
    )
  }
  return { type, coordinatorEpoch: value.readInt32BE(2) }
}
