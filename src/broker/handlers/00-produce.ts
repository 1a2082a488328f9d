/**
 * Produce. Advertised 0–11, served 3–11: librdkafka up to 2.10 silently drops compression when the lowest advertised
 * version is above 0 (KAFKA-18659), and no client that sends 0–2 exists any more; one that does is disconnected.
 *
 * Promises: acks 1 and all are the same here, answered once the batch is durable under the sync policy; acks 0 is never
 * answered, and an error then closes the connection, so that the client looks again. A batch is stored as sent, but for
 * its offsets (and timestamps under LogAppendTime). Full record validation, as Kafka does.
 *
 * A batch of a transaction is taken only while the coordinator has that partition in that transaction, of that very
 * producer (KIP-890's verification, without a network in between); from version 11 on clients are told TRANSACTION_ABORTABLE
 * where older ones are told INVALID_TXN_STATE.
 *
 * Departures: a batch that is damaged the same way three times running on one connection is answered INVALID_RECORD, which ends the
 * client's retries; the greatest timestamp of a batch is taken as the producer states it, where Kafka computes it anew.
 * When durability fails after the append the connection is closed: the outcome is unknown.
 */

import type { BatchHeader } from '../../batch/record-batch.ts'
import { readBatchHeader } from '../../batch/record-batch.ts'
import { isFailure } from '../../core/errors.ts'
import { produceApi } from '../../wire/00-produce.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR, kafkaErrorName } from '../../wire/error-codes.ts'
import { connectionStateOf } from '../connection-state.ts'
import { checkProducedBatch } from '../produced-batch.ts'
import type { Partition } from '../topics/partition.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const produceRoute = route(produceApi, { from: 0, to: 11, servedFrom: 3 }, handle)

type Request = RequestOf<typeof produceApi>
type Response = ResponseInputOf<typeof produceApi>
type PartitionRequest = Request['topicData'][number]['partitionData'][number]

interface PartitionResult {
  readonly index: number
  readonly errorCode: number
  readonly baseOffset: number
  readonly logAppendTimeMs?: number
  readonly logStartOffset?: number
  readonly recordErrors?: readonly { readonly batchIndex: number }[]
  readonly errorMessage?: string
}

const ABORTABLE_SINCE_VERSION = 11
/** Equal CRC failures on one connection after which the bytes were bad before they were sent. */
const EQUAL_DAMAGE_MAX = 3

function handle(request: Request, call: Call): Response | null | Promise<Response | null> {
  const isAcked = request.acks !== 0
  const durables: Promise<void>[] = []
  const refusal = refusalOfAll(request)
  let hasError = false
  const responses = request.topicData.map((topic) => ({
    name: topic.name,
    partitionResponses: topic.partitionData.map((partition) => {
      const result =
        refusal === null
          ? appendTo(topic.name, partition, request.transactionalId, call, durables)
          : refused(partition.index, refusal.errorCode, refusal.message)
      if (result.errorCode !== KAFKA_ERROR.NONE) {
        hasError = true
        call.broker.metrics.refusedBatches.inc({ error: kafkaErrorName(result.errorCode) })
      }
      return result
    }),
  }))
  if (!isAcked && hasError) {
    call.connection.close('produce-unacked-failed')
    return null
  }
  if (durables.length === 0) return isAcked ? { responses } : null
  // Without acks there is nothing to answer, but the request counts as under way until its bytes are written.
  return allOf(durables).then(
    () => (isAcked ? { responses } : null),
    () => {
      call.connection.close('storage-failed')
      return null
    },
  )
}

/** Partitions of one log share a promise when their batches share a group commit; one is the common case. */
function allOf(durables: readonly Promise<void>[]): Promise<unknown> {
  return durables.length === 1 ? (durables[0] as Promise<void>) : Promise.all(durables)
}

function refusalOfAll(request: Request): { errorCode: number; message: string } | null {
  if (request.acks !== 0 && request.acks !== 1 && request.acks !== -1) {
    return {
      errorCode: KAFKA_ERROR.INVALID_REQUIRED_ACKS,
      message: `acks must be 0, 1 or -1 (all), found ${request.acks}`,
    }
  }
  return null
}

