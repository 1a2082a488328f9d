/**
 * One budget of bytes over listeners: what clients have sent and nobody has finished with. When it is used up nobody
 * gets an error; sockets are simply not read until earlier work is done. Bytes count when they arrive, never when they
 * are announced, so a client that declares much and sends nothing holds nothing.
 *
 * Two kinds of holding:
 * - `reserve`/`release`: what is here as a whole and about to be worked on. It ends by our own doing. Granted whole or
 *   not at all, in order of asking.
 * - a `lease`: what is still arriving (a large frame, a body). It grows in steps behind the bytes read, and ends when the
 *   client pleases. `settle` turns it into a reservation.
 *
 * What clients can leave lying must not stop what we can finish, so leases together may hold half of the budget; the
 * other half is only for whole requests. Of that half, bodies of ordinary size have one lane and larger ones another, so
 * that a few huge and slow ones stop only their like. And growing while holding is how such schemes deadlock:
 *   1. Bodies A and B, each unfinished, hold all there is for leases between them.
 *   2. A waits for bytes that only B's end can free; B waits for A.
 * So one grower of each lane at a time, the one that has held its lease longest among those waiting, may go over the
 * lane's limit until it is done; listeners ask `blocksOthers` and end those that bring nothing meanwhile.
 *
 * Bounds: held bytes <= bytesMax + one ordinary and one large body; beside it each lease has `ARRIVAL_FREE_BYTES` that are not counted while
 * it arrives, about what one read of a socket gives before anybody can be asked.
 */

import { Fifo } from './fifo.ts'
import type { ListenerAdmission } from './listener-types.ts'

/** Bytes of a lease that cost nothing while they arrive: most requests are whole before anybody has to be asked. */
export const ARRIVAL_FREE_BYTES = 64 * 1024
/** How far a lease grows ahead of the bytes that have come. */
export const ARRIVAL_STEP_BYTES = 64 * 1024

/** Bodies that can become larger than this have a lane of their own. Clients' own default for a request is 1 MiB. */
export const LARGE_BODY_BYTES = 2 * 1024 * 1024

interface Waiter {
  readonly bytes: number
  readonly grant: () => void
}

interface Reservation extends Waiter {
  readonly granted: Promise<void>
}

export interface AdmissionOptions {
  /** Should hold twice the largest body; see the bounds above. */
  readonly bytesMax: number
  /** Whole requests up to this size never wait: heartbeats and metadata, which a flood of data must not hold up. Default 0. */
  readonly smallBytesMax?: number
}

