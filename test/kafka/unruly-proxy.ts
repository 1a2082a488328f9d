/**
 * A TCP proxy that does to clients what networks do: it delays, it cuts a connection in the middle, and what the client had
 * sent by then still arrives, later than everything that the client sends on its next connection.
 */

import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { Random } from '../../src/core/random.ts'

export interface UnrulyProxyOptions {
  readonly random: Random
  /** Longest delay of a chunk, either way. */
  readonly delayMsMax: number
  /** How much longer what was under way at a cut may take. */
  readonly lateMsMax: number
  /** Chance that a chunk from the client is the last one that the client sees carried. */
  readonly cutChance: number
}

export class UnrulyProxy {
  /** Where the server listens; set before the first client comes. */
  upstreamPort = 0
  /** While false, everything is passed on at once. */
  isUnruly = false
  cutCount = 0
  readonly #options: UnrulyProxyOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(options: UnrulyProxyOptions, server: Server) {
    this.#options = options
    this.#server = server
    server.on('connection', (client) => this.#forward(client))
  }

  static async start(options: UnrulyProxyOptions): Promise<UnrulyProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new UnrulyProxy(options, server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #forward(client: Socket): void {
    const upstream = connect({ host: '127.0.0.1', port: this.upstreamPort, noDelay: true })
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => this.#sockets.delete(socket))
    }
    let isCut = false
    let lateMs = 0
    upstream.on('close', () => client.destroy())
    // In order, each after its own delay: the chain keeps what is carried in one direction from overtaking itself.
    let carriedUp: Promise<void> = Promise.resolve()
    let carriedDown: Promise<void> = Promise.resolve()
    client.on('data', (chunk: Buffer) => {
      if (isCut) return
      const { random, cutChance, lateMsMax } = this.#options
      if (this.isUnruly && random.float() < cutChance) {
        isCut = true
        this.cutCount++
        lateMs = random.float() * lateMsMax
        client.destroy()
      }
      carriedUp = carriedUp.then(() => this.#pause(lateMs)).then(() => void upstream.write(chunk))
    })
    client.on('close', () => {
      void carriedUp.then(() => this.#pause(lateMs)).then(() => upstream.end())
    })
    upstream.on('data', (chunk: Buffer) => {
      carriedDown = carriedDown
        .then(() => this.#pause(0))
        .then(() => void (client.destroyed || client.write(chunk)))
    })
  }

  #pause(atLeastMs: number): Promise<void> {
    const { random, delayMsMax } = this.#options
    if (!this.isUnruly) return Promise.resolve()
    const ms = atLeastMs + random.float() ** 3 * delayMsMax
    return new Promise((resolve) => setTimeout(resolve, ms))
  }
}
