/**
 * Produce 3–11 (0–2 are announced for librdkafka's compression, and refused): a producer's batches into the vault.
 *
 * A batch's header is checked (length, magic, CRC, counts, client rules); the records are not looked at, the upstream
 * does that. The batch goes on byte for byte, one upstream append per partition, in the order of the requests. The
 * answer is held until the vault has acknowledged, or until most of the producer's own timeout is used up.
 *
 * Departures from Kafka: transactions are not offered (53, and 87 for a transactional batch); a topic's missing vault
 * topic is created by Metadata, never by Produce; acks=0 is appended like acks=1, so that its failures are known and
 * close the connection; -1, 8 and 89 are never answered.
 */

import { BatchError } from '../../batch/batch-error.ts'
import {
  attributesAt,
  BATCH_ATTRIBUTE,
  COMPRESSION,
  checkClientBatch,
  compressionAt,
  crcAt,
} from '../../batch/record-batch.ts'
import type { Offset } from '../../core/brands.ts'
import { NO_OFFSET } from '../../core/brands.ts'
import { BATCH_BYTES_MAX } from '../../core/limits.ts'
import type { Acks } from '../../kafka/produce-batch.ts'
import type { ListenerConnection, ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import type { VaultStream } from '../../vault/vault-writer.ts'
import { within } from '../../vault/within.ts'
import { produceApi } from '../../wire/00-produce.ts'
import type { RequestOf } from '../../wire/api.ts'
import { KAFKA_ERROR, kafkaErrorName } from '../../wire/error-codes.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import { ConnectionState } from './connection-state.ts'
import type { IngressContext } from './handler-types.ts'
import { codeOfAppendFailure, codeOfBatchError, holdMsOf } from './produce-errors.ts'
import { codeOfTopicName, printable } from './stream-names.ts'

type ProduceRequest = RequestOf<typeof produceApi>
type TopicData = ProduceRequest['topicData'][number]

/** First version in which a batch may be compressed with zstd (KIP-110). */
const ZSTD_SINCE_VERSION = 7
/** What clients that honour it wait before they try again after a refusal for lack of room. */
const THROTTLE_MS = 500

interface PartitionResult {
  readonly index: number
  errorCode: number
  baseOffset: Offset
  logAppendTimeMs: number
  logStartOffset: Offset
  errorMessage: string | null
}

interface TopicResult {
  readonly name: string
  readonly partitionResponses: PartitionResult[]
}

/** One produce request between its arrival and its answer. */
interface Produce {
  readonly request: ListenerRequest
  readonly value: ProduceRequest
  readonly context: IngressContext
  readonly arrivedMs: number
  readonly holdMs: number
  /** Why a stream that is not known could not be looked up. */
  readonly lookUpFailures: Map<string, unknown>
}

export function handleProduce(
  request: ListenerRequest,
  context: IngressContext,
): ListenerReply | Promise<ListenerReply> {
  const value = produceApi.decodeRequest(request.frame, request.bodyStart, request.header.apiVersion)
  const state = ConnectionState.of(request.connection)
  const produce: Produce = {
    request,
    value,
    context,
    arrivedMs: context.clock.monotonicMs(),
    holdMs: holdMsOf(value.timeoutMs),
    lookUpFailures: new Map(),
  }
  const unknown = unknownStreams(produce)
  if (unknown.length === 0 && state.lookUp === null) return append(produce)
  // A later request of this connection must not overtake one that waits: 1. A's stream is looked up. 2. B, for the
  // same partition, finds it known and is appended. 3. A is appended behind B. So B waits for A's look-up too.
  const lookedUp = (state.lookUp ?? Promise.resolve()).then(() => lookUp(produce, unknown))
  state.lookUp = lookedUp
  return lookedUp.then(() => {
    if (state.lookUp === lookedUp) state.lookUp = null
    return append(produce)
  })
}

function unknownStreams({ value, context }: Produce): string[] {
  const names: string[] = []
  for (const { name } of value.topicData) {
    if (codeOfTopicName(name, context.templates) !== KAFKA_ERROR.NONE) continue
    if (context.vault.known(name) === null) names.push(name)
  }
  return names
}

/** Never rejects. A stream that does not exist stays unknown, and its partitions are answered so. */
async function lookUp(
  { context, holdMs, lookUpFailures }: Produce,
  streams: readonly string[],
): Promise<void> {
  await Promise.all(
    streams.map(async (stream) => {
      try {
        await within(context.clock, holdMs, 'looking up a stream', context.vault.find(stream))
      } catch (error) {
        lookUpFailures.set(stream, error)
      }
    }),
  )
}

/** Starts every append before it returns, so that the order of calls is the order in the vault. */
function append(produce: Produce): Promise<ListenerReply> {
  const underWay: Promise<void>[] = []
  const responses = produce.value.topicData.map((topic) => appendTopic(produce, topic, underWay))
  return Promise.all(underWay).then(() => answer(produce, responses))
}

function appendTopic(produce: Produce, topic: TopicData, underWay: Promise<void>[]): TopicResult {
  const { context } = produce
  const nameCode = codeOfRequest(produce.value) || codeOfTopicName(topic.name, context.templates)
  const stream = nameCode === KAFKA_ERROR.NONE ? context.vault.known(topic.name) : null
  const partitionResponses = topic.partitionData.map(({ index, records }) => {
    const result: PartitionResult = {
      index,
      errorCode: KAFKA_ERROR.NONE,
      baseOffset: NO_OFFSET,
      logAppendTimeMs: -1,
      logStartOffset: NO_OFFSET,
      errorMessage: null,
    }
    if (nameCode !== KAFKA_ERROR.NONE) refuse(produce, topic.name, result, nameCode)
    else if (stream === null) refuse(produce, topic.name, result, codeOfUnknownStream(produce, topic.name))
    else if (index < 0 || index >= stream.partitionCount) {
      refuse(produce, topic.name, result, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
    } else if (isAcceptable(produce, topic.name, result, records)) {
      underWay.push(appendPartition(produce, stream, result, records as Buffer))
    }
    return result
  })
  return { name: topic.name, partitionResponses }
}

/** What is wrong with the request as a whole. */
function codeOfRequest({ acks, transactionalId }: ProduceRequest): number {
  if (acks !== -1 && acks !== 0 && acks !== 1) return KAFKA_ERROR.INVALID_REQUIRED_ACKS
  if (transactionalId !== null) return KAFKA_ERROR.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
  return KAFKA_ERROR.NONE
}

function codeOfUnknownStream({ lookUpFailures }: Produce, name: string): number {
  const failure = lookUpFailures.get(name)
  return failure === undefined ? KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION : codeOfAppendFailure(failure)
}

/** Checks one partition's bytes; refuses them in `result` when they are not one good batch. */
function isAcceptable(
  produce: Produce,
  name: string,
  result: PartitionResult,
  records: Buffer | null,
): boolean {
  const reject = (errorCode: number, errorMessage: string) => {
    refuse(produce, name, result, errorCode, errorMessage)
    return false
  }
  if (records === null || records.length === 0) {
    return reject(KAFKA_ERROR.INVALID_RECORD, 'expected one record batch, found none')
  }
  if (records.length > BATCH_BYTES_MAX) {
    return reject(
      KAFKA_ERROR.MESSAGE_TOO_LARGE,
      `a batch may hold ${BATCH_BYTES_MAX} bytes, found ${records.length}; lower max.request.size or batch.size`,
    )
  }
  try {
    checkClientBatch(records, 0, records.length)
  } catch (error) {
    if (!(error instanceof BatchError)) throw error
    const code = codeOfBatchError(error)
    if (code !== KAFKA_ERROR.CORRUPT_MESSAGE) return reject(code, error.message)
    const hopeless = ConnectionState.of(produce.request.connection).isHopelesslyCorrupt(
      crcAt(records, 0),
      records.length,
    )
    return reject(hopeless ? KAFKA_ERROR.INVALID_RECORD : code, error.message)
  }
  if ((attributesAt(records, 0) & BATCH_ATTRIBUTE.transactional) !== 0) {
    return reject(KAFKA_ERROR.INVALID_RECORD, 'transactions are not offered here')
  }
  if (
    compressionAt(records, 0) === COMPRESSION.zstd &&
    produce.request.header.apiVersion < ZSTD_SINCE_VERSION
  ) {
    return reject(KAFKA_ERROR.UNSUPPORTED_COMPRESSION_TYPE, 'zstd needs Produce 7 or later')
  }
  return true
}

async function appendPartition(
  { context, value, holdMs, arrivedMs, request }: Produce,
  stream: VaultStream,
  result: PartitionResult,
  records: Buffer,
): Promise<void> {
  try {
    const appended = await context.vault.append(stream, result.index, records, {
      acks: upstreamAcks(value.acks),
      deadlineMs: Math.max(1, holdMs - (context.clock.monotonicMs() - arrivedMs)),
    })
    result.baseOffset = appended.baseOffset
    result.logAppendTimeMs = appended.logAppendTimeMs
    result.logStartOffset = appended.logStartOffset
    context.metrics.recordsStored(appended.recordCount, appended.batchBytes)
  } catch (error) {
    result.errorCode = codeOfAppendFailure(error)
    result.errorMessage = null
    countRefusal(context, request.connection, stream.stream, result, (error as Error).message)
  }
}

/** With acks=0 upstream a failure would cost the shared upstream connection, and every producer's requests on it. */
function upstreamAcks(acks: number): Acks {
  return acks === -1 ? -1 : 1
}

function refuse(
  { context, request }: Produce,
  name: string,
  result: PartitionResult,
  errorCode: number,
  errorMessage: string | null = null,
): void {
  result.errorCode = errorCode
  result.errorMessage = errorMessage
  countRefusal(context, request.connection, name, result, errorMessage)
}

function countRefusal(
  context: IngressContext,
  connection: ListenerConnection,
  name: string,
  { index, errorCode }: PartitionResult,
  found: string | null,
): void {
  context.refused(kafkaErrorName(errorCode).toLowerCase(), {
    topic: printable(name),
    partition: index,
    remoteAddress: connection.remoteAddress,
    clientId: printable(connection.clientId ?? ''),
    found,
  })
}

function answer(
  { request, value, context, arrivedMs }: Produce,
  responses: readonly TopicResult[],
): ListenerReply {
  const results = responses.flatMap(({ partitionResponses }) => partitionResponses)
  const failed = results.find(({ errorCode }) => errorCode !== KAFKA_ERROR.NONE)
  context.metrics.requestAnswered('produce', failed === undefined ? 'ok' : 'error')
  context.metrics.ackLatency((context.clock.monotonicMs() - arrivedMs) / 1000)
  const { header, connection } = request
  if (value.acks === 0) {
    // Nobody reads an answer; a closed connection is how Kafka makes such a producer look again.
    if (failed !== undefined) connection.close('produce-unacked-failed', { errorCode: failed.errorCode })
    return null
  }
  const noRoom = results.some(({ errorCode }) => errorCode === KAFKA_ERROR.NOT_ENOUGH_REPLICAS)
  return encodeResponseFrame(produceApi, header.apiVersion, header.correlationId, {
    responses,
    throttleTimeMs: noRoom ? THROTTLE_MS : 0,
  })
}
