/** A member of a classic consumer group: what it said when it joined, and what it waits for. */

/** One way of assigning partitions that a member can follow, with its own opaque subscription bytes. */
export interface GroupProtocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface JoinRequest {
  /** Empty for a member that has no id yet. */
  readonly memberId: string
  /** A name that survives restarts of the client (KIP-345), or null for a dynamic member. */
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly GroupProtocol[]
  /** JoinGroup 4 and later: a new dynamic member is first given its id, and joins with it (KIP-394). */
  readonly requireKnownMemberId: boolean
  /** JoinGroup 9 and later: a static leader that comes back learns that its assignment stands (KIP-814). */
  readonly supportsSkippingAssignment: boolean
}

export interface JoinedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Buffer
}

export interface JoinResult {
  readonly errorCode: number
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  readonly memberId: string
  /** Filled for the leader only: it computes the assignment. */
  readonly members: readonly JoinedMember[]
}

export interface SyncRequest {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generationId: number
  /** SyncGroup 5 and later; null means "do not check". */
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

export interface SyncResult {
  readonly errorCode: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

export type RespondJoin = (result: JoinResult) => void
export type RespondSync = (result: SyncResult) => void

export interface GroupMember {
  memberId: string
  readonly groupInstanceId: string | null
  clientId: string
  clientHost: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  readonly protocolType: string
  protocols: readonly GroupProtocol[]
  assignment: Buffer
  /** Set while a JoinGroup of this member is parked. */
  joinWaiting: RespondJoin | null
  /** Set while a SyncGroup of this member is parked. */
  syncWaiting: RespondSync | null
  /** True until its first generation: such a member may wait longer than a session for its first answer. */
  isNew: boolean
  /** When its session ends, on the monotonic clock. */
  expiresAtMs: number
}

export const NO_BYTES = Buffer.alloc(0)

/** True when the member offers the very same protocols, in the same order, with the same bytes. */
export function sameProtocols(member: GroupMember, protocols: readonly GroupProtocol[]): boolean {
  if (member.protocols.length !== protocols.length) return false
  return protocols.every((protocol, index) => {
    const known = member.protocols[index]
    return known !== undefined && known.name === protocol.name && known.metadata.equals(protocol.metadata)
  })
}

/** The member's subscription bytes for one protocol; empty when it does not offer it. */
export function metadataFor(member: GroupMember, protocolName: string | null): Buffer {
  return member.protocols.find((protocol) => protocol.name === protocolName)?.metadata ?? NO_BYTES
}

/** Names that every member offers. */
export function commonProtocols(members: Iterable<GroupMember>): Set<string> {
  let common: Set<string> | undefined
  for (const member of members) {
    const offered = new Set<string>()
    for (const protocol of member.protocols) {
      if (common === undefined || common.has(protocol.name)) offered.add(protocol.name)
    }
    common = offered
  }
  return common ?? new Set()
}

/** Each member votes for its first choice among the names all offer; most votes win, the earlier name on a tie. */
export function selectProtocol(members: readonly GroupMember[]): string | null {
  const candidates = commonProtocols(members)
  const votes = new Map<string, number>()
  for (const member of members) {
    const choice = member.protocols.find((protocol) => candidates.has(protocol.name))
    if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
  }
  let winner: string | null = null
  let most = 0
  for (const [name, count] of votes) {
    if (count > most) {
      winner = name
      most = count
    }
  }
  return winner
}

/** A JoinGroup answer that carries an error and nothing else. */
export function joinError(memberId: string, errorCode: number): JoinResult {
  return {
    errorCode,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    memberId,
    members: [],
  }
}

/** A SyncGroup answer that carries an error and nothing else. */
export function syncError(errorCode: number): SyncResult {
  return { errorCode, protocolType: null, protocolName: null, assignment: NO_BYTES }
}
