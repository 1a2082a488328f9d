/**
 * One TCP connection to one broker: requests go out pipelined, answers come back in the same order and are matched
 * strictly by correlation id.
 *
 * Promises:
 * - A request's promise settles only when the socket is finished with the request's bytes: the answer came and the
 *   bytes were handed to the kernel, or the socket is closed. A caller may reuse a batch buffer from then on, never
 *   before. (The failure this rules out, CVE-2026-35554: 1. a batch waits in a slow socket. 2. Its deadline passes
 *   and its buffer is reused for another topic. 3. The socket drains, and the other topic's bytes are stored here.)
 * - An answer's size is checked before memory is taken for it.
 * - An answer that is late, out of order or undecodable ends the connection: Kafka answers in order, so nothing
 *   behind it can be trusted.
 *
 * Opening a connection: 1. TCP; 2. ApiVersions (`api-versions.ts`); 3. here SASL will take place; then it is ready.
 * TLS will replace `openSocket`. Reconnecting is the node's business (`broker-node.ts`).
 */

import { strict as assert } from 'node:assert'
import type { Socket } from 'node:net'
import { connect as connectTcp } from 'node:net'
import type { Clock, Timer } from '../core/clock.ts'
import { isFailure } from '../core/errors.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { apiVersionsApi } from '../wire/18-api-versions.ts'
import type { AnyApi, RequestInputOf, ResponseOf } from '../wire/api.ts'
import { correlationIdOf, decodeResponse, encodeRequestFrame } from '../wire/frame.ts'
import { FrameSplitter } from '../wire/frame-splitter.ts'
import type { ApiVersionTable } from './api-versions.ts'
import { negotiateApiVersions } from './api-versions.ts'
import type { BrokerAddress } from './broker-address.ts'
import { formatBrokerAddress } from './broker-address.ts'
import { hintForFrameSize } from './frame-size-hint.ts'
import { KafkaDisconnectedError, KafkaTimeoutError } from './kafka-errors.ts'

export interface BrokerConnectionOptions {
  readonly address: BrokerAddress
  readonly clientId: string
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  /** Longest wait for the TCP connection and the version negotiation together. */
  readonly connectMsMax: number
  /** Longest wait for an answer, unless a request says otherwise. */
  readonly requestMsMax: number
  readonly responseFrameBytesMax: number
}

export interface RequestOptions {
  /** Longest wait for the answer; passing it ends the connection. Default: the connection's. */
  readonly timeoutMs?: number
  /** Cap on the version, for a caller that cannot fill the newest fields. */
  readonly versionMax?: number
  /** Called once when the socket no longer holds the request's bytes, before the answer is there. */
  readonly onWritten?: () => void
}

interface PendingRequest {
  readonly correlationId: number
  readonly apiName: string
  readonly decode: (frame: Buffer) => unknown
  readonly timer: Timer
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  isWritten: boolean
  /** The decoded answer, when it came before the write was confirmed. */
  answer: { readonly value: unknown } | null
}

const CORRELATION_ID_MAX = 2 ** 31 - 1
const KEEP_ALIVE_DELAY_MS = 60_000

export class BrokerConnection {
  readonly #options: BrokerConnectionOptions
  readonly #socket: Socket
  readonly #splitter: FrameSplitter
  /** In the order of sending, which is the order of the answers. */
  readonly #pending: PendingRequest[] = []
  /** Answered before their write was confirmed; rare, and never many. */
  readonly #answeredUnwritten = new Set<PendingRequest>()
  readonly #closed = Promise.withResolvers<void>()
  #correlationId = 0
  #versions: ApiVersionTable | null = null
  #closeReason: Error | null = null

