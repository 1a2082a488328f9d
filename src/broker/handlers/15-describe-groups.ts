/** DescribeGroups, versions 0–5. A group that does not exist is described as Dead, as Kafka does in these versions. */

import { describeGroupsApi } from '../../wire/15-describe-groups.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { GROUP_OPERATIONS, OPERATIONS_NOT_ASKED } from '../authorized-operations.ts'
import { metadataFor } from '../groups/group-member.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const describeGroupsRoute = route(describeGroupsApi, { from: 0, to: 5 }, handle)

function handle(
  request: RequestOf<typeof describeGroupsApi>,
  call: Call,
): ResponseInputOf<typeof describeGroupsApi> {
  const authorizedOperations = request.includeAuthorizedOperations ? GROUP_OPERATIONS : OPERATIONS_NOT_ASKED
  return { groups: request.groups.map((groupId) => ({ ...describe(groupId, call), authorizedOperations })) }
}

function describe(groupId: string, call: Call) {
  const group = call.broker.groups.find(groupId)
  if (group === undefined) {
    return {
      errorCode: KAFKA_ERROR.NONE,
      groupId,
      groupState: 'Dead',
      protocolType: '',
      protocolData: '',
      members: [],
    }
  }
  const isStable = group.state === 'Stable'
  const protocolName = isStable ? group.protocolName : ''
  return {
    errorCode: KAFKA_ERROR.NONE,
    groupId,
    groupState: group.state,
    protocolType: group.protocolType,
    protocolData: protocolName,
    members: Array.from(group.members, (member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      // Outside a stable generation there is no protocol to describe members by.
      memberMetadata: isStable ? metadataFor(member, protocolName) : Buffer.alloc(0),
      memberAssignment: isStable ? member.assignment : Buffer.alloc(0),
    })),
  }
}
