/**
 * JoinGroup: enters a consumer group and waits for the round to complete.
 *
 * v1 a rebalance timeout of its own; v2 throttle time; v4 a member without an id is answered MEMBER_ID_REQUIRED and joins
 * again with the id it got (KIP-394); v5 static members (KIP-345); v6 flexible; v7 protocolType, and a nullable protocolName;
 * v8 reason (KIP-800); v9 skipAssignment. Only the leader's answer lists the members.
 */

import { defineApi } from './api.ts'
import { array, bool, bytes, int16, int32, string } from './fields.ts'

export const joinGroupApi = defineApi({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleFrom: 6,
  request: {
    groupId: string(),
    sessionTimeoutMs: int32(),
    rebalanceTimeoutMs: int32({ since: 1, default: -1 }),
    memberId: string(),
    groupInstanceId: string({ since: 5, nullable: true, default: null, essential: true }),
    protocolType: string(),
    protocols: array({
      name: string(),
      metadata: bytes(),
    }),
    reason: string({ since: 8, nullable: true, default: null }),
  },
  response: {
    throttleTimeMs: int32({ since: 2 }),
    errorCode: int16(),
    generationId: int32({ default: -1 }),
    protocolType: string({ since: 7, nullable: true, default: null }),
    protocolName: string({ nullable: 7 }),
    leader: string(),
    skipAssignment: bool({ since: 9 }),
    memberId: string(),
    members: array({
      memberId: string(),
      groupInstanceId: string({ since: 5, nullable: true, default: null }),
      metadata: bytes(),
    }),
  },
})
