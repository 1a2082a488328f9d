/** Heartbeat, versions 0–4. REBALANCE_IN_PROGRESS tells a member to join again. */

import { heartbeatApi } from '../../wire/12-heartbeat.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const heartbeatRoute = route(heartbeatApi, { from: 0, to: 4 }, handle)

function handle(request: RequestOf<typeof heartbeatApi>, call: Call): ResponseInputOf<typeof heartbeatApi> {
  return { errorCode: call.broker.groups.heartbeat(request.groupId, request) }
}
