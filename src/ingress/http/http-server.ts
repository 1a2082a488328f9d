/**
 * The Node server below fastify: every timeout and limit set here, none left to a default, and an answer for requests
 * that never become requests (a malformed head, a slow one, an overlong one).
 *
 * `insecureHTTPParser` stays off: two Content-Lengths, Content-Length beside Transfer-Encoding, folded headers, bare LF
 * and control bytes are refused by Node's strict parser, since a proxy in front might read them differently.
 */

import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createServer, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { HttpLimits } from './http-limits.ts'
import type { HttpRefusalCode } from './http-refusal.ts'
import { HttpRefusal } from './http-refusal.ts'

/** What the server keeps beside a request, because fastify must not see it or Node does not keep it. */
interface RequestMarks {
  /** The client waits for `100 Continue` before it sends its body. */
  expectsContinue: boolean
  readonly contentType: string | undefined
}

const marks = new WeakMap<IncomingMessage, RequestMarks>()
/** Requests of each connection that have no complete answer yet, by what answers them, oldest first. */
const openRequests = new WeakMap<Socket, Set<ServerResponse>>()
/** Aborted when a connection is gone. */
const goneSignals = new WeakMap<Socket, AbortSignal>()
/** Connections on which something malformed came: nothing after it is a request any more. */
const refusedConnections = new WeakSet<Socket>()

export interface HttpServerOptions {
  readonly limits: HttpLimits
  readonly listener: RequestListener
  /** Counts and prints a refusal that never reached a route. */
  readonly onRefused: (code: HttpRefusalCode | 'connections-max', facts: { readonly cause?: string }) => void
}

/** Makes the server; the caller listens. */
export function createHttpServer({ limits, listener, onRefused }: HttpServerOptions): Server {
  const server = createServer({
    headersTimeout: limits.headersMsMax,
    // The whole request is not timed here: time in which we choose not to read must not count (see BodySource).
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMsMax,
    connectionsCheckingInterval: limits.connectionsCheckMs,
    maxHeaderSize: limits.headerBytesMax,
    insecureHTTPParser: false,
    // Refused by the route, so that it is counted and has a code as every other refusal.
    requireHostHeader: false,
    noDelay: true,
    keepAlive: true,
  })
  server.maxRequestsPerSocket = limits.requestsPerConnectionMax
  server.maxConnections = limits.connectionsMax
  // Node drops header fields beyond its count in silence; ours are counted and refused, so it must keep some more.
  server.maxHeadersCount = limits.headerCountMax + 1
  server.setTimeout(limits.idleMsMax)

  const onRequest = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => {
    if (refusedConnections.has(request.socket)) return
    // fastify would answer 415 to a content type it cannot parse; here any content type is only kept as it came.
    marks.set(request, { expectsContinue, contentType: request.headers['content-type'] })
    delete request.headers['content-type']
    const open = openRequests.get(request.socket) ?? new Set()
    openRequests.set(request.socket, open.add(response))
    response.once('close', () => open.delete(response))
    listener(request, response)
  }
  server.on('request', (request, response) => onRequest(request, response, false))
  server.on('checkContinue', (request, response) => onRequest(request, response, true))
  server.on('checkExpectation', (_request, response: ServerResponse) => {
    const refusal = new HttpRefusal('expectation_failed', 'the only Expect this server knows is 100-continue')
    onRefused(refusal.code, {})
    response.writeHead(refusal.status, { 'content-type': 'application/json', connection: 'close' })
    response.end(refusal.toJson())
  })
  server.on('drop', () => onRefused('connections-max', {}))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const refusal = refusalOfParserError(error, limits)
    // ECONNRESET: the client has gone, there is nobody to refuse.
    if (refusal === null || error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    // The parser says it again for every piece that still comes.
    if (refusedConnections.has(socket)) return
    refusedConnections.add(socket)
    onRefused(refusal.code, { cause: error.code ?? 'unknown' })
    afterAnswers(socket, () => answerRaw(socket, refusal))
  })
  return server
}

/** Aborted when the request's connection is gone; 'close' of a request that has been read whole comes long before. */
export function connectionGone({ socket }: IncomingMessage): AbortSignal {
  const known = goneSignals.get(socket)
  if (known !== undefined) return known
  const gone = new AbortController()
  goneSignals.set(socket, gone.signal)
  if (socket.destroyed) gone.abort()
  else socket.once('close', () => gone.abort())
  return gone.signal
}

/** The content type as it was sent; undefined when there was none. */
export function contentTypeOf(request: IncomingMessage): string | undefined {
  return marks.get(request)?.contentType
}

/** True while the client waits to be told that it may send its body. */
export function expectsContinue(request: IncomingMessage): boolean {
  return marks.get(request)?.expectsContinue ?? false
}

/** Tells a client that waits for it to go on. */
export function sendContinue(request: IncomingMessage, response: ServerResponse): void {
  const mark = marks.get(request)
  if (mark === undefined || !mark.expectsContinue) return
  mark.expectsContinue = false
  response.writeContinue()
}

/** How many requests of this request's connection have no complete answer, this one included. */
export function openRequestCount(request: IncomingMessage): number {
  return openRequests.get(request.socket)?.size ?? 0
}

/**
 * Runs `next` once every whole request of the connection has its answer. A client takes what it reads next for the answer
 * to its oldest request, so a refusal of what came behind must not come before:
 *   1. A request is being stored. 2. Bytes that are no request follow it, as after a Content-Length that is too short.
 *   3. 400 says of the first request that nothing was stored, and then it is.
 */
function afterAnswers(socket: Socket, next: () => void): void {
  const open = openRequests.get(socket) ?? new Set()
  const oldestWhole = [...open].find(({ req }) => req.complete)
  if (oldestWhole === undefined) next()
  else oldestWhole.once('close', () => afterAnswers(socket, next))
}

function refusalOfParserError(error: NodeJS.ErrnoException, limits: HttpLimits): HttpRefusal | null {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return headersTooLarge(limits)
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpRefusal(
        'slow_request',
        `the request's headers must arrive within ${limits.headersMsMax} ms`,
        { facts: { limitMs: limits.headersMsMax } },
      )
    case 'ERR_HTTP_SOCKET_TIMEOUT':
      return null
    default:
      return new HttpRefusal('malformed_request', 'this is not a well-formed HTTP/1.1 request')
  }
}

/** The refusal for a header block over its limits. */
export function headersTooLarge(limits: HttpLimits): HttpRefusal {
  return new HttpRefusal(
    'headers_too_large',
    `a request's header block may hold ${limits.headerCountMax} fields and ${limits.headerBytesMax} bytes`,
    { facts: { limitBytes: limits.headerBytesMax, limitFields: limits.headerCountMax } },
  )
}

function answerRaw(socket: Socket, refusal: HttpRefusal): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = refusal.toJson()
  socket.end(
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n` +
      'content-type: application/json\r\n' +
      `content-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
    () => socket.destroySoon(),
  )
}
