/** DeleteGroups, versions 0–2: a group without members goes, with its offsets; answered once that is durable. */

import { deleteGroupsApi } from '../../wire/42-delete-groups.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const deleteGroupsRoute = route(deleteGroupsApi, { from: 0, to: 2 }, handle)

async function handle(
  request: RequestOf<typeof deleteGroupsApi>,
  call: Call,
): Promise<ResponseInputOf<typeof deleteGroupsApi>> {
  const { groups, diagnostics } = call.broker
  const results = await Promise.all(
    request.groupsNames.map(async (groupId) => {
      try {
        return { groupId, errorCode: await groups.delete(groupId) }
      } catch (error) {
        diagnostics.error({ err: error, groupId }, 'a group could not be deleted')
        return { groupId, errorCode: KAFKA_ERROR.COORDINATOR_NOT_AVAILABLE }
      }
    }),
  )
  return { results }
}
