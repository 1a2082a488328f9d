/**
 * DeleteGroups: removes empty groups with their positions.
 *
 * v2 flexible.
 */

import { defineApi } from './api.ts'
import { array, int16, int32, string } from './fields.ts'

export const deleteGroupsApi = defineApi({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleFrom: 2,
  request: {
    groupsNames: array(string()),
  },
  response: {
    throttleTimeMs: int32(),
    results: array({
      groupId: string(),
      errorCode: int16(),
    }),
  },
})
