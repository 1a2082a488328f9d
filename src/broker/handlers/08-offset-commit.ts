/**
 * OffsetCommit, versions 0–9 (old Sarama sends 1, so the range starts at 0). Answered once the offsets are durable.
 * The metadata text comes back as it was sent. The retention of versions 2–4 is ignored, as in current Kafka.
 * Departure: a commit for a topic that does not exist is answered UNKNOWN_TOPIC_OR_PARTITION for that partition only.
 */

import { offsetCommitApi } from '../../wire/08-offset-commit.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'
import { selectOffsets } from './select-offsets.ts'

export const offsetCommitRoute = route(offsetCommitApi, { from: 0, to: 9 }, handle)

type Request = RequestOf<typeof offsetCommitApi>
type Response = ResponseInputOf<typeof offsetCommitApi>

async function handle(request: Request, call: Call): Promise<Response> {
  const { accepted, topics } = selectOffsets(request.topics, call)
  const sender = {
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    generationId: request.generationIdOrMemberEpoch,
  }
  const errorCode = await call.broker.groups.commit(request.groupId, sender, accepted)
  if (errorCode !== KAFKA_ERROR.NONE) {
    for (const topic of topics) for (const partition of topic.partitions) partition.errorCode = errorCode
  }
  return { topics }
}
