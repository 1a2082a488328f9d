/**
 * JoinGroup, versions 0–9: the classic protocol, complete (see `groups/group.ts`). Version 0 has no rebalance timeout and
 * uses the session timeout; from 4 on a new dynamic member is first given its id (KIP-394); from 9 on a static leader
 * learns that its assignment stands (KIP-814). Departure: a member may bring `groupMemberBytesMax` of subscription.
 */

import { joinGroupApi } from '../../wire/11-join-group.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const joinGroupRoute = route(joinGroupApi, { from: 0, to: 9 }, handle)

type Request = RequestOf<typeof joinGroupApi>
type Response = ResponseInputOf<typeof joinGroupApi>

const KNOWN_MEMBER_ID_SINCE_VERSION = 4
const PROTOCOL_NAME_NULLABLE_SINCE_VERSION = 7
const SKIP_ASSIGNMENT_SINCE_VERSION = 9
const CLIENT_ID_CHARS_MAX = 255

async function handle(request: Request, call: Call): Promise<Response> {
  const version = call.header.apiVersion
  const result = await call.broker.groups.join(request.groupId, {
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: (call.header.clientId ?? '').slice(0, CLIENT_ID_CHARS_MAX),
    clientHost: `/${call.connection.remoteAddress}`,
    rebalanceTimeoutMs:
      request.rebalanceTimeoutMs >= 0 ? request.rebalanceTimeoutMs : request.sessionTimeoutMs,
    sessionTimeoutMs: request.sessionTimeoutMs,
    protocolType: request.protocolType,
    // Kept as long as the member, so copied out of the request's buffer.
    protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) })),
    requireKnownMemberId: version >= KNOWN_MEMBER_ID_SINCE_VERSION,
    supportsSkippingAssignment: version >= SKIP_ASSIGNMENT_SINCE_VERSION,
  })
  const { protocolName } = result
  return {
    ...result,
    protocolName: version >= PROTOCOL_NAME_NULLABLE_SINCE_VERSION ? protocolName : (protocolName ?? ''),
  }
}
