/** ListGroups, versions 0–5: filtered by state from 4 and by type from 5; every group here is of type "classic". */

import { listGroupsApi } from '../../wire/16-list-groups.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const listGroupsRoute = route(listGroupsApi, { from: 0, to: 5 }, handle)

const GROUP_TYPE = 'classic'

function handle(request: RequestOf<typeof listGroupsApi>, call: Call): ResponseInputOf<typeof listGroupsApi> {
  const states = new Set(request.statesFilter.map((state) => state.toLowerCase()))
  const types = new Set(request.typesFilter.map((type) => type.toLowerCase()))
  if (types.size > 0 && !types.has(GROUP_TYPE)) return { groups: [] }
  const groups = []
  for (const group of call.broker.groups.groups) {
    if (states.size > 0 && !states.has(group.state.toLowerCase())) continue
    groups.push({
      groupId: group.id,
      protocolType: group.protocolType,
      groupState: group.state,
      groupType: GROUP_TYPE,
    })
  }
  return { groups }
}
