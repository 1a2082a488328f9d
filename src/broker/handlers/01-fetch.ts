/**
 * Fetch, versions 4–16; topic ids from 13.
 *
 * Promises: whole batches only, the first one contains the asked offset and comes whatever its size; nothing beyond the
 * durable end is shown, and under read_committed nothing beyond the last stable offset, with the aborted transactions among
 * it listed; with too little to send it waits for `minBytes` up to `maxWaitMs`, without polling; one answer
 * is bounded by `fetchBytesMax` whatever the client asks for.
 *
 * Departures: no fetch sessions (KIP-227): every answer says session id 0, and a request that names one is answered
 * FETCH_SESSION_ID_NOT_FOUND, after which clients send full requests. Not supported: followers.
 */

import { batchBytesAt, lastOffsetAt } from '../../batch/record-batch.ts'
import { asOffset } from '../../core/brands.ts'
import { isFailure } from '../../core/errors.ts'
import { fetchApi } from '../../wire/01-fetch.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { LEADER_EPOCH } from '../broker-context.ts'
import { connectionStateOf } from '../connection-state.ts'
import { growthOf, waitForBytes } from '../fetch-wait.ts'
import type { Partition } from '../topics/partition.ts'
import type { AbortedTransaction } from '../topics/partition-transactions.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const fetchRoute = route(fetchApi, { from: 4, to: 16 }, handle)

type Request = RequestOf<typeof fetchApi>
type Response = ResponseInputOf<typeof fetchApi>
type PartitionRequest = Request['topics'][number]['partitions'][number]

/** One partition of the request, found or refused. */
interface Target {
  readonly request: PartitionRequest
  readonly partition: Partition | null
  readonly errorCode: number
}

interface TopicTargets {
  readonly topic: string
  readonly topicId: Buffer
  readonly targets: readonly Target[]
}

interface PartitionResult {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset?: number
  readonly logStartOffset?: number
  readonly abortedTransactions?: readonly AbortedTransaction[] | null
  readonly records?: Buffer | null
}

interface Collected {
  readonly responses: Response['responses']
  readonly bytes: number
  readonly hasError: boolean
}

const TOPIC_IDS_SINCE_VERSION = 13
const READ_COMMITTED = 1
const NO_RECORDS = Buffer.alloc(0)

/**
 * Fetches of one connection run one after the other, as all its requests do in Kafka: many at once would each hold an
 * answer in memory that cannot be sent before the first.
 */
function handle(request: Request, call: Call): Promise<Response | null> {
  const state = connectionStateOf(call.connection)
  const answer = state.latestFetch.then(() => answerFetch(request, call))
  state.latestFetch = answer.catch(() => {})
  return answer
}

async function answerFetch(request: Request, call: Call): Promise<Response | null> {
  if (call.connection.closed) return null
  if (request.sessionId !== 0) return { errorCode: KAFKA_ERROR.FETCH_SESSION_ID_NOT_FOUND }
  const { options, clock } = call.broker
  const topics = request.topics.map((topic) => findTargets(topic, call))
  const deadlineMs = clock.monotonicMs() + Math.min(Math.max(0, request.maxWaitMs), options.fetchWaitMsMax)
  const bytesMin = Math.min(
    Math.max(0, request.minBytes),
    options.fetchBytesMax,
    Math.max(0, request.maxBytes),
  )
  for (;;) {
    const partitions = partitionsOf(topics)
    const isCommittedOnly = request.isolationLevel === READ_COMMITTED
    const grownFrom = partitions.map((partition) => growthOf(partition, isCommittedOnly))
    const collected = await collect(request, topics, call)
    const leftMs = deadlineMs - clock.monotonicMs()
    // Nothing can come for a request without partitions: Java's consumers send one before they close.
    const isEnough =
      partitions.length === 0 || collected.bytes >= bytesMin || collected.hasError || leftMs <= 0
    if (isEnough || call.broker.stopping.isStopped || call.connection.closed) {
      call.broker.metrics.fetchedBytes.inc(collected.bytes)
      return { errorCode: KAFKA_ERROR.NONE, sessionId: 0, responses: collected.responses }
    }
    await waitForBytes(partitions, grownFrom, bytesMin - collected.bytes, {
      clock,
      waitMs: leftMs,
      isCommittedOnly,
      connection: call.connection,
      stopping: call.broker.stopping,
    })
  }
}

