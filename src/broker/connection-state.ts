/** What the broker keeps with a connection. */

import type { ListenerConnection } from '../listener/listener-types.ts'

export interface ConnectionState {
  /** The stated CRC of the latest damaged batch, and how often running it came. */
  damagedCrc: number
  damageCount: number
}

/** The connection's state, made when first asked for. */
export function connectionStateOf(connection: ListenerConnection): ConnectionState {
  connection.state ??= { damagedCrc: -1, damageCount: 0 } satisfies ConnectionState
  return connection.state as ConnectionState
}
