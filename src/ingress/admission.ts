/**
 * One budget of bytes over all listeners: what producers have sent (or announced) and the vault has not yet
 * acknowledged. When it is used up nobody gets an error; sockets are simply not read until earlier work is done.
 *
 * Two kinds of user:
 * - `reserve`/`release`: the size is known before anything is read (a Kafka frame, an HTTP Content-Length). Granted
 *   whole or not at all, in order of asking.
 * - a `lease`: the size is not known (a chunked body, what a compressed body inflates to), so it grows in steps while
 *   the bytes read so far are already held.
 *
 * Growing while holding is how such schemes deadlock:
 *   1. Bodies A and B, each unfinished, hold the whole budget between them.
 *   2. A waits for bytes that only B's end can free; B waits for A.
 * So one grower at a time, the one that has held its lease longest among those waiting, may go over the budget until
 * it is done. A body's own limit bounds it, hence: held bytes <= bytesMax + bodyBytesMax, and some body always
 * finishes. Growers are served before new reservations, because only they can stop others from finishing.
 */

import { Fifo } from '../listener/fifo.ts'

interface Waiter {
  readonly bytes: number
  readonly grant: () => void
}

export class Admission {
  readonly bytesMax: number
  #bytesHeld = 0
  /** Reservations waiting, oldest first. */
  readonly #queue = new Fifo<Waiter>()
  /** Leases with a growth that waits, oldest lease first: leases are numbered in order of creation. */
  readonly #growing: Lease[] = []
  #overdraftOwner: Lease | null = null
  #leaseCount = 0

  /** `bytesMax` should hold the largest single reservation; a larger one is granted only when nothing else is held. */
  constructor({ bytesMax }: { readonly bytesMax: number }) {
    if (!(bytesMax > 0)) throw new RangeError(`admission needs a budget above 0 bytes, not ${bytesMax}`)
    this.bytesMax = bytesMax
  }

  /** Bytes held now; at most one body above `bytesMax`. */
  get bytesHeld(): number {
    return this.#bytesHeld
  }

  /** How many reservations and growths wait. */
  get waitingCount(): number {
    return this.#queue.length + this.#growing.length
  }

  /** True at once when there is room and nobody waits; otherwise a promise that resolves when granted. */
  reserve(bytes: number): true | Promise<void> {
    assertBytes(bytes)
    if (this.waitingCount === 0 && this.#fits(bytes)) {
      this.#bytesHeld += bytes
      return true
    }
    return new Promise((grant) => {
      this.#queue.push({ bytes, grant })
    })
  }

  /** Gives back bytes that were granted by `reserve`. */
  release(bytes: number): void {
    assertBytes(bytes)
    this.#giveBack(bytes)
    this.#serve()
  }

  /** Opens an empty lease. It must be closed, whatever happens to its owner. */
  lease(): Lease {
    this.#leaseCount += 1
    return new Lease(this.#leaseCount, {
      grow: (lease, bytes) => this.#grow(lease, bytes),
      close: (lease) => this.#close(lease),
    })
  }

  #grow(lease: Lease, bytes: number): true | Promise<void> {
    if (this.#overdraftOwner === lease || (this.#growing.length === 0 && this.#fits(bytes))) {
      this.#bytesHeld += bytes
      lease.bytes += bytes
      return true
    }
    return new Promise((grant) => {
      lease.waiter = { bytes, grant }
      const at = this.#growing.findIndex((other) => other.number > lease.number)
      this.#growing.splice(at < 0 ? this.#growing.length : at, 0, lease)
      this.#serve()
    })
  }

  #close(lease: Lease): void {
    const { waiter } = lease
    if (waiter !== null) {
      this.#growing.splice(this.#growing.indexOf(lease), 1)
      lease.waiter = null
    }
    if (this.#overdraftOwner === lease) this.#overdraftOwner = null
    this.#giveBack(lease.bytes)
    lease.bytes = 0
    waiter?.grant()
    this.#serve()
  }

  /** Grants whatever can be granted now, growers first. */
  #serve(): void {
    for (let lease = this.#growing[0]; lease !== undefined; lease = this.#growing[0]) {
      const waiter = lease.waiter as Waiter // a lease is in the list only while it waits
      if (!this.#fits(waiter.bytes)) {
        if (this.#overdraftOwner !== null) return
        this.#overdraftOwner = lease
      }
      this.#growing.shift()
      lease.waiter = null
      lease.bytes += waiter.bytes
      this.#bytesHeld += waiter.bytes
      waiter.grant()
    }
    for (let waiter = this.#queue.peek(); waiter !== undefined; waiter = this.#queue.peek()) {
      if (!this.#fits(waiter.bytes)) return
      this.#queue.shift()
      this.#bytesHeld += waiter.bytes
      waiter.grant()
    }
  }

  #fits(bytes: number): boolean {
    return this.#bytesHeld === 0 || this.#bytesHeld + bytes <= this.bytesMax
  }

  #giveBack(bytes: number): void {
    // Below zero the budget would grow for ever and the bound would silently be gone.
    if (bytes > this.#bytesHeld) throw new Error(`released ${bytes} of ${this.#bytesHeld} bytes held`)
    this.#bytesHeld -= bytes
  }
}

interface LeaseOwner {
  grow(lease: Lease, bytes: number): true | Promise<void>
  close(lease: Lease): void
}

/** A holding that grows in steps. */
export class Lease {
  readonly number: number
  /** Bytes held through this lease. Written by its Admission only. */
  bytes = 0
  /** The growth that waits, if any. Written by its Admission only. */
  waiter: Waiter | null = null
  #closed = false
  readonly #owner: LeaseOwner

  constructor(number: number, owner: LeaseOwner) {
    this.number = number
    this.#owner = owner
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Asks for more; one growth at a time. True at once, or a promise. It also resolves when the lease is closed
   * meanwhile, so look at `closed` after waiting.
   */
  grow(bytes: number): true | Promise<void> {
    assertBytes(bytes)
    if (this.#closed) throw new Error('a closed lease cannot grow')
    if (this.waiter !== null) throw new Error('a lease grows one step at a time')
    return this.#owner.grow(this, bytes)
  }

  /** Gives everything back. May be called more than once. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#owner.close(this)
  }
}

function assertBytes(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError(`${bytes} is not a number of bytes`)
}
