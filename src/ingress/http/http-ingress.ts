/**
 * The HTTP door: `POST /v1/streams/{stream}` stores the body's records and answers when they are durable.
 *
 * Promises: 200 only after the vault has acknowledged every record of the body; a 4xx or 503 means nothing of it was
 * stored; no body is parsed, so any bytes can be sent; no error for pressure alone, the socket is just not read.
 * It leaves to others: what is in the bytes (processor), how they are stored (VaultWriter), who may send (a later issue).
 */

import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import createFastify from 'fastify'
import { encodeHeaders } from '../../batch/batch-encoder.ts'
import type { Clock } from '../../core/clock.ts'
import { GopherShipError, isFailure } from '../../core/errors.ts'
import { Admission } from '../../listener/admission.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import { RateLimitedDiagnostics } from '../../telemetry/rate-limited.ts'
import { partitionOfKey } from '../../vault/key-partitioner.ts'
import type { StreamTopicTemplates } from '../../vault/stream-topics.ts'
import { DEFAULT_STREAM_TOPICS } from '../../vault/stream-topics.ts'
import type { Vault, VaultStream } from '../../vault/vault-writer.ts'
import type { IngressMetrics, ListenerMetrics } from '../ingress-metrics.ts'
import { answerRefusal } from './answer-refusal.ts'
import type { HttpLimits } from './http-limits.ts'
import { assertHttpLimits, DEFAULT_HTTP_LIMITS } from './http-limits.ts'
import type { HttpRefusalCode } from './http-refusal.ts'
import { ClientGone, HttpRefusal } from './http-refusal.ts'
import {
  connectionGone,
  createHttpServer,
  headersTooLarge,
  openRequestCount,
  sendContinue,
} from './http-server.ts'
import type { RequestBudgets } from './read-body.ts'
import { readBody } from './read-body.ts'
import { BodyStore } from './store-body.ts'
import type { StreamRequest } from './stream-request.ts'
import { parseStreamRequest } from './stream-request.ts'
import { refusalOfOpening, refusalOfVaultFailure } from './vault-failure.ts'

export interface HttpIngressOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly vault: Vault
  readonly admission: Admission
  readonly metrics: IngressMetrics
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly limits?: Partial<HttpLimits>
  readonly templates?: StreamTopicTemplates
}

export interface HttpIngressStatus {
  readonly host: string
  readonly port: number
  readonly connectionCount: number
  readonly requestsInFlight: number
  readonly stopping: boolean
}

const ROUTE = '/v1/streams/:stream'
const ROUTE_PATTERN = /^\/v1\/streams\/[^/]+$/
const PATH_CHARS_MAX = 8 * 1024
const RETRY_AFTER_SECONDS = 1
/** Longer than any stream name: a longer one is told what a stream name is, not that the path is unknown. */
const PARAM_CHARS_MAX = 1024

export class HttpIngress {
  readonly #options: HttpIngressOptions
  readonly #limits: HttpLimits
  readonly #templates: StreamTopicTemplates
  readonly #metrics: ListenerMetrics
  readonly #diagnostics: RateLimitedDiagnostics
  readonly #budgets: RequestBudgets
  readonly #store: BodyStore
  readonly #app: FastifyInstance
  readonly #server: Server
  #port = 0
  #connectionCount = 0
  #requestsInFlight = 0
  #requestCount = 0
  #stopping = false
  #onIdle: (() => void) | null = null

  /** Binds and starts to accept. Rejects with GS_LISTEN_FAILED. */
  static async start(options: HttpIngressOptions): Promise<HttpIngress> {
    const ingress = new HttpIngress(options)
    await ingress.#listen()
    return ingress
  }

