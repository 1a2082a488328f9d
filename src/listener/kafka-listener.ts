/**
 * A TCP server for the Kafka protocol: accepts connections within limits, and hands every well-framed request to one
 * handler. The embedded broker and the Kafka ingress are two handlers of this one listener.
 *
 * Promises: replies leave in request order per connection; memory per connection is bounded by its limits; a bad
 * client costs only its own connection; an idle listener sets no timer, and one with idle connections wakes once a
 * second. It leaves to its handler everything about what requests mean.
 */

import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { Clock, Timer } from '../core/clock.ts'
import { GopherShipError } from '../core/errors.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { AcceptGate } from './accept-gate.ts'
import { KafkaConnection } from './kafka-connection.ts'
import type {
  ListenerAdmission,
  ListenerHandler,
  ListenerLimits,
  OnRejected,
  RejectionFacts,
  RejectionReason,
} from './listener-types.ts'
import { DEFAULT_LISTENER_LIMITS } from './listener-types.ts'
import { RejectionLog } from './rejection-log.ts'

export interface KafkaListenerOptions {
  /** The address to bind, e.g. `127.0.0.1`. */
  readonly host: string
  /** The port to bind; 0 picks a free one. */
  readonly port: number
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly limits?: Partial<ListenerLimits>
  readonly admission?: ListenerAdmission
  readonly handler: ListenerHandler
  /** Counts a refused or closed connection; printing it (rate-limited) is done here. */
  readonly onRejected?: OnRejected
}

export class KafkaListener {
  readonly #options: KafkaListenerOptions
  readonly #limits: ListenerLimits
  readonly #gate: AcceptGate
  readonly #server: Server
  readonly #connections = new Set<KafkaConnection>()
  readonly #rejectionLog: RejectionLog
  #connectionIdLast = 0
  #sweep: Timer | undefined
  #onEmpty: (() => void) | undefined

  constructor(options: KafkaListenerOptions) {
    this.#options = options
    this.#limits = { ...DEFAULT_LISTENER_LIMITS, ...options.limits }
    this.#gate = new AcceptGate(options.clock, this.#limits)
    this.#rejectionLog = new RejectionLog(options.clock, options.diagnostics)
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true })
    this.#server.on('connection', (socket) => this.#onConnection(socket))
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Binds and starts to accept. Resolves with the port; rejects with GS_LISTEN_FAILED. */
  listen(): Promise<number> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException) => {
        reject(
          new GopherShipError('GS_LISTEN_FAILED', `cannot listen on ${host}:${port}: ${explain(error)}`, {
            cause: error,
            facts: { host, port, errno: error.code ?? null },
          }),
        )
      }
      this.#server.once('error', onError)
      this.#server.listen({ host, port, backlog: 511 }, () => {
        this.#server.off('error', onError)
        this.#server.on('error', (error) =>
          this.#options.diagnostics.error({ err: error, host, port }, 'the listener reported an error'),
        )
        const address = this.#server.address()
        resolve(address !== null && typeof address === 'object' ? address.port : port)
      })
    })
  }

  /**
   * Stops: no new connection, no new request; started requests are answered for up to `drainMs`, then every
   * connection is dropped. Requests that wait for something (a long poll) must be ended by the handler's owner.
   */
  async close(options: { readonly drainMs: number }): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
    for (const connection of [...this.#connections]) connection.drain()
    if (this.#connections.size > 0) {
      const deadline = this.#options.clock.after(options.drainMs, () => {
        for (const connection of [...this.#connections]) connection.destroy()
      })
      await empty
      deadline.cancel()
    }
    this.#sweep?.cancel()
    await closed
  }

  #onConnection(socket: Socket): void {
    const address = socket.remoteAddress
    if (address === undefined) {
      // The peer has gone between the accept and here.
      socket.destroy()
      return
    }
    const decision = this.#gate.admit(address)
    if (!decision.accepted) {
      this.#reject(decision.reason, { remoteAddress: address, remotePort: socket.remotePort ?? 0 })
      socket.on('error', () => {})
      socket.resetAndDestroy()
      return
    }
    this.#connectionIdLast += 1
    const { clock, handler, diagnostics, admission } = this.#options
    const connection = new KafkaConnection({
      id: this.#connectionIdLast,
      socket,
      clock,
      limits: this.#limits,
      admission,
      handler,
      diagnostics,
      onRejected: (reason, facts) => this.#reject(reason, facts),
      onGone: (gone) => this.#onGone(gone, address),
    })
    this.#connections.add(connection)
    if (decision.delayMs === 0) connection.start()
    else clock.after(decision.delayMs, () => connection.start())
    this.#scheduleSweep()
  }

  #onGone(connection: KafkaConnection, address: string): void {
    this.#connections.delete(connection)
    this.#gate.release(address)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  #reject(reason: RejectionReason, facts: RejectionFacts): void {
    this.#rejectionLog.note(reason, facts)
    this.#options.onRejected?.(reason, facts)
  }

  /** One timer for all connections, and none while there are none. */
  #scheduleSweep(): void {
    if (this.#sweep !== undefined) return
    const { idleMsMax, frameMsMax, writeStallMsMax } = this.#limits
    const periodMs = Math.min(2_000, Math.max(5, Math.min(idleMsMax, frameMsMax, writeStallMsMax) / 8))
    this.#sweep = this.#options.clock.after(periodMs, () => {
      this.#sweep = undefined
      const nowMs = this.#options.clock.monotonicMs()
      for (const connection of [...this.#connections]) connection.checkDeadlines(nowMs)
      if (this.#connections.size > 0) this.#scheduleSweep()
    })
  }
}

function explain(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'the port is in use by another process; stop that process or choose another port'
    case 'EACCES':
      return 'this user may not use the port; choose one above 1023'
    case 'EADDRNOTAVAIL':
      return 'this machine does not have that address'
    default:
      return error.message
  }
}
