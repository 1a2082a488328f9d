/**
 * Which vault offsets of one partition may be committed. An offset is committed only when every output made from
 * the records before it is durable; outputs are acknowledged in any order, commits advance in offset order.
 *
 *   1. `begin(nextOffset)` is called for each piece of work, in offset order; the piece ends before `nextOffset`.
 *   2. The work's outputs are sent; when all of them are durable its ticket is `complete`d.
 *   3. `committable` is the end of the longest run of completed pieces from the start.
 *
 * Committing step 1's offset instead of step 3's is how records are lost: 1. The offset is committed. 2. The process
 * dies before the output is durable. 3. The successor starts behind the record, whose event nobody ever writes.
 */

import { strict as assert } from 'node:assert'
import type { Offset } from '../core/brands.ts'

/** One piece of work between `begin` and `complete`. */
export interface Ticket {
  readonly nextOffset: Offset
  completed: boolean
}

export class OutputTracker {
  readonly #pieces: Ticket[] = []
  #committable: Offset

  /** @param start the offset processing starts from: nothing before it is ours to commit. */
  constructor(start: Offset) {
    this.#committable = start
  }

  /** The offset up to which every output is durable: safe to commit, now and for ever. */
  get committable(): Offset {
    return this.#committable
  }

  /** Pieces begun and not yet part of the committable run. */
  get pendingCount(): number {
    return this.#pieces.length
  }

  /** Opens a piece of work that ends before `nextOffset`. Pieces are begun in offset order. */
  begin(nextOffset: Offset): Ticket {
    const last = this.#pieces.at(-1)?.nextOffset ?? this.#committable
    assert(nextOffset >= last, `expected pieces in offset order, found ${nextOffset} after ${last}`)
    const ticket: Ticket = { nextOffset, completed: false }
    this.#pieces.push(ticket)
    return ticket
  }

  /** Marks a piece's outputs durable, and moves `committable` over every finished piece at the front. */
  complete(ticket: Ticket): void {
    ticket.completed = true
    let front = this.#pieces[0]
    while (front?.completed) {
      this.#committable = front.nextOffset
      this.#pieces.shift()
      front = this.#pieces[0]
    }
  }
}
