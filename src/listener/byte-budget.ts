/**
 * The simplest admission for a listener: so many request bytes may be under way; more wait their turn, in order. Small
 * requests (heartbeats, fetches, metadata) never wait, so that a flood of data cannot end consumers' sessions: what they
 * hold is bounded by connections and requests in flight.
 */

import { Fifo } from './fifo.ts'
import type { ListenerAdmission } from './listener-types.ts'

const SMALL_BYTES_MAX = 512

export class ByteBudget implements ListenerAdmission {
  readonly #bytesMax: number
  readonly #waiting = new Fifo<{ readonly bytes: number; readonly grant: () => void }>()
  #bytes = 0

  /** A request larger than `bytesMax` is let in when nothing else is under way. */
  constructor(options: { readonly bytesMax: number }) {
    this.#bytesMax = options.bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  reserve(bytes: number): true | Promise<void> {
    if (bytes <= SMALL_BYTES_MAX || (this.#waiting.length === 0 && this.#hasRoomFor(bytes))) {
      this.#bytes += bytes
      return true
    }
    return new Promise((grant) => this.#waiting.push({ bytes, grant }))
  }

  release(bytes: number): void {
    this.#bytes -= bytes
    for (;;) {
      const next = this.#waiting.peek()
      if (next === undefined || !this.#hasRoomFor(next.bytes)) return
      this.#waiting.shift()
      this.#bytes += next.bytes
      next.grant()
    }
  }

  #hasRoomFor(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax
  }
}
