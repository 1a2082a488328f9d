/**
 * Heartbeat: keeps a member in its group.
 *
 * v1 throttle time; v3 static members (KIP-345); v4 flexible.
 */

import { defineApi } from './api.ts'
import { int16, int32, string } from './fields.ts'

export const heartbeatApi = defineApi({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexibleFrom: 4,
  request: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string({ since: 3, nullable: true, default: null }),
  },
  response: {
    throttleTimeMs: int32({ since: 1 }),
    errorCode: int16(),
  },
})
