/**
 * CreateTopics, versions 2–7. Answered once the topic is durable. The replication factor may be 1 or left to the broker;
 * explicit assignments may only name this node. Settings that cannot be honoured are refused (INVALID_CONFIG).
 */

import { createTopicsApi } from '../../wire/19-create-topics.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { NODE_ID } from '../broker-context.ts'
import { CONFIG_KEYS, configProblem, configValue } from '../topics/topic-config.ts'
import { isInternalTopic, topicNameProblem } from '../topics/topic-name.ts'
import { describeConfig } from './config-entries.ts'
import { createTopic } from './create-topic.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const createTopicsRoute = route(createTopicsApi, { from: 2, to: 7 }, handle)

type Request = RequestOf<typeof createTopicsApi>
type Response = ResponseInputOf<typeof createTopicsApi>
type TopicRequest = Request['topics'][number]

interface Refusal {
  readonly errorCode: number
  readonly errorMessage: string
}

async function handle(request: Request, call: Call): Promise<Response> {
  const times = new Map<string, number>()
  for (const { name } of request.topics) times.set(name, (times.get(name) ?? 0) + 1)
  const topics = await Promise.all(
    [...times].map(async ([name, count]) => {
      const topic = request.topics.find((each) => each.name === name) as TopicRequest
      if (count > 1) return refused(name, KAFKA_ERROR.INVALID_REQUEST, 'the topic is named more than once')
      return call.broker.topics.alone(name, () => create(topic, request.validateOnly, call))
    }),
  )
  return { topics }
}

async function create(request: TopicRequest, validateOnly: boolean, call: Call) {
  const { options, diagnostics } = call.broker
  const { name } = request
  const partitionCount = partitionCountOf(request, options.defaultPartitionCount)
  const problem = problemOf(request, partitionCount, call)
  if (problem !== null) return { name, ...problem }
  const overrides = Object.fromEntries(request.configs.map((config) => [config.name, config.value ?? '']))
  const described = {
    name,
    errorCode: KAFKA_ERROR.NONE,
    errorMessage: null,
    numPartitions: partitionCount,
    replicationFactor: 1,
    configs: CONFIG_KEYS.map((key) => describeConfig(key, configValue(key, overrides, options))),
  }
  if (validateOnly) return described
  try {
    const topic = await createTopic({ name, partitionCount, overrides }, call.broker)
    return { ...described, topicId: topic.id }
  } catch (error) {
    diagnostics.error({ err: error, topic: name }, 'a topic could not be created')
    return refused(name, KAFKA_ERROR.KAFKA_STORAGE_ERROR, 'the disk refused to create the topic')
  }
}

function partitionCountOf(request: TopicRequest, byDefault: number): number {
  if (request.assignments.length > 0) return request.assignments.length
  return request.numPartitions === -1 ? byDefault : request.numPartitions
}

function problemOf(request: TopicRequest, partitionCount: number, call: Call): Refusal | null {
  const { topics, options } = call.broker
  const { name } = request
  const nameProblem = topicNameProblem(name)
  if (nameProblem !== null) return refusal(KAFKA_ERROR.INVALID_TOPIC_EXCEPTION, nameProblem)
  if (isInternalTopic(name))
    return refusal(KAFKA_ERROR.INVALID_TOPIC_EXCEPTION, 'only the broker makes this topic')
  if (topics.byName(name) !== undefined) {
    return refusal(KAFKA_ERROR.TOPIC_ALREADY_EXISTS, `topic "${name}" exists`)
  }
  if (request.assignments.length > 0 && (request.numPartitions !== -1 || request.replicationFactor !== -1)) {
    return refusal(
      KAFKA_ERROR.INVALID_REQUEST,
      'assignments exclude a partition count and a replication factor',
    )
  }
  const indexes = new Set(request.assignments.map((each) => each.partitionIndex))
  const isComplete = request.assignments.every((_, index) => indexes.has(index))
  const isHere = request.assignments.every(
    ({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === NODE_ID,
  )
  if (!isComplete || !isHere) {
    return refusal(KAFKA_ERROR.INVALID_REPLICA_ASSIGNMENT, `this cluster has one node, ${NODE_ID}`)
  }
  if (partitionCount < 1) return refusal(KAFKA_ERROR.INVALID_PARTITIONS, 'a topic has at least one partition')
  if (request.replicationFactor !== -1 && request.replicationFactor !== 1) {
    return refusal(
      KAFKA_ERROR.INVALID_REPLICATION_FACTOR,
      'this cluster has one node: the replication factor is 1',
    )
  }
  if (topics.isFullFor(partitionCount)) {
    return refusal(
      KAFKA_ERROR.POLICY_VIOLATION,
      `this broker holds at most ${options.partitionsMax} partitions`,
    )
  }
  for (const config of request.configs) {
    const configError = configProblem(config.name, config.value)
    if (configError !== null) return refusal(KAFKA_ERROR.INVALID_CONFIG, configError)
  }
  return null
}

function refusal(errorCode: number, errorMessage: string): Refusal {
  return { errorCode, errorMessage }
}

function refused(name: string, errorCode: number, errorMessage: string) {
  return { name, errorCode, errorMessage }
}
