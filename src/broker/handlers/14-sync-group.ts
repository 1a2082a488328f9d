/** SyncGroup, versions 0–5. Members wait for the leader's assignment, which is durable before anyone hears of it. */

import { syncGroupApi } from '../../wire/14-sync-group.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const syncGroupRoute = route(syncGroupApi, { from: 0, to: 5 }, handle)

function handle(
  request: RequestOf<typeof syncGroupApi>,
  call: Call,
): Promise<ResponseInputOf<typeof syncGroupApi>> {
  return call.broker.groups.sync(request.groupId, {
    ...request,
    // Kept as long as the generation, so copied out of the request's buffer.
    assignments: request.assignments.map(({ memberId, assignment }) => ({
      memberId,
      assignment: Buffer.from(assignment),
    })),
  })
}
