/**
 * A TCP proxy that loses answers: it passes everything on to the server, and on each connection lets a few answers
 * through, then cuts the connection instead of passing the next one on. What was asked has been done by then, and the
 * client cannot know.
 */

import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'

/** Chunks from the server that pass before the cut: the version negotiation, and a few acknowledgements. */
const CHUNKS_PASSED = 4

export class CuttingProxy {
  /** Where the server listens; set before the first client comes. */
  upstreamPort = 0
  /** Connections cut so far. */
  cutCount = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #cutsClientId: string | null

  private constructor(server: Server, cutsClientId: string | null) {
    this.#server = server
    this.#cutsClientId = cutsClientId
    server.on('connection', (client) => this.#forward(client))
  }

  /** `cutsClientId`: connections of other clients pass uncut. Default: all are cut. */
  static async start(cutsClientId: string | null = null): Promise<CuttingProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new CuttingProxy(server, cutsClientId)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #forward(client: Socket): void {
    const upstream = connect({ host: '127.0.0.1', port: this.upstreamPort, noDelay: true })
    const destroyBoth = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.on('error', destroyBoth)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        destroyBoth()
      })
    }
    let passed = 0
    let isCut = this.#cutsClientId === null
    // Every request names its client, so the first one says whose connection this is.
    client.once('data', (chunk: Buffer) => {
      if (this.#cutsClientId !== null) isCut = chunk.includes(this.#cutsClientId)
    })
    client.on('data', (chunk: Buffer) => upstream.write(chunk))
    upstream.on('data', (chunk: Buffer) => {
      if (!isCut || passed++ < CHUNKS_PASSED) {
        client.write(chunk)
        return
      }
      this.cutCount++
      destroyBoth()
    })
  }
}