  private constructor(options: HttpIngressOptions) {
    this.#options = options
    this.#limits = {
      ...DEFAULT_HTTP_LIMITS,
      // Whoever narrows the one budget means the memory, so the other follows it. A batch's room is asked for at its
      // full size before it is known, hence one more.
      encodedBytesMax: options.admission.bytesMax + DEFAULT_HTTP_LIMITS.batchBytesMax,
      ...options.limits,
    }
    assertHttpLimits(this.#limits)
    this.#templates = options.templates ?? DEFAULT_STREAM_TOPICS
    this.#metrics = options.metrics.of('http')
    this.#metrics.watchConnections(() => this.#connectionCount)
    this.#diagnostics = new RateLimitedDiagnostics(options.diagnostics, { clock: options.clock })
    this.#budgets = {
      overhead: new Admission({ bytesMax: this.#limits.requestOverheadBytesMax }),
      bodies: options.admission,
    }
    this.#store = new BodyStore(this.#limits)
    let server: Server | undefined
    this.#app = createFastify({
      serverFactory: (listener) => {
        server = createHttpServer({
          limits: this.#limits,
          listener,
          onRefused: (code, facts) => this.#count(code, facts),
        })
        return server
      },
      logger: false,
      routerOptions: { maxParamLength: PARAM_CHARS_MAX },
      exposeHeadRoutes: false,
      return503OnClosing: false,
      forceCloseConnections: true,
      frameworkErrors: (error, request, reply) => void this.#answerFailure(error, request, reply),
      // Node's own handler is replaced in createHttpServer; fastify would add a second one.
      clientErrorHandler: () => {},
    }) as unknown as FastifyInstance
    if (server === undefined) throw new Error('fastify made no server')
    this.#server = server
    this.#server.on('connection', (socket) => {
      this.#connectionCount += 1
      socket.once('close', () => {
        this.#connectionCount -= 1
      })
    })
    this.#route()
  }

  get port(): number {
    return this.#port
  }

  status(): HttpIngressStatus {
    return {
      host: this.#options.host,
      port: this.#port,
      connectionCount: this.#connectionCount,
      requestsInFlight: this.#requestsInFlight,
      stopping: this.#stopping,
    }
  }

  /**
   * Stops: new requests are refused with 503, those under way are answered for up to `drainMs`, then every connection
   * is closed. A request cut off was not acknowledged.
   */
  async stop({ drainMs }: { readonly drainMs: number }): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    if (this.#requestsInFlight > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
      await Promise.race([idle, this.#options.clock.sleep(drainMs)])
    }
    this.#server.closeIdleConnections()
    await this.#app.close()
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#options
    try {
      await this.#app.listen({ host, port, backlog: 511 })
    } catch (cause) {
      const errno = (cause as NodeJS.ErrnoException).code ?? null
      throw new GopherShipError(
        'GS_LISTEN_FAILED',
        `cannot listen for HTTP on ${host}:${port} (${errno}); is something else using the port?`,
        { cause, facts: { host, port, errno } },
      )
    }
    this.#port = (this.#server.address() as AddressInfo).port
  }

  #route(): void {
    const app = this.#app
    app.removeAllContentTypeParsers()
    // The body stays on the socket: the route reads it itself, at admission's pace.
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.addHook('onRequest', async (request) => this.#assertHead(request))
    app.setErrorHandler((error, request, reply) => this.#answerFailure(error, request, reply))
    app.setNotFoundHandler((request, reply) => this.#answerFailure(notFound(request), request, reply))
    app.post(ROUTE, (request, reply) => this.#handle(request, reply))
  }

  /** What holds for every path. */
  #assertHead(request: FastifyRequest): void {
    if (request.raw.rawHeaders.length / 2 > this.#limits.headerCountMax) throw headersTooLarge(this.#limits)
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      throw new HttpRefusal('malformed_request', 'an HTTP/1.1 request names its Host')
    }
    if (this.#stopping) {
      throw new HttpRefusal('stopping', 'this server is stopping; nothing was stored, send it again', {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      })
    }
    if (openRequestCount(request.raw) > this.#limits.pipelinedRequestsMax) {
      throw new HttpRefusal(
        'too_many_pipelined',
        `a connection may have ${this.#limits.pipelinedRequestsMax} requests without an answer`,
        {
          facts: { limitRequests: this.#limits.pipelinedRequestsMax },
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        },
      )
    }
    // Not left to the router: what it expects of some methods' requests would come first.
    if (request.method !== 'POST') throw notFound(request)
  }

  async #handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    this.#requestsInFlight += 1
    try {
      const asked = parseStreamRequest(request, { limits: this.#limits, templates: this.#templates })
      const body = await readBody({
        request: request.raw,
        contentLength: asked.contentLength,
        encoding: asked.encoding,
        limits: this.#limits,
        budgets: this.#budgets,
        clock: this.#options.clock,
        onAdmitted: () => sendContinue(request.raw, reply.raw),
        gone: connectionGone(request.raw),
      })
      try {
        return await this.#ingest(asked, body.bytes, reply)
      } finally {
        body.release()
      }
    } finally {
      this.#requestsInFlight -= 1
      if (this.#requestsInFlight === 0) this.#onIdle?.()
    }
  }

  async #ingest(asked: StreamRequest, body: Buffer, reply: FastifyReply): Promise<FastifyReply> {
    const { clock, vault } = this.#options
    const receivedMs = clock.monotonicMs()
    const stream = await this.#open(asked.stream)
    const partition = this.#partitionFor(asked, stream)
    const result = await this.#store.store({
      vault,
      stream,
      partition,
      body,
      framing: asked.framing,
      key: asked.key,
      headers: encodeHeaders([
        ...(asked.contentType === null
          ? []
          : [{ key: 'content-type', value: Buffer.from(asked.contentType, 'latin1') }]),
        { key: 'gophership-listener', value: Buffer.from('http') },
      ]),
      timestampMs: clock.wallMs(),
      limits: this.#limits,
    })
    this.#metrics.ackLatency((clock.monotonicMs() - receivedMs) / 1000)
    const storedCount = result.stored.reduce((sum, appended) => sum + appended.recordCount, 0)
    this.#metrics.recordsStored(storedCount, result.failures.length === 0 ? body.length : 0)
    if (result.failures.length > 0) throw refusalOfVaultFailure(result)
    this.#metrics.requestAnswered('post', 'ok')
    const first = result.stored[0]
    const last = result.stored.at(-1)
    return reply.code(200).send({
      stream: stream.stream,
      topic: stream.topic,
      records: result.recordCount,
      bytes: body.length,
      partitions:
        first === undefined || last === undefined
          ? []
          : [
              {
                partition,
                firstOffset: first.baseOffset,
                lastOffset: last.lastOffset,
                records: result.recordCount,
              },
            ],
    })
  }

  async #open(stream: string): Promise<VaultStream> {
    const { vault } = this.#options
    try {
      return vault.known(stream) ?? (await vault.open(stream, { deadlineMs: this.#limits.appendMsMax }))
    } catch (error) {
      if (!isFailure(error)) throw error
      throw refusalOfOpening(error)
    }
  }

  /** The asked one, the key's, or one for the whole request in turn: a request's records stay together and in order. */
  #partitionFor(asked: StreamRequest, { partitionCount }: VaultStream): number {
    if (asked.partition !== null) {
      if (asked.partition < partitionCount) return asked.partition
      throw new HttpRefusal(
        'invalid_query',
        `this stream has partitions 0 to ${partitionCount - 1}; leave the parameter out to have one chosen`,
        { facts: { partitionCount } },
      )
    }
    if (asked.key !== null) return partitionOfKey(asked.key, partitionCount)
    this.#requestCount += 1
    return this.#requestCount % partitionCount
  }

  #answerFailure(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
    if (error instanceof ClientGone) {
      this.#count('client_gone', {})
      reply.hijack()
      reply.raw.destroy()
      return reply
    }
    const refusal = refusalOf(error)
    if (refusal.code === 'internal') {
      this.#options.diagnostics.error(
        { err: error, path: request.url.slice(0, 200) },
        'a request failed unexpectedly',
      )
    }
    this.#count(refusal.code, {
      remoteAddress: request.raw.socket.remoteAddress,
      method: request.method,
      // As JSON text, so that no control byte from outside reaches a terminal.
      path: JSON.stringify(request.url.slice(0, 200)),
      found: refusal.message,
    })
    this.#metrics.requestAnswered('post', 'error')
    answerRefusal(request.raw, reply, refusal, { clock: this.#options.clock, limits: this.#limits })
    return reply
  }

  #count(
    code: HttpRefusalCode | 'connections-max' | 'client_gone',
    facts: Readonly<Record<string, unknown>>,
  ): void {
    this.#metrics.rejected(code)
    this.#diagnostics.warn(code, { listener: 'http', reason: code, ...facts }, 'an HTTP request was refused')
  }
}

