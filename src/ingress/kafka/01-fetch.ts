/**
 * Fetch 4–16: announced because librdkafka takes it as the sign of a broker that knows record batches (its
 * `rdkafka_feature.c`). Nothing can be read here: every partition is answered TOPIC_AUTHORIZATION_FAILED, which consumers report and
 * do not repeat. The answer is held a little, so that one that does repeat does not spin.
 */

import type { ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import { fetchApi } from '../../wire/01-fetch.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import type { IngressContext } from './handler-types.ts'

const HOLD_MS_MAX = 500
/** Not null: librdkafka takes a record set of length -1 for a malformed answer and asks again for ever. */
const NO_RECORDS = Buffer.alloc(0)

export async function handleFetch(request: ListenerRequest, context: IngressContext): Promise<ListenerReply> {
  const { header, frame, bodyStart } = request
  const value = fetchApi.decodeRequest(frame, bodyStart, header.apiVersion)
  context.refused('fetch-not-offered', { remoteAddress: request.connection.remoteAddress })
  await context.clock.sleep(Math.max(0, Math.min(HOLD_MS_MAX, value.maxWaitMs)))
  return encodeResponseFrame(fetchApi, header.apiVersion, header.correlationId, {
    // Sessions are not kept: a client that believes in one is told to begin again without.
    errorCode: value.sessionId === 0 ? KAFKA_ERROR.NONE : KAFKA_ERROR.FETCH_SESSION_ID_NOT_FOUND,
    responses: value.topics.map(({ topic, topicId, partitions }) => ({
      topic,
      topicId,
      partitions: partitions.map(({ partition }) => ({
        partitionIndex: partition,
        errorCode: KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED,
        highWatermark: -1,
        records: NO_RECORDS,
        abortedTransactions: null,
      })),
    })),
  })
}
