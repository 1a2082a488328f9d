/** The part of a group that is kept in `__consumer_offsets`. */

import type { GroupMember } from './group-member.ts'
import { metadataFor } from './group-member.ts'

/** What survives a restart: enough for members to go on with their generation. */
export interface PersistedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly generationId: number
  readonly protocolName: string | null
  readonly leaderId: string | null
  /** When the group came to be so, on the wall clock; 0 when that is not known. */
  readonly stateTimestampMs: number
  readonly members: readonly PersistedMember[]
}

export interface PersistedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly subscription: Buffer
  readonly assignment: Buffer
}

/** What is kept of a member: of its protocols only the one that its generation uses. */
export function memberToSave(
  member: GroupMember,
  protocolName: string | null,
  assignment: Buffer,
): PersistedMember {
  return {
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    sessionTimeoutMs: member.sessionTimeoutMs,
    subscription: metadataFor(member, protocolName),
    assignment,
  }
}

/** A member as it comes back from disk; its session starts anew. */
export function memberFromSaved(saved: PersistedMember, group: PersistedGroup): GroupMember {
  return {
    memberId: saved.memberId,
    groupInstanceId: saved.groupInstanceId,
    clientId: saved.clientId,
    clientHost: saved.clientHost,
    rebalanceTimeoutMs: saved.rebalanceTimeoutMs,
    sessionTimeoutMs: saved.sessionTimeoutMs,
    protocolType: group.protocolType,
    protocols: [{ name: group.protocolName ?? '', metadata: saved.subscription }],
    assignment: saved.assignment,
    joinWaiting: null,
    syncWaiting: null,
    isNew: false,
    expiresAtMs: 0,
  }
}

/** The same generation with the static member of that name under its new id; null when there is nothing to change. */
export function renamedInSaved(
  group: PersistedGroup | null,
  { groupInstanceId, memberId }: { readonly groupInstanceId: string; readonly memberId: string },
): PersistedGroup | null {
  const known = group?.members.find((member) => member.groupInstanceId === groupInstanceId)
  if (group === null || known === undefined) return null
  return {
    ...group,
    leaderId: group.leaderId === known.memberId ? memberId : group.leaderId,
    members: group.members.map((member) => (member === known ? { ...known, memberId } : member)),
  }
}
