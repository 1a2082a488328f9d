/**
 * The admin door: metrics, health, status and the emergency switch over HTTP, for the operator on this machine and what he
 * scrapes with.
 *
 * It asks nobody for a password, so it listens on loopback only and refuses to start anywhere else. A browser on this
 * machine is still a way in for strangers (DNS rebinding), so the Host header must name this machine, and a request
 * that a foreign page sends is refused. What it answers comes from functions it is given; it knows no role.
 */

import type { FastifyInstance } from 'fastify'
import { fastify } from 'fastify'
import type { Clock } from '../core/clock.ts'
import { GopherShipError, isFailure } from '../core/errors.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { METRICS_CONTENT_TYPE } from '../telemetry/metrics.ts'
import { CachedAnswer } from './cached-answer.ts'

/** Whether the data path works, and what is wrong where it does not. */
export interface Readiness {
  readonly ready: boolean
  /** Empty when ready. `role` is the part that is not working, `reason` a stable word, `detail` a sentence. */
  readonly reasons: readonly { readonly role: string; readonly reason: string; readonly detail: string }[]
}

export interface AdminOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Names beside loopback that a request may have in its Host header. */
  readonly allowedHosts: readonly string[]
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  /** The page for Prometheus. */
  readonly metrics: () => Promise<string>
  readonly readiness: () => Promise<Readiness>
  /** Plain data. */
  readonly status: () => Promise<object>
  /** Sets or ends the emergency of this process, and gives what holds then. */
  readonly emergency: (request: { readonly isOn: boolean; readonly reason: string }) => object
}

/** Scrapes and probes closer together than this share one answer: they cost, and anyone on the machine can ask. */
const METRICS_CACHE_MS = 1_000
const HEALTH_CACHE_MS = 1_000
const NOT_READY_CACHE_MS = 50
const HEADER_BYTES_MAX = 16 * 1024
const CONNECTIONS_MAX = 64

export class AdminServer {
  readonly port: number
  readonly #server: FastifyInstance

  private constructor(server: FastifyInstance, port: number) {
    this.#server = server
    this.port = port
  }

  /** Starts listening. Throws GS_CONFIG_INVALID off loopback, and GS_LISTEN_FAILED when the port cannot be had. */
  static async start(options: AdminOptions): Promise<AdminServer> {
    if (!isLoopbackHost(options.host)) {
      throw new GopherShipError(
        'GS_CONFIG_INVALID',
        `the admin port asks nobody for a password, so it listens on loopback only; expected 127.0.0.1, ::1 or localhost, found "${options.host}"`,
        { facts: { host: options.host } },
      )
    }
    const server = fastify({
      bodyLimit: 1_024,
      requestTimeout: 10_000,
      connectionTimeout: 30_000,
      keepAliveTimeout: 65_000,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: 100 },
      http: { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
    })
    server.server.maxConnections = CONNECTIONS_MAX
    guardBrowsers(server, options.allowedHosts)
    // A page may make a browser send text to anywhere without asking; JSON it may not.
    server.removeContentTypeParser('text/plain')
    addRoutes(server, options)
    try {
      await server.listen({ host: options.host, port: options.port })
    } catch (error) {
      const facts = { host: options.host, port: options.port }
      const message = `could not listen on ${options.host}:${options.port} for admin`
      throw new GopherShipError('GS_LISTEN_FAILED', message, { cause: error, facts })
    }
    const address = server.server.address()
    return new AdminServer(
      server,
      typeof address === 'object' && address !== null ? address.port : options.port,
    )
  }

  /** Stops listening and closes every connection. */
  async stop(): Promise<void> {
    await this.#server.close()
  }
}

