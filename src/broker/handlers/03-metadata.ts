/**
 * Metadata, versions 0–12: one broker that leads everything. Topics by name, and by id from 12 on.
 *
 * A topic that does not exist is created before the answer when both the broker and the request (from 4 on) allow it,
 * so that the client never has to ask twice. Departures: at most `CREATED_PER_REQUEST_MAX` topics are created by one
 * request, the rest is answered UNKNOWN_TOPIC_OR_PARTITION.
 */

import { metadataApi } from '../../wire/03-metadata.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { isZeroUuid } from '../../wire/fields.ts'
import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS } from '../authorized-operations.ts'
import { LEADER_EPOCH, NODE_ID } from '../broker-context.ts'
import type { Topic } from '../topics/topic.ts'
import { isInternalTopic, topicNameProblem } from '../topics/topic-name.ts'
import { createTopic } from './create-topic.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const metadataRoute = route(metadataApi, { from: 0, to: 12 }, handle)

type Request = RequestOf<typeof metadataApi>
type Response = ResponseInputOf<typeof metadataApi>
type TopicRequest = NonNullable<Request['topics']>[number]

/** Creating is by far the dearest thing that one small request can ask for. */
const CREATED_PER_REQUEST_MAX = 100

async function handle(request: Request, call: Call): Promise<Response> {
  const { broker, connection } = call
  const { host, port } = broker.endpointFor(connection)
  const topics = asksForAll(request, call)
    ? allTopics(call)
    : await askedTopics(request.topics ?? [], request, call)
  return {
    brokers: [{ nodeId: NODE_ID, host, port, rack: null }],
    clusterId: broker.topics.clusterId,
    controllerId: NODE_ID,
    topics: request.includeTopicAuthorizedOperations ? topics.map(withOperations) : topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? CLUSTER_OPERATIONS
      : OPERATIONS_NOT_ASKED,
  }
}

function withOperations<T extends { readonly errorCode: number }>(topic: T) {
  return topic.errorCode === KAFKA_ERROR.NONE
    ? { ...topic, topicAuthorizedOperations: TOPIC_OPERATIONS }
    : topic
}

/** In version 0 an empty list means all topics; later null does, and an empty list means none. */
function asksForAll(request: Request, call: Call): boolean {
  if (request.topics === null) return true
  return call.header.apiVersion === 0 && request.topics.length === 0
}

function allTopics(call: Call) {
  return Array.from(call.broker.topics.topics, describe)
}

async function askedTopics(asked: readonly TopicRequest[], request: Request, call: Call) {
  const { broker } = call
  const mayCreate = broker.options.autoCreateTopics && request.allowAutoTopicCreation
  let createdCount = 0
  const seen = new Set<string>()
  const topics = []
  for (const { name, topicId } of asked) {
    if (name === null || !isZeroUuid(topicId)) {
      const topic = broker.topics.byId(topicId)
      topics.push(topic === undefined ? unknownId(topicId) : describe(topic))
      continue
    }
    if (seen.has(name)) continue
    seen.add(name)
    const topic = broker.topics.byName(name)
    if (topic !== undefined) {
      topics.push(describe(topic))
    } else if (topicNameProblem(name) !== null) {
      topics.push(failed(name, KAFKA_ERROR.INVALID_TOPIC_EXCEPTION))
    } else if (!mayCreate || isInternalTopic(name) || createdCount >= CREATED_PER_REQUEST_MAX) {
      topics.push(failed(name, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION))
    } else {
      createdCount += 1
      topics.push(create(name, call))
    }
  }
  return Promise.all(topics)
}

async function create(name: string, call: Call) {
  const { topics, options, diagnostics } = call.broker
  const partitionCount = options.defaultPartitionCount
  try {
    return await topics.alone(name, async () => {
      const existing = topics.byName(name)
      if (existing !== undefined) return describe(existing)
      if (topics.isFullFor(partitionCount)) return failed(name, KAFKA_ERROR.POLICY_VIOLATION)
      return describe(await createTopic({ name, partitionCount, overrides: {} }, call.broker))
    })
  } catch (error) {
    diagnostics.error({ err: error, topic: name }, 'a topic could not be created')
    return failed(name, KAFKA_ERROR.LEADER_NOT_AVAILABLE)
  }
}

function describe(topic: Topic) {
  return {
    errorCode: KAFKA_ERROR.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.isInternal,
    partitions: topic.partitions.map((partition) => ({
      errorCode: KAFKA_ERROR.NONE,
      partitionIndex: partition.index,
      leaderId: NODE_ID,
      leaderEpoch: LEADER_EPOCH,
      replicaNodes: [NODE_ID],
      isrNodes: [NODE_ID],
    })),
  }
}

function failed(name: string, errorCode: number) {
  return { errorCode, name, partitions: [] }
}

function unknownId(topicId: Buffer) {
  return { errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_ID, name: null, topicId, partitions: [] }
}