  private constructor(options: BrokerConnectionOptions, socket: Socket) {
    this.#options = options
    this.#socket = socket
    this.#splitter = new FrameSplitter({ frameBytesMax: options.responseFrameBytesMax })
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', (error) =>
      this.#end(this.#disconnected(`the connection failed: ${error.message}`, error)),
    )
    socket.on('end', () => this.#end(this.#disconnected('the broker closed the connection')))
    socket.on('close', () => this.#onClosed())
  }

  /** Connects and negotiates versions. Throws GS_KAFKA_DISCONNECTED, GS_KAFKA_TIMEOUT or GS_KAFKA_UNSUPPORTED. */
  static async open(options: BrokerConnectionOptions): Promise<BrokerConnection> {
    const startedAtMs = options.clock.monotonicMs()
    const socket = await openSocket(options)
    const connection = new BrokerConnection(options, socket)
    try {
      const spentMs = options.clock.monotonicMs() - startedAtMs
      const timeoutMs = Math.max(1, options.connectMsMax - spentMs)
      connection.#versions = await negotiateApiVersions({
        exchange: (version, value, decode) =>
          connection.#exchange(apiVersionsApi, version, value, decode, { timeoutMs }),
        server: formatBrokerAddress(options.address),
      })
      return connection
    } catch (error) {
      connection.close()
      throw error
    }
  }

  get address(): BrokerAddress {
    return this.#options.address
  }

  get isOpen(): boolean {
    return this.#closeReason === null
  }

  /** Requests sent and not yet answered. */
  get inFlightCount(): number {
    return this.#pending.length
  }

  /** Resolves when the socket is closed and holds no caller's bytes any more. Never rejects. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** The version a request would use. Throws GS_KAFKA_UNSUPPORTED when there is none. */
  versionFor(api: AnyApi, versionMax?: number): number {
    assert(this.#versions !== null, 'versions are known once the connection is open')
    return this.#versions.versionFor(api, versionMax)
  }

  /** The level of a feature that the cluster has finalized; 0 for none. */
  finalizedFeature(name: string): number {
    assert(this.#versions !== null, 'versions are known once the connection is open')
    return this.#versions.finalizedFeature(name)
  }

  /** Sends one request; resolves with the decoded answer. See the header for when it settles. */
  async request<A extends AnyApi>(
    api: A,
    value: RequestInputOf<A>,
    options: RequestOptions = {},
  ): Promise<ResponseOf<A>> {
    const version = this.versionFor(api, options.versionMax)
    const decode = (frame: Buffer) => decodeResponse(api, version, frame).value
    return this.#exchange(api, version, value, decode, options)
  }

  /** Sends a request that has no answer (Produce with acks=0); resolves when the kernel has its bytes. */
  sendOneWay<A extends AnyApi>(
    api: A,
    value: RequestInputOf<A>,
    options: RequestOptions = {},
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (this.#closeReason !== null) throw this.#closeReason
      const version = this.versionFor(api, options.versionMax)
      const { clientId } = this.#options
      const frame = encodeRequestFrame(
        api,
        version,
        { correlationId: this.#nextCorrelationId(), clientId },
        value,
      )
      this.#write(frame, (error) => {
        options.onWritten?.()
        if (error) reject(this.#disconnected(`the connection failed: ${error.message}`, error))
        else resolve()
      })
    })
  }

  /** Ends the connection; whatever is in flight is rejected once the socket has let go of it. */
  close(reason = 'the connection was closed by this side'): void {
    this.#end(this.#disconnected(reason))
  }

  #exchange<A extends AnyApi, T>(
    api: A,
    version: number,
    value: RequestInputOf<A>,
    decode: (frame: Buffer) => T,
    options: RequestOptions,
  ): Promise<T> {
    if (this.#closeReason !== null) return Promise.reject(this.#closeReason)
    const correlationId = this.#nextCorrelationId()
    const frame = encodeRequestFrame(api, version, { correlationId, clientId: this.#options.clientId }, value)
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const timeoutMs = options.timeoutMs ?? this.#options.requestMsMax
    const timer = this.#options.clock.after(timeoutMs, () => this.#onTimeout(api.name, timeoutMs))
    const pending: PendingRequest = {
      correlationId,
      apiName: api.name,
      decode,
      timer,
      // The one place where the list of pending requests forgets what each answer's type is.
      resolve: resolve as (value: unknown) => void,
      reject,
      isWritten: false,
      answer: null,
    }
    this.#pending.push(pending)
    this.#write(frame, () => {
      pending.isWritten = true
      options.onWritten?.()
      if (pending.answer !== null && this.#answeredUnwritten.delete(pending))
        pending.resolve(pending.answer.value)
    })
    return promise
  }

  /** One writev for the whole frame; `onWritten` is called when the socket holds none of it, error or not. */
  #write(frame: readonly Buffer[], onWritten: (error?: Error | null) => void): void {
    this.#socket.cork()
    const last = frame.length - 1
    for (let index = 0; index < last; index++) this.#socket.write(frame[index] as Buffer)
    this.#socket.write(frame[last] as Buffer, onWritten)
    this.#socket.uncork()
  }

  #onData(chunk: Buffer): void {
    try {
      for (const frame of this.#splitter.feed(chunk)) {
        if (this.#closeReason !== null) return
        this.#onFrame(frame)
      }
    } catch (error) {
      this.#end(this.#undecodable(error))
    }
  }

  #onFrame(frame: Buffer): void {
    const pending = this.#pending[0]
    const found = correlationIdOf(frame)
    if (pending === undefined || found !== pending.correlationId) {
      const expected =
        pending === undefined ? 'no answer at all' : `the answer to request ${pending.correlationId}`
      this.#end(this.#disconnected(`expected ${expected}, found the answer to request ${found}`))
      return
    }
    const value = pending.decode(frame)
    this.#pending.shift()
    pending.timer.cancel()
    if (pending.isWritten) {
      pending.resolve(value)
    } else {
      pending.answer = { value }
      this.#answeredUnwritten.add(pending)
    }
  }

  #onTimeout(apiName: string, timeoutMs: number): void {
    const server = formatBrokerAddress(this.#options.address)
    const message = `${server} did not answer ${apiName} within ${Math.round(timeoutMs)} ms`
    this.#end(new KafkaTimeoutError(message, { server, api: apiName, timeoutMs: Math.round(timeoutMs) }))
  }

  /** Begins the end: no more requests; the callers hear of it when the socket is closed (`#onClosed`). */
  #end(reason: Error): void {
    if (this.#closeReason !== null) return
    this.#closeReason = reason
    this.#socket.destroy()
  }

  #onClosed(): void {
    const reason = this.#closeReason ?? this.#disconnected('the broker closed the connection')
    this.#closeReason = reason
    for (const pending of [...this.#pending.splice(0), ...this.#answeredUnwritten]) {
      pending.timer.cancel()
      // An answer that came is an answer, even if the write's confirmation never did.
      if (pending.answer !== null) pending.resolve(pending.answer.value)
      else pending.reject(reason)
    }
    this.#answeredUnwritten.clear()
    this.#closed.resolve()
  }

  #nextCorrelationId(): number {
    this.#correlationId = this.#correlationId === CORRELATION_ID_MAX ? 1 : this.#correlationId + 1
    return this.#correlationId
  }

  #disconnected(what: string, cause?: unknown): KafkaDisconnectedError {
    const server = formatBrokerAddress(this.#options.address)
    return new KafkaDisconnectedError(`${server}: ${what}`, { server }, cause)
  }

  #undecodable(error: unknown): Error {
    const size = isFailure(error) ? error.facts['size'] : undefined
    const hint = typeof size === 'number' ? hintForFrameSize(size) : null
    const what = error instanceof Error ? error.message : String(error)
    return this.#disconnected(
      `the answer could not be read: ${what}${hint === null ? '' : ` (${hint})`}`,
      error,
    )
  }
}

/** Resolves with a connected socket, or throws within `connectMsMax`. */
function openSocket(options: BrokerConnectionOptions): Promise<Socket> {
  const { address, clock, connectMsMax } = options
  const server = formatBrokerAddress(address)
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host: address.host, port: address.port, noDelay: true })
    const timer = clock.after(connectMsMax, () => {
      const message = `${server} did not accept a connection within ${connectMsMax} ms`
      finish(() => reject(new KafkaTimeoutError(message, { server, timeoutMs: connectMsMax })))
      socket.destroy()
    })
    const onError = (error: Error) =>
      finish(() =>
        reject(
          new KafkaDisconnectedError(`could not connect to ${server}: ${error.message}`, { server }, error),
        ),
      )
    const onConnect = () => finish(() => resolve(socket))
    const finish = (settle: () => void) => {
      timer.cancel()
      socket.off('connect', onConnect)
      settle()
    }
    socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS)
    socket.once('connect', onConnect)
    // Stays on until the connection's own listener is there, so that no error is ever without a listener.
    socket.on('error', onError)
  })
}
