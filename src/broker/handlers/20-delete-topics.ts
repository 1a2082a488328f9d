/**
 * DeleteTopics, versions 1–6, by name, and by id from 6 on. Answered once the deletion is durable; the files go
 * afterwards. Offsets committed for the topic are forgotten. The broker's own topic cannot be deleted.
 */

import { deleteTopicsApi } from '../../wire/20-delete-topics.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { Topic } from '../topics/topic.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const deleteTopicsRoute = route(deleteTopicsApi, { from: 1, to: 6 }, handle)

type Request = RequestOf<typeof deleteTopicsApi>
type Response = ResponseInputOf<typeof deleteTopicsApi>

const TOPIC_STRUCTS_SINCE_VERSION = 6

async function handle(request: Request, call: Call): Promise<Response> {
  const { topics } = call.broker
  if (call.header.apiVersion < TOPIC_STRUCTS_SINCE_VERSION) {
    const names = [...new Set(request.topicNames)]
    return { responses: await Promise.all(names.map((name) => remove(topics.byName(name), { name }, call))) }
  }
  const removals = request.topics.map(({ name, topicId }) => {
    if (name !== null) return remove(topics.byName(name), { name, topicId }, call)
    const topic = topics.byId(topicId)
    return topic === undefined
      ? { name: null, topicId, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_ID }
      : remove(topic, { name: topic.name, topicId }, call)
  })
  return { responses: await Promise.all(removals) }
}

async function remove(topic: Topic | undefined, asked: { name: string; topicId?: Buffer }, call: Call) {
  const { topics, offsets, diagnostics } = call.broker
  if (topic === undefined) return { ...asked, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION }
  if (topic.isInternal) return { ...asked, errorCode: KAFKA_ERROR.INVALID_TOPIC_EXCEPTION }
  try {
    await topics.delete(topic)
    await offsets.deleteTopic(topic.name)
    return { name: topic.name, topicId: topic.id, errorCode: KAFKA_ERROR.NONE }
  } catch (error) {
    diagnostics.error({ err: error, topic: topic.name }, 'a topic could not be deleted')
    return { ...asked, errorCode: KAFKA_ERROR.KAFKA_STORAGE_ERROR }
  }
}
