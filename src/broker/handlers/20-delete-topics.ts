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
  if (call.header.apiVersion < TOPIC_STRUCTS_SINCE_VERSION) {
    const names = [...new Set(request.topicNames)]
    return { responses: await Promise.all(names.map((name) => removeByName({ name }, call))) }
  }
  const removals = request.topics.map(({ name, topicId }) =>
    name === null ? removeById(topicId, call) : removeByName({ name, topicId }, call),
  )
  return { responses: await Promise.all(removals) }
}

function removeByName(asked: { name: string; topicId?: Buffer }, call: Call) {
  const { topics } = call.broker
  return topics.alone(asked.name, () => remove(topics.byName(asked.name), asked, call))
}

async function removeById(topicId: Buffer, call: Call) {
  const { topics } = call.broker
  const unknown = { name: null, topicId, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_ID }
  const name = topics.byId(topicId)?.name
  if (name === undefined) return unknown
  return topics.alone(name, async () => {
    // By now it may be gone, and another topic may have its name.
    const topic = topics.byId(topicId)
    return topic === undefined ? unknown : remove(topic, { name, topicId }, call)
  })
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
