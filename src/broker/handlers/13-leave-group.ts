/** LeaveGroup, versions 0–5; several members at once, by id or instance id, from 3 on. */

import { leaveGroupApi } from '../../wire/13-leave-group.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const leaveGroupRoute = route(leaveGroupApi, { from: 0, to: 5 }, handle)

const MEMBERS_SINCE_VERSION = 3

function handle(request: RequestOf<typeof leaveGroupApi>, call: Call): ResponseInputOf<typeof leaveGroupApi> {
  const { groups } = call.broker
  const { groupId } = request
  if (call.header.apiVersion < MEMBERS_SINCE_VERSION) {
    return { errorCode: groups.leave(groupId, { memberId: request.memberId, groupInstanceId: null }) }
  }
  const members = request.members.map(({ memberId, groupInstanceId }) => ({
    memberId,
    groupInstanceId,
    errorCode: groups.leave(groupId, { memberId, groupInstanceId }),
  }))
  return { errorCode: groupId === '' ? KAFKA_ERROR.INVALID_GROUP_ID : KAFKA_ERROR.NONE, members }
}