export class Admission implements ListenerAdmission {
  readonly bytesMax: number
  readonly #smallBytesMax: number
  #bytesHeld = 0
  /** Reservations that were not granted at once, oldest first; those that are not in `#waiting` any more were withdrawn. */
  readonly #queue = new Fifo<Reservation>()
  readonly #waiting = new Set<Promise<void>>()
  readonly #ordinary: Lane
  readonly #large: Lane
  #leaseCount = 0
  readonly #leaseOwner: LeaseOwner = {
    grow: (lease, bytes) => this.#grow(lease, bytes),
    end: (lease, settledBytes) => this.#end(lease, settledBytes),
  }

  constructor({ bytesMax, smallBytesMax = 0 }: AdmissionOptions) {
    if (!(bytesMax > 0)) throw new RangeError(`admission needs a budget above 0 bytes, not ${bytesMax}`)
    this.bytesMax = bytesMax
    const laneBytesMax = Math.ceil(bytesMax / 4)
    this.#ordinary = { bytesMax: laneBytesMax, bytesHeld: 0, growing: [], overdraftOwner: null }
    this.#large = { bytesMax: laneBytesMax, bytesHeld: 0, growing: [], overdraftOwner: null }
    this.#smallBytesMax = smallBytesMax
  }

  /** Bytes held now; at most one body of each lane above `bytesMax`. */
  get bytesHeld(): number {
    return this.#bytesHeld
  }

  /** How many reservations and growths wait. */
  get waitingCount(): number {
    return this.#waiting.size + this.#ordinary.growing.length + this.#large.growing.length
  }

  /** True at once when there is room and nobody is to be served before; otherwise a promise that resolves when granted. */
  reserve(bytes: number): true | Promise<void> {
    assertBytes(bytes)
    if (
      bytes <= this.#smallBytesMax ||
      (this.#waiting.size === 0 && !this.#growerIsNext() && this.#fits(bytes))
    ) {
      this.#bytesHeld += bytes
      return true
    }
    const { promise: granted, resolve: grant } = Promise.withResolvers<void>()
    this.#queue.push({ bytes, grant, granted })
    this.#waiting.add(granted)
    return granted
  }

  /** What `reserve` promised is not wanted any more: it waits no longer, or is given back when it was granted meanwhile. */
  withdraw(granted: Promise<void>, bytes: number): void {
    if (this.#waiting.delete(granted)) this.#serve()
    else this.release(bytes)
  }

  /** Gives back bytes that were granted by `reserve` or settled. */
  release(bytes: number): void {
    assertBytes(bytes)
    this.#giveBack(bytes)
    this.#serve()
  }

  /** Opens an empty lease for at most so many bytes. It must be closed or settled, whatever happens to its owner. */
  lease(bytesMax: number): Lease {
    this.#leaseCount += 1
    const lane = bytesMax > LARGE_BODY_BYTES ? this.#large : this.#ordinary
    return new Lease(this.#leaseCount, lane, this.#leaseOwner)
  }

  #grow(lease: Lease, bytes: number): true | Promise<void> {
    const { growing, overdraftOwner } = lease.lane
    if (overdraftOwner === lease || (growing.length === 0 && this.#fitsLane(lease.lane, bytes))) {
      this.#give(lease, bytes)
      return true
    }
    return new Promise((grant) => {
      lease.waiter = { bytes, grant }
      const at = growing.findIndex((other) => other.number > lease.number)
      growing.splice(at < 0 ? growing.length : at, 0, lease)
      this.#serve()
    })
  }

  #end(lease: Lease, settledBytes: number): void {
    const { waiter, lane } = lease
    if (waiter !== null) {
      lane.growing.splice(lane.growing.indexOf(lease), 1)
      lease.waiter = null
    }
    if (lane.overdraftOwner === lease) lane.overdraftOwner = null
    lane.bytesHeld -= lease.bytes
    this.#giveBack(lease.bytes)
    this.#bytesHeld += settledBytes
    lease.bytes = 0
    waiter?.grant()
    this.#serve()
  }

  /** Grants whatever can be granted now, growers first. */
  #serve(): void {
    this.#serveLane(this.#ordinary)
    this.#serveLane(this.#large)
    if (this.#growerIsNext()) return
    for (let next = this.#queue.peek(); next !== undefined; next = this.#queue.peek()) {
      const isWanted = this.#waiting.has(next.granted)
      if (isWanted && !this.#fits(next.bytes)) return
      this.#queue.shift()
      if (!isWanted) continue
      this.#waiting.delete(next.granted)
      this.#bytesHeld += next.bytes
      next.grant()
    }
  }

  #serveLane(lane: Lane): void {
    const { growing } = lane
    for (let lease = growing[0]; lease !== undefined; lease = growing[0]) {
      const waiter = lease.waiter as Waiter // a lease is in the list only while it waits
      if (!this.#fitsLane(lane, waiter.bytes)) {
        // Room that whole requests take comes back by itself, only room that leases take may never do.
        if (waitsForWholeRequests(lane) || lane.overdraftOwner !== null) return
        // Or bodies would go over one after the other, each settled and not yet worked off.
        if (this.#bytesHeld >= this.bytesMax) return
        lane.overdraftOwner = lease
      }
      growing.shift()
      lease.waiter = null
      this.#give(lease, waiter.bytes)
      waiter.grant()
    }
  }

  /** A grower waits for room that whole requests take: those that come later must not keep taking it. */
  #growerIsNext(): boolean {
    return waitsForWholeRequests(this.#ordinary) || waitsForWholeRequests(this.#large)
  }

  #fits(bytes: number): boolean {
    return this.#bytesHeld === 0 || this.#bytesHeld + bytes <= this.bytesMax
  }

  #fitsLane(lane: Lane, bytes: number): boolean {
    if (this.#bytesHeld === 0) return true
    return lane.bytesHeld + bytes <= lane.bytesMax && this.#bytesHeld + bytes <= this.bytesMax
  }

  #give(lease: Lease, bytes: number): void {
    this.#bytesHeld += bytes
    lease.lane.bytesHeld += bytes
    lease.bytes += bytes
  }

  #giveBack(bytes: number): void {
    // Below zero the budget would grow for ever and the bound would silently be gone.
    if (bytes > this.#bytesHeld) throw new Error(`released ${bytes} of ${this.#bytesHeld} bytes held`)
    this.#bytesHeld -= bytes
  }
}

