/**
 * LeaveGroup: takes members out of a group.
 *
 * v1 throttle time; v3 many members in one request, in `members` in place of `memberId` (KIP-345); v4 flexible; v5 reason
 * (KIP-800).
 */

import { defineApi } from './api.ts'
import { array, int16, int32, string } from './fields.ts'

export const leaveGroupApi = defineApi({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: {
    groupId: string(),
    memberId: string({ until: 2 }),
    members: array(
      {
        memberId: string(),
        groupInstanceId: string({ nullable: true, default: null }),
        reason: string({ since: 5, nullable: true, default: null }),
      },
      { since: 3 },
    ),
  },
  response: {
    throttleTimeMs: int32({ since: 1 }),
    errorCode: int16(),
    members: array(
      {
        memberId: string(),
        groupInstanceId: string({ nullable: true }),
        errorCode: int16(),
      },
      { since: 3 },
    ),
  },
})
