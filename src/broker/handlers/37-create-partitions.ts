/** CreatePartitions, versions 0–3: a topic can grow, never shrink. Explicit assignments may only name this node. */

import { createPartitionsApi } from '../../wire/37-create-partitions.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { NODE_ID } from '../broker-context.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const createPartitionsRoute = route(createPartitionsApi, { from: 0, to: 3 }, handle)

type Request = RequestOf<typeof createPartitionsApi>
type TopicRequest = Request['topics'][number]

async function handle(request: Request, call: Call): Promise<ResponseInputOf<typeof createPartitionsApi>> {
  const results = []
  for (const topic of request.topics) {
    results.push(await call.broker.topics.alone(topic.name, () => grow(topic, request.validateOnly, call)))
  }
  return { results }
}

async function grow(request: TopicRequest, validateOnly: boolean, call: Call) {
  const { topics, options, diagnostics } = call.broker
  const { name, count, assignments } = request
  const answer = (errorCode: number, errorMessage: string | null) => ({ name, errorCode, errorMessage })
  const topic = topics.byName(name)
  if (topic === undefined) return answer(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such topic')
  if (topic.isInternal) return answer(KAFKA_ERROR.INVALID_TOPIC_EXCEPTION, 'this topic belongs to the broker')
  const added = count - topic.partitions.length
  if (added <= 0) {
    return answer(
      KAFKA_ERROR.INVALID_PARTITIONS,
      `the topic has ${topic.partitions.length} partitions already`,
    )
  }
  if (assignments !== null) {
    const isHere = assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === NODE_ID)
    if (assignments.length !== added || !isHere) {
      return answer(KAFKA_ERROR.INVALID_REPLICA_ASSIGNMENT, `this cluster has one node, ${NODE_ID}`)
    }
  }
  if (topics.isFullFor(added)) {
    return answer(
      KAFKA_ERROR.POLICY_VIOLATION,
      `this broker holds at most ${options.partitionsMax} partitions`,
    )
  }
  if (validateOnly) return answer(KAFKA_ERROR.NONE, null)
  try {
    await topics.addPartitions(topic, count)
    return answer(KAFKA_ERROR.NONE, null)
  } catch (error) {
    diagnostics.error({ err: error, topic: name }, 'partitions could not be added')
    return answer(KAFKA_ERROR.KAFKA_STORAGE_ERROR, 'the disk refused to add partitions')
  }
}
