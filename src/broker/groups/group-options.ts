/** What a group is given, and the states it can be in. */

import type { Clock } from '../../core/clock.ts'
import type { PersistedGroup } from './persisted-group.ts'

/** Kafka's names, as they are on the wire. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

export interface GroupOptions {
  readonly clock: Clock
  /** Makes a member id; it must be unguessable and never repeat. */
  readonly newMemberId: (prefix: string) => string
  /** Resolves once the group's state is durable. */
  readonly persist: (group: PersistedGroup) => Promise<void>
  /** How long a group that was empty waits for more members before its first generation. */
  readonly initialRebalanceDelayMs: number
  /** Most members of a group, pending ones included; one more is answered GROUP_MAX_SIZE_REACHED. */
  readonly membersMax: number
  /** How long a member may wait for its very first generation. */
  readonly newMemberJoinMsMax: number
}
