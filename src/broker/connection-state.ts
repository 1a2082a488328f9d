/** What the broker keeps with a connection. */

import type { ListenerConnection } from '../listener/listener-types.ts'

export interface ConnectionState {
  /** The stated CRC of the latest damaged batch, and how often running it came. */
  damagedCrc: number
  damageCount: number
  /** Settles with the connection's latest Fetch: they run one after the other. */
  latestFetch: Promise<unknown>
}

/** The connection's state, made when first asked for. */
export function connectionStateOf(connection: ListenerConnection): ConnectionState {
  connection.state ??= {
    damagedCrc: -1,
    damageCount: 0,
    latestFetch: Promise.resolve(),
  } satisfies ConnectionState
  return connection.state as ConnectionState
}