/** Our own refusals as they are; what the router found wrong with a path; anything else is a bug of ours. */
function refusalOf(error: unknown): HttpRefusal {
  if (error instanceof HttpRefusal) return error
  const code = (error as { readonly code?: unknown }).code
  if (code === 'FST_ERR_BAD_URL')
    return new HttpRefusal('malformed_request', 'the path is not well percent-encoded')
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') return pathTooLong()
  return new HttpRefusal(
    'internal',
    'the request failed for a reason of ours; it is not known whether it was stored',
    {
      cause: error,
    },
  )
}

function notFound(request: FastifyRequest): HttpRefusal {
  if (request.url.length > PATH_CHARS_MAX) return pathTooLong()
  const path = request.url.split('?', 1)[0] ?? ''
  if (ROUTE_PATTERN.test(path) && request.method !== 'POST') {
    return new HttpRefusal('method_not_allowed', 'records are sent with POST', { facts: { allow: 'POST' } })
  }
  return new HttpRefusal('not_found', 'there is only POST /v1/streams/{stream} here')
}

function pathTooLong(): HttpRefusal {
  return new HttpRefusal(
    'path_too_long',
    `a path may hold ${PATH_CHARS_MAX} characters, a stream name far fewer`,
    {
      facts: { limitChars: PATH_CHARS_MAX },
    },
  )
}
