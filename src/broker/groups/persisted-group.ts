/** The part of a group that is kept in `__consumer_offsets`. */

/** What survives a restart: enough for members to go on with their generation. */
export interface PersistedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly generationId: number
  readonly protocolName: string | null
  readonly leaderId: string | null
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