function findTargets(topicRequest: Request['topics'][number], call: Call): TopicTargets {
  const { topics } = call.broker
  const usesIds = call.header.apiVersion >= TOPIC_IDS_SINCE_VERSION
  const topic = usesIds ? topics.byId(topicRequest.topicId) : topics.byName(topicRequest.topic)
  const unknown = usesIds ? KAFKA_ERROR.UNKNOWN_TOPIC_ID : KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION
  const targets = topicRequest.partitions.map((request): Target => {
    if (topic === undefined) return { request, partition: null, errorCode: unknown }
    const partition = topic.partitions[request.partition]
    if (partition === undefined) {
      return { request, partition: null, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION }
    }
    // Leadership never moves, so a later epoch than ours is one that does not exist yet.
    if (request.currentLeaderEpoch > LEADER_EPOCH) {
      return { request, partition: null, errorCode: KAFKA_ERROR.UNKNOWN_LEADER_EPOCH }
    }
    return { request, partition, errorCode: KAFKA_ERROR.NONE }
  })
  return { topic: topicRequest.topic, topicId: topicRequest.topicId, targets }
}

function partitionsOf(topics: readonly TopicTargets[]): Partition[] {
  const partitions: Partition[] = []
  for (const { targets } of topics) {
    for (const { partition } of targets) if (partition !== null) partitions.push(partition)
  }
  return partitions
}

async function collect(request: Request, topics: readonly TopicTargets[], call: Call): Promise<Collected> {
  let bytesLeft = Math.min(Math.max(0, request.maxBytes), call.broker.options.fetchBytesMax)
  let bytes = 0
  let hasError = false
  const responses = []
  for (const { topic, topicId, targets } of topics) {
    const partitions: PartitionResult[] = []
    for (const target of targets) {
      const result = await readPartition(target, {
        bytesMax: Math.min(bytesLeft, Math.max(0, target.request.partitionMaxBytes)),
        // The very first data of an answer comes even when it is larger than every limit (KIP-74).
        atLeastOneBatch: bytes === 0,
        isCommittedOnly: request.isolationLevel === READ_COMMITTED,
      })
      const read = result.records?.length ?? 0
      bytes += read
      bytesLeft = Math.max(0, bytesLeft - read)
      if (result.errorCode !== KAFKA_ERROR.NONE) hasError = true
      partitions.push(result)
    }
    responses.push({ topic, topicId, partitions })
  }
  return { responses, bytes, hasError }
}

interface ReadLimits {
  readonly bytesMax: number
  readonly atLeastOneBatch: boolean
  readonly isCommittedOnly: boolean
}

async function readPartition(target: Target, limits: ReadLimits): Promise<PartitionResult> {
  const { request, partition } = target
  if (partition === null) return failed(request.partition, target.errorCode)
  if (partition.isGone) return failed(request.partition, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
  const { log } = partition
  const isInside = request.fetchOffset >= log.logStartOffset && request.fetchOffset <= partition.highWatermark
  if (!isInside) {
    return {
      ...failed(request.partition, KAFKA_ERROR.OFFSET_OUT_OF_RANGE),
      logStartOffset: log.logStartOffset,
    }
  }
  // Taken before the read: what becomes stable meanwhile is for the next fetch.
  const endOffset = limits.isCommittedOnly ? partition.lastStableOffset : partition.highWatermark
  let records: Buffer = NO_RECORDS
  if (request.fetchOffset < endOffset && (limits.bytesMax > 0 || limits.atLeastOneBatch)) {
    try {
      const { bytesMax, atLeastOneBatch } = limits
      records = await log.read(asOffset(request.fetchOffset), {
        bytesMax,
        atLeastOneBatch,
        endOffset: asOffset(endOffset),
      })
    } catch (error) {
      return failed(request.partition, codeOfReadFailure(error, partition))
    }
  }
  return {
    partitionIndex: request.partition,
    errorCode: KAFKA_ERROR.NONE,
    highWatermark: partition.highWatermark,
    lastStableOffset: partition.lastStableOffset,
    logStartOffset: log.logStartOffset,
    abortedTransactions: limits.isCommittedOnly ? abortedIn(partition, request.fetchOffset, records) : null,
    records,
  }
}

/** The aborted transactions with records among those read, for the reader to leave them out. */
function abortedIn(partition: Partition, fetchOffset: number, records: Buffer): AbortedTransaction[] {
  if (records.length === 0) return []
  const found = partition.abortedTransactionsIn(fetchOffset, Number.POSITIVE_INFINITY)
  if (found.length === 0) return found
  let at = 0
  for (let next = at; next < records.length; next += batchBytesAt(records, next)) at = next
  const lastOffset = lastOffsetAt(records, at)
  return found.filter(({ firstOffset }) => firstOffset <= lastOffset)
}

/** A read can lose a race with retention or with the topic's deletion; anything else is the disk. */
function codeOfReadFailure(error: unknown, partition: Partition): number {
  if (partition.isGone) return KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION
  if (isFailure(error, 'GS_STORAGE_OFFSET_OUT_OF_RANGE')) return KAFKA_ERROR.OFFSET_OUT_OF_RANGE
  if (isFailure(error)) return KAFKA_ERROR.KAFKA_STORAGE_ERROR
  throw error
}

function failed(partitionIndex: number, errorCode: number): PartitionResult {
  return { partitionIndex, errorCode, highWatermark: -1, records: NO_RECORDS, abortedTransactions: null }
}
