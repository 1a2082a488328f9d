/**
 * Metadata 0–12: one broker that leads every partition, and the streams as topics.
 *
 * A topic has as many partitions as its vault topic, so that keys fall where they would upstream. A stream that does
 * not exist is created at once when the client allows it (always, before version 4) and the configuration does.
 * Departures from Kafka: topic ids are all zero (nothing here is addressed by id); leader epochs are always 0.
 */

import { isFailure } from '../../core/errors.ts'
import type { ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import { outcomeOf } from '../../vault/append-outcome.ts'
import { streamOf } from '../../vault/stream-topics.ts'
import type { VaultStream } from '../../vault/vault-writer.ts'
import { within } from '../../vault/within.ts'
import { metadataApi } from '../../wire/03-metadata.ts'
import type { ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import { WireError } from '../../wire/wire-error.ts'
import type { IngressContext } from './handler-types.ts'
import { VIRTUAL_NODE_ID } from './handler-types.ts'
import { codeOfTopicName, printable } from './stream-names.ts'

type TopicAnswer = NonNullable<NonNullable<ResponseInputOf<typeof metadataApi>['topics']>[number]>

/** No client asks for more at once; the list, and what is made of it, must have an end. */
const TOPICS_MAX = 10_000
/** Topics created for one request; the others are answered "not yet", and the client asks again. */
const CREATIONS_MAX = 64
const CREATIONS_AT_ONCE = 8
/** Less than clients wait for metadata. */
const LOOK_UP_MS_MAX = 10_000
/** "All topics" is asked of the upstream at most this often. */
const ALL_TOPICS_AGE_MS_MAX = 1_000
/** From this version on the client says whether topics may be created. */
const AUTO_CREATION_SINCE_VERSION = 4

export async function handleMetadata(
  request: ListenerRequest,
  context: IngressContext,
): Promise<ListenerReply> {
  const { header, frame, bodyStart } = request
  const value = metadataApi.decodeRequest(frame, bodyStart, header.apiVersion)
  // In version 0 an empty list asks for all topics; later versions say null.
  const asked = header.apiVersion === 0 && value.topics?.length === 0 ? null : value.topics
  if (asked !== null && asked.length > TOPICS_MAX) {
    throw new WireError('GS_WIRE_MALFORMED', `Metadata: at most ${TOPICS_MAX} topics at once`, {
      topicCount: asked.length,
    })
  }
  const mayCreate =
    context.autoCreateStreams &&
    (header.apiVersion < AUTO_CREATION_SINCE_VERSION || value.allowAutoTopicCreation)
  const topics =
    asked === null
      ? await allTopics(context)
      : await namedTopics(
          context,
          asked.map(({ name }) => name),
          mayCreate,
        )
  const { nodeId, host, port } = context.broker(request.connection)
  return encodeResponseFrame(metadataApi, header.apiVersion, header.correlationId, {
    brokers: [{ nodeId, host, port }],
    clusterId: context.clusterId,
    controllerId: nodeId,
    topics,
  })
}

async function allTopics(context: IngressContext): Promise<TopicAnswer[]> {
  const { cluster, clock, templates } = context
  const answers: TopicAnswer[] = []
  try {
    const snapshot = await within(
      clock,
      LOOK_UP_MS_MAX,
      'listing the streams',
      cluster.metadata(null, { ageMsMax: ALL_TOPICS_AGE_MS_MAX }),
    )
    for (const { name: topic, partitions } of snapshot.topics.values()) {
      const stream = streamOf(topic, templates)
      if (stream === null || partitions.length === 0) continue
      answers.push(answerFor({ stream, topic, partitionCount: partitions.length }))
    }
  } catch (error) {
    // With the upstream away there is still this one broker, and no topic to tell of.
    if (!isFailure(error)) throw error
  }
  return answers
}

async function namedTopics(
  context: IngressContext,
  names: readonly (string | null)[],
  mayCreate: boolean,
): Promise<TopicAnswer[]> {
  const answers = new Map<string, TopicAnswer>()
  const missing: string[] = []
  for (const name of new Set(names)) {
    if (name === null) continue
    const nameCode = codeOfTopicName(name, context.templates)
    const known = nameCode === KAFKA_ERROR.NONE ? context.vault.known(name) : null
    if (nameCode !== KAFKA_ERROR.NONE) answers.set(name, failed(name, nameCode))
    else if (known !== null) answers.set(name, answerFor(known))
    else missing.push(name)
  }
  for (let at = 0; at < missing.length; at += CREATIONS_AT_ONCE) {
    const some = missing.slice(at, at + CREATIONS_AT_ONCE)
    const found = await Promise.all(
      some.map((name) =>
        at < CREATIONS_MAX
          ? lookUp(context, name, mayCreate)
          : failed(name, KAFKA_ERROR.LEADER_NOT_AVAILABLE),
      ),
    )
    for (const [index, name] of some.entries()) answers.set(name, found[index] as TopicAnswer)
  }
  // A topic asked for by id alone: no id was ever given out.
  return names.map((name) =>
    name === null ? failed(null, KAFKA_ERROR.UNKNOWN_TOPIC_ID) : (answers.get(name) as TopicAnswer),
  )
}

async function lookUp(context: IngressContext, name: string, mayCreate: boolean): Promise<TopicAnswer> {
  const { vault, clock } = context
  try {
    const found = await within(
      clock,
      LOOK_UP_MS_MAX,
      'looking up a stream',
      mayCreate ? vault.open(name, { deadlineMs: LOOK_UP_MS_MAX }) : vault.find(name),
    )
    return found === null ? failed(name, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION) : answerFor(found)
  } catch (error) {
    if (!isFailure(error)) throw error
    // Only a refusal for good is the client's to know; anything else is "ask again", and never "there is no such topic".
    const outcome = outcomeOf(error)
    if (outcome.kind !== 'refused') return failed(name, KAFKA_ERROR.LEADER_NOT_AVAILABLE)
    context.refused(outcome.kafkaErrorName.toLowerCase(), { topic: printable(name), found: error.message })
    return failed(name, outcome.kafkaErrorCode)
  }
}

function answerFor({ stream, partitionCount }: VaultStream): TopicAnswer {
  return {
    errorCode: KAFKA_ERROR.NONE,
    name: stream,
    isInternal: false,
    partitions: Array.from({ length: partitionCount }, (_, partitionIndex) => ({
      errorCode: KAFKA_ERROR.NONE,
      partitionIndex,
      leaderId: VIRTUAL_NODE_ID,
      leaderEpoch: 0,
      replicaNodes: [VIRTUAL_NODE_ID],
      isrNodes: [VIRTUAL_NODE_ID],
      offlineReplicas: [],
    })),
  }
}

function failed(name: string | null, errorCode: number): TopicAnswer {
  return { errorCode, name, isInternal: false, partitions: [] }
}