function appendTo(
  topicName: string,
  request: PartitionRequest,
  transactionalId: string | null,
  call: Call,
  durables: Promise<void>[],
): PartitionResult {
  const { broker } = call
  const topic = broker.topics.byName(topicName)
  const partition = topic?.partitions[request.index]
  if (topic === undefined || partition === undefined) {
    return refused(
      request.index,
      KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION,
      'there is no such topic or partition',
    )
  }
  if (topic.isInternal) {
    return refused(request.index, KAFKA_ERROR.INVALID_TOPIC_EXCEPTION, 'only the broker writes this topic')
  }
  const problem = checkProducedBatch(request.records, {
    version: call.header.apiVersion,
    config: topic.config,
    options: broker.options,
    mayBeTransactional: transactionalId !== null,
    nowMs: broker.clock.wallMs(),
  })
  if (problem !== null) {
    const errorCode =
      problem.errorCode === KAFKA_ERROR.CORRUPT_MESSAGE ? damageCode(call, request) : problem.errorCode
    const result = refused(request.index, errorCode, problem.message)
    if (problem.recordIndexes === undefined) return result
    return { ...result, recordErrors: problem.recordIndexes.map((batchIndex) => ({ batchIndex })) }
  }
  // checkProducedBatch refuses null.
  const batch = request.records as Buffer
  try {
    const header = readBatchHeader(batch, 0)
    if (header.isTransactional && transactionalId !== null) {
      const errorCode = transactionError(transactionalId, header, partition, call)
      if (errorCode !== KAFKA_ERROR.NONE) return refused(request.index, errorCode, NOT_IN_TRANSACTION)
    }
    const outcome = partition.append(batch, header)
    if (outcome.kind === 'refused') return refused(request.index, outcome.errorCode, outcome.message)
    if (!durables.includes(outcome.durable)) durables.push(outcome.durable)
    broker.metrics.producedBatches.inc()
    broker.metrics.producedBytes.inc(batch.length)
    broker.metrics.producedRecords.inc(header.recordCount)
    return {
      index: request.index,
      errorCode: KAFKA_ERROR.NONE,
      baseOffset: outcome.baseOffset,
      logAppendTimeMs: outcome.logAppendTimeMs,
      logStartOffset: partition.log.logStartOffset,
    }
  } catch (error) {
    if (!isFailure(error, 'GS_STORAGE_FAILED') && !isFailure(error, 'GS_STOPPED')) throw error
    return refused(request.index, KAFKA_ERROR.KAFKA_STORAGE_ERROR, 'the disk of this partition has failed')
  }
}

const NOT_IN_TRANSACTION = 'the partition is not part of an open transaction of this producer'

function transactionError(
  transactionalId: string,
  header: BatchHeader,
  partition: Partition,
  call: Call,
): number {
  const { producerId, producerEpoch } = header
  const sender = { transactionalId, producerId, producerEpoch }
  const errorCode = call.broker.transactions.checkWrite(sender, partition.topicName, partition.index)
  const isAbortable =
    errorCode === KAFKA_ERROR.INVALID_TXN_STATE && call.header.apiVersion >= ABORTABLE_SINCE_VERSION
  return isAbortable ? KAFKA_ERROR.TRANSACTION_ABORTABLE : errorCode
}

/** Damage on the way may heal when sent again; the very same damage again and again will not. */
function damageCode(call: Call, request: PartitionRequest): number {
  const state = connectionStateOf(call.connection)
  const crc = request.records !== null && request.records.length >= 21 ? request.records.readUInt32BE(17) : 0
  state.damageCount = state.damagedCrc === crc ? state.damageCount + 1 : 1
  state.damagedCrc = crc
  return state.damageCount >= EQUAL_DAMAGE_MAX ? KAFKA_ERROR.INVALID_RECORD : KAFKA_ERROR.CORRUPT_MESSAGE
}

function refused(index: number, errorCode: number, errorMessage: string): PartitionResult {
  return { index, errorCode, baseOffset: -1, errorMessage }
}
