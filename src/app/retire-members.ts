/**
 * Takes static members out of a consumer group by their names. A static member that stops stays a member until its session
 * has run out, so that a restart finds its partitions; of a worker that is not to come back, others need them at once.
 */

import type { KafkaCluster } from '../kafka/cluster.ts'
import { leaveGroupApi } from '../wire/13-leave-group.ts'

const RETIRE_MS_MAX = 5_000

/** Names that are in no group are passed over. Rejects when the coordinator cannot be reached in time. */
export async function retireMembers(
  cluster: KafkaCluster,
  groupId: string,
  groupInstanceIds: readonly string[],
): Promise<void> {
  if (groupInstanceIds.length === 0) return
  const members = groupInstanceIds.map((groupInstanceId) => ({ memberId: '', groupInstanceId }))
  await cluster.retrying(
    { coordinator: groupId },
    () => cluster.request(leaveGroupApi, { groupId, members }, { coordinator: groupId }),
    { deadlineMs: RETIRE_MS_MAX },
  )
}
