/** What the ingress remembers of one connection. */

import type { ListenerConnection } from '../../listener/listener-types.ts'

/** A batch seen damaged: the same again is not damage on the way but a broken producer. */
interface CorruptBatch {
  crc: number
  bytes: number
  count: number
}

/** After this many equal damaged batches the next is called invalid, which clients do not send again. */
const EQUAL_CORRUPT_MAX = 3

export class ConnectionState {
  /** The look-up that later produce requests have to wait for, so that they do not overtake; null when there is none. */
  lookUp: Promise<void> | null = null
  #lastCorrupt: CorruptBatch | null = null

  static of(connection: ListenerConnection): ConnectionState {
    if (!(connection.state instanceof ConnectionState)) connection.state = new ConnectionState()
    return connection.state as ConnectionState
  }

  /** Counts a damaged batch. True when it has come so often that sending it again cannot help. */
  isHopelesslyCorrupt(crc: number, bytes: number): boolean {
    const last = this.#lastCorrupt
    if (last === null || last.crc !== crc || last.bytes !== bytes) {
      this.#lastCorrupt = { crc, bytes, count: 1 }
      return false
    }
    last.count += 1
    return last.count > EQUAL_CORRUPT_MAX
  }
}
