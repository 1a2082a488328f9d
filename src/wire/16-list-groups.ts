/**
 * ListGroups: the groups a broker coordinates.
 *
 * v1 throttle time; v3 flexible; v4 filter by state and the state itself (KIP-518); v5 the same for the type (KIP-848).
 */

import { defineApi } from './api.ts'
import { array, int16, int32, string } from './fields.ts'

export const listGroupsApi = defineApi({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    statesFilter: array(string(), { since: 4, essential: true }),
    typesFilter: array(string(), { since: 5, essential: true }),
  },
  response: {
    throttleTimeMs: int32({ since: 1 }),
    errorCode: int16(),
    groups: array({
      groupId: string(),
      protocolType: string(),
      groupState: string({ since: 4 }),
      groupType: string({ since: 5 }),
    }),
  },
})