/** Leases that share one part of the budget. */
interface Lane {
  readonly bytesMax: number
  bytesHeld: number
  /** Leases with a growth that waits, oldest lease first: leases are numbered in order of creation. */
  readonly growing: Lease[]
  /** The one that may go over `bytesMax`. */
  overdraftOwner: Lease | null
}

/** The lane itself has room for its first grower, the budget has not. */
function waitsForWholeRequests(lane: Lane): boolean {
  const bytes = lane.growing[0]?.waiter?.bytes
  return bytes !== undefined && lane.bytesHeld + bytes <= lane.bytesMax
}

interface LeaseOwner {
  grow(lease: Lease, bytes: number): true | Promise<void>
  end(lease: Lease, settledBytes: number): void
}

/** A holding that grows in steps. */
export class Lease {
  readonly number: number
  /** Bytes held through this lease. Written by its Admission only. */
  bytes = 0
  /** The growth that waits, if any. Written by its Admission only. */
  waiter: Waiter | null = null
  readonly lane: Lane
  #closed = false
  readonly #owner: LeaseOwner

  constructor(number: number, lane: Lane, owner: LeaseOwner) {
    this.number = number
    this.lane = lane
    this.#owner = owner
  }

  get closed(): boolean {
    return this.#closed
  }

  /** True while others of its lane wait for what its leases hold: who holds one and brings nothing is in the way. */
  get blocksOthers(): boolean {
    return this.bytes > 0 && this.lane.overdraftOwner !== null && this.lane.growing.length > 0
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

  /**
   * Grows, if need be, so that it covers the bytes that have arrived, and a step more so that it need not ask for each
   * read. `bytesMax` is the most that can come. As with `grow`, do not read on before the promise resolves.
   */
  cover(arrivedBytes: number, bytesMax: number): true | Promise<void> {
    if (arrivedBytes <= ARRIVAL_FREE_BYTES || arrivedBytes <= this.bytes) return true
    return this.grow(
      Math.max(arrivedBytes, Math.min(bytesMax, arrivedBytes + ARRIVAL_STEP_BYTES)) - this.bytes,
    )
  }

  /**
   * Everything has arrived: ends the lease and holds `bytes` as a reservation, to be given back by `release`. Never
   * waits: at most one read more than the lease has grown to.
   */
  settle(bytes: number): void {
    assertBytes(bytes)
    if (this.#closed) throw new Error('a closed lease cannot be settled')
    this.#closed = true
    this.#owner.end(this, bytes)
  }

  /** Gives everything back. May be called more than once, and after `settle`, which it leaves alone. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#owner.end(this, 0)
  }
}

function assertBytes(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError(`${bytes} is not a number of bytes`)
}