function addRoutes(server: FastifyInstance, options: AdminOptions): void {
  const { clock } = options
  const metrics = new CachedAnswer({ clock, freshMs: () => METRICS_CACHE_MS, read: options.metrics })
  const readiness = new CachedAnswer({
    clock,
    // Who waits for the start, or for the end of a trouble, is told of it at once.
    freshMs: ({ ready }) => (ready ? HEALTH_CACHE_MS : NOT_READY_CACHE_MS),
    read: options.readiness,
  })
  const status = new CachedAnswer({ clock, freshMs: () => HEALTH_CACHE_MS, read: options.status })

  server.get('/metrics', async (_request, reply) => {
    return reply.type(METRICS_CONTENT_TYPE).send(await metrics.get())
  })
  // Alive means: this process runs its event loop. Anything more would have it restarted for somebody else's fault.
  server.get('/health/live', async () => ({ live: true }))
  server.get('/health/ready', async (_request, reply) => {
    const answer = await readiness.get()
    return reply.code(answer.ready ? 200 : 503).send(answer)
  })
  server.get('/v1/status', async () => await status.get())
  server.post('/v1/emergency', async (request, reply) => {
    const order = parseEmergency(request.body)
    if (order === null) return reply.code(400).send({ error: `expected ${EMERGENCY_FORM}` })
    const answer = options.emergency(order)
    status.forget()
    return answer
  })

  const paths = ['/metrics', '/health/live', '/health/ready', '/v1/status']
  const orders = ['/v1/emergency']
  server.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    if (paths.includes(path)) {
      return reply.code(405).header('allow', 'GET, HEAD').send({ error: 'expected GET' })
    }
    if (orders.includes(path)) return reply.code(405).header('allow', 'POST').send({ error: 'expected POST' })
    return reply.code(404).send({ error: `no such path; there is ${[...paths, ...orders].join(', ')}` })
  })
  server.setErrorHandler(async (error, _request, reply) => {
    const statusCode = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
    if (isFailure(error, 'GS_CONFIG_INVALID')) return reply.code(409).send({ error: error.message })
    if (statusCode === 415) return reply.code(415).send({ error: 'expected content-type application/json' })
    if (statusCode < 500) return reply.code(statusCode).send({ error: 'the request could not be read' })
    // Text of ours stays in the diagnostics: it may name paths and addresses.
    options.diagnostics.error({ error }, 'an admin request failed')
    return reply.code(500).send({ error: 'the request failed; the diagnostics say why' })
  })
}

const REASON_CHARS_MAX = 200
const EMERGENCY_FORM = `{"on": true, "reason": "one line of 1 to ${REASON_CHARS_MAX} characters"} or {"on": false}, and nothing else`

/** Null for anything that is no order as drawn in `EMERGENCY_FORM`. */
function parseEmergency(body: unknown): { readonly isOn: boolean; readonly reason: string } | null {
  if (typeof body !== 'object' || body === null) return null
  const { on, reason, ...strange } = body as Record<string, unknown>
  if (typeof on !== 'boolean' || Object.keys(strange).length > 0) return null
  if (!on) return reason === undefined ? { isOn: false, reason: '' } : null
  const isReason =
    typeof reason === 'string' &&
    reason.trim() !== '' &&
    reason.length <= REASON_CHARS_MAX &&
    !/\p{Cc}/u.test(reason)
  return isReason ? { isOn: true, reason } : null
}

/** Refuses requests that a page of somebody else's makes the operator's browser send. */
function guardBrowsers(server: FastifyInstance, allowedHosts: readonly string[]): void {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()))
  const isAllowed = (authority: string): boolean => {
    const host = authority.toLowerCase().replace(/:\d+$/, '')
    return isLoopbackHost(host) || allowed.has(host)
  }
  server.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store')
    if (!isAllowed(request.headers.host ?? '')) {
      return reply
        .code(421)
        .send({ error: 'the Host header does not name this machine; see admin.allowedHosts' })
    }
    const origin = request.headers.origin
    if (origin !== undefined && !isAllowed(origin.replace(/^https?:\/\//, ''))) {
      return reply.code(403).send({ error: 'requests from other sites are refused' })
    }
  })
}
