/** A bare TCP client that speaks as much Kafka as a test asks for: whole requests, or any bytes at all. */

import type { Socket } from 'node:net'
import { connect } from 'node:net'
import type { AnyApi, RequestInputOf, ResponseOf } from '../../src/wire/api.ts'
import { decodeResponse, encodeRequestFrame } from '../../src/wire/frame.ts'
import { FrameSplitter } from '../../src/wire/frame-splitter.ts'

export class RawConnection {
  readonly socket: Socket
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>
  readonly #frames: Buffer[] = []
  readonly #splitter = new FrameSplitter({ frameBytesMax: 256 * 1024 * 1024 })
  #waiting: (() => void) | null = null
  #isClosed = false
  #correlationId = 0

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawConnection(socket)
  }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#frames.push(...this.#splitter.feed(chunk))
      this.#waiting?.()
    })
    // Broken pipes and resets are what many tests are about; `closed` tells them apart from silence.
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      const finish = () => {
        this.#isClosed = true
        this.#waiting?.()
        resolve()
      }
      socket.on('end', finish)
      socket.on('close', finish)
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Writes bytes as they are. */
  send(bytes: Buffer | string): void {
    this.socket.write(bytes)
  }

  /** The next frame without its size; rejects when the connection ends first. */
  async frame(): Promise<Buffer> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame !== undefined) return frame
      if (this.#isClosed) throw new Error('the connection was closed instead of answered')
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    }
  }

  /** Sends a request without waiting; gives its correlation id. */
  sendRequest<A extends AnyApi>(api: A, version: number, value: RequestInputOf<A>): number {
    this.#correlationId += 1
    const header = { correlationId: this.#correlationId, clientId: 'raw' }
    this.send(Buffer.concat(encodeRequestFrame(api, version, header, value)))
    return this.#correlationId
  }

  /** The next answer, which must belong to a request of this API and version. */
  async response<A extends AnyApi>(api: A, version: number): Promise<ResponseOf<A>> {
    return decodeResponse(api, version, await this.frame()).value
  }

  /** Sends a request and gives its answer. */
  async request<A extends AnyApi>(api: A, version: number, value: RequestInputOf<A>): Promise<ResponseOf<A>> {
    this.sendRequest(api, version, value)
    return this.response(api, version)
  }

  close(): void {
    this.socket.destroy()
  }
}
